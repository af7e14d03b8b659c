"""Move people into contact: projected gradient descent on goals, with signed distances against interpenetration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.geometry import vertex_normals
from huddle3d.progress import Progress, silent
from huddle3d.scene import BodyParams
from huddle3d.scene.landmarks import LANDMARK_INDEX
from huddle3d.synthesis.goals import Plan, palm_frame, palm_vertices, region_vertices
from huddle3d.synthesis.posing import Side

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel, BodyOutput
    from huddle3d.contact import MeshQuery

__all__ = ["SolveConfig", "goal_gaps", "solve_interaction"]


@dataclass(frozen=True)
class SolveConfig:
    """How an interaction is solved."""

    steps: int = 70
    """Iterations."""
    fine_steps: int = 24
    """Of these, the last ones test every vertex for interpenetration; the others every third."""
    learning_rate: float = 0.045
    """Of the arms' joint angles [rad]; falls to a tenth."""
    repair_steps: int = 60
    """At most so many more iterations without goals while anybody is deeper in another than ``tolerance_m``."""
    tolerance_m: float = 0.003
    """Depth that needs no repair [m]."""
    gap_m: float = 0.004
    """Distance at which skins are said to touch: room for thin cloth."""
    clearance_m: float = 0.001
    """Nearer than this is pushed apart."""
    penetration: float = 2000.0
    """Weight of squared violations of the clearance [1/m²], summed over vertices."""
    contact: float = 3000.0
    """Weight of squared distances of palms and leaning parts to the gap [1/m²]."""
    place: float = 300.0
    """Weight of squared distances of palms to their goal places [1/m²]."""
    facing: float = 0.25
    """Weight of palms not lying flat."""


_STIFFNESS = {"spine": 12.0, "neck": 12.0, "head": 12.0, "clavicle": 2.5, "shoulder01": 2.5, "upperarm01": 0.15, "lowerarm01": 0.15, "wrist": 0.4}
"""Weight of squared changes of joint angles [1/rad²]; only these joints move. The trunk keeps its authored pose, the arms search."""


_LEG_STIFFNESS = {"upperleg01": 2.0, "lowerleg01": 2.0}
"""Of the legs of people who are carried; the legs of others do not move."""

_IDLE_STIFFNESS = 3.0
"""Of the joints of an arm that has nothing to reach."""

_FOOT = ("ankle", "big_toe", "small_toe")
_FOOT_WIDTH_M = 0.125
"""Least distance of the middle lines of two people's feet: a foot in a shoe."""

_VERTEX_GAP_M = 0.012
"""Distance between nearest vertices of surfaces that touch: the gap, and the spacing of the vertices."""


class _Surfaces:
    """The people's meshes as distance queries, refit at each step."""

    def __init__(self, vertices: Float[Tensor, "K V 3"], faces: Int[Tensor, "F 3"]) -> None:
        from huddle3d.contact import MeshQuery

        self.queries: list[MeshQuery] = [MeshQuery(v, faces) for v in vertices.detach()]

    def update(self, vertices: Float[Tensor, "K V 3"]) -> None:
        for query, v in zip(self.queries, vertices):
            query.refit(v)


class _Problem:
    """The loss of one plan."""

    def __init__(self, plan: Plan, body: BodyModel, config: SolveConfig) -> None:
        self.plan, self.body, self.config = plan, body, config
        out = body(plan.params)
        normals = vertex_normals(out.vertices, body.faces)
        hands: dict[tuple[int, Side], None] = {(g.person, g.side): None for g in (*plan.palms, *plan.clasps)}
        hands |= {(g.other, g.other_side): None for g in plan.clasps}
        self.palm = {(p, s): palm_vertices(body, out.vertices[p], normals[p], out.landmarks[p], s) for p, s in hands}
        self.feet = region_vertices(body, "left_foot", "right_foot")
        self.skin = region_vertices(body, *body.region_names)
        self.around = {g.vertex: body.faces[(body.faces == g.vertex).any(1)] for g in plan.palms}
        self.surfaces = _Surfaces(out.vertices, body.faces)
        table = _STIFFNESS | _LEG_STIFFNESS if plan.carried or plan.limbs else _STIFFNESS
        stiff = {j: next((w for k, w in table.items() if name.startswith(k)), None) for j, name in enumerate(body.joint_names)}
        self.rows = torch.tensor([j for j, w in stiff.items() if w is not None])
        self.stiffness = torch.tensor([w for w in stiff.values() if w is not None]).expand(len(out.vertices), -1)[..., None].clone()
        for i, j in enumerate(self.rows.tolist()):
            side: Side = "left" if body.joint_names[j].endswith(".L") else "right"
            for p in range(len(out.vertices)):
                if "." in body.joint_names[j] and "leg" not in body.joint_names[j] and (p, side) not in hands:
                    self.stiffness[p, i] = _IDLE_STIFFNESS
        self.limits = body.joint_limits[self.rows]
        self.carried = torch.tensor([p in plan.carried for p in range(len(out.vertices))])
        leg = torch.tensor(["leg" in body.joint_names[j] for j in self.rows.tolist()])
        self.fixed = (leg & ~self.carried[:, None])[..., None] & torch.tensor(bool(plan.carried))

    def bodies(self, angles: Tensor, yaw: Tensor, place: Tensor, height: Tensor) -> tuple[BodyParams, BodyOutput]:
        """Bodies that stand on the floor: the height follows from the feet."""
        start = self.plan.params
        pose = start.pose.index_copy(1, self.rows, angles)
        pose = torch.cat([torch.stack([pose[:, 0, 0], yaw, pose[:, 0, 2]], -1)[:, None], pose[:, 1:]], 1)
        translation = torch.stack([place[:, 0], torch.zeros_like(yaw), place[:, 1]], -1)
        params = replace(start, pose=pose, translation=translation)
        out = self.body(params)
        up = -out.vertices[:, self.feet, 1].amin(1)
        lift = torch.stack([torch.zeros_like(yaw), torch.where(self.carried, height, up), torch.zeros_like(yaw)], -1)
        params = replace(params, translation=translation + lift)
        moved = {k: getattr(out, k) + lift[:, None] for k in ("vertices", "joints", "landmarks")}
        return params, replace(out, **moved)

    def feet_apart(self, out: BodyOutput) -> Tensor:
        """Squared violations of the distance of feet along the floor.

        A foot inside another is thin, so the shortest way out of it leads up: signed distances alone would leave it there.
        """
        ankle, big, small = (torch.stack([out.landmarks[:, LANDMARK_INDEX[f"{s}_{n}"]] for s in ("left", "right")], 1) for n in _FOOT)
        ball = (big + small) / 2
        points = torch.cat([ankle, ball, (ankle + ball) / 2], 1)[..., [0, 2]]
        gaps = torch.cdist(points[:, None], points[None])
        others = ~torch.eye(len(points), dtype=torch.bool)
        return (_FOOT_WIDTH_M - gaps[others]).clamp_min(0).square().sum()

    def separation(self, out: BodyOutput, stride: int) -> tuple[Tensor, float]:
        """Squared violations of the clearance by every ``stride``-th vertex, over all ordered pairs, and the greatest depth [m]."""
        total, deepest = 10 * self.feet_apart(out), 0.0
        reach = 0.02
        for i, vertices in enumerate(out.vertices):
            points = vertices[self.skin[::stride]]
            for j, other in enumerate(out.vertices.detach()):
                if i == j:
                    continue
                near = ((points > other.amin(0) - reach) & (points < other.amax(0) + reach)).all(-1).detach()
                if bool(near.any()):
                    sd = self.surfaces.queries[j].signed_distance(points[near], max_distance=reach)
                    total = total + (self.config.clearance_m - sd).clamp_min(0).square().sum() * stride
                    deepest = max(deepest, -float(sd.detach().min()))
        return total, deepest

    def outward(self, vertices: Tensor, vertex: int) -> Tensor:
        """Unit normal at a goal vertex, a constant of this iteration."""
        corners = vertices.detach()[self.around[vertex]]
        normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).sum(0)
        return torch.nn.functional.normalize(normal, dim=0)

    def goals(self, out: BodyOutput, tightness: float) -> Tensor:
        c = self.config
        total = out.vertices.new_zeros(())
        for g in self.plan.palms:
            rows = self.palm[g.person, g.side]
            points = out.vertices[g.person, rows]
            # The target is a constant of this iteration: people reach, they do not hold themselves out.
            target, outward = out.vertices[g.other, g.vertex].detach(), self.outward(out.vertices[g.other], g.vertex)
            _, facing = palm_frame(out.landmarks[g.person], g.side)
            total = total + c.place * (points.mean(0) - target - c.gap_m * outward).square().sum()
            total = total + c.facing * (1 + (facing * outward).sum())
            sd = self.surfaces.queries[g.other].signed_distance(points, max_distance=0.3)
            total = total + self.plan.grip * c.contact * tightness * (sd.topk(max(8, len(sd) // 3), largest=False).values - c.gap_m).square().mean()
        for g in self.plan.clasps:
            a, b = self.palm[g.person, g.side], self.palm[g.other, g.other_side]
            pa, pb = out.vertices[g.person, a], out.vertices[g.other, b]
            na, nb = palm_frame(out.landmarks[g.person], g.side)[1], palm_frame(out.landmarks[g.other], g.other_side)[1]
            total = total + 8 * c.place * (pa.mean(0) + c.gap_m * na - pb.mean(0)).square().sum() + 2 * c.facing * (1 + (na * nb).sum())
            sd = self.surfaces.queries[g.other].signed_distance(pa, max_distance=0.3)
            total = (
                total + self.plan.grip * c.contact * tightness * (sd.topk(max(8, len(sd) // 3), largest=False).values - c.gap_m).square().mean() * 4
            )
        for g in self.plan.touches:
            # Between these parts only: a chest that meets the other's arm has not met the other's chest.
            gaps = torch.cdist(out.vertices[g.person, g.vertices[::2]], out.vertices[g.other, g.other_vertices[::2]])
            total = total + self.plan.grip * 0.3 * c.contact * (gaps.amin(1).topk(8, largest=False).values - _VERTEX_GAP_M - g.gap_m).square().mean()
        return total


class _Descent:
    """Projected Adam on joint angles, headings and places."""

    def __init__(self, problem: _Problem, rate: float) -> None:
        start = problem.plan.params
        self.problem = problem
        self.start = start.pose[:, problem.rows]
        self.angles = self.start.clone().requires_grad_()
        self.yaw = start.pose[:, 0, 1].clone().requires_grad_()
        self.place = start.translation[:, [0, 2]].clone().requires_grad_()
        self.height = start.translation[:, 1].clone().requires_grad_(bool(problem.plan.carried))
        # Arms fast, trunk slow: Adam's step does not shrink with the gradient, so stiffness alone would not keep the trunk still.
        self.pace = (0.15 / problem.stiffness).clamp_max(1.0).sqrt()
        self.optimiser = torch.optim.Adam([{"params": [self.angles]}, {"params": [self.yaw, self.place, self.height]}], lr=rate, betas=(0.8, 0.95))

    def bodies(self) -> tuple[BodyParams, BodyOutput]:
        params, out = self.problem.bodies(self.angles, self.yaw, self.place, self.height)
        self.problem.surfaces.update(out.vertices)
        return params, out

    def stiffness(self) -> Tensor:
        return (self.problem.stiffness * (self.angles - self.start).square()).sum()

    def step(self, loss: Tensor, rate: float, *, free: bool = False) -> None:
        """One step; ``free`` lets the trunk move as fast as the arms."""
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        before = self.angles.detach().clone()
        for group, share in zip(self.optimiser.param_groups, (1.0, 0.2)):
            group["lr"] = rate * share
        self.optimiser.step()
        with torch.no_grad():
            moved = self.angles if free else before + self.pace * (self.angles - before)
            moved = torch.where(self.problem.fixed, before, moved)
            limits = self.problem.limits
            self.angles.copy_(torch.maximum(torch.minimum(moved, limits[..., 1]), limits[..., 0]))


def solve_interaction(plan: Plan, body: BodyModel, config: SolveConfig = SolveConfig(), *, progress: Progress = silent) -> BodyParams:
    """Poses and places that reach the plan's goals without interpenetration, inside the joint limits, feet on the floor.

    Only the upper body, the heading and the place on the floor move; legs and fingers keep the plan's pose. Deterministic on one machine.
    """
    problem = _Problem(plan, body, config)
    descent = _Descent(problem, config.learning_rate)
    alone = len(plan.params.pose) == 1
    for step in range(0 if alone else config.steps):
        t = step / config.steps
        _, out = descent.bodies()
        apart, _ = problem.separation(out, 1 if step >= config.steps - config.fine_steps else 3)
        # Search first, then settle: in the last third, what still crosses is pushed out at the cost of the goals.
        settle = max(0.0, 3 * t - 2)
        loss = (1 - 0.3 * settle) * problem.goals(out, min(1.0, 1.5 * t)) + config.penetration * (0.01 + t * t + settle) * apart
        descent.step(loss + descent.stiffness() * (1 - 0.8 * t), config.learning_rate * 0.15**t)
        progress((step + 1) / config.steps, "posing")
    for _ in range(0 if alone else config.repair_steps):
        apart, deepest = problem.separation(descent.bodies()[1], 1)
        if deepest <= config.tolerance_m:
            break
        descent.step(config.penetration * apart, 0.15 * config.learning_rate, free=True)
    with torch.no_grad():
        return descent.bodies()[0]


def goal_gaps(plan: Plan, params: BodyParams, body: BodyModel) -> list[float]:
    """How far each goal is from contact [m]: the least distance between the two parts' skins, minus what was to be left, at least 0.

    Args:
        plan: the goals, in the order palms, clasps, touches.
        params: the solved people.
        body: their model.
    """
    from huddle3d.contact import MeshQuery

    with torch.no_grad():
        problem, out = _Problem(plan, body, SolveConfig()), body(params)
        queries = [MeshQuery(v, body.faces) for v in out.vertices]
        gaps = []
        for g in plan.palms:
            points = out.vertices[g.person, problem.palm[g.person, g.side]]
            gaps.append(float(queries[g.other].signed_distance(points, max_distance=1.0).min()))
        for g in plan.clasps:
            points = out.vertices[g.person, problem.palm[g.person, g.side]]
            other = region_vertices(body, f"{g.other_side}_hand")
            inside = body.faces[torch.isin(body.faces, other).all(1)]
            gaps.append(float(MeshQuery(out.vertices[g.other], inside).closest_point(points).distance.min()))
        for g in plan.touches:
            inside = body.faces[torch.isin(body.faces, g.other_vertices).all(1)]
            gaps.append(
                float(MeshQuery(out.vertices[g.other], inside).closest_point(out.vertices[g.person, g.vertices]).distance.min()) - max(0.0, g.gap_m)
            )
        return [max(0.0, gap) for gap in gaps]
