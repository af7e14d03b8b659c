"""Does a posed body run through itself? Creases of a bent joint are none of it; a hand inside the belly is."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.contact._twin import closest_on_triangle, solid_angle
from huddle3d.contact.penetration import PenetrationDepth
from huddle3d.contact.query import MeshQuery
from huddle3d.errors import ShapeError
from huddle3d.geometry import edges, face_areas, vertex_normals

__all__ = ["self_penetration"]

_CHUNK = 128  # candidates whose masks over all faces are held at once


def self_penetration(
    vertices: Float[Tensor, "V 3"],
    rest_vertices: Float[Tensor, "V 3"],
    faces: Int[Tensor, "F 3"],
    *,
    neighbourhood: float = 0.10,
    offset: float = 1e-3,
) -> PenetrationDepth:
    """Vertices of a posed body that lie inside a part of the same body which is far from them along the skin.

    Let the far faces of a vertex be those without a corner within ``neighbourhood`` of it, measured along the edges of the body in rest
    pose. The vertex penetrates if the winding number of its far faces alone, at a point just above the skin, is larger by more than one
    half than it was in rest pose. So the crease of a bent elbow does not count (its flesh is near), nor do eyeballs, teeth and other
    parts that lie inside the body by design (they did so in rest pose). The depth is the distance to the nearest far face.

    Args:
        vertices: posed [m].
        rest_vertices: the same body at rest, with arms and legs apart [m].
        faces: shared by both.
        neighbourhood: length along the skin [m]; parts nearer than this never penetrate each other.
        offset: height above the skin of the tested points [m].

    Returns:
        Depths as for two people. The volume is the estimate ``½ Σ depth · vertex area`` (each of the two sheets that bound an overlap
        sees its full thickness); ``cell_mm`` is 0.
    """
    if rest_vertices.shape != vertices.shape:
        raise ShapeError("rest_vertices", rest_vertices.shape, tuple(vertices.shape))
    posed, rest = vertices.detach(), rest_vertices.detach().to(vertices)
    query, rest_query = MeshQuery(posed, faces), MeshQuery(rest, faces)
    above = posed + offset * vertex_normals(posed, faces)
    above_rest = rest + offset * vertex_normals(rest, faces)
    rows = query.inside(above).nonzero()[:, 0]
    gained = query.winding_number(above[rows]) - rest_query.winding_number(above_rest[rows])
    rows, gained = rows[gained > 0.5], gained[gained > 0.5]
    depth = torch.zeros(len(posed), dtype=posed.dtype, device=posed.device)
    for start in range(0, len(rows), _CHUNK):
        part = rows[start : start + _CHUNK]
        near = _near_faces(rest, query.faces, part, neighbourhood)
        near_gain = _winding(above[part], posed, query.faces, near) - _winding(above_rest[part], rest, query.faces, near)
        through = gained[start : start + _CHUNK] - near_gain > 0.5
        part, near = part[through], near[through]
        depth[part] = _far_distance(posed, query.faces, part, ~near)
    inside = depth > 0
    if not bool(inside.any()):
        return PenetrationDepth(0.0, 0.0, 0.0, inside, 0.0)
    third = (face_areas(posed, query.faces) / 3)[:, None].expand(-1, 3).reshape(-1)
    area = torch.zeros_like(depth).index_add(0, query.faces.reshape(-1), third)
    volume = 0.5 * float((area * depth).sum()) * 1e6
    return PenetrationDepth(float(depth.max()) * 1000, float(depth[inside].mean()) * 1000, volume, inside, 0.0)


def _near_faces(rest: Tensor, faces: Tensor, rows: Int[Tensor, "n"], radius: float) -> Bool[Tensor, "n F"]:
    """Faces with a corner within ``radius`` of each vertex, along edges."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import dijkstra

    edge = edges(faces)
    length = (rest[edge[:, 0]] - rest[edge[:, 1]]).norm(dim=-1).double().clamp_min(1e-9)  # an explicit zero would mean "no edge"
    i, j = edge.cpu().numpy().T
    graph = coo_array((length.cpu().numpy(), (i, j)), shape=(len(rest), len(rest))).tocsr()
    reach = dijkstra(graph, directed=False, indices=rows.cpu().numpy(), limit=radius)
    near = torch.from_numpy(reach).isfinite().to(faces.device)
    return near[:, faces].any(-1)


def _winding(points: Float[Tensor, "n 3"], vertices: Tensor, faces: Tensor, chosen: Bool[Tensor, "n F"]) -> Float[Tensor, "n"]:
    """Winding number of each point with respect to its own choice of faces."""
    row, face = chosen.nonzero(as_tuple=True)
    a, b, c = (vertices[faces[face]] - points[row, None]).unbind(1)
    return torch.zeros_like(points[:, 0]).index_add(0, row, solid_angle(a, b, c)) / (4 * math.pi)


def _far_distance(vertices: Tensor, faces: Tensor, rows: Int[Tensor, "n"], far: Bool[Tensor, "n F"]) -> Float[Tensor, "n"]:
    """Distance of each vertex to the nearest of its far faces; only faces that could be nearer than the nearest far corner are tried."""
    corner = torch.cdist(vertices[rows], vertices)[:, faces].amin(-1)  # to each face's nearest corner
    corner = torch.where(far, corner, math.inf)
    a, b, c = vertices[faces].unbind(1)
    size = torch.stack([(b - a).norm(dim=-1), (c - b).norm(dim=-1), (a - c).norm(dim=-1)]).amax(0)
    row, face = (far & (corner - size <= corner.amin(1, keepdim=True))).nonzero(as_tuple=True)
    p = vertices[rows[row]]
    w = closest_on_triangle(p, a[face], b[face], c[face])
    distance = (p - (w[:, :1] * a[face] + w[:, 1:2] * b[face] + w[:, 2:] * c[face])).norm(dim=-1)
    return torch.full_like(vertices[rows, 0], math.inf).scatter_reduce(0, row, distance, "amin")
