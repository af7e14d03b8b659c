"""Canonical views at the size of a view-completion network, and the numbers that such a network reads and writes (HUG3D sections 3.2, A.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.errors import ShapeError
from huddle3d.scene import CompletedViews, ViewSet

__all__ = ["CONDITION_CHANNELS", "ViewMaps", "condition_of", "picture_of", "shrink", "view_maps"]

CONDITION_CHANNELS = 11
"""Channels of :func:`condition_of`: body normals 3, partial colours 3, their mask 1, outline 1, first completion 3."""

_DILATION = 61 / 768
"""Kernel by which the body's outline grows before everything outside of it counts as background, as a share of the side (paper, A.3.3)."""


def shrink(image: Float[Tensor, "*n H W c"], size: int, weight: Float[Tensor, "*n H W"] | None = None) -> Float[Tensor, "*n size size c"]:
    """Area average; with a weight the weighted average of each pixel's area, 0 where it has none.

    Args:
        image: square pictures whose side is a multiple of ``size``.
        size: new side [px].
        weight: of each old pixel.
    """
    *batch, side, _, c = image.shape
    if side == size:
        return image if weight is None else image * (weight > 0)[..., None]
    step = side // size
    if step * size != side:
        raise ShapeError("views", image.shape, (*batch, "n * size", "n * size", c))

    def pooled(t: Tensor) -> Tensor:
        return t.reshape(*t.shape[: len(batch)], size, step, size, step, t.shape[-1]).mean((-4, -2))

    if weight is None:
        return pooled(image)
    told = weight[..., None].to(image)
    return pooled(image * told) / pooled(told).clamp_min(1e-6)


@dataclass(frozen=True)
class ViewMaps:
    """What is known of S = 1 + K sets of views: the group, then each person alone; N = 6 views of h × h pixels, values of covered area."""

    body_normals: Float[Tensor, "S N h h 3"]
    """Mean normal of the naked body, canonical frame; shorter than 1 at the outline, 0 on the background."""
    silhouette: Float[Tensor, "S N h h"]
    """Share that the naked body covers."""
    rgb: Float[Tensor, "S N h h 3"]
    """Mean of the reprojected colours; 0 where there is none."""
    seen: Float[Tensor, "S N h h"]
    """Share that has a reprojected colour."""
    prior_normals: Float[Tensor, "S N h h 3"]
    """As ``body_normals``, of the named baseline's completion (partial mesh)."""
    prior_rgb: Float[Tensor, "S N h h 3"]
    """Its colours, mean over what it covers."""
    prior_alpha: Float[Tensor, "S N h h"]
    """Share that it covers."""

    def map(self, change: Callable[[Tensor], Tensor]) -> ViewMaps:
        """Each map changed by a function."""
        return ViewMaps(**{f.name: change(getattr(self, f.name)) for f in fields(self)})


def view_maps(views: ViewSet, prior: CompletedViews, size: int) -> ViewMaps:
    """Maps of a group and its people from the canonical stage and the baseline's completion.

    Args:
        views: of the canonical stage; its side is a multiple of ``size``.
        prior: the baseline ``body-prior`` on the same views.
        size: side of the maps [px].
    """
    normals = torch.cat([views.normals_group[None], views.normals_inst])
    covered = (normals.square().sum(-1) > 0.25).to(normals)
    rgb = torch.cat([views.rgb_group[None], views.rgb_inst])
    seen = torch.cat([views.seen_group[None], views.seen_inst]).to(normals)
    alpha = torch.cat([prior.alpha_group[None], prior.alpha_inst])
    told = torch.cat([prior.normals_group[None], prior.normals_inst])
    colour = torch.cat([prior.rgb_group[None], prior.rgb_inst])
    inside = (told.square().sum(-1) > 0.25).to(normals)
    return ViewMaps(
        shrink(normals, size),
        shrink(covered[..., None], size)[..., 0],
        shrink(rgb, size, seen),
        shrink(seen[..., None], size)[..., 0],
        shrink(told, size),
        shrink(colour, size, inside),
        shrink(alpha[..., None], size)[..., 0],
    )


def picture_of(colours: Float[Tensor, "*n h w 3"], alpha: Float[Tensor, "*n h w"]) -> Float[Tensor, "*n h w 3"]:
    """Colours in [0, 1] on white, scaled to [-1, 1]: what the network completes in the domain of colours."""
    return 2 * (colours * alpha[..., None] + (1 - alpha[..., None])) - 1


def condition_of(maps: ViewMaps) -> Float[Tensor, "S 2 N 11 h h"]:
    """What the network reads, channels first; domain 0 normals, domain 1 colours. They differ in the last three channels alone.

    Channels: body normals (0 on the background); the picture with the paper's ``x_mask`` convention in [-1, 1] (background 1, missing -1, else the
    observed colour), where the background begins outside of the outline of the naked body or of the baseline, grown by 61/768 of the side;
    share of observed colour; share covered by the baseline; the baseline's normals (domain 0) or its colours on white (domain 1).
    """
    side = maps.seen.shape[-1]
    kernel = 2 * round((_DILATION * side - 1) / 2) + 1
    outline = torch.maximum(maps.silhouette, maps.prior_alpha)
    flat = outline.reshape(-1, 1, side, side)
    near = torch.nn.functional.max_pool2d(flat, kernel, 1, kernel // 2).reshape(outline.shape)
    near = torch.maximum(near, maps.seen)
    partial = 2 * (maps.rgb * maps.seen[..., None]) + 2 * (1 - near[..., None]) - 1
    common = torch.cat([maps.body_normals, partial.clamp(-1, 1), maps.seen[..., None], maps.prior_alpha[..., None]], -1)
    normals = torch.cat([common, maps.prior_normals], -1)
    colours = torch.cat([common, picture_of(maps.prior_rgb, maps.prior_alpha)], -1)
    return torch.stack([normals, colours], 1).movedim(-1, -3).contiguous()
