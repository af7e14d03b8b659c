"""The triangle rasteriser: which face each pixel sees, where on that face, and how far away."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.compute import kernel_backend
from huddle3d.geometry import Camera
from huddle3d.render._corners import check_mesh, corners
from huddle3d.render._raster_torch import EMPTY, evaluate, nearest_faces

__all__ = ["Raster", "depth_buffer", "depth_map", "instance_ids", "mask", "rasterize"]


@dataclass(frozen=True)
class Raster:
    """What a batch of cameras sees of one mesh, sampled at the pixel centres."""

    face_id: Int[Tensor, "batch height width"]
    """Row of ``faces`` (int32); -1 = background."""
    bary: Float[Tensor, "batch height width 3"]
    """Perspective-correct barycentrics of the face's corners, differentiable in the vertices; 0 on the background."""
    depth: Float[Tensor, "batch height width"]
    """Camera z [world units], differentiable in the vertices; 0 on the background."""


def rasterize(vertices: Float[Tensor, "*batch v 3"], faces: Int[Tensor, "f 3"], camera: Camera) -> Raster:
    """Rasterise a mesh from a batch of cameras.

    Faces are drawn from both sides. A pixel belongs to a face if its centre lies inside or on the edge of the projected triangle; at equal depth
    the smaller face index wins. Surfaces nearer than 1e-3 world units, or behind the camera, are cut away per pixel, so triangles that
    cross the near plane keep their visible part. Non-finite vertices make their faces invisible; so do faces of zero projected area.

    Which face is seen is not differentiable (use :func:`antialias` for silhouettes); ``bary`` and ``depth`` are, in vertices and camera.
    With ``HUDDLE3D_KERNELS=torch``, or for float64 vertices, the plain-torch twin runs instead of the Warp kernels.

    Args:
        vertices: world positions, shared by all cameras ``(V, 3)`` or one set per camera ``(B, V, 3)``.
        faces: vertex indices, any integer type.
        camera: unbatched (then B = 1) or batched.
    """
    check_mesh(vertices, faces, camera.batched().K.shape[0])
    faces = faces.to(vertices.device)
    corner = corners(vertices, camera)
    if kernel_backend() == "warp" and corner.dtype == torch.float32:
        from huddle3d.render._raster_warp import rasterize_warp

        return Raster(*rasterize_warp(corner, faces, camera.width, camera.height))
    faces = faces.long()
    with torch.no_grad():
        face_id = nearest_faces(corner.detach(), faces, camera.width, camera.height)
    return Raster(face_id, *evaluate(corner, faces, face_id))


def mask(raster: Raster) -> Bool[Tensor, "batch height width"]:
    """Where any face is seen."""
    return raster.face_id >= 0


def depth_map(vertices: Float[Tensor, "*batch v 3"], faces: Int[Tensor, "f 3"], camera: Camera) -> Float[Tensor, "batch height width"]:
    """Camera z [world units] of the nearest surface; 0 on the background; differentiable in the vertices."""
    return rasterize(vertices, faces, camera).depth


@torch.no_grad()
def depth_buffer(vertices: Float[Tensor, "*batch v 3"], faces: Int[Tensor, "f 3"], camera: Camera) -> Float[Tensor, "batch height width"]:
    """Camera z [world units] of the nearest surface as in :func:`rasterize`, without gradients; infinite on the background. Cheaper than a raster."""
    check_mesh(vertices, faces, camera.batched().K.shape[0])
    corner = corners(vertices, camera)
    if kernel_backend() == "warp" and corner.dtype == torch.float32:
        from huddle3d.render._raster_warp import scan_warp

        key = scan_warp(corner.contiguous(), faces.to(corner.device).int().contiguous(), camera.width, camera.height)
        return torch.where(key == EMPTY, torch.inf, (key >> 32).int().view(torch.float32))
    depth = rasterize(vertices, faces, camera).depth
    return torch.where(depth > 0, depth, torch.inf)


def instance_ids(raster: Raster, instance_of_face: Int[Tensor, "f"]) -> Int[Tensor, "batch height width"]:
    """Instance index of each pixel (int32), -1 = background."""
    padded = torch.cat([instance_of_face.to(raster.face_id.device).int(), torch.full((1,), -1, dtype=torch.int32, device=raster.face_id.device)])
    return padded[raster.face_id.long()]
