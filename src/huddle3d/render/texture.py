"""UV textures through a raster."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.geometry import sample_image
from huddle3d.render.raster import Raster

__all__ = ["texture_lookup"]


def texture_lookup(
    raster: Raster, uv: Float[Tensor, "t 2"], faces_uv: Int[Tensor, "f 3"], texture: Float[Tensor, "th tw c"]
) -> Float[Tensor, "batch height width c"]:
    """Bilinear texture values at each pixel; 0 on the background; differentiable in the texture, ``uv`` and (through ``bary``) vertices.

    Args:
        raster: what was seen.
        uv: texture coordinates in [0, 1], v up; values outside repeat the border.
        faces_uv: rows of ``uv`` at the corners of the rasterised faces.
        texture: channels last, first row at v = 1.
    """
    view, y, x = (raster.face_id >= 0).nonzero(as_tuple=True)
    corner = uv[faces_uv.long()[raster.face_id[view, y, x].long()]]
    at = (corner * raster.bary[view, y, x].to(uv.dtype)[..., None]).sum(1)
    value = sample_image(texture, uv_to_pixels(at, texture))
    out = torch.zeros(*raster.face_id.shape, texture.shape[-1], dtype=value.dtype, device=value.device)
    return out.index_put((view, y, x), value)


def uv_to_pixels(uv: Float[Tensor, "*n 2"], texture: Float[Tensor, "th tw c"]) -> Float[Tensor, "*n 2"]:
    """Texture coordinates (v up) to pixel coordinates of the texture image (v down)."""
    return torch.stack([uv[..., 0] * texture.shape[1], (1 - uv[..., 1]) * texture.shape[0]], -1)
