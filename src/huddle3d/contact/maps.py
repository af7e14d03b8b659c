"""Who touches whom where: contact by vertex and by named body region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.contact.broad_phase import overlapping_pairs
from huddle3d.contact.query import MeshQuery
from huddle3d.errors import InputError, ShapeError
from huddle3d.scene import Contact

__all__ = ["ContactMap", "contact_map", "contact_regions"]


@dataclass(frozen=True)
class ContactMap:
    """For each vertex of A, what it touches of B."""

    touching: Bool[Tensor, "V"]
    """Closer to B than the radius, or inside B."""
    distance: Float[Tensor, "V"]
    """Signed distance to B [m], negative inside; at most the radius, which stands for all vertices that are farther."""
    face: Int[Tensor, "V"]
    """Nearest face of B; -1 where not touching."""
    bary: Float[Tensor, "V 3"]
    """Barycentrics of the nearest point in that face."""


def contact_map(vertices: Float[Tensor, "V 3"], other: MeshQuery, *, radius: float = 0.01) -> ContactMap:
    """Contact of A's vertices with mesh B.

    Args:
        vertices: of A [m].
        other: mesh B.
        radius: skin distance [m] that counts as contact; positive.
    """
    if radius <= 0:
        raise InputError(f"The contact radius is {radius}, it must be positive.")
    points = vertices.detach()
    box = other.vertices.detach()
    rows = ((points >= box.amin(0) - radius) & (points <= box.amax(0) + radius)).all(-1).nonzero()[:, 0]
    near, closest = other.signed_closest(points[rows], max_distance=radius)
    distance = torch.full_like(points[:, 0], radius)
    distance[rows] = near.detach().to(points)
    face = torch.full((len(points),), -1, dtype=torch.long, device=points.device)
    face[rows] = closest.face
    bary = torch.zeros_like(points)
    bary[rows] = closest.bary.to(points)
    return ContactMap(distance < radius, distance, face, bary)


def contact_regions(
    vertices: Sequence[Float[Tensor, "V 3"]] | Float[Tensor, "K V 3"],
    faces: Int[Tensor, "F 3"],
    regions: Int[Tensor, "V"],
    region_names: Sequence[str],
    names: Sequence[str],
    *,
    radius: float = 0.02,
    min_vertices: int = 1,
) -> tuple[Contact, ...]:
    """Pairs of named body regions that touch, for every ordered pair of K people of one topology.

    A vertex of a's region counts for that region of b which holds its nearest surface point (of that point's face, the corner that is
    nearest). Pairs of people whose boxes are apart cost nothing. Sorted by people, then by number of vertices, most first.

    Args:
        vertices: of each person, one world [m].
        faces: shared by all.
        regions: index into ``region_names`` of each vertex.
        region_names: of the regions.
        names: of the people.
        radius: skin distance [m] that counts as contact.
        min_vertices: contacts of fewer vertices are left out.
    """
    if len(names) != len(vertices):
        raise InputError(f"{len(names)} names for {len(vertices)} people.")
    if len(vertices) and regions.shape != vertices[0].shape[:1]:
        raise ShapeError("regions", regions.shape, (vertices[0].shape[0],))
    pairs = overlapping_pairs(vertices, radius)
    queries = {k: MeshQuery(vertices[k].detach(), faces) for k in sorted({k for pair in pairs for k in pair})}
    contacts: list[Contact] = []
    for a, b in sorted(pairs + [(j, i) for i, j in pairs]):
        touched = contact_map(vertices[a], queries[b], radius=radius)
        rows = touched.touching.nonzero()[:, 0]
        corner = queries[b].faces[touched.face[rows]].gather(1, touched.bary[rows].argmax(-1, keepdim=True))[:, 0]
        key = regions[rows] * len(region_names) + regions[corner]
        found: list[tuple[int, int, float]] = []
        for code in key.unique().tolist():
            distance = touched.distance[rows[key == code]]
            if len(distance) >= min_vertices:
                found.append((len(distance), int(code), float(distance.min()) * 1000))
        for count, code, distance_mm in sorted(found, key=lambda entry: (-entry[0], entry[1])):
            region_a, region_b = region_names[code // len(region_names)], region_names[code % len(region_names)]
            contacts.append(Contact(names[a], region_a, names[b], region_b, count, distance_mm))
    return tuple(contacts)
