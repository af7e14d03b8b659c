"""How closely people interact, measured on the truth: the classes that results are grouped by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.evaluation.contacts import Mesh, contact_vertices
from huddle3d.evaluation.surface import check_mesh
from huddle3d.geometry import face_areas

__all__ = ["CLOSE_AREA_CM2", "LEVELS", "NEAR_DISTANCE_CM", "Interaction", "Level", "interaction"]

Level = Literal["alone", "apart", "near", "touch", "close"]
LEVELS: tuple[Level, ...] = ("alone", "apart", "near", "touch", "close")
"""From one person to bodies pressed together."""

NEAR_DISTANCE_CM = 10.0
"""People without contact are ``"near"`` up to this distance and ``"apart"`` beyond it [cm]."""
CLOSE_AREA_CM2 = 300.0
"""People in contact are ``"close"`` from this area on (both sides counted) and ``"touch"`` below it [cm²]: two hands that shake have less."""


@dataclass(frozen=True)
class Interaction:
    """What the truth says about the distance between people."""

    level: Level
    """``alone``: one person; ``apart``, ``near``: no contact; ``touch``, ``close``: contact of a small or a large area."""
    contact_area_cm2: float
    """Area of everybody's surface within the contact radius of somebody else, both sides counted [cm²]."""
    distance_cm: float
    """Smallest distance of a vertex of one person to the surface of another [cm]; NaN for one person."""


def _vertex_areas(vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "f 3"]) -> Float[Tensor, "v"]:
    """A third of the area of the faces around each vertex [m²]; sums to the area of the mesh."""
    share = face_areas(vertices.double(), faces) / 3
    return torch.zeros(len(vertices), dtype=torch.float64).index_add_(0, faces.reshape(-1).cpu(), share.cpu().repeat_interleave(3))


def _distance_cm(people: Sequence[Mesh]) -> float:
    from huddle3d.contact import closest_point

    pairs = [(a, b) for i, a in enumerate(people) for j, b in enumerate(people) if i != j]
    return min((100 * float(closest_point(a[0], *b).distance.min()) for a, b in pairs), default=math.nan)


def interaction(people: Sequence[Mesh], *, radius_m: float = 0.01) -> Interaction:
    """The interaction of one group of true people ``(vertices [m], faces)`` in one world.

    The published split into "closely" and "naturally" interacting scenes was made by hand and for one data set; this one is measured, so that
    it exists for every suite.

    Raises:
        InputError: nobody, a mesh without faces, or one that holds NaN.
    """
    if not people:
        raise InputError("An interaction needs people.", why="No mesh was given.")
    for vertices, faces in people:
        check_mesh(vertices, faces)
    if len(people) == 1:
        return Interaction("alone", 0.0, math.nan)
    touching = contact_vertices(people, radius_m=radius_m)
    area = 1e4 * sum(float(_vertex_areas(v, f)[c.cpu()].sum()) for (v, f), c in zip(people, touching))
    distance = _distance_cm(people)
    if area > 0:
        return Interaction("close" if area >= CLOSE_AREA_CM2 else "touch", area, distance)
    return Interaction("near" if distance <= NEAR_DISTANCE_CM else "apart", 0.0, distance)
