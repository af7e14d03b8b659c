"""How deep and how much two people pass through each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.contact.broad_phase import overlapping_pairs
from huddle3d.contact.query import MeshQuery
from huddle3d.errors import InputError
from huddle3d.scene import Penetration

__all__ = ["PenetrationDepth", "intersection_volume", "penetration", "penetrations"]


@dataclass(frozen=True)
class PenetrationDepth:
    """Vertices of mesh A inside mesh B, and the volume that both share."""

    max_mm: float
    """Deepest vertex of A below B's surface [mm]; 0 without penetration."""
    mean_mm: float
    """Mean over the penetrating vertices [mm]; 0 without penetration."""
    volume_cm3: float
    """Volume of the intersection [cm³]."""
    inside: Bool[Tensor, "V"]
    """Vertices of A that lie inside B."""
    cell_mm: float
    """Edge of the sampling cell of ``volume_cm3`` [mm]; 0 if the boxes do not overlap."""


def penetration(
    vertices_a: Float[Tensor, "V 3"],
    faces_a: Int[Tensor, "F 3"],
    vertices_b: Float[Tensor, "U 3"],
    faces_b: Int[Tensor, "G 3"],
    *,
    samples: int = 16384,
) -> PenetrationDepth:
    """Depth of A's vertices inside B, and the shared volume.

    Depths are of vertices: two coarse meshes whose faces cross without a vertex inside have depth 0 and a positive volume. Bodies are
    fine enough (about 1 cm) that this does not matter; test both orders and take the larger one if it might.

    Args:
        vertices_a: the body whose vertices are tested [m].
        faces_a: its faces.
        vertices_b: the body whose surface counts [m].
        faces_b: its faces.
        samples: cells of the volume grid; see :func:`intersection_volume`.
    """
    query_a, query_b = MeshQuery(vertices_a.detach(), faces_a), MeshQuery(vertices_b.detach(), faces_b)
    volume, cell = intersection_volume(query_a, query_b, samples=samples)
    return _depth(query_a, query_b, volume, cell)


def penetrations(
    vertices: Sequence[Float[Tensor, "_ 3"]] | Float[Tensor, "K V 3"],
    faces: Int[Tensor, "F 3"] | Sequence[Int[Tensor, "_ 3"]],
    names: Sequence[str],
    *,
    samples: int = 16384,
) -> tuple[Penetration, ...]:
    """Every ordered pair of K people that penetrates, in the order of the people; pairs whose boxes are apart cost nothing.

    Args:
        vertices: of each person, world [m].
        faces: shared by all, or one per person.
        names: of each person.
        samples: cells of the volume grid of a pair.
    """
    if len(names) != len(vertices):
        raise InputError(f"{len(names)} names for {len(vertices)} people.")
    own = [faces] * len(vertices) if isinstance(faces, Tensor) else list(faces)
    queries: dict[int, MeshQuery] = {}
    found: dict[tuple[int, int], Penetration] = {}
    for i, j in overlapping_pairs(vertices):
        for k in (i, j):
            if k not in queries:
                queries[k] = MeshQuery(vertices[k].detach(), own[k])
        volume, cell = intersection_volume(queries[i], queries[j], samples=samples)
        for a, b in ((i, j), (j, i)):
            depth = _depth(queries[a], queries[b], volume, cell)
            if depth.max_mm > 0 or depth.volume_cm3 > 0:
                found[a, b] = Penetration(names[a], names[b], depth.max_mm, depth.mean_mm, depth.volume_cm3)
    return tuple(found[pair] for pair in sorted(found))


def intersection_volume(a: MeshQuery, b: MeshQuery, *, samples: int = 16384) -> tuple[float, float]:
    """Volume inside both meshes [cm³], and the edge of the cells that measured it [mm].

    Two passes of a regular grid of about ``samples`` cubes, first over the common part of both boxes, then over the part of it that is
    occupied. A mesh fills the share ``s = 0.5 − d/h`` (clamped to [0, 1]) of a cube from whose centre its surface is d away; both fill
    ``s_a + s_b − 1`` of it. That is exact where only one surface passes through the cube and where two surfaces meet face to face, as skins
    in contact do: people who touch without a gap share nothing. Deterministic; the error falls with the square of the cell (a 10 cm lens of
    two spheres: about 1 % at the default).
    """
    low = torch.maximum(a.vertices.detach().amin(0), b.vertices.detach().amin(0).to(a.vertices))
    high = torch.minimum(a.vertices.detach().amax(0), b.vertices.detach().amax(0).to(a.vertices))
    volume = cell = 0.0
    for _ in range(2):
        extent = high - low
        if bool((extent <= 0).any()):
            return 0.0, cell * 1000
        cell = float((extent.double().prod() / samples) ** (1 / 3))
        cell = max(cell, float(extent.max()) / samples)
        count = [max(1, int(torch.ceil(e / cell))) for e in extent]
        axes = [low[x] + (torch.arange(count[x], dtype=low.dtype, device=low.device) + 0.5) * cell for x in range(3)]
        centres = torch.cartesian_prod(*axes)
        share = _occupancy(a, b, centres, cell)
        volume = float(share.double().sum()) * cell**3 * 1e6
        occupied = centres[share > 0]
        if len(occupied) == 0:
            return 0.0, cell * 1000
        low, high = occupied.amin(0) - cell, occupied.amax(0) + cell
    return volume, cell * 1000


def _occupancy(a: MeshQuery, b: MeshQuery, centres: Float[Tensor, "n 3"], cell: float) -> Float[Tensor, "n"]:
    """Share of each cube that lies in both meshes; the second mesh is asked only about cubes that the first one occupies."""
    share = torch.zeros(len(centres), dtype=centres.dtype, device=centres.device)
    d = a.signed_distance(centres, max_distance=cell, truncate_inside=True)
    rows = (d < cell / 2).nonzero()[:, 0]
    in_a = (0.5 - d[rows] / cell).clamp(0, 1)
    in_b = (0.5 - b.signed_distance(centres[rows], max_distance=cell, truncate_inside=True) / cell).clamp(0, 1)
    share[rows] = (in_a + in_b - 1).clamp_min(0)
    return share


def _depth(a: MeshQuery, b: MeshQuery, volume: float, cell: float) -> PenetrationDepth:
    points = a.vertices.detach()
    low, high = b.vertices.detach().amin(0), b.vertices.detach().amax(0)
    rows = ((points >= low) & (points <= high)).all(-1).nonzero()[:, 0]
    distance = torch.zeros_like(points[:, 0])
    distance[rows] = b.signed_distance(points[rows], max_distance=0.0)
    depth = -distance[distance < 0] * 1000
    largest, mean = (float(depth.max()), float(depth.mean())) if len(depth) else (0.0, 0.0)
    return PenetrationDepth(largest, mean, volume, distance < 0, cell)
