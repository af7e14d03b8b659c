"""Masks at low resolution and the silhouette term."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.geometry import Camera
from huddle3d.render import EdgeTopology, silhouette

__all__ = ["SmallMasks", "camera_each", "shrink_masks", "silhouette_term", "silhouettes"]


@dataclass(frozen=True)
class SmallMasks:
    """Masks at the size at which a term looks at them."""

    share: Float[Tensor, "K h w"]
    """Share of each pixel that the person owns, in [0, 1]."""
    others: Float[Tensor, "K h w"]
    """Share that other people own."""
    has_mask: Bool[Tensor, "K"]
    """Whether the person has a mask at all."""


def shrink_masks(masks: Bool[Tensor, "K H W"], longer_side: int) -> SmallMasks:
    """Area-averaged masks whose longer side has at most ``longer_side`` pixels."""
    height, width = masks.shape[-2:]
    factor = min(1.0, longer_side / max(height, width))
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    share = torch.nn.functional.interpolate(masks[:, None].float(), size=size, mode="area")[:, 0]
    return SmallMasks(share, (share.sum(0) - share).clamp(0, 1), masks.flatten(1).any(-1))


def silhouette_term(coverage: Float[Tensor, "K h w"], masks: SmallMasks) -> Float[Tensor, "K"]:
    """Squared disagreement of coverage and mask over the mask's area; pixels of other people say nothing (they may hide the person).

    Zero for a person without a mask.
    """
    known = 1 - masks.others
    wrong = (known * (coverage - masks.share).square()).flatten(1).sum(-1)
    return masks.has_mask * wrong / masks.share.flatten(1).sum(-1).clamp_min(1.0)


def camera_each(camera: Camera, count: int) -> Camera:
    """The same camera ``count`` times: each body is drawn alone."""
    return replace(camera, K=camera.K.expand(count, 3, 3), T_cam_world=camera.T_cam_world.expand(count, 4, 4))


def silhouettes(
    vertices_view: Float[Tensor, "K V 3"], faces: Int[Tensor, "F 3"], camera_view: Camera, topology: EdgeTopology
) -> Float[Tensor, "K h w"]:
    """Antialiased coverage of each body alone; differentiable in the vertices."""
    return silhouette(vertices_view, faces, camera_each(camera_view, len(vertices_view)), topology=topology)
