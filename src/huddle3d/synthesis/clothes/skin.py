"""Skin with a painted face: lips, brows, lids and eyes placed by the face's landmarks, so that a face reads as a face."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from huddle3d.synthesis.clothes.anatomy import Anatomy
from huddle3d.synthesis.noise import fractal_noise
from huddle3d.synthesis.spec import PersonSpec

__all__ = ["eye_colour", "skin_colour"]


def _blend(colour: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    return torch.lerp(colour, other.expand_as(colour), weight.clamp(0, 1)[:, None])


def _soft(distance: Tensor, width: float) -> Tensor:
    """1 where ``distance`` ≤ 1, falling to 0 over ``width``."""
    return ((1 + width - distance) / width).clamp(0, 1)


def _lips(points: Tensor, anatomy: Anatomy) -> Tensor:
    s = anatomy.size
    left, right, top, bottom = (anatomy.landmark(f"face_mouth_{n}") for n in ("left", "right", "top", "bottom"))
    centre = (top + bottom) / 2
    half = float((left - right)[0]) / 2 + 0.002 * s
    x = (points[:, 0] - float(centre[0])) / half
    y = points[:, 1] - float(centre[1])
    lift = (0.0085 * (1 - 0.3 * x.abs()) + 0.002) * s
    drop = 0.0105 * (1 - 0.25 * x.square()) * s
    edge = torch.where(y > 0, y / lift, -y / drop) ** 2 + x.square()
    ahead = points[:, 2] > float(anatomy.landmark("left_ear")[2]) + 0.05 * s
    return _soft(edge, 0.25) * ahead


def _brow(points: Tensor, anatomy: Anatomy, side: str) -> Tensor:
    s = anatomy.size
    inner, outer = anatomy.landmark(f"face_{side}_eye_inner"), anatomy.landmark(f"face_{side}_eye_outer")
    middle, half = (inner + outer) / 2, float((inner - outer).abs()[0]) / 2 + 0.006 * s
    x = (points[:, 0] - float(middle[0])) / half
    outwards = x if float(middle[0]) > 0 else -x
    arch = float(middle[1]) + (0.0195 + 0.003 * (1 - (outwards - 0.25).square())) * s
    d = (points[:, 1] - arch).abs() / ((0.0036 - 0.0012 * outwards) * s)
    ahead = points[:, 2] > float(anatomy.landmark("left_ear")[2]) + 0.04 * s
    return _soft(torch.maximum(d, x.abs()), 0.35) * ahead


def _lids(points: Tensor, anatomy: Anatomy, side: str) -> Tensor:
    """A dark line around the opening of the eye, stronger above."""
    s = anatomy.size
    inner, outer = anatomy.landmark(f"face_{side}_eye_inner"), anatomy.landmark(f"face_{side}_eye_outer")
    middle, half = (inner + outer) / 2, float((inner - outer).abs()[0]) / 2
    x = (points[:, 0] - float(middle[0])) / (1.1 * half)
    y = (points[:, 1] - float(middle[1]) - 0.0008 * s) / (0.0072 * s)
    ahead = points[:, 2] > float(anatomy.landmark("left_ear")[2]) + 0.05 * s
    return _soft((x.square() + y.square()).sqrt(), 0.35) * torch.where(y > 0, 0.75, 0.4) * ahead


def skin_colour(points: Float[Tensor, "n 3"], anatomy: Anatomy, person: PersonSpec) -> Float[Tensor, "n 3"]:
    """SRGB of skin at places of the body at rest."""
    s = anatomy.size
    base = torch.tensor(person.skin)
    colour = base * (1 + 0.05 * fractal_noise(points / 0.05, 11, octaves=3))[:, None]
    red = base * torch.tensor([1.06, 0.82, 0.80])
    nose = anatomy.landmark("nose")
    for k in (-1.0, 1.0):
        cheek = torch.stack([nose[0] + 0.042 * k * s, nose[1] - 0.004 * s, nose[2] - 0.035 * s])
        colour = _blend(colour, red, 0.45 * _soft((points - cheek).norm(dim=-1) / (0.018 * s), 1.2))
    colour = _blend(colour, red, 0.35 * _soft((points - nose).norm(dim=-1) / (0.008 * s), 1.5))
    colour = _blend(colour, base * torch.tensor([0.88, 0.55, 0.54]), 0.85 * _lips(points, anatomy))
    hair = torch.tensor(person.hair.colour) if person.hair.kind != "none" else base * 0.35
    for side in ("left", "right"):
        colour = _blend(colour, base * 0.28, _lids(points, anatomy, side))
        colour = _blend(colour, 0.7 * hair + 0.1 * base, 0.85 * _brow(points, anatomy, side))
    return colour.clamp(0, 1)


def eye_colour(points: Float[Tensor, "n 3"], anatomy: Anatomy, person: PersonSpec, left: Bool[Tensor, "n"]) -> Float[Tensor, "n 3"]:
    """SRGB of the eyeballs: pupil, iris with a dark rim, sclera; the gaze is straight ahead."""
    s = anatomy.size
    centres = torch.stack([anatomy.joint("eye.R"), anatomy.joint("eye.L")])[left.long()]
    d = (points - centres)[:, :2].norm(dim=-1) / s
    front = (points - centres)[:, 2] > 0
    colour = torch.tensor([0.93, 0.91, 0.89]).expand(len(points), 3)
    iris = torch.tensor(person.eyes)
    colour = _blend(colour, iris * 0.4, ((d < 0.0066) & front).float())
    colour = _blend(colour, iris, ((d < 0.0056) & front).float())
    return _blend(colour, torch.tensor([0.02, 0.02, 0.02]), ((d < 0.0026) & front).float())
