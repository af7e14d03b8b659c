"""Cameras: one frozen type for perspective and orthographic projection.

Camera frame: OpenCV (x right, y down, z forward). Pixel centres lie at integer + 0.5, so ``u`` in [0, width) covers the image. World: y up.
Both kinds share one calibration matrix: ``K`` maps ``(x/z, y/z, 1)`` to pixels for a perspective camera and ``(x, y, 1)`` for an
orthographic one (its focal entries are then pixels per world unit).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.errors import InputError, ShapeError
from huddle3d.geometry.transforms import apply, inverse, se3

__all__ = ["AZIMUTHS_DEG", "Camera", "canonical_cameras", "look_at"]

AZIMUTHS_DEG = (0.0, 45.0, 90.0, 180.0, 270.0, 315.0)
"""The six canonical views [deg]: front, front-right, right, back, left, front-left; camera at ``(sin a, 0, cos a)``."""


@dataclass(frozen=True)
class Camera:
    """A batch of cameras of one kind and image size (the batch may be empty: shapes ``(3, 3)`` and ``(4, 4)``).

    Example:
        A camera 3 m in front of the origin: a point one metre above it falls above the image centre.

        >>> T_cam_world = look_at(torch.tensor([0.0, 0.0, 3.0]), torch.zeros(3))
        >>> camera = Camera.perspective(600.0, 640, 480, T_cam_world)
        >>> uv, depth = camera.project(torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
        >>> uv.round().tolist(), depth.tolist()
        ([[320.0, 240.0], [320.0, 40.0]], [3.0, 3.0])
    """

    kind: Literal["perspective", "orthographic"]
    """``"perspective"`` or ``"orthographic"``."""
    K: Float[Tensor, "*batch 3 3"]
    """Calibration, pixels (see the module's docstring)."""
    T_cam_world: Float[Tensor, "*batch 4 4"]
    """World to camera frame."""
    width: int
    """Image width [px]."""
    height: int
    """Image height [px]."""

    def __post_init__(self) -> None:
        if self.K.shape[-2:] != (3, 3):
            raise ShapeError("K", self.K.shape, ("*batch", 3, 3))
        if self.T_cam_world.shape[-2:] != (4, 4) or self.T_cam_world.shape[:-2] != self.K.shape[:-2]:
            raise ShapeError("T_cam_world", self.T_cam_world.shape, (*self.K.shape[:-2], 4, 4))
        if self.kind not in ("perspective", "orthographic"):
            raise InputError(f"Unknown camera kind {self.kind!r}.", next_step="Valid kinds: perspective, orthographic.")
        if self.width < 1 or self.height < 1:
            raise InputError(f"A camera needs a positive image size, got {self.width}×{self.height}.")

    @staticmethod
    def perspective(
        focal_px: float, width: int, height: int, T_cam_world: Float[Tensor, "4 4"] | None = None, *, dtype: torch.dtype = torch.float32
    ) -> Camera:
        """One perspective camera with square pixels and the principal point at the image centre."""
        if not (math.isfinite(focal_px) and focal_px > 0):
            raise InputError(f"The focal length must be positive and finite, got {focal_px} px.")
        K = torch.tensor([[focal_px, 0, width / 2], [0, focal_px, height / 2], [0, 0, 1]], dtype=dtype)
        return Camera("perspective", K, torch.eye(4, dtype=dtype) if T_cam_world is None else T_cam_world, width, height)

    @staticmethod
    def orthographic(
        half_extent: float, width: int, height: int, T_cam_world: Float[Tensor, "*batch 4 4"] | None = None, *, dtype: torch.dtype = torch.float32
    ) -> Camera:
        """Orthographic cameras whose shorter image side spans ``2 * half_extent`` world units."""
        if not (math.isfinite(half_extent) and half_extent > 0):
            raise InputError(f"The half extent of an orthographic camera must be positive and finite, got {half_extent}.")
        s = min(width, height) / (2 * half_extent)
        T = torch.eye(4, dtype=dtype) if T_cam_world is None else T_cam_world
        K = torch.tensor([[s, 0, width / 2], [0, s, height / 2], [0, 0, 1]], dtype=T.dtype, device=T.device)
        return Camera("orthographic", K.expand(*T.shape[:-2], 3, 3).contiguous(), T, width, height)

    @property
    def batch_shape(self) -> torch.Size:
        """Leading dimensions."""
        return self.K.shape[:-2]

    @property
    def is_perspective(self) -> bool:
        """Whether rays meet in a centre."""
        return self.kind == "perspective"

    @property
    def T_world_cam(self) -> Float[Tensor, "*batch 4 4"]:
        """Camera to world frame."""
        return inverse(self.T_cam_world)

    @property
    def centre(self) -> Float[Tensor, "*batch 3"]:
        """Origin of the camera frame in the world (for an orthographic camera: where depth is 0)."""
        return self.T_world_cam[..., :3, 3]

    def __getitem__(self, index: int | slice | Tensor) -> Camera:
        return replace(self, K=self.K[index], T_cam_world=self.T_cam_world[index])

    def to(self, target: torch.device | str | torch.dtype) -> Camera:
        """This camera on another device or in another floating type."""
        return replace(self, K=self.K.to(target), T_cam_world=self.T_cam_world.to(target))

    def batched(self) -> Camera:
        """With one leading batch dimension: unbatched cameras become a batch of one, more dimensions are flattened."""
        return replace(self, K=self.K.reshape(-1, 3, 3), T_cam_world=self.T_cam_world.reshape(-1, 4, 4))

    def resized(self, width: int, height: int) -> Camera:
        """The same view on an image of another size (pixel-centre convention: plain scaling)."""
        scale = torch.tensor([width / self.width, height / self.height, 1.0], dtype=self.K.dtype, device=self.K.device)
        return replace(self, K=self.K * scale[:, None], width=width, height=height)

    def cropped(self, x0: int, y0: int, width: int, height: int) -> Camera:
        """The camera of the image window whose upper left corner is pixel ``(x0, y0)``; the window may leave the image."""
        shift = torch.zeros(3, 3, dtype=self.K.dtype, device=self.K.device)
        shift[0, 2], shift[1, 2] = x0, y0
        return replace(self, K=self.K - shift, width=width, height=height)

    def project(self, points_world: Float[Tensor, "*batch n 3"]) -> tuple[Float[Tensor, "*batch n 2"], Float[Tensor, "*batch n"]]:
        """Pixels and depths (camera z [world units]) of world points.

        Points at or behind a perspective camera's centre plane are projected as if at depth 1e-6; test the returned depth.
        """
        return self.project_cam(apply(self.T_cam_world, points_world))

    def project_cam(self, points_cam: Float[Tensor, "*batch n 3"]) -> tuple[Float[Tensor, "*batch n 2"], Float[Tensor, "*batch n"]]:
        """Pixels and depths of points in the camera frame."""
        z = points_cam[..., 2]
        xy = points_cam[..., :2]
        if self.is_perspective:
            xy = xy / z.clamp_min(1e-6)[..., None]
        A, c = self.K[..., :2, :2], self.K[..., :2, 2]
        return xy @ A.transpose(-1, -2) + c[..., None, :], z

    def unproject(self, uv: Float[Tensor, "*batch n 2"], depth: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n 3"]:
        """World points of pixels at camera depths; inverse of :meth:`project`."""
        A, c = self.K[..., :2, :2], self.K[..., :2, 2]
        xy = (uv - c[..., None, :]) @ torch.linalg.inv(A).transpose(-1, -2)
        if self.is_perspective:
            xy = xy * depth[..., None]
        return apply(self.T_world_cam, torch.cat([xy, depth[..., None]], -1))

    def ray_maps(self) -> tuple[Float[Tensor, "*batch 3 3"], Float[Tensor, "*batch 3 3"]]:
        """``(start, ahead)``: the world point of pixel ``p = (u, v, 1)`` at depth z is ``start p + (z - 1) ahead p``, for both kinds of camera."""
        back = self.T_world_cam
        R, rays = back[..., :3, :3], torch.linalg.inv(self.K)
        at_one = R @ rays
        shift = torch.zeros_like(at_one)
        shift[..., :, 2] = back[..., :3, 3]
        if self.is_perspective:
            return at_one + shift, at_one
        ahead = torch.zeros_like(at_one)
        ahead[..., :, 2] = R[..., :, 2]
        return at_one + shift, ahead

    def pixel_centres(self) -> Float[Tensor, "height width 2"]:
        """``(u, v)`` of each pixel centre."""
        v, u = torch.meshgrid(
            torch.arange(self.height, dtype=self.K.dtype, device=self.K.device) + 0.5,
            torch.arange(self.width, dtype=self.K.dtype, device=self.K.device) + 0.5,
            indexing="ij",
        )
        return torch.stack([u, v], -1)


def look_at(
    eye: Float[Tensor, "*batch 3"], target: Float[Tensor, "*batch 3"], up: Float[Tensor, "*batch 3"] | None = None
) -> Float[Tensor, "*batch 4 4"]:
    """``T_cam_world`` of OpenCV cameras at ``eye`` that look at ``target``; image up follows ``up`` (default world +y).

    Degenerate: if the view direction is parallel to ``up``, world +z is used as up instead.
    """
    up = torch.tensor([0.0, 1, 0], dtype=eye.dtype, device=eye.device).expand_as(eye) if up is None else up
    z = torch.nn.functional.normalize(target - eye, dim=-1)
    spare = torch.tensor([0.0, 0, 1], dtype=eye.dtype, device=eye.device).expand_as(eye)
    parallel = torch.linalg.cross(z, torch.nn.functional.normalize(up, dim=-1)).norm(dim=-1, keepdim=True) < 1e-5
    x = torch.nn.functional.normalize(torch.linalg.cross(z, torch.where(parallel, spare, up)), dim=-1)
    y = torch.linalg.cross(z, x)
    R = torch.stack([x, y, z], -2)
    return se3(R, -(R @ eye[..., None])[..., 0])


def canonical_cameras(
    size: int, *, half_extent: float = 1.0, distance: float = 3.0, azimuths_deg: Sequence[float] = AZIMUTHS_DEG, elevation_deg: float = 0.0
) -> Camera:
    """Orthographic cameras around the canonical cube, at ``(sin a, 0, cos a)`` times ``distance`` and looking at the origin.

    Args:
        size: image side [px].
        half_extent: half of the visible side, canonical units.
        distance: depth of the origin, canonical units (paper A.3.2: 3.0).
        azimuths_deg: angles [deg]; positive turns the camera towards world +x, the image right of the front view.
        elevation_deg: camera height above the horizon [deg].
    """
    a = torch.deg2rad(torch.tensor(list(azimuths_deg), dtype=torch.float64))
    e = math.radians(elevation_deg)
    eye = distance * torch.stack([torch.sin(a) * math.cos(e), torch.full_like(a, math.sin(e)), torch.cos(a) * math.cos(e)], -1)
    T = look_at(eye, torch.zeros_like(eye)).float()
    return Camera.orthographic(half_extent, size, size, T)
