"""The one image sampler: every lookup of an image at pixel coordinates goes through here, so half-pixel shifts cannot differ."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.errors import ShapeError

__all__ = ["sample_image"]


def sample_image(
    image: Float[Tensor, "height width channels"],
    uv: Float[Tensor, "*points 2"],
    *,
    mode: Literal["bilinear", "nearest"] = "bilinear",
    outside: Literal["clamp", "zero"] = "clamp",
) -> Float[Tensor, "*points channels"]:
    """Values of an image at pixel coordinates (pixel centres at +0.5); differentiable in the image and, if bilinear, in ``uv``.

    Args:
        image: channels last.
        uv: ``(u, v)`` [px]; ``(0.5, 0.5)`` is the centre of the upper left pixel.
        mode: interpolation.
        outside: repeat the border, or zero for points outside the image.
    """
    if image.ndim != 3:
        raise ShapeError("image", image.shape, ("height", "width", "channels"))
    if uv.shape[-1:] != (2,):
        raise ShapeError("uv", uv.shape, ("*points", 2))
    height, width, channels = image.shape
    size = torch.tensor([width, height], dtype=uv.dtype, device=uv.device)
    grid = (uv / size * 2 - 1).reshape(1, -1, 1, 2)
    out = torch.nn.functional.grid_sample(image.permute(2, 0, 1)[None].to(uv.dtype), grid, mode=mode, padding_mode="border", align_corners=False)
    out = out[0, :, :, 0].T.reshape(*uv.shape[:-1], channels)
    if outside == "zero":
        inside = ((uv >= 0) & (uv < size)).all(-1)
        out = out * inside[..., None]
    return out
