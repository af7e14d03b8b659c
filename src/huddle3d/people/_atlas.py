"""UV atlas of a body and the surface point of every texel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.bodies import BodyModel
from huddle3d.errors import InputError
from huddle3d.geometry import Camera
from huddle3d.people._filters import nearest_pixel
from huddle3d.render import rasterize

__all__ = ["Atlas", "build_atlas", "pad_texture"]


@dataclass(frozen=True)
class Atlas:
    """Texture coordinates of one topology, shared by all people, and what each texel's centre shows."""

    uv: Float[Tensor, "T 2"]
    """In [0, 1], v up."""
    faces_uv: Int[Tensor, "F 3"]
    face: Int[Tensor, "H W"]
    """Face of each texel; -1 = none."""
    bary: Float[Tensor, "H W 3"]
    nearest: Int[Tensor, "H W"]
    """Flat index of the covered texel nearest to each texel (itself if it is covered): the padding."""

    @property
    def covered(self) -> Bool[Tensor, "H W"]:
        """Texels that belong to a chart."""
        return self.face >= 0


def build_atlas(body: BodyModel, size: int, method: Literal["xatlas", "body"]) -> Atlas:
    """Charts for the body's faces and their texels.

    xatlas runs on the neutral body at rest and not on the people: the result depends on the model alone, so all people share it.

    Args:
        body: the model.
        size: side of a square texture [px]; an atlas of another shape gets as many texels.
        method: ``"xatlas"``: charts made by xatlas (deterministic, no overlaps). ``"body"``: the model's own layout, where it has one.
    """
    if method == "body":
        if len(body.uv) == 0:
            raise InputError(f"{body.name} has no texture coordinates of its own.", next_step="Use atlas = xatlas.")
        uv, faces_uv, aspect = body.uv.float(), body.faces_uv.long(), 1.0
    else:
        uv, faces_uv, aspect = _xatlas(body(body.neutral(1)).vertices[0], body.faces, size)
    # whole blocks of four keep texture compressors and mip levels happy
    width, height = (max(4, 4 * round(size * a / 4)) for a in (aspect**0.5, aspect**-0.5))
    flat = torch.stack([uv[:, 0] * width, (1 - uv[:, 1]) * height, torch.ones_like(uv[:, 0])], -1)
    eye = torch.eye(3, dtype=flat.dtype, device=flat.device)
    camera = Camera("orthographic", eye, torch.eye(4, dtype=flat.dtype, device=flat.device), width, height)
    raster = rasterize(flat, faces_uv, camera)
    face = raster.face_id[0].long()
    return Atlas(uv, faces_uv, face, raster.bary[0], nearest_pixel(face >= 0))


def _xatlas(vertices: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], size: int) -> tuple[Tensor, Tensor, float]:
    import xatlas

    atlas = xatlas.Atlas()
    atlas.add_mesh(vertices.detach().cpu().numpy().astype(np.float32), faces.cpu().numpy().astype(np.uint32))
    charts, pack = xatlas.ChartOptions(), xatlas.PackOptions()
    # a body is smooth: allow charts to bend more than the default, for fewer seams
    charts.max_cost = 4.0
    pack.resolution, pack.padding, pack.bilinear = size, 4, True
    atlas.generate(charts, pack)
    _, index, uv = atlas[0]
    uv_up = torch.from_numpy(uv.astype(np.float32)).to(vertices.device)
    uv_up = torch.stack([uv_up[:, 0], 1 - uv_up[:, 1]], -1)
    return uv_up, torch.from_numpy(index.astype(np.int64)).to(vertices.device), atlas.width / atlas.height


def pad_texture(texture: Float[Tensor, "H W c"], atlas: Atlas) -> Float[Tensor, "H W c"]:
    """Texture with every texel outside of the charts set to its nearest covered one, so that filtering and mip levels never reach background."""
    return texture.reshape(-1, texture.shape[-1])[atlas.nearest]
