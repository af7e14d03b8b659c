"""L_pen between people inside an optimisation: recomputed on every call, or on frozen pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.contact.broad_phase import overlapping_pairs
from huddle3d.contact.losses import CARVING, FITTING, PenetrationConfig, penetration_loss
from huddle3d.contact.query import MeshQuery
from huddle3d.errors import ShapeError

__all__ = ["PenetrationPairs", "PenetrationTerm"]


class _Bodies:
    """One query per person of a group with shared faces; trees are built when a person first comes near another and refit after that."""

    def __init__(self, faces: Int[Tensor, "F 3"]) -> None:
        self._faces = faces
        self._queries: dict[int, MeshQuery] = {}

    def near(self, vertices: Tensor, margin: float) -> list[tuple[int, int, Tensor, MeshQuery]]:
        """For each ordered pair (a, b) that may touch: rows of a's vertices within ``margin`` of b's box, and b's query, refit."""
        if vertices.ndim != 3 or vertices.shape[-1] != 3:
            raise ShapeError("vertices", vertices.shape, ("K", "V", 3))
        pairs = overlapping_pairs(vertices, margin)
        fresh: set[int] = set()
        out = []
        for i, j in pairs:
            for a, b in ((i, j), (j, i)):
                if b not in fresh:
                    self._update(b, vertices[b])
                    fresh.add(b)
                box = vertices[b].detach()
                points = vertices[a].detach()
                rows = ((points >= box.amin(0) - margin) & (points <= box.amax(0) + margin)).all(-1).nonzero()[:, 0]
                if len(rows):
                    out.append((a, b, rows, self._queries[b]))
        return out

    def _update(self, person: int, vertices: Tensor) -> None:
        query = self._queries.get(person)
        if query is None:
            self._queries[person] = MeshQuery(vertices, self._faces)
        else:
            query.refit(vertices)


class PenetrationTerm:
    """L_pen of K people (HUG3D S10), with fresh nearest points on every call; meant for ≈1,200-vertex proxies inside a fit.

    The set V of the mean holds the vertices of each person that come closer than ``config.reach`` to another one, so the weight does
    not depend on how finely a body is meshed. Only pairs whose boxes come that near are looked at.

    Args:
        faces: ``(F, 3)``, shared by all people.
        config: weight and tolerance.
    """

    def __init__(self, faces: Int[Tensor, "F 3"], config: PenetrationConfig = FITTING) -> None:
        self.config = config
        self._bodies = _Bodies(faces)

    def __call__(self, vertices: Float[Tensor, "K V 3"]) -> Float[Tensor, ""]:
        """The loss; differentiable in all people's vertices; 0 (with a graph) if nobody is near."""
        return penetration_loss(self.distances(vertices), self.config) + 0.0 * vertices.sum()

    def distances(self, vertices: Float[Tensor, "K V 3"]) -> Float[Tensor, "n"]:
        """Signed distances [m] of all vertices that lie within ``config.reach`` of another person."""
        reach = self.config.reach
        found = [query.signed_distance(vertices[a][rows], max_distance=reach) for a, _, rows, query in self._bodies.near(vertices, reach)]
        distance = torch.cat(found) if found else vertices.new_zeros(0)
        return distance[distance.detach() < reach]


@dataclass(frozen=True)
class PenetrationPairs:
    """Vertices near another person, each with its nearest surface point, frozen; distances of moved vertices cost a gather.

    A pair's distance is that to the plane through the frozen material point (face and barycentrics; it moves with the other body),
    along the frozen direction of the signed distance's gradient. At the freeze its value and gradients are those of the signed
    distance; after it, the sign changes smoothly as the vertex passes through the surface. Freeze again every few steps.
    """

    vertex: Int[Tensor, "n"]
    """Row in ``vertices.reshape(-1, 3)``."""
    corners: Int[Tensor, "n 3"]
    """Rows of the nearest face's corners in the same array."""
    bary: Float[Tensor, "n 3"]
    """Barycentrics of the nearest point."""
    direction: Float[Tensor, "n 3"]
    """Unit vector of increasing signed distance."""
    person: Int[Tensor, "n 2"]
    """Indices of the vertex's person and of the other one."""

    @classmethod
    def freeze(cls, vertices: Float[Tensor, "K V 3"], faces: Int[Tensor, "F 3"], radius: float = 0.02) -> PenetrationPairs:
        """All vertices within ``radius`` [m] of another person, or inside one.

        Args:
            vertices: of K people with shared faces [m].
            faces: ``(F, 3)``.
            radius: the contact map's radius; HUG3D takes V from the contact map of the initial bodies and leaves its radius open.
        """
        moved = vertices.detach()
        parts: list[Sequence[Tensor]] = []
        for a, b, rows, query in _Bodies(faces).near(moved, radius):
            points = moved[a][rows].requires_grad_(True)
            with torch.enable_grad():
                distance, closest = query.signed_closest(points, max_distance=radius)
                (direction,) = torch.autograd.grad(distance.sum(), points)
            keep = distance.detach() < radius
            corners = query.faces[closest.face[keep]] + b * vertices.shape[1]
            person = torch.tensor([[a, b]], device=vertices.device).expand(int(keep.sum()), 2)
            parts.append((rows[keep] + a * vertices.shape[1], corners, closest.bary[keep], direction[keep], person))
        if not parts:
            none = torch.zeros(0, dtype=torch.long, device=vertices.device)
            return cls(none, none.expand(3, 0).T, vertices.new_zeros(0, 3), vertices.new_zeros(0, 3), none.expand(2, 0).T)
        return cls(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def distances(self, vertices: Float[Tensor, "K V 3"]) -> Float[Tensor, "n"]:
        """Signed distances [m] of the frozen pairs at new vertices; differentiable in the vertices of both people."""
        flat = vertices.reshape(-1, 3)
        nearest = (self.bary[..., None] * flat[self.corners]).sum(1)
        return ((flat[self.vertex] - nearest) * self.direction).sum(-1)

    def loss(self, vertices: Float[Tensor, "K V 3"], config: PenetrationConfig = CARVING) -> Float[Tensor, ""]:
        """L_pen over the frozen pairs; 0 (with a graph) if there are none."""
        return penetration_loss(self.distances(vertices), config) + 0.0 * vertices.sum()
