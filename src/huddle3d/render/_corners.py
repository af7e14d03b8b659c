"""Projection to homogeneous pixel coordinates: what the rasteriser and the antialiasing share."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.errors import ShapeError
from huddle3d.geometry import Camera

__all__ = ["NEAR", "check_mesh", "corners", "pixels"]

NEAR = 1e-3
"""Surfaces at camera depths up to this many world units are not drawn."""


def check_mesh(vertices: Tensor, faces: Tensor, views: int) -> None:
    """Raise :class:`ShapeError` unless the mesh can be drawn by this many cameras."""
    if vertices.ndim not in (2, 3) or vertices.shape[-1] != 3 or (vertices.ndim == 3 and vertices.shape[0] not in (1, views)):
        raise ShapeError("vertices", vertices.shape, ("V", 3) if vertices.ndim == 2 else (views, "V", 3))
    if faces.ndim != 2 or faces.shape[-1] != 3:
        raise ShapeError("faces", faces.shape, ("F", 3))


def corners(vertices: Float[Tensor, "*batch v 3"], camera: Camera) -> Float[Tensor, "views v 4"]:
    """``(w u, w v, w, depth)`` of world vertices in each view; ``w`` is the depth (perspective) or 1 (orthographic).

    Differentiable in the vertices and in the camera; computed in the vertices' type on their device.
    """
    camera = camera.batched().to(vertices.dtype).to(vertices.device)
    R, t = camera.T_cam_world[:, :3, :3], camera.T_cam_world[:, :3, 3]
    A, c = camera.K[:, :2, :2], camera.K[:, :2, 2]
    flat, shift = A @ R[:, :2], (A @ t[:, :2, None])[..., 0]
    if camera.is_perspective:
        rows = torch.cat([flat + c[..., None] * R[:, 2:], R[:, 2:], R[:, 2:]], 1)
        offset = torch.cat([shift + c * t[:, 2:], t[:, 2:], t[:, 2:]], 1)
    else:
        rows = torch.cat([flat, torch.zeros_like(R[:, 2:]), R[:, 2:]], 1)
        offset = torch.cat([shift + c, torch.ones_like(t[:, 2:]), t[:, 2:]], 1)
    points = vertices.expand(len(rows), *vertices.shape[-2:])
    return torch.baddbmm(offset[:, None], points, rows.transpose(1, 2))


def pixels(corner: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 2"]:
    """``(u, v)`` of corners; those at or behind the near plane of a perspective camera are not meaningful."""
    w = corner[..., 2:3]
    return corner[..., :2] / torch.where(w > NEAR, w, torch.full_like(w, NEAR))
