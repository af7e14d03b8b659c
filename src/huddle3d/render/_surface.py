"""Meshes merged for shading, and the list of visible surface samples of one camera."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from huddle3d.geometry import Camera, sample_image, vertex_normals
from huddle3d.render._colour import linear_from_srgb
from huddle3d.render.interpolate import merge_meshes
from huddle3d.render.lights import RenderMesh
from huddle3d.render.texture import uv_to_pixels

__all__ = ["Merged", "Samples", "merge", "visible_samples"]

_MAX_STEP = 8


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
    uv: Float[Tensor, "f 3 2"]
    """Texture coordinates of the face corners; 0 without a texture."""
    colours: Float[Tensor, "v 3"]
    """sRGB by vertex, for meshes without a texture."""
    gloss: Float[Tensor, "v 2"]
    """Specular strength and shininess."""
    texel_area: Float[Tensor, "f"]
    """Area of each face on its texture [texels]."""
    memo: dict[tuple[int | str, ...], Tensor] = field(default_factory=dict, compare=False, repr=False)
    """Textures averaged down, by mesh and step, and other forms of the above; filled as they are needed."""

    def texture(self, index: int, step: int) -> UInt8[Tensor, "th tw 3"]:
        """The texture of a mesh averaged over squares of ``step`` texels, in 8 bits."""
        if (index, step) not in self.memo:
            texture = self.meshes[index].texture
            assert texture is not None
            self.memo[index, step] = _averaged(texture.float(), step).clamp_(0, 1).mul_(255).round_().to(torch.uint8)
        return self.memo[index, step]

    def texels(self, steps: tuple[int, ...]) -> UInt8[Tensor, "n 3"]:
        """The textures of all meshes at their steps, one after the other; one texel if there is none."""
        key = ("texels", *steps)
        if key not in self.memo:
            flat = [self.texture(k, steps[k]).reshape(-1, 3) for k, mesh in enumerate(self.meshes) if mesh.texture is not None]
            self.memo[key] = torch.cat(flat) if flat else torch.zeros(1, 3, dtype=torch.uint8, device=self.vertices.device)
        return self.memo[key]

    @property
    def faces32(self) -> Int[Tensor, "f 3"]:
        """The faces as the kernels take them."""
        if ("faces",) not in self.memo:
            self.memo["faces",] = self.faces.int().contiguous()
        return self.memo["faces",]

    @property
    def owner32(self) -> Int[Tensor, "f"]:
        """The owners as the kernels take them."""
        if ("owner",) not in self.memo:
            self.memo["owner",] = self.owner.int().contiguous()
        return self.memo["owner",]

    def steps(self, face: Int[Tensor, "n"]) -> tuple[int, ...]:
        """For each mesh the step at which a texel covers at least half a sample on average, from the face of each sample: fine patterns do
        not flicker."""  # noqa: D205, D209
        if all(mesh.texture is None for mesh in self.meshes):
            return (1,) * len(self.meshes)
        samples = torch.bincount(face, minlength=len(self.faces))
        out, bounds = [], [*self.first_face, len(self.faces)]
        for index, mesh in enumerate(self.meshes):
            first, last = bounds[index], bounds[index + 1]
            here = samples[first:last]
            area = float((self.texel_area[first:last] * (here > 0)).sum()) if mesh.texture is not None else 0.0
            level = int(math.log2(max(1.0, math.sqrt(area / max(int(here.sum()), 1)))))
            out.append(min(1 << level, _MAX_STEP))
        return tuple(out)


def _averaged(texture: Float[Tensor, "th tw 3"], step: int) -> Float[Tensor, "h w 3"]:
    """A new texture of means over squares of ``step`` texels; what ``avg_pool2d`` gives, to the bit, without its changes of layout."""
    height, width, channels = texture.shape
    if height % step or width % step:
        pooled = torch.nn.functional.avg_pool2d(texture.permute(2, 0, 1)[None], step, ceil_mode=True)
        return pooled[0].permute(1, 2, 0).contiguous()
    squares = texture.reshape(height // step, step, width // step, step, channels)
    total = squares[:, 0, :, 0].clone()
    for k in range(1, step * step):
        total += squares[:, k // step, :, k % step]
    return total.div_(step * step)


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


def _look(mesh: RenderMesh) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Texture coordinates of the corners, colours and gloss by vertex, and each face's area on the texture."""
    like = mesh.vertices.float()
    uv, area = torch.zeros(len(mesh.faces), 3, 2).to(like), torch.zeros(len(mesh.faces)).to(like)
    colours = like.new_tensor(mesh.albedo).expand(len(like), 3) if mesh.colours is None else mesh.colours.float()
    if mesh.texture is not None and mesh.uv is not None and mesh.faces_uv is not None:
        uv = mesh.uv.float()[mesh.faces_uv.long()]
        texels = uv * uv.new_tensor([mesh.texture.shape[1], mesh.texture.shape[0]])
        d1, d2 = texels[:, 1] - texels[:, 0], texels[:, 2] - texels[:, 0]
        area = (d1[:, 0] * d2[:, 1] - d1[:, 1] * d2[:, 0]).abs() / 2
    specular = mesh.specular if isinstance(mesh.specular, Tensor) else like.new_full((len(like),), mesh.specular)
    return uv, colours, torch.stack([specular.to(like), like.new_full((len(like),), mesh.shininess)], -1), area


def merge(meshes: Sequence[RenderMesh]) -> Merged:
    """One mesh of all, in float32."""
    vertices, faces, owner = merge_meshes([(m.vertices.float(), m.faces) for m in meshes])
    parts = [vertex_normals(m.vertices.float(), m.faces.long()) if m.normals is None else m.normals.float() for m in meshes]
    first, total = [], 0
    for mesh in meshes:
        first.append(total)
        total += len(mesh.faces)
    if not meshes:
        nothing = torch.zeros(0)
        return Merged((), vertices, faces, vertices, owner, (), nothing.reshape(0, 3, 2), vertices, nothing.reshape(0, 2), nothing)
    uv, colours, gloss, area = (torch.cat(part) for part in zip(*(_look(m) for m in meshes)))
    return Merged(tuple(meshes), vertices, faces, torch.cat(parts), owner, tuple(first), uv, colours, gloss, area)


def _albedo(merged: Merged, index: int, step: int, face: Tensor, bary: Tensor) -> Tensor:
    """Colours (sRGB) of samples on the faces of one mesh."""
    if merged.meshes[index].texture is None:
        return (merged.colours[merged.faces[face]] * bary[..., None]).sum(1)
    texture = merged.texture(index, step).float() / 255
    return sample_image(texture, uv_to_pixels((merged.uv[face] * bary[..., None]).sum(1), texture))


def visible_samples(merged: Merged, face_id: Int[Tensor, "height width"], bary: Float[Tensor, "height width 3"], camera: Camera) -> Samples:
    """The samples that one unbatched camera sees."""
    flat = face_id.flatten()
    pixel = (flat >= 0).nonzero()[:, 0]
    face = flat[pixel].long()
    bary, corner = bary.reshape(-1, 3)[pixel], merged.faces[face]
    position = (merged.vertices[corner] * bary[..., None]).sum(1)
    normal = torch.nn.functional.normalize((merged.normals[corner] * bary[..., None]).sum(1), dim=-1)
    toward = view_directions(camera, position)
    normal = torch.where((normal * toward).sum(-1, keepdim=True) < -0.15, -normal, normal)
    albedo = torch.zeros_like(position)
    owner = merged.owner[face]
    for index, step in enumerate(merged.steps(face)):
        mine = (owner == index).nonzero()[:, 0]
        if len(mine):
            albedo[mine] = _albedo(merged, index, step, face[mine], bary[mine])
    gloss = (merged.gloss[corner] * bary[..., None]).sum(1)
    return Samples(pixel, corner, bary, position, normal, linear_from_srgb(albedo.clamp(0, 1)), gloss[:, 0], gloss[:, 1])


def view_directions(camera: Camera, position: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """Unit directions from surface points towards the viewer."""
    if camera.is_perspective:
        return torch.nn.functional.normalize(camera.centre.to(position) - position, dim=-1)
    return -camera.T_cam_world[2, :3].to(position).expand_as(position)
