"""The end of a solve: Newton steps on what is still violated, until nobody is inside anybody and every goal is met.

What crosses and what gaps become rows of one linear problem: how fast each of them closes with each joint angle, heading and place. The
smallest motion that closes all of them at once is taken (arms and fingers move more easily than trunks), and the rows are drawn up anew. Rows
of things that hold are absent, so nothing fights when everything holds; in groups those that nearly break are there as bounds (``least_motion``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.scene import BodyParams
from huddle3d.synthesis.poses.contacts import OwnArm, Place, Probe, own_arms, probes
from huddle3d.synthesis.poses.kinematics import Motion
from huddle3d.synthesis.poses.least_motion import Rows
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
_MOST_WATCHED = 80
"""Of one person's points near another but not too near, the nearest."""
_AHEAD_M = 0.012
"""In groups, what is nearer to a violation than this is watched, too: what mends one link would break the next."""
_PATIENCE = 4
"""After so many steps, limbs that still run through each other are led past each other."""
_HOPELESS = 12
"""After so many steps without a better state, a group is given up; from then on its steps become shorter."""
_THROUGH_M = 0.012
"""Depth from which a limb of a group counts as running through another."""
_LIMB_LENGTH_M = 0.08
"""Of each limb to both sides of the crossing that must pass."""


def settle(problem: Problem, params: BodyParams, *, watchful: bool | None = None) -> tuple[BodyParams, float]:
    """Take out interpenetration and close the gaps of the goals, inside the joint limits.

    Args:
        problem: the plan.
        params: where to start.
        watchful: whether what nearly breaks is held, too; None for groups alone.

    Returns:
        The best poses met, and what is left in the worst place [m]: a depth, or a gap scaled to the tolerance of depths.
    """
    config = problem.config
    motion = Motion(problem)
    at = _Unknowns(params.pose.clone(), params.translation[:, [0, 2]].clone(), params.translation[:, 1].clone())
    best, least, damping, before = params, float("inf"), _DAMPING, float("inf")
    goals: list[Probe] | None = None
    own: list[OwnArm] | None = None
    ahead = _AHEAD_M if (len(at.pose) > 2 if watchful is None else watchful) else 0.0
    since = 0
    for step in range(config.repair_steps):
        now, out = problem.stand(at.pose, at.place, at.height)
        problem.surfaces.update(out.vertices)
        goals = goals if goals is not None else probes(problem, out)
        own = own if own is not None else own_arms(problem, out)
        rows = Rows(motion, out, at.pose, ahead)
        worst = max(_part_people(problem, rows, out, step >= _PATIENCE), _close_gaps(goals, rows, out, config.gap_tolerance_m / config.tolerance_m))
        worst = max(worst, _free_arms(own, rows, out, config.clearance_m) * config.tolerance_m / config.own_tolerance_m)
        since = 0 if worst < least else since + 1
        if worst < least:
            best, least = now, worst
        if worst <= config.tolerance_m or not rows.wanted or (ahead > 0 and since > _HOPELESS):
            break
        damping = min(1.0, 2 * damping) if worst > before else max(1e-3, 0.6 * damping)
        before = worst
        # Groups: ever shorter steps, or what two links want of the one between them goes to and fro.
        at = at.moved(problem, motion, rows, damping, 1.0 if step < _HOPELESS else 0.9 ** (step - _HOPELESS))
    return best, least


class _Unknowns(NamedTuple):
    """What the repair moves."""

    pose: Float[Tensor, "K J 3"]
    place: Float[Tensor, "K 2"]
    height: Float[Tensor, "K"]

    def moved(self, problem: Problem, motion: Motion, rows: Rows, damping: float, trust: float) -> _Unknowns:
        """After the least motion that the rows ask for, none of it longer than a step may be."""
        limits, count = problem.body.joint_limits[motion.rows], len(self.pose)
        space = torch.cat([(limits - self.pose[:, motion.rows, :, None]).flatten(1, 2), torch.tensor([-1.0, 1.0]).expand(count, 4, 2)], 1)
        space = space.flatten(0, 1)
        if rows.ahead:  # a step that is cut short as a whole would let one arm hold up everybody
            far = torch.tensor([*[_LONGEST_STEP_RAD] * (motion.columns - 3), *[_LONGEST_STEP_M] * 3]).repeat(count)[:, None] * trust
            space = space.clamp(-far, far)
        move = rows.solve(damping, space[:, 0], space[:, 1]).unflatten(0, (count, -1))
        turn, shift = move[:, :-4].unflatten(1, (-1, 3)), move[:, -4:]
        longest = max(float(turn.abs().max()) / _LONGEST_STEP_RAD, float(shift.abs().max()) / _LONGEST_STEP_M, 1.0)
        pose = self.pose.clone()
        pose[:, motion.rows] += turn / longest
        pose[:, motion.rows] = torch.maximum(torch.minimum(pose[:, motion.rows], limits[..., 1]), limits[..., 0])
        pose[:, 0, 1] += shift[:, 0] / longest
        height = torch.where(problem.carried, self.height + shift[:, 3] / longest, self.height)
        return _Unknowns(pose, self.place + shift[:, 1:3] / longest, height)


def _part_people(problem: Problem, rows: Rows, out: BodyOutput, stuck: bool) -> float:
    """Rows for what is nearer than the clearance; the greatest depth [m]."""
    deepest, clearance = 0.0, problem.config.clearance_m
    reach = clearance + rows.ahead
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
            most = _MOST_ROWS if rows.ahead == 0 else min(_MOST_ROWS, int((sd < clearance).sum()) + _MOST_WATCHED)
            if int(close.sum()) > most:
                close &= sd <= sd.kthvalue(most).values
            who, place = problem.skin[near[close]], Place(j, problem.surfaces.queries[j].faces[nearest.face[close]], nearest.bary[close])
            direction = torch.nn.functional.normalize(vertices[who] - place.points(out), dim=-1) * torch.where(sd[close] < 0, -1.0, 1.0)[:, None]
            wanted = clearance - sd[close]
            if stuck:
                limbs = torch.isin(who, problem.limbs) & torch.isin(place.corners[:, 0], problem.limbs) & (sd[close] < 0)
                if rows.ahead and bool(limbs.any()) and float(sd[close][limbs].min()) > -_THROUGH_M:
                    limbs = torch.zeros_like(limbs)  # a hand that lies too deep on an arm does not run through it
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


def _part_feet(problem: Problem, rows: Rows, out: BodyOutput) -> None:
    """Rows for feet whose middle lines are nearer than a shoe is wide."""
    points, skin = problem.foot_lines(out), problem.foot_rows
    for i in range(len(points)):
        for j in range(i + 1, len(points)):
            apart = points[i][:, None] - points[j]
            distance = apart.norm(dim=-1)
            a, b = (distance < FOOT_WIDTH_M + rows.ahead).nonzero(as_tuple=True)
            if len(a):
                way = torch.nn.functional.normalize(apart[a, b], dim=-1)
                direction = torch.stack([way[:, 0], torch.zeros(len(a)), way[:, 1]], -1)
                rows.add(i, skin[i, a], Place(j, skin[j, b][:, None], torch.ones(len(b), 1)), direction, FOOT_WIDTH_M - distance[a, b])


def _free_arms(own: list[OwnArm], rows: Rows, out: BodyOutput, reach: float) -> float:
    """Rows for hands and forearms inside their own body; the greatest depth [m]."""
    deepest = 0.0
    for arm in own:
        sd, nearest = arm.rest.refit(out.vertices[arm.person].detach()).signed_closest(out.vertices[arm.person, arm.points], max_distance=reach)
        deep = sd < -reach if rows.ahead == 0 else sd < reach
        if bool(deep.any()):
            deepest = max(deepest, -float(sd.min()))
            place = Place(arm.person, arm.rest.faces[nearest.face[deep]], nearest.bary[deep])
            who = arm.points[deep]
            direction = torch.nn.functional.normalize(place.points(out) - out.vertices[arm.person, who], dim=-1)
            direction = torch.where(sd[deep, None] < 0, direction, -direction)
            rows.add(arm.person, who, place, direction, -sd[deep])
    return deepest


def _pass_aside(problem: Problem, rows: Rows, out: BodyOutput, person: int, inside: Tensor, other: int) -> None:
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


def _close_gaps(goals: list[Probe], rows: Rows, out: BodyOutput, tolerance: float) -> float:
    """Rows for the goals that are not met; the widest gap [m], in units in which both tolerances are equal."""
    widest = 0.0
    for goal in goals:
        distance, place = goal.measure(out)
        gap = float(distance.min())
        if gap > _GAP_TO_M:
            widest = max(widest, gap / tolerance)
        elif rows.ahead == 0:
            continue
        first = distance.topk(min(_POINTS if gap > _GAP_TO_M else 1, len(distance)), largest=False).indices
        place = Place(place.person, place.corners[first], place.bary[first])
        who = goal.points[first]
        way = torch.nn.functional.normalize(place.points(out) - out.vertices[goal.person, who], dim=-1)
        toward = torch.where(distance[first, None] < 0, -way, way)
        wanted = distance[first] - _GAP_TO_M
        rows.add(goal.person, who, place, toward, wanted if rows.ahead > 0 else wanted.clamp(min=0.0), 3.0)
    return widest
