"""Launches the attribute kernels and joins interpolation to autograd."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from huddle3d.compute import launch_rows, warp
from huddle3d.render._corners import NEAR
from huddle3d.render._raster_warp import bands_of

__all__ = ["interpolate_warp", "silhouette_sides_warp"]


class _Interpolate(torch.autograd.Function):
    """Attributes ``(1 or views, V, C)`` and barycentrics, both float32 and contiguous, to an image."""

    @staticmethod
    def forward(ctx: Any, attributes: Tensor, bary: Tensor, faces: Tensor, face_id: Tensor) -> Tensor:
        from huddle3d.render import _attribute_kernels as kernels

        wp, (views, height, width) = warp(), face_id.shape
        out = torch.zeros((views, height, width, attributes.shape[-1]), dtype=torch.float32, device=attributes.device)
        inputs = [wp.from_torch(faces), wp.from_torch(face_id), wp.from_torch(bary.detach(), dtype=wp.vec3f), wp.from_torch(attributes.detach())]
        launch_rows(kernels.interpolate_attributes, views * height, width, [*inputs, wp.from_torch(out)], attributes.device)
        ctx.save_for_backward(attributes, bary, faces, face_id)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        from huddle3d.render import _attribute_kernels as kernels

        attributes, bary, faces, face_id = ctx.saved_tensors
        wp, (views, height, width), device = warp(), face_id.shape, attributes.device
        owned = device.type != "cuda"
        bands = bands_of(views, height, device) if owned else height
        buffer = torch.zeros((views * bands if owned else views, *attributes.shape[1:]), dtype=torch.float32, device=device)
        grad_bary = torch.zeros_like(bary)
        inputs = [wp.from_torch(faces), wp.from_torch(face_id), wp.from_torch(bary.detach(), dtype=wp.vec3f), wp.from_torch(attributes.detach())]
        inputs += [wp.from_torch(grads[0].contiguous()), bands, int(owned), wp.from_torch(grad_bary, dtype=wp.vec3f), wp.from_torch(buffer)]
        launch_rows(kernels.interpolate_adjoint, views * bands, width, inputs, device)
        # the views that shared one set of attributes are summed; otherwise only the bands of each view
        return buffer.reshape(len(attributes), -1, *attributes.shape[1:]).sum(1), grad_bary, None, None


def interpolate_warp(attributes: Tensor, bary: Tensor, faces: Tensor, face_id: Tensor) -> Tensor:
    """Interpolated float32 attributes ``(1 or views, V, C)``."""
    return _Interpolate.apply(attributes.contiguous(), bary.contiguous(), faces.int().contiguous(), face_id.contiguous())  # type: ignore[return-value]


def silhouette_sides_warp(corner: Tensor, ends: Tensor, opposite: Tensor) -> Tensor:
    """Side of the surface (-1, 1) at silhouette edges and 0 elsewhere, int8 ``(views, edges)``."""
    from huddle3d.render import _attribute_kernels as kernels

    wp = warp()
    side = torch.zeros((len(corner), len(ends)), dtype=torch.int8, device=corner.device)
    chunks = -(-len(ends) // kernels.CHUNK)
    inputs = [wp.from_torch(corner.contiguous(), dtype=wp.vec4f), wp.from_torch(ends.int().contiguous()), wp.from_torch(opposite.int().contiguous())]
    launch_rows(kernels.silhouette_sides, len(corner) * chunks, kernels.CHUNK, [*inputs, NEAR, chunks, wp.from_torch(side)], corner.device)
    return side
