"""The end of a solve: Newton steps on what is still violated, until nobody is inside anybody and every goal is met.

What crosses and what gaps become rows of one linear problem: how fast each of them closes with each joint angle, heading and place. The
smallest motion that closes all of them at once is taken (arms and fingers move more easily than trunks), and the rows are drawn up anew. Rows
of things that hold are absent, so nothing fights when everything holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from huddle3d.scene import BodyParams
from huddle3d.synthesis.poses.contacts import OwnArm, Place, Probe, own_arms, probes
from huddle3d.synthesis.poses.kinematics import Motion
from huddle3d.synthesis.poses.problem import FOOT_WIDTH_M

if TYPE_CHECKING:
    from huddle3d.bodies import BodyOutput
    from huddle3d.synthesis.poses.problem import Problem

__all__ = ["settle"]

_DAMPING = 0.02
_LONGEST_STEP_RAD, _LONGEST_STEP_M = 0.2, 0.04
_GAP_TO_M = 0.0015
"""Where a gap that is too wide is closed to."""
_POINTS = 4
"""So many points of a part that gaps are drawn in."""
_MOST_ROWS = 250
"""Of one person's points inside another, the deepest."""
_PATIENCE = 4
"""After so many steps, limbs that still run through each other are led past each other."""
_LIMB_LENGTH_M = 0.08
"""Of each limb to both sides of the crossing that must pass."""


class _Rows:
    """The linear problem of one step."""

    def __init__(self, motion: Motion, out: BodyOutput, pose: Tensor) -> None:
        self.motion, self.out, self.pose = motion, out, pose
        self.coefficients: list[Tensor] = []
        self.wanted: list[Tensor] = []

    def add(self, person: int, points: Tensor, place: Place, direction: Tensor, wanted: Tensor, weight: float = 1.0) -> None:
        """Ask that points move by ``wanted`` [m] along ``direction`` relative to places on another person."""
        out, C = self.out, self.motion.columns
        other, corners, bary = place.person, place.corners, place.bary
        rows = torch.zeros(len(points), len(out.vertices) * C)
        rows[:, person * C : (person + 1) * C] += (self.motion(out, self.pose, person, points) @ direction[..., None])[..., 0]
        used, back = torch.unique(corners, return_inverse=True)
        moves = self.motion(out, self.pose, other, used)[back]
        rows[:, other * C : (other + 1) * C] -= torch.einsum("nb,nbcd,nd->nc", bary, moves, direction)
        self.coefficients.append(weight * rows)
        self.wanted.append(weight * wanted)

    def solve(self, damping: float, low: Tensor, high: Tensor) -> Tensor:
        """The least motion, inside the bounds of each unknown."""
        A, b = torch.cat(self.coefficients), torch.cat(self.wanted)
        H = (A.T @ A + damping * self.motion.stiffness).double()
        g = (A.T @ b).double()
        free, step = self.motion.free.clone(), torch.zeros(len(g), dtype=torch.float64)
        for _ in range(3):  # what would leave its bounds is held there, the others make up for it
            part = H[free][:, free]
            step[free] = torch.cholesky_solve((g - H[:, ~free] @ step[~free])[free][:, None], torch.linalg.cholesky(part))[:, 0]
            over = free & ((step > high) | (step < low))
            if not bool(over.any()):
                break
            step = torch.where(over, step.clamp(low, high), step)
            free = free & ~over
        return step.float()


def settle(problem: Problem, params: BodyParams) -> tuple[BodyParams, float]:
    """Take out interpenetration and close the gaps of the goals, inside the joint limits.

    Returns:
        The best poses met, and what is left in the worst place [m]: a depth, or a gap scaled to the tolerance of depths.
    """
    config, carried = problem.config, problem.carried
    motion = Motion(problem)
    pose, place, height = params.pose.clone(), params.translation[:, [0, 2]].clone(), params.translation[:, 1].clone()
    limits = problem.body.joint_limits[motion.rows]
    best, least, damping, before = params, float("inf"), _DAMPING, float("inf")
    goals: list[Probe] | None = None
    own: list[OwnArm] | None = None
    for step in range(config.repair_steps):
        now, out = problem.stand(pose, place, height)
        problem.surfaces.update(out.vertices)
        goals = goals if goals is not None else probes(problem, out)
        own = own if own is not None else own_arms(problem, out)
        rows = _Rows(motion, out, pose)
        worst = max(_part_people(problem, rows, out, step >= _PATIENCE), _close_gaps(goals, rows, out, config.gap_tolerance_m / config.tolerance_m))
        worst = max(worst, _free_arms(own, rows, out, config.clearance_m) * config.tolerance_m / config.own_tolerance_m)
        if worst < least:
            best, least = now, worst
        if worst <= config.tolerance_m or not rows.wanted:
            break
        damping = min(1.0, 2 * damping) if worst > before else max(1e-3, 0.6 * damping)
        before = worst
        space = torch.cat([(limits - pose[:, motion.rows, :, None]).flatten(1, 2), torch.tensor([-1.0, 1.0]).expand(len(pose), 4, 2)], 1).flatten(
            0, 1
        )
        move = rows.solve(damping, space[:, 0], space[:, 1]).unflatten(0, (len(pose), -1))
        turn, shift = move[:, :-4].unflatten(1, (-1, 3)), move[:, -4:]
        longest = max(float(turn.abs().max()) / _LONGEST_STEP_RAD, float(shift.abs().max()) / _LONGEST_STEP_M, 1.0)
        pose[:, motion.rows] += turn / longest
        pose[:, motion.rows] = torch.maximum(torch.minimum(pose[:, motion.rows], limits[..., 1]), limits[..., 0])
        pose[:, 0, 1] += shift[:, 0] / longest
        place += shift[:, 1:3] / longest
        height = torch.where(carried, height + shift[:, 3] / longest, height)
    return best, least


def _part_people(problem: Problem, rows: _Rows, out: BodyOutput, stuck: bool) -> float:
    """Rows for what is nearer than the clearance; the greatest depth [m]."""
    deepest, reach = 0.0, problem.config.clearance_m
    for i, vertices in enumerate(out.vertices):
        points = vertices[problem.skin]
        for j, other in enumerate(out.vertices):
            if i == j:
                continue
            near = ((points > other.amin(0) - reach) & (points < other.amax(0) + reach)).all(-1).nonzero()[:, 0]
            if not len(near):
                continue
            sd, nearest = problem.surfaces.queries[j].signed_closest(points[near], max_distance=reach)
            close = sd < 0.999 * reach
            if not bool(close.any()):
                continue
            deepest = max(deepest, -float(sd.min()))
            if int(close.sum()) > _MOST_ROWS:
                close &= sd <= sd.kthvalue(_MOST_ROWS).values
            who, place = problem.skin[near[close]], Place(j, problem.surfaces.queries[j].faces[nearest.face[close]], nearest.bary[close])
            direction = torch.nn.functional.normalize(vertices[who] - place.points(out), dim=-1) * torch.where(sd[close] < 0, -1.0, 1.0)[:, None]
            wanted = reach - sd[close]
            if stuck:
                limbs = torch.isin(who, problem.limbs) & torch.isin(place.corners[:, 0], problem.limbs) & (sd[close] < 0)
                if i < j:
                    for region in problem.body.regions[who[limbs]].unique():
                        _pass_aside(problem, rows, out, i, who[limbs & (problem.body.regions[who] == region)], j)
                who, direction, wanted = who[~limbs], direction[~limbs], wanted[~limbs]
                place = Place(j, place.corners[~limbs], place.bary[~limbs])
            # A foot inside a foot is thin: the nearest way out leads up, where feet cannot go.
            foot = torch.isin(who, problem.feet)
            direction = torch.nn.functional.normalize(torch.where(foot[:, None], direction * torch.tensor([1.0, 0.0, 1.0]), direction), dim=-1)
            rows.add(i, who, place, direction, wanted)
    _part_feet(problem, rows, out)
    return deepest


def _part_feet(problem: Problem, rows: _Rows, out: BodyOutput) -> None:
    """Rows for feet whose middle lines are nearer than a shoe is wide."""
    points, skin = problem.foot_lines(out), problem.foot_rows
    for i in range(len(points)):
        for j in range(i + 1, len(points)):
            apart = points[i][:, None] - points[j]
            distance = apart.norm(dim=-1)
            a, b = (distance < FOOT_WIDTH_M).nonzero(as_tuple=True)
            if len(a):
                way = torch.nn.functional.normalize(apart[a, b], dim=-1)
                direction = torch.stack([way[:, 0], torch.zeros(len(a)), way[:, 1]], -1)
                rows.add(i, skin[i, a], Place(j, skin[j, b][:, None], torch.ones(len(b), 1)), direction, FOOT_WIDTH_M - distance[a, b])


def _free_arms(own: list[OwnArm], rows: _Rows, out: BodyOutput, reach: float) -> float:
    """Rows for hands and forearms inside their own body; the greatest depth [m]."""
    deepest = 0.0
    for arm in own:
        sd, nearest = arm.rest.refit(out.vertices[arm.person].detach()).signed_closest(out.vertices[arm.person, arm.points], max_distance=reach)
        deep = sd < -reach
        if bool(deep.any()):
            deepest = max(deepest, -float(sd.min()))
            place = Place(arm.person, arm.rest.faces[nearest.face[deep]], nearest.bary[deep])
            who = arm.points[deep]
            direction = torch.nn.functional.normalize(place.points(out) - out.vertices[arm.person, who], dim=-1)
            rows.add(arm.person, who, place, direction, -sd[deep])
    return deepest


def _pass_aside(problem: Problem, rows: _Rows, out: BodyOutput, person: int, inside: Tensor, other: int) -> None:
    """Rows for limbs that run through each other, where the nearest ways out point to both sides: all go the shortest common way."""
    centre = out.vertices[person, inside].mean(0)
    sides = []
    for p in (person, other):
        near = problem.limbs[(out.vertices[p, problem.limbs] - centre).norm(dim=-1) < _LIMB_LENGTH_M]
        if len(near) < _POINTS:
            return
        sides.append(near)
    heights = [out.vertices[p, near] @ problem.directions.T for p, near in zip((person, other), sides)]
    overlap = heights[1].amax(0) - heights[0].amin(0)
    best = int(overlap.argmin())
    low = sides[0][heights[0][:, best].topk(_POINTS, largest=False).indices]
    high = sides[1][heights[1][:, best].topk(_POINTS).indices]
    way, count = problem.directions[best].expand(_POINTS, 3), torch.full((_POINTS,), float(overlap[best]) + problem.config.clearance_m)
    rows.add(person, low, Place(other, high.expand(_POINTS, -1), torch.full((_POINTS, _POINTS), 1 / _POINTS)), way, count, 5.0)


def _close_gaps(goals: list[Probe], rows: _Rows, out: BodyOutput, tolerance: float) -> float:
    """Rows for the goals that are not met; the widest gap [m], in units in which both tolerances are equal."""
    widest = 0.0
    for goal in goals:
        distance, place = goal.measure(out)
        gap = float(distance.min())
        if gap > _GAP_TO_M:
            widest = max(widest, gap / tolerance)
            first = distance.topk(min(_POINTS, len(distance)), largest=False).indices
            place = Place(place.person, place.corners[first], place.bary[first])
            who = goal.points[first]
            direction = torch.nn.functional.normalize(out.vertices[goal.person, who] - place.points(out), dim=-1)
            rows.add(goal.person, who, place, direction, (_GAP_TO_M - distance[first]).clamp(max=0.0), 3.0)
    return widest
