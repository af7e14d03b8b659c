"""Colours of surface points, looked up in pictures of the same surface."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from huddle3d.geometry import Camera, sample_image
from huddle3d.people._filters import distance_to

__all__ = ["Picture", "inner_distance", "look_up"]


@dataclass(frozen=True)
class Picture:
    """One view of a surface, with what is needed to say whether a point is seen in it."""

    camera: Camera
    """Unbatched, in the frame of the points."""
    image: Float[Tensor, "H W 3"]
    trust: Float[Tensor, "H W"]
    """In [0, 1]; 0 = no colour here."""
    depth: Float[Tensor, "H W"]
    """Depth of the surface, 0 = background."""
    slack: float
    """Largest depth difference at which a point still lies on the seen surface, units of the depth."""


def inner_distance(mask: Bool[Tensor, "H W"], reach: float) -> Float[Tensor, "H W"]:
    """Distance to the nearest false pixel over ``reach`` [px], at most 1: a soft edge that stays inside the mask."""
    return (distance_to(~mask) / reach).clamp(0, 1)


def look_up(
    picture: Picture, points: Float[Tensor, "P 3"], normals: Float[Tensor, "P 3"], *, power: float = 2.0
) -> tuple[Float[Tensor, "P 3"], Float[Tensor, "P"]]:
    """Colour and weight of each point: ``trust * cos(view angle) ** power`` where it is seen, else 0."""
    camera = picture.camera
    uv, z = camera.project(points)
    if camera.is_perspective:
        ray = torch.nn.functional.normalize(camera.centre - points, dim=-1)
    else:
        ray = -torch.nn.functional.normalize(camera.T_world_cam[:3, 2], dim=-1).expand_as(points)
    cosine = (normals * ray).sum(-1).clamp(0, 1)
    inside = (uv >= 0).all(-1) & (uv[:, 0] < camera.width) & (uv[:, 1] < camera.height) & (z > 0)
    surface = sample_image(picture.depth[..., None], uv, mode="nearest")[:, 0]
    seen = inside & (surface > 0) & ((surface - z).abs() < picture.slack)
    trust = sample_image(picture.trust[..., None], uv)[:, 0]
    # normalised interpolation: pixels without trust lend no colour to their neighbours
    colour = sample_image(picture.image * picture.trust[..., None], uv) / trust.clamp_min(1e-4)[:, None]
    weight = trust * cosine**power * seen
    return colour.clamp(0, 1) * (weight > 0)[:, None], weight
