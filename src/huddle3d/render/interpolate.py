"""Attributes, normals and meshes through a raster."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.compute import kernel_backend
from huddle3d.errors import ShapeError
from huddle3d.geometry import vertex_normals
from huddle3d.render.raster import Raster

__all__ = ["interpolate", "merge_meshes", "normal_map"]


def interpolate(raster: Raster, faces: Int[Tensor, "f 3"], attributes: Float[Tensor, "*batch v c"]) -> Float[Tensor, "batch height width c"]:
    """Values of per-vertex attributes at each pixel; 0 on the background; differentiable in attributes and (through ``bary``) vertices.

    Args:
        raster: what was seen.
        faces: rows of ``attributes`` at each face corner: the rasterised faces, or ``faces_uv`` for attributes with seams.
        attributes: shared by all views ``(V, C)`` or one set per view ``(B, V, C)``.
    """
    views = len(raster.face_id)
    if attributes.ndim not in (2, 3) or (attributes.ndim == 3 and len(attributes) not in (1, views)):
        raise ShapeError("attributes", attributes.shape, (views, "V", "C"))
    batch = attributes if attributes.ndim == 3 else attributes[None]
    if kernel_backend() == "warp" and batch.dtype == raster.bary.dtype == torch.float32:
        from huddle3d.render._attribute_warp import interpolate_warp

        return interpolate_warp(batch, raster.bary, faces, raster.face_id)
    return _interpolate_torch(raster, faces, batch)


def _interpolate_torch(raster: Raster, faces: Int[Tensor, "f 3"], attributes: Float[Tensor, "sets v c"]) -> Float[Tensor, "batch height width c"]:
    """The kernel's plain twin."""
    view, y, x = (raster.face_id >= 0).nonzero(as_tuple=True)
    index = faces.long()[raster.face_id[view, y, x].long()]
    if len(attributes) > 1:
        index = index + view[:, None] * attributes.shape[1]
    flat = attributes.reshape(-1, attributes.shape[-1])
    weight = raster.bary[view, y, x].to(flat.dtype)
    value = torch.stack([flat.index_select(0, index[:, k]) * weight[:, k : k + 1] for k in range(3)]).sum(0)
    out = torch.zeros(*raster.face_id.shape, flat.shape[-1], dtype=flat.dtype, device=flat.device)
    return out.index_put((view, y, x), value)


def normal_map(
    raster: Raster,
    vertices: Float[Tensor, "*batch v 3"],
    faces: Int[Tensor, "f 3"],
    normals: Float[Tensor, "*batch v 3"] | None = None,
) -> Float[Tensor, "batch height width 3"]:
    """Smooth unit normals in the vertices' frame (the front-canonical frame for canonical vertices); 0 on the background.

    Args:
        raster: what was seen of this mesh.
        vertices: ``(V, 3)`` or ``(B, V, 3)``.
        faces: the rasterised faces, counter-clockwise seen from outside.
        normals: vertex normals to use instead of the area-weighted ones.
    """
    faces = faces.long()
    return torch.nn.functional.normalize(interpolate(raster, faces, vertex_normals(vertices, faces) if normals is None else normals), dim=-1)


def merge_meshes(
    meshes: Sequence[tuple[Float[Tensor, "v 3"], Int[Tensor, "f 3"]]],
) -> tuple[Float[Tensor, "sum_v 3"], Int[Tensor, "sum_f 3"], Int[Tensor, "sum_f"]]:
    """One mesh of many: vertices, faces (int64), and the index of the mesh that each face came from. An empty list gives an empty mesh."""
    if not meshes:
        return torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)
    offset, faces, owner = 0, [], []
    for index, (vertices, face) in enumerate(meshes):
        faces.append(face.long() + offset)
        owner.append(torch.full((len(face),), index, dtype=torch.int64, device=face.device))
        offset += len(vertices)
    return torch.cat([v for v, _ in meshes]), torch.cat(faces), torch.cat(owner)
