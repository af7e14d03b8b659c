"""Skirts, dresses and coats: where the photo shows cloth between the legs, the legs of the start mesh become the two halves of one closed skirt.

The body's topology has two legs, and no deformation that follows outlines alone would ever close the gap between them. What tells a skirt is
the mask: it covers the gap between the fitted legs, down to a hem. Then, slice by slice along the legs, the outline of each leg is mapped
onto one half of an ellipse around both, so that outside there is one surface and inside the two halves touch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from huddle3d.bodies import BodyModel
from huddle3d.geometry import Camera
from huddle3d.people._legs import SLICES, LegPicture, Legs, legs_of
from huddle3d.people._targets import hidden_by_others
from huddle3d.scene import Bodies, People2D

__all__ = ["Skirt", "SkirtConfig", "dress_legs", "find_skirt", "put_on"]

_RIM = 0.02
"""Vertices this near the hem, as a share of the leg, are drawn onto it: a straight rim."""
_OVERLAP_M = 0.06
"""More than the distance of neighbouring vertices on a leg."""
_SUNK_M = 0.004
"""How far each half's edge lies below the other half."""
_OPEN_ENDS = 3
"""With fewer open slices below the last covered one, the photo shows no hem."""


@dataclass(frozen=True)
class SkirtConfig:
    """When cloth between the legs counts as a skirt, and how it hangs."""

    enabled: bool = True
    """Whether to look for skirts at all."""
    covered: float = 0.85
    """Share of the gap between the legs, above the hem, that the mask must cover."""
    open_below: float = 0.4
    """Largest share right below the hem: wide trousers open gradually."""
    min_agreement: float = 0.65
    """Least intersection over union of mask and body above the legs: in a mask that two people share, the other's legs close the gap."""
    trousers: float = 0.04
    """How far wide trousers may stand off the legs [m]: what the mask covers nearer to the body tells nothing."""
    min_slices: int = 8
    """Slices (of 64 along the leg) in which the gap must be open to the photo."""
    min_seen: float = 0.8
    """Share of the legs that the photo must show if it shows no hem."""
    min_hem: float = 0.4
    """Shortest skirt, as a share of the way from hip to ankle; shorter ones hardly differ from the body."""
    max_flare: float = 0.3
    """Widest standing-off from the legs that is believed, on each side [m]."""
    max_slope: float = 0.45
    """Steepest widening from the hips downwards: arms and bags beside the hips are no cloth."""
    roundness: float = 0.55
    """Least depth of the skirt as a share of its half width."""
    thickness: float = 0.01
    """How far the cloth stands off in front and behind [m]."""


@dataclass(frozen=True)
class Skirt:
    """A skirt, by the slices of the legs."""

    hem: float
    """Share of the way from hip to ankle."""
    left: Float[Tensor, "n"]
    """How far it reaches to the left leg's side of the middle [m], positive."""
    right: Float[Tensor, "n"]
    """The same on the right."""
    depth: tuple[Float[Tensor, "n"], Float[Tensor, "n"]]
    """The same in front and behind."""


def dress_legs(
    people2d: People2D, bodies: Bodies, config: SkirtConfig, *, body: BodyModel
) -> tuple[Float[Tensor, "K V 3"], tuple[Skirt | None, ...]]:
    """Bodies with closed skirts where the photo shows them.

    Args:
        people2d: masks.
        bodies: fitted bodies, landmarks, camera.
        config: thresholds.
        body: the body model: faces and regions.

    Returns:
        Vertices, world [m], unchanged to the last bit for who wears no skirt; and each person's skirt.
    """
    vertices, camera = bodies.vertices, bodies.camera
    if not config.enabled:
        return vertices, tuple(None for _ in vertices)
    hidden = hidden_by_others(people2d.masks, camera, vertices, body.faces.long())
    out, skirts = vertices.clone(), []
    for k, person in enumerate(vertices):
        skirt = find_skirt(people2d.masks[k], hidden[k], camera, person, bodies.landmarks[k], config, body=body)
        skirts.append(skirt)
        if skirt is not None:
            out[k] = put_on(skirt, person, bodies.landmarks[k], body=body)
    return out, tuple(skirts)


def find_skirt(
    mask: Bool[Tensor, "H W"],
    hidden: Bool[Tensor, "H W"],
    camera: Camera,
    vertices: Float[Tensor, "V 3"],
    landmarks: Float[Tensor, "L 3"],
    config: SkirtConfig,
    *,
    body: BodyModel,
) -> Skirt | None:
    """The skirt that a mask shows between and beside the legs; None if it shows none, or if the photo does not tell.

    Args:
        mask: visible pixels of the person.
        hidden: pixels where somebody nearer may hide the person.
        camera: the input camera, world.
        vertices: fitted body, world [m].
        landmarks: its landmarks, world [m].
        config: thresholds.
        body: the body model.
    """
    legs = legs_of(vertices, landmarks, body)
    picture = LegPicture(mask, hidden, camera, vertices, body, config.trousers)
    hem = _hem(legs, picture, config)
    if hem is None or picture.agreement() < config.min_agreement:
        return None
    sides = [_reach(legs, picture, side, config.max_flare) for side in (0, 1)]
    rim = round(hem * (SLICES - 1))
    down = torch.linspace(0, 1, SLICES, device=vertices.device) * (legs.middle[1:] - legs.middle[:-1]).norm(dim=-1).sum()
    least = [(sign * outer).nan_to_num(nan=-torch.inf) for sign, outer in ((-1, legs.outer[0]), (1, legs.outer[1]))]
    most = [b[: SLICES // 8].amax() + config.thickness + config.max_slope * down for b in least]
    left, right = (_smoothed(torch.minimum(r, m), b, rim) for r, m, b in zip(sides, most, least))
    round_enough = config.roundness * (left + right) / 2
    depth = [torch.maximum(d, torch.minimum(torch.maximum(d + config.thickness, round_enough), d[0] + config.max_slope * down)) for d in legs.depth]
    return Skirt(hem, left, right, (_smoothed(depth[0], legs.depth[0], rim), _smoothed(depth[1], legs.depth[1], rim)))


def _hem(legs: Legs, picture: LegPicture, config: SkirtConfig) -> float | None:
    """Down to which share of the legs the gap between them is covered."""
    left, right = legs.inner
    share = torch.linspace(0.02, 0.98, 33, device=left.device)
    u = torch.lerp(left[:, None], right[:, None], share)
    points = legs.middle[:, None] + u[..., None] * legs.across[:, None]
    covered, told, naked, _ = picture.at(points.nan_to_num())
    valid = told & ~naked & (right - left > 0.02)[:, None]
    seen = valid.sum(-1) >= 4
    if int(seen.sum()) < config.min_slices:
        return None
    part = ((covered & valid).sum(-1) / valid.sum(-1).clamp_min(1)).where(seen, torch.nan)
    gain = torch.where(seen, part.nan_to_num() - 0.6, 0.0)
    last = int((gain.cumsum(0) - gain.flip(0).cumsum(0).flip(0) + gain).argmax())
    above, below = part[: last + 1][seen[: last + 1]], part[last + 1 :][seen[last + 1 :]]
    if int((above < 0.5).sum()) > 1:
        return None  # legs that are covered below a visible gap: fitted wider apart than they are, or a mask with something else in it
    if len(above) < config.min_slices or float(above.mean()) < config.covered:
        return None
    no_hem = len(below) < _OPEN_ENDS
    if not no_hem and float(below[:5].mean()) > config.open_below:
        return None
    if no_hem and float(above[-5:].median()) < config.covered:
        return None  # it opens gradually towards the feet: trousers
    if no_hem and _told_down_to(legs, picture) < config.min_seen:
        return None  # the picture ends before trousers would show themselves
    hem = 1.0 if no_hem and _covers_ankles(legs, picture, last) else last / (SLICES - 1)
    return hem if hem >= config.min_hem and _legs_below(legs, picture, last) else None


def _told_down_to(legs: Legs, picture: LegPicture) -> float:
    """The lowest share of the legs of which the photo tells."""
    _, told, _, _ = picture.at(legs.middle)
    return float(told.nonzero().max()) / (SLICES - 1) if bool(told.any()) else 0.0


def _legs_below(legs: Legs, picture: LegPicture, last: int) -> bool:
    """Whether below the hem the legs themselves are seen, where the photo tells: else a table hides everything there, and the hem is the table's edge."""
    step = legs.half[last + 2 :, None] * legs.across[last + 2 :]
    covered, told, _, _ = picture.at(torch.cat([legs.middle[last + 2 :] - step, legs.middle[last + 2 :] + step]))
    return int((covered & told).sum()) >= 0.5 * int(told.sum())


def _covers_ankles(legs: Legs, picture: LegPicture, last: int) -> bool:
    """Whether the middle between the legs stays covered, or untold, from the last open slice to the ankles."""
    covered, told, _, _ = picture.at(legs.middle[last:])
    return bool((covered | ~told).float().mean() > 0.8)


def _reach(legs: Legs, picture: LegPicture, side: int, limit: float) -> Float[Tensor, "n"]:
    """How far the mask reaches beside a leg, from the middle [m]; NaN where the photo does not tell: seen along the line of both legs, an arm in front."""
    sign = (-1.0, 1.0)[side]
    steps = torch.arange(0.0, limit + 0.005, 0.005, device=legs.half.device)
    u = legs.outer[side][:, None] + sign * steps
    points = (legs.middle[:, None] + u[..., None] * legs.across[:, None]).nan_to_num()
    covered, told, _, arms = picture.at(points)
    end = (~covered).int().argmax(-1)
    ends = (~covered).any(-1)
    last = torch.arange(len(steps), device=end.device) <= end[:, None]
    clear = (told | ~last).all(-1) & ~(arms & last).any(-1) & ends
    uv, _ = picture.camera.project(torch.stack([legs.middle, legs.middle + 0.1 * legs.across, legs.middle + 0.1 * legs.forward], 1))
    wide, deep = ((uv[:, i] - uv[:, 0]).norm(dim=-1) for i in (1, 2))
    clear &= wide > deep
    return torch.where(clear, (sign * legs.outer[side]) + steps[(end - 1).clamp_min(0)], torch.nan)


def _smoothed(values: Float[Tensor, "n"], least: Float[Tensor, "n"], rim: int) -> Float[Tensor, "n"]:
    """Gaps filled from the neighbours, outliers and steps smoothed, never below the body; below the rim as at the rim."""
    values = torch.maximum(values.where(values.isfinite(), least), least).clone()
    known = values.isfinite().nonzero()[:, 0]
    if len(known):
        nearest = (torch.arange(len(values), device=values.device)[:, None] - known).abs().argmin(-1)
        values = values[known[nearest]]
    values[rim + 1 :] = values[rim]
    ends = torch.nn.functional.pad(values[None, None], (6, 6), mode="replicate")[0, 0]
    median = ends.unfold(0, 13, 1).median(-1).values
    ends = torch.nn.functional.pad(median[None, None], (5, 5), mode="replicate")[0, 0]
    return torch.maximum(ends.unfold(0, 11, 1).mean(-1), least)


def put_on(skirt: Skirt, vertices: Float[Tensor, "V 3"], landmarks: Float[Tensor, "L 3"], *, body: BodyModel) -> Float[Tensor, "V 3"]:
    """The body with its legs, down to the hem, spread onto the skirt: each onto its half of the ellipse of its slice.

    A vertex moves along the ray from its leg's bone until it meets the ellipse ``(u / reach)² + (v / depth)² = 1`` of its slice, or the middle between
    the legs; down the first fifth of the legs the move fades in. Vertices that are no thigh and no shin, or lie below the hem, stay.

    Args:
        skirt: what to put on.
        vertices: fitted body, world [m].
        landmarks: its landmarks, world [m].
        body: the body model.

    Returns:
        Vertices, world [m].
    """
    legs = legs_of(vertices, landmarks, body)
    out = vertices.clone()
    for rows, slices, reach, sign in zip(legs.rows, legs.slices, (skirt.left, skirt.right), (-1.0, 1.0)):
        share = slices / (SLICES - 1)
        near_rim = (share - skirt.hem).abs() < _RIM
        rim = round(skirt.hem * (SLICES - 1))
        n = torch.where(near_rim, rim, slices)
        offset = vertices[rows] - legs.middle[slices]
        u, v = sign * (offset * legs.across[n]).sum(-1), (offset * legs.forward[n]).sum(-1)
        wide, deep = reach[n], torch.where(v > 0, skirt.depth[0][n], skirt.depth[1][n])
        centre = torch.minimum(legs.half[n], 0.8 * wide)
        new_u, new_v = _onto_half_ellipse(u - centre, v, centre, wide, deep)
        target = legs.middle[n] + (sign * new_u)[:, None] * legs.across[n] + new_v[:, None] * legs.forward[n]
        target = target + (offset - (sign * u)[:, None] * legs.across[n] - v[:, None] * legs.forward[n])
        weight = (share / 0.2).clamp(0, 1) * ((share <= skirt.hem) | near_rim)
        weight = weight * weight * (3 - 2 * weight)
        out[rows] = torch.lerp(vertices[rows], target, weight[:, None])
    return out


def _onto_half_ellipse(du: Tensor, dv: Tensor, centre: Tensor, wide: Tensor, deep: Tensor) -> tuple[Tensor, Tensor]:
    """Where the ray from ``(centre, 0)`` along ``(du, dv)`` leaves the half of an ellipse with half axes ``wide`` and ``deep``.

    Each half ends a little beyond the middle and below the other's surface: the edge, whose normal would show, is out of sight.
    """
    angle = torch.atan2(dv, du)
    past = torch.minimum(torch.full_like(wide, _OVERLAP_M), 0.3 * wide)
    du, dv = angle.cos(), angle.sin()
    # ((c + t du) / w)² + (t dv / d)² = 1
    a, b, c = (du / wide) ** 2 + (dv / deep) ** 2, du * centre / wide**2, (centre / wide) ** 2 - 1
    t = (-b + (b * b - a * c).clamp_min(0).sqrt()) / a.clamp_min(1e-9)
    t = torch.minimum(t, torch.where(du < 0, (-past - centre) / du.clamp_max(-1e-6), torch.inf))
    u, v = centre + t * du, t * dv
    return u, v * (1 - _SUNK_M / deep * (-u / past).clamp(0, 1))
