"""Rigged people on solved bodies: their surfaces differ from the bodies' by a centimetre, so contacts are closed and crossings parted once more."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from scipy.spatial import KDTree
from torch import Tensor

from huddle3d.progress import Progress, silent
from huddle3d.scene import BodyParams
from huddle3d.synthesis.avatars.rigging import Rig
from huddle3d.synthesis.poses.goals import TouchGoal, region_vertices

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel, BodyOutput
    from huddle3d.contact import MeshQuery

__all__ = ["PartConfig", "part_people"]


@dataclass(frozen=True)
class PartConfig:
    """How surfaces are brought to touch without crossing."""

    steps: int = 30
    """Iterations that close contacts and part crossings; at most as many again while a contact is open."""
    repair_steps: int = 60
    """At most so many more that only part, until nobody is deeper in another than ``tolerance_m``."""
    tolerance_m: float = 0.0035
    """Depth that needs no repair [m]."""
    learning_rate: float = 0.02
    """Of the arms' joint angles [rad]."""
    clearance_m: float = 0.001
    """Nearer than this is pushed apart."""
    near_m: float = 0.015
    """Skins of the bodies nearer than this are in contact, and shall be so on the other surfaces."""
    gap_m: float = 0.004
    """Contacts wider than this are drawn together."""


_PACE = {"upperarm01": 1.0, "lowerarm01": 1.0, "wrist": 0.6, "clavicle": 0.3, "shoulder01": 0.3, "neck": 0.12, "head": 0.12, "spine": 0.12,
         "upperleg01": 0.2, "lowerleg01": 0.2}  # fmt: skip
"""Speed of the joints that move, relative to the arms."""
_STIFFNESS = 1.0
"""Weight of squared changes of joint angles [1/rad²], over the pace."""
_REACH_M = 0.05
_SPACING_M = 0.006
"""Between the nearest vertices of surfaces that touch."""
_CLOSED_M2 = 4e-6
"""Squared gaps that count as closed [m²]."""
_MOST = 400
"""Vertices that stand for a part."""
_LEAST = 5
"""Vertices that make a place of contact."""


class _Surfaces:
    """The surface of each person as a function of the bodies."""

    def __init__(self, rigs: Sequence[Rig | None], body: BodyModel) -> None:
        self.rigs, self.body = rigs, body
        self.faces = [rig.avatar.faces if rig else body.faces for rig in rigs]
        self.skin = [torch.unique(f) if rig else region_vertices(body, *body.region_names) for rig, f in zip(rigs, self.faces, strict=True)]

    def __call__(self, out: BodyOutput) -> list[Tensor]:
        return [rig.posed(out.T_world_joint[k]) if rig else out.vertices[k] for k, rig in enumerate(self.rigs)]

    def partners(self, person: int, rows: Int[Tensor, "n"]) -> Int[Tensor, "n"]:
        """Vertices of a person's surface nearest to vertices of the body in it, both at rest."""
        rig = self.rigs[person]
        if rig is None:
            return rows
        with torch.no_grad():
            rest = self.body(rig.registration.params).vertices[0, rows]
        _, nearest = KDTree(rig.avatar.vertices.double().numpy()).query(rest.double().numpy())
        return torch.from_numpy(nearest)


def _contacts(out: BodyOutput, surfaces: _Surfaces, body: BodyModel, near_m: float) -> list[tuple[int, Tensor, int]]:
    """Places of contact between the bodies, as vertices of the surfaces: (person, vertices, other)."""
    from huddle3d.contact import MeshQuery

    queries = [MeshQuery(v, body.faces) for v in out.vertices]
    skin, found = region_vertices(body, *body.region_names), []
    for i, vertices in enumerate(out.vertices):
        for j, query in enumerate(queries):
            if i == j:
                continue
            close = skin[query.signed_distance(vertices[skin], max_distance=2 * near_m) < near_m]
            for region in torch.unique(body.regions[close]):
                rows = close[body.regions[close] == region]
                if len(rows) >= _LEAST:
                    found.append((i, torch.unique(surfaces.partners(i, rows)), j))
    return found


def _some(rows: Int[Tensor, "n"]) -> Int[Tensor, "m"]:
    rows = torch.unique(rows)
    return rows[:: max(1, -(-len(rows) // _MOST))]


class _Descent:
    """Projected Adam on joint angles, headings and places of all people."""

    def __init__(
        self,
        params: BodyParams,
        rigs: Sequence[Rig | None],
        body: BodyModel,
        config: PartConfig,
        touches: Sequence[TouchGoal],
        carried: Collection[int],
    ) -> None:
        from huddle3d.contact import MeshQuery

        self.start, self.body, self.config = params, body, config
        self.surfaces = _Surfaces(rigs, body)
        pace = {j: next((p for k, p in _PACE.items() if name.startswith(k)), None) for j, name in enumerate(body.joint_names)}
        self.rows = torch.tensor([j for j, p in pace.items() if p is not None])
        self.pace = torch.tensor([p for p in pace.values() if p is not None])[:, None]
        self.limits = body.joint_limits[self.rows]
        self.angles = params.pose[:, self.rows].clone().requires_grad_()
        self.place = params.translation.clone().requires_grad_()
        self.stands = torch.tensor([k not in carried for k in range(len(params.pose))])
        self.optimiser = torch.optim.Adam([{"params": [self.angles]}, {"params": [self.place]}], lr=config.learning_rate, betas=(0.8, 0.95))
        with torch.no_grad():
            out = body(params)
        self.contacts = _contacts(out, self.surfaces, body, config.near_m)
        self.touches = [
            (t.person, _some(self.surfaces.partners(t.person, t.vertices)), t.other, _some(self.surfaces.partners(t.other, t.other_vertices)))
            for t in touches
        ]
        self.queries: list[MeshQuery] = [MeshQuery(v, f) for v, f in zip(self.surfaces(out), self.surfaces.faces, strict=True)]

    def people(self) -> tuple[BodyParams, list[Tensor]]:
        """Bodies and surfaces, everybody who stands with the lowest point of the surface on the floor."""
        pose = self.start.pose.index_copy(1, self.rows, self.angles)
        params = replace(self.start, pose=pose, translation=self.place)
        surfaces = self.surfaces(self.body(params))
        low = torch.stack([-v.detach()[:, 1].amin() for v in surfaces])
        lift = torch.stack([torch.zeros_like(low), torch.where(self.stands, low, 0.0), torch.zeros_like(low)], -1)
        surfaces = [v + up for v, up in zip(surfaces, lift, strict=True)]
        for query, v in zip(self.queries, surfaces, strict=True):
            query.refit(v)
        return replace(params, translation=self.place + lift), surfaces

    def crossing(self, surfaces: list[Tensor], stride: int) -> tuple[Tensor, float]:
        """Squared violations of the clearance, and the greatest depth [m]."""
        total, deepest = surfaces[0].new_zeros(()), 0.0
        for i, vertices in enumerate(surfaces):
            points = vertices[self.surfaces.skin[i][::stride]]
            for j, other in enumerate(surfaces):
                if i == j:
                    continue
                box = other.detach()
                near = ((points > box.amin(0) - _REACH_M) & (points < box.amax(0) + _REACH_M)).all(-1).detach()
                if bool(near.any()):
                    sd = self.queries[j].signed_distance(points[near], max_distance=0.01)
                    total = total + stride * (self.config.clearance_m - sd).clamp_min(0).square().sum()
                    deepest = max(deepest, -float(sd.detach().min()))
        return total, deepest

    def closing(self, surfaces: list[Tensor]) -> Tensor:
        """Mean squared gaps of the nearest third of each place of contact, and of the nearest vertices of parts that are to touch."""
        total = surfaces[0].new_zeros(())
        for i, rows, j in self.contacts:
            sd = self.queries[j].signed_distance(surfaces[i][rows], max_distance=_REACH_M)
            total = total + (sd.topk(max(3, len(sd) // 3), largest=False).values - self.config.gap_m).clamp_min(0).square().mean()
        for i, a, j, b in self.touches:
            gaps = torch.cdist(surfaces[i][a], surfaces[j][b]).amin(1).topk(min(8, len(a)), largest=False).values
            total = total + (gaps - self.config.gap_m - _SPACING_M).clamp_min(0).square().mean()
        return total

    def step(self, loss: Tensor, rate: float) -> None:
        stiff = (_STIFFNESS / self.pace * (self.angles - self.start.pose[:, self.rows]).square()).sum()
        self.optimiser.zero_grad(set_to_none=True)
        (loss + stiff).backward()
        before = self.angles.detach().clone()
        height = self.place.detach()[:, 1].clone()
        for group, share in zip(self.optimiser.param_groups, (1.0, 0.25), strict=True):
            group["lr"] = rate * share
        self.optimiser.step()
        with torch.no_grad():
            moved = before + self.pace * (self.angles - before)
            self.angles.copy_(torch.maximum(torch.minimum(moved, self.limits[..., 1]), self.limits[..., 0]))
            self.place[:, 1] = torch.where(self.stands, height, self.place[:, 1])


def part_people(
    params: BodyParams,
    rigs: Sequence[Rig | None],
    body: BodyModel,
    config: PartConfig = PartConfig(),
    *,
    touches: Sequence[TouchGoal] = (),
    carried: Collection[int] = (),
    progress: Progress = silent,
) -> tuple[BodyParams, list[Float[Tensor, "_ 3"]]]:
    """Move solved bodies a little, so that the surfaces that ride on them touch where the bodies did and do not cross.

    Args:
        params: solved bodies.
        rigs: the rigged person on each body, None for people who are the body itself.
        body: their model.
        config: see there.
        touches: parts of the bodies that are to touch, however far they are.
        carried: people who keep no foot on the floor.
        progress: receives the fraction done.

    Returns:
        The moved bodies, and the surface of each person [m, world].
    """
    descent = _Descent(params, rigs, body, config, touches, carried)
    for k in range(2 * config.steps if len(rigs) > 1 else 0):
        _, surfaces = descent.people()
        crossing, _ = descent.crossing(surfaces, 3)
        closing, t = descent.closing(surfaces), min(1.0, k / config.steps)
        if k >= config.steps and float(closing.detach()) < _CLOSED_M2:
            break
        descent.step(2000.0 * (0.2 + t) * crossing + 2000.0 * (1 + 2 * t) * closing, config.learning_rate * 0.2**t)
        progress(0.25 * (k + 1) / config.steps, "touching")
    for k in range(config.repair_steps if len(rigs) > 1 else 0):
        _, surfaces = descent.people()
        crossing, deepest = descent.crossing(surfaces, 1)
        if deepest <= config.tolerance_m:
            break
        descent.step(2000.0 * crossing, 0.25 * config.learning_rate)
        progress(0.5 + 0.5 * (k + 1) / config.repair_steps, "parting")
    with torch.no_grad():
        return descent.people()
