"""What an interaction asks for: which palm lies where, which palms meet, which parts lean on each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.scene import BodyParams
from huddle3d.scene.landmarks import LANDMARK_INDEX
from huddle3d.synthesis.poses.posing import Side

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["ClaspGoal", "PalmGoal", "Plan", "TouchGoal", "palm_frame", "palm_vertices", "region_vertices", "surface_point"]


@dataclass(frozen=True)
class PalmGoal:
    """A palm lies flat on another person."""

    person: int
    side: Side
    other: int
    vertex: int
    """Where: a vertex of the other's surface."""


@dataclass(frozen=True)
class ClaspGoal:
    """Two palms meet, facing each other."""

    person: int
    side: Side
    other: int
    other_side: Side


@dataclass(frozen=True)
class TouchGoal:
    """A part of one person leans on a part of another."""

    person: int
    vertices: Int[Tensor, "n"]
    other: int
    other_vertices: Int[Tensor, "m"]
    gap_m: float = 0.0
    """Distance that is to be left between them beyond touching [m]; a few millimetres less than 0 press them together."""


@dataclass(frozen=True)
class Plan:
    """Where the solver starts and what it is to reach."""

    params: BodyParams
    palms: tuple[PalmGoal, ...] = ()
    clasps: tuple[ClaspGoal, ...] = ()
    touches: tuple[TouchGoal, ...] = ()
    carried: tuple[int, ...] = ()
    """People who hang on somebody: they keep no foot on the floor, and their height and legs are solved too."""
    grip: float = 1.0
    """Weight of closing the last millimetres, relative to the solver's own."""
    limbs: bool = False
    """Whether the legs of everybody may move a little too."""
    still: tuple[tuple[int, tuple[Side, ...]], ...] = ()
    """People who stay as they are, and the sides on which their arms may move all the same."""
    seated: tuple[tuple[int, ...], ...] = ()
    """Groups of people who share a seat."""


def palm_frame(landmarks: Float[Tensor, "L 3"], side: Side) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"]]:
    """A point in the middle of the palm's bones and the unit normal that points out of the palm."""
    root, index, middle, little = (landmarks[LANDMARK_INDEX[f"{side}_{n}"]] for n in ("hand_root", "index1", "middle1", "pinky1"))
    normal = torch.nn.functional.normalize(torch.linalg.cross(index - root, little - root), dim=-1)
    return 0.3 * root + 0.7 * (index + middle + little) / 3, normal if side == "right" else -normal


def region_vertices(body: BodyModel, *names: str) -> Int[Tensor, "n"]:
    """Vertices of the named regions, outer skin only."""
    wanted = torch.tensor([body.region_names.index(n) for n in names])
    inner = torch.tensor([body.part_names.index(n) for n in body.part_names if "cavity" in n or n == "tongue" or "eye" in n])
    return (torch.isin(body.regions, wanted) & ~torch.isin(body.parts, inner)).nonzero()[:, 0]


def palm_vertices(
    body: BodyModel, vertices: Float[Tensor, "V 3"], normals: Float[Tensor, "V 3"], landmarks: Float[Tensor, "L 3"], side: Side
) -> Tensor:
    """Vertices of the palm's skin: within 4.5 cm of its middle and facing as it does (any pose)."""
    centre, normal = palm_frame(landmarks, side)
    rows = region_vertices(body, f"{side}_hand")
    near = (vertices[rows] - centre).norm(dim=-1) < 0.045
    return rows[near & (normals[rows] @ normal > 0.6)]


def surface_point(vertices: Float[Tensor, "V 3"], normals: Float[Tensor, "V 3"], rows: Tensor, start: Tensor, direction: Tensor) -> int:
    """The vertex among ``rows`` nearest to the ray from ``start``, of those whose normal leans towards the ray's direction."""
    direction = torch.nn.functional.normalize(direction, dim=0)
    offset = vertices[rows] - start
    along = offset @ direction
    distance = (offset - along[:, None] * direction).norm(dim=-1)
    distance = torch.where(normals[rows] @ direction > 0.35, distance, torch.inf)
    return int(rows[distance.argmin()])
