"""The loss of one plan: goals of palms, clasps and touches, and signed distances against interpenetration."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.geometry import vertex_normals
from huddle3d.scene import BodyParams
from huddle3d.scene.landmarks import LANDMARK_INDEX
from huddle3d.synthesis.poses.goals import Plan, palm_frame, palm_vertices, region_vertices
from huddle3d.synthesis.poses.posing import Side

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel, BodyOutput
    from huddle3d.contact import MeshQuery

__all__ = ["Problem", "SolveConfig", "Surfaces"]


@dataclass(frozen=True)
class SolveConfig:
    """How an interaction is solved."""

    steps: int = 50
    """Iterations of the search."""
    fine: float = 0.34
    """In this last share of them every vertex is tested for interpenetration, before every third."""
    retries: int = 1
    """So many more searches, each longer than the one before, while something is left."""
    learning_rate: float = 0.045
    """Of the arms' joint angles [rad]; falls to a tenth."""
    repair_steps: int = 40
    """At most so many steps of the repair while anybody is deeper in another than ``tolerance_m`` or a goal gaps more than ``gap_tolerance_m``."""
    tolerance_m: float = 0.003
    """Depth that needs no repair [m]."""
    gap_tolerance_m: float = 0.0035
    """Gap of a goal that needs no repair [m]."""
    own_tolerance_m: float = 0.005
    """Depth of a hand or forearm in its own body that needs no repair [m]."""
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
FOOT_WIDTH_M = 0.125
"""Least distance of the middle lines of two people's feet: a foot in a shoe."""

_VERTEX_GAP_M = 0.012
"""Distance between nearest vertices of surfaces that touch: the gap, and the spacing of the vertices."""


def _directions(count: int) -> Float[Tensor, "n 3"]:
    """Unit vectors spread evenly over the sphere (Fibonacci's lattice)."""
    k = torch.arange(count)
    y = 1 - (2 * k + 1) / count
    turn = k * math.pi * (3 - math.sqrt(5))
    return torch.stack([turn.cos() * (1 - y * y).sqrt(), y, turn.sin() * (1 - y * y).sqrt()], -1)


class Surfaces:
    """The people's meshes as distance queries, refit at each step."""

    def __init__(self, vertices: Float[Tensor, "K V 3"], faces: Int[Tensor, "F 3"]) -> None:
        from huddle3d.contact import MeshQuery

        self.queries: list[MeshQuery] = [MeshQuery(v, faces) for v in vertices.detach()]

    def update(self, vertices: Float[Tensor, "K V 3"]) -> None:
        """Take new positions; gradients flow to them from now on."""
        for query, v in zip(self.queries, vertices):
            query.refit(v)


class Problem:
    """The loss of one plan."""

    def __init__(self, plan: Plan, body: BodyModel, config: SolveConfig) -> None:
        self.plan, self.body, self.config = plan, body, config
        out = body(plan.params)
        self.rest_joints = body.joints(replace(plan.params, pose=torch.zeros_like(plan.params.pose)))
        normals = vertex_normals(out.vertices, body.faces)
        hands: dict[tuple[int, Side], None] = {(g.person, g.side): None for g in (*plan.palms, *plan.clasps)}
        hands |= {(g.other, g.other_side): None for g in plan.clasps}
        self.palm = {(p, s): palm_vertices(body, out.vertices[p], normals[p], out.landmarks[p], s) for p, s in hands}
        self.feet = region_vertices(body, "left_foot", "right_foot")
        self.support = region_vertices(body, *(f"{s}_{n}" for s in ("left", "right") for n in ("foot", "shin", "thigh", "buttock")))
        self.skin = region_vertices(body, *body.region_names)
        self.around = {g.vertex: body.faces[(body.faces == g.vertex).any(1)] for g in plan.palms}
        lines = self.foot_lines(out)
        self.foot_rows = self.feet[torch.stack([torch.cdist(x, v[self.feet][:, [0, 2]]).argmin(1) for x, v in zip(lines, out.vertices)])]
        self.limbs = region_vertices(body, *(f"{s}_{n}" for s in ("left", "right") for n in ("hand", "forearm", "upper_arm", "shin")))
        self.directions = _directions(150)
        self.surfaces = Surfaces(out.vertices, body.faces)
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
        self.still = torch.zeros(len(out.vertices), dtype=torch.bool)
        for person, sides in plan.still:
            ends = tuple("." + s[0].upper() for s in sides)
            self.still[person] = True
            self.fixed[person, :, 0] = torch.tensor([not self.body.joint_names[j].endswith(ends) for j in self.rows.tolist()])

    def bodies(self, angles: Tensor, yaw: Tensor, place: Tensor, height: Tensor) -> tuple[BodyParams, BodyOutput]:
        """Bodies that stand on the floor: the height follows from the feet."""
        pose = self.plan.params.pose.index_copy(1, self.rows, angles)
        return self.stand(torch.cat([torch.stack([pose[:, 0, 0], yaw, pose[:, 0, 2]], -1)[:, None], pose[:, 1:]], 1), place, height)

    def stand(self, pose: Float[Tensor, "K J 3"], place: Float[Tensor, "K 2"], height: Float[Tensor, "K"]) -> tuple[BodyParams, BodyOutput]:
        """Bodies of any pose at (x, z), feet or knees on the floor; ``height`` counts for people who are carried."""
        level = torch.zeros_like(height)
        translation = torch.stack([place[:, 0], level, place[:, 1]], -1)
        params = replace(self.plan.params, pose=pose, translation=translation)
        out = self.body(params)
        up = -out.vertices[:, self.support, 1].amin(1)
        lift = torch.stack([level, torch.where(self.carried, height, up), level], -1)
        params = replace(params, translation=translation + lift)
        moved = {k: getattr(out, k) + lift[:, None] for k in ("vertices", "joints", "landmarks")}
        frames = out.T_world_joint.clone()
        frames[..., :3, 3] += lift[:, None]
        return params, replace(out, T_world_joint=frames, **moved)

    def foot_lines(self, out: BodyOutput) -> Float[Tensor, "K 6 2"]:
        """Ankles, balls and middles of the left and right feet, along the floor."""
        ankle, big, small = (torch.stack([out.landmarks[:, LANDMARK_INDEX[f"{s}_{n}"]] for s in ("left", "right")], 1) for n in _FOOT)
        ball = (big + small) / 2
        return torch.cat([ankle, ball, (ankle + ball) / 2], 1)[..., [0, 2]]

    def feet_apart(self, out: BodyOutput) -> Tensor:
        """Squared violations of the distance of feet along the floor.

        A foot inside another is thin, so the shortest way out of it leads up: signed distances alone would leave it there.
        """
        points = self.foot_lines(out)
        gaps = torch.cdist(points[:, None], points[None])
        others = ~torch.eye(len(points), dtype=torch.bool)
        return (FOOT_WIDTH_M - gaps[others]).clamp_min(0).square().sum()

    def separation(self, out: BodyOutput, stride: int) -> Tensor:
        """Squared violations of the clearance by every ``stride``-th vertex, over all ordered pairs."""
        total = 10 * self.feet_apart(out)
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
        return total

    def outward(self, vertices: Tensor, vertex: int) -> Tensor:
        """Unit normal at a goal vertex, a constant of this iteration."""
        corners = vertices.detach()[self.around[vertex]]
        normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).sum(0)
        return torch.nn.functional.normalize(normal, dim=0)

    def goals(self, out: BodyOutput, tightness: float) -> Tensor:
        """Squared distances of everything that is to meet; ``tightness`` in [0, 1] weighs the last millimetres."""
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
