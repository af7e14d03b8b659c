"""Pictures of several surfaces packed into one texture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.geometry import Camera

__all__ = ["Texels", "filled", "pack", "texels_of"]

_MARGIN_PX = 3


@dataclass(frozen=True)
class Texels:
    """Which place of a surface each texel of its picture shows; where charts overlap, the face with the lowest number."""

    face: Int[Tensor, "height width"]
    """-1 = none."""
    bary: Float[Tensor, "height width 3"]

    @property
    def covered(self) -> Bool[Tensor, "height width"]:
        """Texels that some face uses."""
        return self.face >= 0

    def of_vertices(self, values: Float[Tensor, "v c"], faces: Int[Tensor, "f 3"]) -> Float[Tensor, "n c"]:
        """Vertex values at the covered texels."""
        covered = self.covered
        corner, bary = faces[self.face[covered]], self.bary[covered]
        a, b, c = (values[corner[:, k]] * bary[:, k, None] for k in range(3))  # a table of all corners at once takes thrice the time
        return a + b + c


def texels_of(uv: Float[Tensor, "f 3 2"], height: int, width: int) -> Texels:
    """Rasterise texture coordinates (v up) over a picture."""
    from huddle3d.render import rasterize

    flat = torch.stack([uv[..., 0] * width, (1 - uv[..., 1]) * height, torch.ones_like(uv[..., 0])], -1).reshape(-1, 3)
    camera = Camera("orthographic", torch.eye(3), torch.eye(4), width, height)
    raster = rasterize(flat, torch.arange(len(flat)).reshape(-1, 3), camera)
    return Texels(raster.face_id[0].long(), raster.bary[0])


def filled(image: Float[Tensor, "height width c"], covered: Bool[Tensor, "height width"]) -> Float[Tensor, "height width c"]:
    """Uncovered texels take the colour of the nearest covered one, so that lookups at a chart's edge never meet the ground."""
    if bool(covered.all()) or not bool(covered.any()):
        return image
    outside = (~covered).numpy().astype(np.uint8)
    label = torch.from_numpy(cv2.distanceTransformWithLabels(outside, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)[1]).long().reshape(-1)
    # Each covered texel has its own label, which the texels nearest to it share.
    own = covered.reshape(-1).nonzero()[:, 0]
    texel_of = torch.zeros(int(label.max()) + 1, dtype=torch.long)
    texel_of[label[own]] = own
    return image.reshape(-1, image.shape[-1])[texel_of[label]].reshape(image.shape)


def pack(
    pictures: list[Float[Tensor, "height width 3"]], uvs: list[Float[Tensor, "f 3 2"]], *, width: int = 2048
) -> tuple[Float[Tensor, "H W 3"], Float[Tensor, "F 3 2"]]:
    """Cut from each picture the box that its faces use, and put the boxes on shelves.

    Args:
        pictures: one per surface, sRGB.
        uvs: texture coordinates of each surface's corners, in [0, 1], v up.
        width: of the texture [px].

    Returns:
        The texture (grey between the boxes) and all texture coordinates, in the order of ``uvs``.
    """
    boxes = []
    for picture, uv in zip(pictures, uvs, strict=True):
        h, w = picture.shape[:2]
        u, v = uv[..., 0] * w, (1 - uv[..., 1]) * h
        x0, y0 = (max(0, int(t.min()) - _MARGIN_PX) for t in (u, v))
        x1, y1 = min(w, int(u.max()) + _MARGIN_PX + 1), min(h, int(v.max()) + _MARGIN_PX + 1)
        boxes.append((x0, y0, min(x1, x0 + width), y1))
    order = sorted(range(len(boxes)), key=lambda k: (boxes[k][1] - boxes[k][3], k))
    x = y = shelf = 0
    place: dict[int, tuple[int, int]] = {}
    for k in order:
        x0, y0, x1, y1 = boxes[k]
        if x + x1 - x0 > width:
            x, y, shelf = 0, y + shelf, 0
        place[k] = (x, y)
        x, shelf = x + x1 - x0, max(shelf, y1 - y0)
    height = 4 * ((y + shelf + 3) // 4)
    texture = torch.full((height, width, 3), 0.5)
    out = []
    for k, (picture, uv) in enumerate(zip(pictures, uvs, strict=True)):
        x0, y0, x1, y1 = boxes[k]
        left, top = place[k]
        texture[top : top + y1 - y0, left : left + x1 - x0] = picture[y0:y1, x0:x1]
        u = uv[..., 0] * picture.shape[1] - x0 + left
        v = (1 - uv[..., 1]) * picture.shape[0] - y0 + top
        out.append(torch.stack([u / width, 1 - v / height], -1))
    return texture, torch.cat(out)
