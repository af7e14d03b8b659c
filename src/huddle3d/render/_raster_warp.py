"""Launches the rasteriser's kernels and joins them to autograd."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from huddle3d.compute import launch_rows, threads, warp
from huddle3d.render._corners import NEAR
from huddle3d.render._raster_torch import EMPTY

__all__ = ["bands_of", "rasterize_warp", "scan_warp"]


def bands_of(views: int, height: int, device: torch.device) -> int:
    """Bands of rows per view: enough jobs for the CPU's threads; on CUDA the lanes do that."""
    # each band looks at all triangles: no more of them than keep the threads busy
    return 1 if device.type == "cuda" or threads() == 1 else min(height, max(1, -(-2 * threads() // views)))


class _Rasterize(torch.autograd.Function):
    """Corners (float32, contiguous) and faces (int32) to face index, barycentrics and depth."""

    @staticmethod
    def forward(ctx: Any, corner: Tensor, faces: Tensor, width: int, height: int) -> tuple[Tensor, Tensor, Tensor]:
        from huddle3d.render import _raster_kernels as kernels

        wp, device, views = warp(), corner.device, len(corner)
        key = scan_warp(corner, faces, width, height)
        face_id = torch.full((views, height, width), -1, dtype=torch.int32, device=device)
        bary = torch.zeros((views, height, width, 3), dtype=torch.float32, device=device)
        depth = torch.zeros((views, height, width), dtype=torch.float32, device=device)
        c, f = wp.from_torch(corner.detach(), dtype=wp.vec4f), wp.from_torch(faces, dtype=wp.vec3i)
        outputs = [wp.from_torch(face_id), wp.from_torch(bary, dtype=wp.vec3f), wp.from_torch(depth)]
        launch_rows(kernels.resolve, views * height, width, [c, f, wp.from_torch(key), EMPTY, *outputs], device)
        ctx.save_for_backward(corner, faces, face_id)
        ctx.mark_non_differentiable(face_id)
        return face_id, bary, depth

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        from huddle3d.render import _raster_kernels as kernels

        corner, faces, face_id = ctx.saved_tensors
        _, grad_bary, grad_depth = grads
        wp, device, views = warp(), corner.device, len(corner)
        owned = device.type != "cuda"
        bands = bands_of(views, face_id.shape[1], device) if owned else face_id.shape[1]
        buffer = torch.zeros((views * bands if owned else views, corner.shape[1], 4), dtype=torch.float32, device=device)
        inputs = [
            wp.from_torch(corner.detach(), dtype=wp.vec4f),
            wp.from_torch(faces, dtype=wp.vec3i),
            wp.from_torch(face_id),
            wp.from_torch(grad_bary.contiguous(), dtype=wp.vec3f),
            wp.from_torch(grad_depth.contiguous()),
            bands,
            int(owned),
            wp.from_torch(buffer, dtype=wp.vec4f),
        ]
        launch_rows(kernels.resolve_adjoint, views * bands, face_id.shape[2], inputs, device)
        return buffer.reshape(views, -1, *corner.shape[1:]).sum(1), None, None, None


def rasterize_warp(corner: Tensor, faces: Tensor, width: int, height: int) -> tuple[Tensor, Tensor, Tensor]:
    """Face index, barycentrics and depth of float32 corners ``(views, V, 4)``."""
    return _Rasterize.apply(corner.contiguous(), faces.int().contiguous(), width, height)  # type: ignore[return-value]


def scan_warp(corner: Tensor, faces: Tensor, width: int, height: int) -> Tensor:
    """Keys ``(views, height, width)`` of the nearest faces: depth bits in the high word, face in the low one; ``EMPTY`` where there is none.

    Corners float32, faces int32, both contiguous.
    """
    from huddle3d.render import _raster_kernels as kernels

    wp, device, views = warp(), corner.device, len(corner)
    key = torch.full((views, height, width), EMPTY, dtype=torch.int64, device=device)
    bands = bands_of(views, height, device)
    inputs = [wp.from_torch(corner.detach(), dtype=wp.vec4f), wp.from_torch(faces, dtype=wp.vec3i), NEAR, bands, wp.from_torch(key)]
    launch_rows(kernels.scan_triangles, views * bands, max(1, len(faces)), inputs, device)
    return key
