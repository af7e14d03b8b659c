"""Checks of meshes and points at the room's public edge; a kernel that reads a wrong index would crash the process."""

from __future__ import annotations

from torch import Tensor

from huddle3d.errors import InputError, ShapeError

__all__ = ["MOST_FACES", "check_faces", "check_points", "check_vertices"]

MOST_FACES = 1 << 24
"""The kernels hand face numbers over as 32-bit floats, which are exact up to here."""


def check_points(points: Tensor, name: str = "points") -> None:
    """``(N, 3)``, floating, finite; N may be 0."""
    if points.ndim != 2 or points.shape[1] != 3:
        raise ShapeError(name, points.shape, ("N", 3))
    if not points.is_floating_point():
        raise InputError(f"{name} has type {points.dtype}, expected a floating type.")
    if not bool(points.detach().isfinite().all()):
        raise InputError(f"{name} holds NaN or infinite coordinates.", next_step="Check the step that made them.")


def check_vertices(vertices: Tensor) -> None:
    """Like :func:`check_points`, with at least one row."""
    check_points(vertices, "vertices")
    if len(vertices) == 0:
        raise InputError("The mesh has no vertices.")


def check_faces(faces: Tensor, num_vertices: int) -> None:
    """``(F, 3)``, integer, at least one face and at most ``MOST_FACES``, indices within the vertices."""
    if faces.ndim != 2 or faces.shape[1] != 3:
        raise ShapeError("faces", faces.shape, ("F", 3))
    if faces.is_floating_point():
        raise InputError(f"faces has type {faces.dtype}, expected an integer type.")
    if len(faces) == 0:
        raise InputError("The mesh has no faces.", why="A distance to nothing is undefined.")
    if len(faces) > MOST_FACES:
        raise InputError(f"The mesh has {len(faces)} faces; at most {MOST_FACES} are supported.", next_step="Decimate it first.")
    low, high = int(faces.min()), int(faces.max())
    if low < 0 or high >= num_vertices:
        raise InputError(f"faces refer to vertices {low} … {high}, but the mesh has {num_vertices}.")
