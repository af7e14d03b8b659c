"""Neighbours of a solved pair: other builds, slightly other poses, the same contacts.

Solving an interaction from its plan takes seconds. A neighbour starts at a solved pair, so a few dozen steps on the 1,200-vertex proxies
of all neighbours together bring it back into contact and out of interpenetration; exact distances of the full surfaces then say whether it
is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.contact import MeshQuery, PenetrationPairs
from huddle3d.scene import BodyParams

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["VaryConfig", "measure_pairs", "neighbours"]


@dataclass(frozen=True)
class VaryConfig:
    """How far neighbours lie from the solved pair, and how they are repaired."""

    shape_spread: float = 0.13
    """Standard deviation of the change of each shape parameter (age a quarter of it)."""
    limb_deg: float = 5.0
    """Standard deviation of the change of arm and leg angles [deg]."""
    trunk_deg: float = 2.0
    """The same for spine, neck and head."""
    turn_deg: float = 4.0
    """The same for each person's heading."""
    shift_m: float = 0.02
    """The same for each person's place on the floor."""
    steps: int = 45
    """Repair steps."""
    freeze_every: int = 9
    """Steps between two searches for nearest points."""
    learning_rate: float = 0.03
    """Adam's rate [rad, m]."""
    contact_m: float = 0.015
    """Proxy vertices of the solved pair that are nearer than this to the other person stay in contact."""
    clearance_m: float = 0.006
    """Distance that proxies keep: they lie a few millimetres inside the surface they stand for."""


_TRUNK = ("spine", "neck", "head", "clavicle", "shoulder01")
_LIMBS = ("upperarm01", "lowerarm01", "wrist", "upperleg01", "lowerleg01")
_APART_M = 20.0
"""Neighbours are repaired in one row this far apart, so that one search over all of them finds no strangers."""


def _perturbed(
    params: BodyParams,
    body: BodyModel,
    count: int,
    config: VaryConfig,
    generator: torch.Generator,
    allowed: Callable[[list[float]], bool] | None,
) -> BodyParams:
    """``count`` copies of the pair with other shapes and angles; the copies of one pair lie side by side."""

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator)

    shape, pose, place = (getattr(params, n).repeat(count, *(1,) * (getattr(params, n).ndim - 1)) for n in ("shape", "pose", "translation"))
    spread = torch.tensor([0.25 if n == "age" else 1.0 for n in body.shape_names]) * config.shape_spread
    limits = body.shape_limits
    solved = shape
    shape = (solved + spread * normal(*shape.shape)).clamp(limits[:, 0].clamp_min(0.0), limits[:, 1])
    for _ in range(20):
        bad = torch.tensor([allowed is not None and not allowed(s) for s in shape.half().tolist()])  # as a bank will store it
        if not bool(bad.any()):
            break
        again = (solved + spread * normal(*shape.shape)).clamp(limits[:, 0].clamp_min(0.0), limits[:, 1])
        shape = torch.where(bad[:, None], again, shape)
    degrees = torch.zeros(body.num_joints)
    for j, name in enumerate(body.joint_names):
        degrees[j] = config.trunk_deg / 2 if name.startswith(_TRUNK) else config.limb_deg if name.startswith(_LIMBS) else 0.0
    pose = pose + torch.deg2rad(degrees)[:, None] * normal(*pose.shape)
    pose[:, 0, 1] += torch.deg2rad(torch.tensor(config.turn_deg)) * normal(len(pose))
    flat = torch.tensor([1.0, 0.0, 1.0])
    # A person of another height has the root at another height: hips stay over feet, hands are brought back by the repair.
    place = place + config.shift_m * flat * normal(*place.shape)
    return BodyParams(shape, pose, place, shape.new_zeros(len(shape), 0))


def _moving(body: BodyModel) -> Tensor:
    return torch.tensor([j for j, n in enumerate(body.joint_names) if n.startswith(_TRUNK + _LIMBS)])


def neighbours(
    params: BodyParams,
    body: BodyModel,
    count: int,
    generator: torch.Generator,
    config: VaryConfig = VaryConfig(),
    *,
    allowed: Callable[[list[float]], bool] | None = None,
) -> BodyParams:
    """Pairs near a solved one, repaired; ``K = 2 count``, the two of one pair side by side. Some may still cross: measure them.

    Args:
        params: a solved pair, K = 2, feet on the floor or carried.
        body: its model, with a contact proxy.
        count: how many.
        generator: of the random numbers.
        config: how far and how.
        allowed: whether a shape may be taken; others are drawn again, at most 20 times.
    """
    start = _perturbed(params, body, count, config, generator, allowed)
    with torch.no_grad():
        solved = body.proxy_skinned(params)
    grounded = (solved[..., 1].amin(-1) < 0.05).repeat(count)
    contacts = PenetrationPairs.freeze(solved, body.proxy_faces, config.contact_m)
    rows = _moving(body)
    points = solved.shape[1]
    aside = _APART_M * torch.arange(count).repeat_interleave(2)[:, None, None] * torch.tensor([1.0, 0.0, 0.0])
    step_over = 2 * points * torch.arange(count)
    vertex = (contacts.vertex[None] + step_over[:, None]).flatten()
    corners = (contacts.corners[None] + step_over[:, None, None]).flatten(0, 1)
    bary = contacts.bary.repeat(count, 1)
    limits = body.joint_limits[rows]

    angles = start.pose[:, rows].clone().requires_grad_()
    places = start.translation.clone().requires_grad_()
    yaw = start.pose[:, 0, 1].clone().requires_grad_()
    optimiser = torch.optim.Adam([{"params": [angles, yaw]}, {"params": [places], "lr": config.learning_rate * 0.4}], lr=config.learning_rate)

    def current() -> BodyParams:
        pose = start.pose.index_copy(1, rows, angles)
        pose = torch.cat([torch.stack([pose[:, 0, 0], yaw, pose[:, 0, 2]], -1)[:, None], pose[:, 1:]], 1)
        return replace(start, pose=pose, translation=places)

    def proxies() -> Float[Tensor, "K P 3"]:
        p = body.proxy_skinned(current())
        lift = torch.where(grounded, -p[..., 1].amin(-1), torch.zeros(len(p)))
        return p + lift[:, None, None] * torch.tensor([0.0, 1.0, 0.0])

    pairs: PenetrationPairs | None = None
    for step in range(config.steps):
        p = proxies() + aside
        if pairs is None or step % config.freeze_every == 0:
            pairs = PenetrationPairs.freeze(p, body.proxy_faces, 0.03)
        crossing = (config.clearance_m - pairs.distances(p)).clamp_min(0).square().sum()
        flat = p.reshape(-1, 3)
        offset = flat[vertex] - (bary[..., None] * flat[corners]).sum(1)
        kept = (offset.square().sum(-1) + 1e-12).sqrt()
        touching = (kept - config.contact_m).clamp_min(0).square().sum()
        stay = (angles - start.pose[:, rows]).square().sum() + 4 * (places - start.translation)[:, [0, 2]].square().sum()
        beyond = ((angles - limits[..., 1]).clamp_min(0) + (limits[..., 0] - angles).clamp_min(0)).square().sum()
        share = step / config.steps
        for group, rate in zip(optimiser.param_groups, (1.0, 0.4)):
            group["lr"] = config.learning_rate * rate * 0.1**share
        optimiser.zero_grad(set_to_none=True)
        (400 * (1 + 4 * share) * crossing + 200 * touching + 0.2 * stay + 5 * beyond).backward()
        optimiser.step()
    with torch.no_grad():
        out = current()
        clamped = torch.maximum(torch.minimum(out.pose[:, rows], limits[..., 1]), limits[..., 0])
        out = replace(out, pose=out.pose.index_copy(1, rows, clamped))
        low = body.proxy_skinned(out)[..., 1].amin(-1)
        lift = torch.where(grounded, -low, torch.zeros_like(low))
        return replace(out, translation=out.translation + lift[:, None] * torch.tensor([0.0, 1.0, 0.0]))


def measure_pairs(params: BodyParams, body: BodyModel) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
    """Greatest depth of a vertex of one in the other, and least distance between the two [mm], of ``K / 2`` pairs; on the full surfaces.

    Distances are looked for within 10 cm; further ones are told as 1000 mm (no vertex of one near the box of the other) or 100 mm.
    """
    depths, gaps = [], []
    with torch.no_grad():
        vertices = body(params).vertices
        for a, b in vertices.reshape(-1, 2, *vertices.shape[1:]):
            nearest = [_signed(a, b, body), _signed(b, a, body)]
            least = min(float(d.min()) if len(d) else 1.0 for d in nearest)
            depths.append(max(0.0, -least) * 1000)
            gaps.append(max(0.0, least) * 1000)
    return torch.tensor(depths), torch.tensor(gaps)


def _signed(points: Tensor, other: Tensor, body: BodyModel, reach: float = 0.1) -> Tensor:
    near = ((points > other.amin(0) - reach) & (points < other.amax(0) + reach)).all(-1)
    return MeshQuery(other, body.faces).signed_distance(points[near], max_distance=reach)
