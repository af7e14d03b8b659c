"""Meshes merged for shading, and the list of visible surface samples of one camera."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.geometry import Camera, sample_image, vertex_normals
from huddle3d.render._colour import linear_from_srgb
from huddle3d.render.interpolate import merge_meshes
from huddle3d.render.lights import RenderMesh
from huddle3d.render.raster import Raster
from huddle3d.render.texture import uv_to_pixels

__all__ = ["Merged", "Samples", "merge", "visible_samples"]


@dataclass(frozen=True)
class Merged:
    """All meshes of a scene as one."""

    meshes: tuple[RenderMesh, ...]
    vertices: Float[Tensor, "v 3"]
    faces: Int[Tensor, "f 3"]
    normals: Float[Tensor, "v 3"]
    owner: Int[Tensor, "f"]
    """Index of the mesh of each face."""
    first_face: tuple[int, ...]
    """First face of each mesh."""


@dataclass(frozen=True)
class Samples:
    """Visible surface samples (one per covered pixel)."""

    pixel: Int[Tensor, "n"]
    """Flat pixel index."""
    corner: Int[Tensor, "n 3"]
    """Vertices of the seen face."""
    bary: Float[Tensor, "n 3"]
    position: Float[Tensor, "n 3"]
    normal: Float[Tensor, "n 3"]
    """Unit, turned towards the viewer."""
    albedo: Float[Tensor, "n 3"]
    """Linear."""
    specular: Float[Tensor, "n"]
    shininess: Float[Tensor, "n"]

    def of_vertices(self, values: Float[Tensor, "v c"]) -> Float[Tensor, "n c"]:
        """Vertex values at the samples."""
        return (values[self.corner] * self.bary[..., None]).sum(1)


def merge(meshes: Sequence[RenderMesh]) -> Merged:
    """One mesh of all, in float32."""
    vertices, faces, owner = merge_meshes([(m.vertices.float(), m.faces) for m in meshes])
    parts = [vertex_normals(m.vertices.float(), m.faces.long()) if m.normals is None else m.normals.float() for m in meshes]
    first, total = [], 0
    for mesh in meshes:
        first.append(total)
        total += len(mesh.faces)
    return Merged(tuple(meshes), vertices, faces, torch.cat(parts) if parts else vertices, owner, tuple(first))


def _shrunk(texture: Tensor, uv: Tensor, pixel_area: float) -> Tensor:
    """The texture averaged down until a texel covers at least half a pixel on average: keeps fine patterns from flickering."""
    texels = uv * torch.tensor([texture.shape[1], texture.shape[0]], dtype=uv.dtype, device=uv.device)
    d1, d2 = texels[:, 1] - texels[:, 0], texels[:, 2] - texels[:, 0]
    area = (d1[:, 0] * d2[:, 1] - d1[:, 1] * d2[:, 0]).abs().sum() / 2
    level = int(math.log2(max(1.0, math.sqrt(float(area) / max(pixel_area, 1.0)))))
    step = min(1 << level, 8)
    return texture if step == 1 else torch.nn.functional.avg_pool2d(texture.permute(2, 0, 1)[None], step, ceil_mode=True)[0].permute(1, 2, 0)


def _albedo(mesh: RenderMesh, face: Tensor, bary: Tensor) -> Tensor:
    """Colours (sRGB) of samples on the faces of one mesh."""
    if mesh.texture is not None and mesh.uv is not None and mesh.faces_uv is not None:
        uv = mesh.uv.float()[mesh.faces_uv.long()]
        seen = torch.zeros(len(uv), dtype=torch.bool, device=face.device)
        seen[face] = True
        texture = _shrunk(mesh.texture.float(), uv[seen], float(len(face)))
        return sample_image(texture, uv_to_pixels((uv[face] * bary[..., None]).sum(1), texture))
    if mesh.colours is not None:
        return (mesh.colours.float()[mesh.faces.long()[face]] * bary[..., None]).sum(1)
    return torch.tensor(mesh.albedo, dtype=torch.float32, device=bary.device).expand(len(face), 3)


def visible_samples(merged: Merged, raster: Raster, camera: Camera) -> Samples:
    """The samples that one unbatched camera sees."""
    face_id = raster.face_id[0].flatten()
    pixel = (face_id >= 0).nonzero()[:, 0]
    face = face_id[pixel].long()
    bary, corner = raster.bary[0].reshape(-1, 3)[pixel], merged.faces[face]
    position = (merged.vertices[corner] * bary[..., None]).sum(1)
    normal = torch.nn.functional.normalize((merged.normals[corner] * bary[..., None]).sum(1), dim=-1)
    toward = view_directions(camera, position)
    normal = torch.where((normal * toward).sum(-1, keepdim=True) < -0.15, -normal, normal)
    albedo = torch.zeros_like(position)
    specular, shininess = torch.zeros_like(bary[:, 0]), torch.ones_like(bary[:, 0])
    owner = merged.owner[face]
    for index, mesh in enumerate(merged.meshes):
        mine = (owner == index).nonzero()[:, 0]
        if len(mine):
            albedo[mine] = _albedo(mesh, face[mine] - merged.first_face[index], bary[mine])
            specular[mine], shininess[mine] = mesh.specular, mesh.shininess
    return Samples(pixel, corner, bary, position, normal, linear_from_srgb(albedo.clamp(0, 1)), specular, shininess)


def view_directions(camera: Camera, position: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """Unit directions from surface points towards the viewer."""
    if camera.is_perspective:
        return torch.nn.functional.normalize(camera.centre.to(position) - position, dim=-1)
    return -camera.T_cam_world[2, :3].to(position).expand_as(position)
