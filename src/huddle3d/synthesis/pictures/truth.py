"""What is true of a scene whatever the camera (body parts, contacts), and what is true of each pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.compute import kernel_backend, launch_rows, warp
from huddle3d.geometry import Camera, vertex_normals
from huddle3d.scene import Contact
from huddle3d.synthesis.build import SyntheticScene

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel
    from huddle3d.render import Raster

__all__ = ["CONTACT_RADIUS_M", "PixelTruth", "SurfaceTruth", "amodal_masks", "pixel_truth", "surface_truth"]

CONTACT_RADIUS_M = 0.01
"""Vertices this near to another person's surface are in contact, as in the metric CP [m]."""
_NORMAL_M = 0.05
"""Opposite normals count like this distance [m] when the body part of a place on the clothes is looked for: a hand on a hip is no hip."""


@dataclass(frozen=True)
class SurfaceTruth:
    """Of the vertices of each dressed person."""

    part_names: tuple[str, ...]
    """Regions of the body model."""
    parts: tuple[Int[Tensor, "V"], ...]
    """Region of the nearest place of the naked body."""
    skin: tuple[Bool[Tensor, "V"], ...]
    """On the naked body's own surface."""
    touching: tuple[Bool[Tensor, "V"], ...]
    """Within :data:`CONTACT_RADIUS_M` of another person's surface."""
    contacts: tuple[Contact, ...]
    """Pairs of regions, for every ordered pair of people; most vertices first. Distances are unsigned."""


def _parts(vertices: Tensor, faces: Tensor, body_vertices: Tensor, body: BodyModel) -> tuple[Tensor, Tensor]:
    """Region and skin of each vertex, by the nearest body vertex of a like normal."""
    from scipy.spatial import KDTree

    def place(v: Tensor, f: Tensor) -> np.ndarray:
        return torch.cat([v, _NORMAL_M / 2 * vertex_normals(v, f)], -1).numpy()

    _, index = KDTree(place(body_vertices, body.faces)).query(place(vertices, faces), eps=0.2)
    nearest = torch.from_numpy(np.asarray(index))
    near = (vertices - body_vertices[nearest]).norm(dim=-1) < 5e-4
    return body.regions[nearest], near


def surface_truth(scene: SyntheticScene, body: BodyModel) -> SurfaceTruth:
    """Parts, contacts and pairs of regions of a scene (computed on the CPU)."""
    from huddle3d.contact import MeshQuery

    found = [_parts(m.vertices.float(), m.faces, v.float(), body) for m, v in zip(scene.meshes, scene.bodies.vertices)]
    parts = tuple(p for p, _ in found)
    touching = [torch.zeros(len(m.vertices), dtype=torch.bool) for m in scene.meshes]
    contacts: list[Contact] = []
    queries: dict[int, MeshQuery] = {}
    for a, mesh in enumerate(scene.meshes):
        for b, other in enumerate(scene.meshes):
            low, high = other.vertices.amin(0) - CONTACT_RADIUS_M, other.vertices.amax(0) + CONTACT_RADIUS_M
            near = ((mesh.vertices >= low) & (mesh.vertices <= high)).all(-1).nonzero()[:, 0]
            if a == b or not len(near):
                continue
            if b not in queries:
                queries[b] = MeshQuery(other.vertices, other.faces, winding=False)
            closest = queries[b].closest_point(mesh.vertices[near], max_distance=CONTACT_RADIUS_M)
            hit = (closest.face >= 0).nonzero()[:, 0]
            rows = near[hit]
            touching[a][rows] = True
            corner = other.faces[closest.face[hit]].gather(1, closest.bary[hit].argmax(-1, keepdim=True))[:, 0]
            key = parts[a][rows] * len(body.region_names) + parts[b][corner]
            contacts += _pairs(key, closest.distance[hit], body.region_names, scene.meshes[a].name, scene.meshes[b].name)
    return SurfaceTruth(body.region_names, parts, tuple(s for _, s in found), tuple(touching), tuple(contacts))


def _pairs(key: Int[Tensor, "n"], distance: Float[Tensor, "n"], names: tuple[str, ...], a: str, b: str) -> list[Contact]:
    codes, counts = key.unique(return_counts=True)
    order = sorted(zip((-counts).tolist(), codes.tolist()))
    return [
        Contact(a, names[code // len(names)], b, names[code % len(names)], -count, float(distance[key == code].min()) * 1000) for count, code in order
    ]


class PixelTruth(NamedTuple):
    """Of one camera's pixels."""

    normals: Float[Tensor, "height width 3"]
    ids: Int[Tensor, "height width"]
    parts: Int[Tensor, "height width"]
    contact: Bool[Tensor, "height width"]


def pixel_truth(
    raster: Raster,
    faces: Int[Tensor, "F 3"],
    owner: Int[Tensor, "F"],
    normals: Float[Tensor, "V 3"],
    parts: Int[Tensor, "V"],
    touching: Bool[Tensor, "V"],
) -> PixelTruth:
    """World normals (0 on the background), person and body part (int32; -1), and contact of each pixel, from one raster of all people."""
    face_id = raster.face_id[0]
    out = torch.zeros(*face_id.shape, 3).to(normals)
    ids, part = torch.full_like(face_id, -1), torch.full_like(face_id, -1)
    contact = torch.zeros(face_id.shape, dtype=torch.uint8, device=face_id.device)
    if kernel_backend() == "torch":
        return _pixel_truth_torch(raster, faces, owner, normals, parts, touching, PixelTruth(out, ids, part, contact.bool()))
    from huddle3d.synthesis.pictures._truth_kernels import truth_maps

    wp = warp()
    bary = raster.bary[0].contiguous()
    faces, owner, parts, touch = faces.int().contiguous(), owner.int().contiguous(), parts.int().contiguous(), touching.to(torch.uint8)
    inputs = [wp.from_torch(face_id.contiguous()), wp.from_torch(bary, dtype=wp.vec3f), wp.from_torch(faces, dtype=wp.vec3i), wp.from_torch(owner)]
    inputs += [wp.from_torch(normals.contiguous(), dtype=wp.vec3f), wp.from_torch(parts), wp.from_torch(touch)]
    inputs += [wp.from_torch(out, dtype=wp.vec3f), wp.from_torch(ids), wp.from_torch(part), wp.from_torch(contact)]
    launch_rows(truth_maps, len(face_id), face_id.shape[1], inputs, face_id.device)
    return PixelTruth(out, ids, part, contact.bool())


def _pixel_truth_torch(
    raster: Raster, faces: Tensor, owner: Tensor, normals: Tensor, parts: Tensor, touching: Tensor, empty: PixelTruth
) -> PixelTruth:
    """The kernel's plain twin."""
    seen = raster.face_id[0] >= 0
    face, bary = raster.face_id[0][seen].long(), raster.bary[0][seen]
    corner = faces.long()[face]
    empty.normals[seen] = torch.nn.functional.normalize((normals[corner] * bary[..., None]).sum(1), dim=-1)
    empty.ids[seen] = owner[face].int()
    empty.parts[seen] = parts[corner.gather(1, bary.argmax(-1, keepdim=True))[:, 0]].int()
    empty.contact[seen] = (touching[corner].float() * bary).sum(1) > 0.5
    return empty


def amodal_masks(
    meshes: list[tuple[Float[Tensor, "V 3"], Int[Tensor, "F 3"]]], camera: Camera, ids: Int[Tensor, "height width"], *, hidden: bool = False
) -> Bool[Tensor, "K height width"]:
    """All pixels of each person, whoever is in front; a person whose box in the picture meets no other's is seen whole.

    Args:
        meshes: of each person.
        camera: one.
        ids: the visible person of each pixel.
        hidden: things may hide people, too.
    """
    from huddle3d.render import depth_buffer

    masks = torch.stack([ids == k for k in range(len(meshes))])
    boxes = []
    for vertices, _ in meshes:
        uv, z = camera.project(vertices)
        behind = camera.is_perspective and float(z.min()) < 1e-2  # its projection has no box
        boxes.append((-1e9, -1e9, 1e9, 1e9) if behind else (*uv.amin(0).tolist(), *uv.amax(0).tolist()))
    for k, (u0, v0, u1, v1) in enumerate(boxes):
        met = [(max(u0, b[0]), max(v0, b[1]), min(u1, b[2]), min(v1, b[3])) for j, b in enumerate(boxes) if j != k]
        met = [(u0, v0, u1, v1)] if hidden else [m for m in met if m[0] <= m[2] and m[1] <= m[3]]
        if met:  # the part of the box that others may hide; elsewhere what is there is seen
            x0, y0 = max(0, math.floor(min(m[0] for m in met))), max(0, math.floor(min(m[1] for m in met)))
            x1, y1 = min(camera.width, math.ceil(max(m[2] for m in met))), min(camera.height, math.ceil(max(m[3] for m in met)))
            if x0 < x1 and y0 < y1:
                alone = depth_buffer(*meshes[k], camera.cropped(x0, y0, x1 - x0, y1 - y0))[0]
                masks[k, y0:y1, x0:x1] = torch.isfinite(alone)
    return masks
