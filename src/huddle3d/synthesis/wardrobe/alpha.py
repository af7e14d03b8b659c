"""Surfaces with transparent textures for a renderer that knows none: hair is cut along its outline, brows and lashes are painted on the skin."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.geometry import sample_image
from huddle3d.synthesis.clothes.panel import Panel

__all__ = ["alpha_cut", "decal"]

_FACES = 60_000
"""Hair is refined up to about this many faces before it is cut."""


def _lookup(image: Float[Tensor, "h w c"], uv: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n c"]:
    height, width = image.shape[:2]
    return sample_image(image, torch.stack([uv[..., 0] * width, (1 - uv[..., 1]) * height], -1))


def alpha_cut(panel: Panel, alpha: Float[Tensor, "h w"], *, threshold: float = 0.5, blur_px: int = 2) -> Panel:
    """The part that is more opaque than ``threshold``, after refinement; texels between strands of one card become opaque."""
    size = 2 * blur_px + 1
    soft = torch.nn.functional.avg_pool2d(alpha[None, None], size, 1, blur_px, count_include_pad=False)[0, 0]
    while 4 * len(panel.faces) <= _FACES:
        panel = panel.subdivided()
    at_corner = _lookup(soft[..., None], panel.uv)[..., 0]
    total = torch.zeros(len(panel.rest)).index_add_(0, panel.faces.reshape(-1), at_corner.reshape(-1))
    count = torch.zeros(len(panel.rest)).index_add_(0, panel.faces.reshape(-1), torch.ones(panel.faces.numel()))
    return panel.clipped(total / count.clamp_min(1) - threshold)


def decal(
    picture: Float[Tensor, "H W 3"], skin: Panel, card: Panel, image: Float[Tensor, "h w 4"], *, reach_m: float, strength: float = 1.0
) -> Float[Tensor, "H W 3"]:
    """Paint a card (brow, lash) on the skin under it: each point of the card goes to the nearest point of the skin at rest.

    Args:
        picture: texture of the skin, sRGB.
        skin: the skin near the card.
        card: the card.
        image: its texture with opacity.
        reach_m: points farther off are left out [m].
        strength: factor on the opacity.
    """
    from huddle3d.contact import MeshQuery

    n = 24
    a, b = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    low = (a + b) < n
    bary = torch.stack([a[low] + 1 / 3, b[low] + 1 / 3], -1) / (n + 1 / 3)
    bary = torch.cat([bary, 1 - bary.sum(-1, keepdim=True)], -1)
    points = torch.einsum("sk,fkd->fsd", bary, card.rest[card.faces]).reshape(-1, 3)
    paint = _lookup(image, torch.einsum("sk,fkd->fsd", bary, card.uv).reshape(-1, 2))
    near = MeshQuery(skin.rest, skin.faces, winding=False).closest_point(points)
    uv = (skin.uv[near.face] * near.bary[..., None]).sum(1)
    height, width = picture.shape[:2]
    x = (uv[:, 0] * width).long().clamp(0, width - 1)
    y = ((1 - uv[:, 1]) * height).long().clamp(0, height - 1)
    keep = near.distance < reach_m
    texel, paint = (y * width + x)[keep], paint[keep]
    total = torch.zeros(height * width, 5).index_add_(0, texel, torch.cat([paint[:, :3] * paint[:, 3:], paint[:, 3:], torch.ones(len(paint), 1)], 1))
    opacity = (strength * total[:, 3] / total[:, 4].clamp_min(1)).clamp(0, 1).reshape(height, width, 1)
    colour = (total[:, :3] / total[:, 3:4].clamp_min(1e-6)).reshape(height, width, 3)
    return torch.lerp(picture, colour, opacity)
