"""Which part of the truth the input view sees: the split behind the "unseen" variants of the metrics."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.geometry import Camera

__all__ = ["SightMap"]

_MAX_SIDE = 1024
_SLACK_M = 0.01
_MAX_SLANT_M = 0.04


@dataclass(frozen=True)
class SightMap:
    """Depth of the nearest true surface at each pixel of the input view."""

    camera: Camera
    """The photo's camera, its picture scaled to at most 1024 px."""
    depth: Float[Tensor, "height width"]
    """Camera z [m]; infinite where nobody is."""

    @staticmethod
    def of(camera: Camera, vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "f 3"]) -> SightMap:
        """Look at all true people together (vertices [m], one world with the camera): people hide each other and themselves."""
        from huddle3d.render import rasterize

        scale = min(1.0, _MAX_SIDE / max(camera.width, camera.height))
        camera = camera.resized(max(1, round(camera.width * scale)), max(1, round(camera.height * scale))).to(vertices.device)
        raster = rasterize(vertices, faces, camera)
        return SightMap(camera, torch.where(raster.face_id[0] >= 0, raster.depth[0], torch.inf))

    def sees(self, points: Float[Tensor, "n 3"], normals: Float[Tensor, "n 3"]) -> Bool[Tensor, "n"]:
        """Whether the input view shows these true surface points: inside the picture, facing the camera, nothing in front.

        "Nothing in front" allows 1 cm, and more on a slanted surface (at most 5 cm): a point lies up to 0.7 px beside its pixel's centre, where
        such a surface has another depth. Thin parts (fingers, ears) do not slip through, because their far sides face away. A normal of
        length zero counts as facing the camera.

        Args:
            points: on the true surface [m].
            normals: of that surface, outwards, any length.
        """
        uv, z = self.camera.project(points)
        height, width = self.depth.shape
        inside = (z > 0) & (uv >= 0).all(-1) & (uv[..., 0] < width) & (uv[..., 1] < height)
        x, y = uv[..., 0].floor().long().clamp(0, width - 1), uv[..., 1].floor().long().clamp(0, height - 1)
        away = points - self.camera.centre if self.camera.is_perspective else self.camera.T_world_cam[:3, 2].expand_as(points)
        cosine = -torch.nn.functional.cosine_similarity(normals, away, dim=-1)
        footprint = (z if self.camera.is_perspective else torch.ones_like(z)) / self.camera.K[..., 0, 0]
        tangent = (1 - cosine.square()).clamp_min(0).sqrt() / cosine.clamp_min(1e-3)
        slack = _SLACK_M + (0.71 * footprint * tangent).clamp(0, _MAX_SLANT_M)
        return inside & (cosine >= 0) & (z <= self.depth[y, x] + slack)
