"""MakeHuman clothes files (``.mhclo``): how each vertex of a garment hangs on the vertices of the base mesh."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huddle3d.errors import InputError
from huddle3d.io.limits import MAX_JSON_BYTES, MAX_VERTICES, display_name, read_regular_file, require_budget

__all__ = ["ClothesFile", "read_mhclo"]

_STEP = "Copy the asset again from its source."


@dataclass(frozen=True)
class ClothesFile:
    """One parsed file. Indices are rows of the base mesh; its lengths are decimetres, y up, facing +z."""

    name: str
    """As the file calls it."""
    obj_file: str
    """Name of the mesh beside the file; never with a folder part."""
    layer: int
    """``z_depth``: greater lies outside."""
    scale: tuple[tuple[int, int, float] | None, ...]
    """For x, y, z: two base vertices and the length that their distance along this axis stands for; None for no scaling."""
    rows: NDArray[np.int64]
    """(N, 3) base vertices of each vertex of the garment, in the order of its OBJ file."""
    weights: NDArray[np.float64]
    """(N, 3) their weights; sum 1, may be negative."""
    offsets: NDArray[np.float64]
    """(N, 3) added after scaling [dm]."""
    single: NDArray[np.bool_]
    """(N,) vertices that are one base vertex."""
    hides: NDArray[np.int64]
    """(D,) base vertices that the garment covers."""


def read_mhclo(path: str | os.PathLike[str], *, base_vertices: int) -> ClothesFile:
    """Read a clothes file.

    Args:
        path: the file.
        base_vertices: size of the base mesh; greater indices are refused.

    Raises:
        InputError: damaged, without vertices, an index out of range, or a mesh name that leaves the folder.
        ResourceLimitError: over budget.
    """
    path = Path(path)
    name = display_name(path)
    text = read_regular_file(path, MAX_JSON_BYTES).decode("utf-8", "replace")
    parsed = _Parsed(path.stem)
    for number, line in enumerate(text.splitlines(), 1):
        try:
            parsed.add(line.split())
        except (ValueError, IndexError, OverflowError) as e:
            raise InputError(f"{name}: line {number} cannot be read.", why=f"{e}.", next_step=_STEP) from e
        require_budget(path, "vertices", max(len(parsed.rows), len(parsed.hides)), MAX_VERTICES)
    if not parsed.rows or not parsed.obj_file:
        raise InputError(f"{name}: not a whole clothes file.", why="It names no mesh or has no vertex lines.", next_step=_STEP)
    if parsed.obj_file in (".", "..") or any(c in parsed.obj_file for c in "/\\\0"):
        raise InputError(f"{name}: refused.", why=f"Its mesh '{display_name(parsed.obj_file[:80])}' is not beside it.", next_step=_STEP)
    rows, hides = np.array(parsed.rows, np.int64), np.array(sorted(parsed.hides), np.int64)
    used = np.concatenate([rows.reshape(-1), hides, *(np.array(s[:2], np.int64) for s in parsed.scale if s)])
    if used.min() < 0 or used.max() >= base_vertices:
        raise InputError(f"{name}: it refers to vertices outside the base mesh.", why=f"The base mesh has {base_vertices} vertices.", next_step=_STEP)
    weights, offsets = np.array(parsed.weights, np.float64), np.array(parsed.offsets, np.float64)
    if not (np.isfinite(weights).all() and np.isfinite(offsets).all()):
        raise InputError(f"{name}: weights or offsets are not finite.", next_step=_STEP)
    return ClothesFile(parsed.name, parsed.obj_file, parsed.layer, tuple(parsed.scale), rows, weights, offsets, np.array(parsed.single), hides)


class _Parsed:
    """What was read so far. A key does not end the list of vertices: real files put keys between ``verts 0`` and the first number."""

    def __init__(self, name: str) -> None:
        self.name, self.obj_file, self.layer = name, "", 50
        self.scale: list[tuple[int, int, float] | None] = [None, None, None]
        self.rows: list[list[int]] = []
        self.weights: list[list[float]] = []
        self.offsets: list[list[float]] = []
        self.single: list[bool] = []
        self.hides: set[int] = set()
        self.section = ""

    def add(self, words: list[str]) -> None:
        """Take one line; ValueError or IndexError if it is damaged."""
        if not words or words[0].startswith("#"):
            return
        key = words[0]
        if key in ("verts", "delete_verts"):
            self.section = key
            words = words[1:] if key == "delete_verts" else []
            key = words[0] if words else ""
        if key in ("name", "obj_file"):
            setattr(self, key, " ".join(words[1:]))
        elif key == "z_depth":
            self.layer = int(words[1])
        elif key in ("x_scale", "y_scale", "z_scale"):
            length = float(words[3])
            if not (math.isfinite(length) and length > 0):
                raise ValueError("a scale needs a positive length")
            self.scale["xyz".index(key[0])] = (int(words[1]), int(words[2]), length)
        elif key[:1].isdigit() and self.section == "verts":
            self._add_vertex(words)
        elif key[:1].isdigit() and self.section == "delete_verts":
            self._add_hidden(words)

    def _add_vertex(self, words: list[str]) -> None:
        if len(words) == 1:
            self.rows.append([int(words[0])] * 3)
            self.weights.append([1.0, 0.0, 0.0])
            self.offsets.append([0.0, 0.0, 0.0])
        elif len(words) >= 9:
            self.rows.append([int(w) for w in words[:3]])
            self.weights.append([float(w) for w in words[3:6]])
            self.offsets.append([float(w) for w in words[6:9]])
        else:
            raise ValueError("a vertex line has one or nine numbers")
        self.single.append(len(words) == 1)

    def _add_hidden(self, words: list[str]) -> None:
        k = 0
        while k < len(words):
            first = last = int(words[k])
            if k + 2 < len(words) and words[k + 1] == "-":
                last, k = int(words[k + 2]), k + 2
            if last - first > 10_000_000:
                raise ValueError("the range is too long")
            self.hides.update(range(first, last + 1))
            k += 1
