"""What the canonical cameras see of a group and of each person alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.geometry import Camera, vertex_normals
from huddle3d.render import Raster, instance_ids, interpolate, merge_meshes, rasterize

__all__ = ["GroupViews", "group_mesh", "render_group", "render_person", "smooth_normals"]


def group_mesh(vertices: Float[Tensor, "K V 3"], faces: Int[Tensor, "F 3"]) -> tuple[Float[Tensor, "KV 3"], Int[Tensor, "KF 3"], Int[Tensor, "KF"]]:
    """All people as one mesh, with the person of each face."""
    return merge_meshes([(person, faces) for person in vertices])


def smooth_normals(raster: Raster, faces: Int[Tensor, "F 3"], normals: Float[Tensor, "V 3"]) -> Float[Tensor, "N H W 3"]:
    """Interpolated unit normals; zero on the background."""
    return torch.nn.functional.normalize(interpolate(raster, faces, normals), dim=-1)


@dataclass(frozen=True)
class GroupViews:
    """Rasters of the group and of each person, and the normals that they show."""

    group: Raster
    ids: Int[Tensor, "N height width"]
    """z-buffered person index, -1 = background."""
    normals: Float[Tensor, "N height width 3"]


def render_group(vertices: Float[Tensor, "K V 3"], faces: Int[Tensor, "F 3"], cameras: Camera) -> GroupViews:
    """The group with its mutual occlusion."""
    merged, merged_faces, owner = group_mesh(vertices, faces)
    raster = rasterize(merged, merged_faces, cameras)
    normals = smooth_normals(raster, merged_faces, vertex_normals(vertices, faces).reshape(-1, 3))
    return GroupViews(raster, instance_ids(raster, owner), normals)


def render_person(vertices: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], cameras: Camera) -> tuple[Raster, Float[Tensor, "N height width 3"]]:
    """One person alone."""
    raster = rasterize(vertices, faces, cameras)
    return raster, smooth_normals(raster, faces, vertex_normals(vertices, faces))
