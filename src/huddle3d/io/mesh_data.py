"""A mesh as files hold it: numpy arrays, checked once when it is made."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huddle3d.errors import HuddleError, InputError, ShapeError
from huddle3d.io.limits import display_name

__all__ = ["MeshData", "corner_normals", "corner_split", "mesh_from_file"]


@dataclass(frozen=True)
class MeshData:
    """One named triangle mesh with an optional texture or vertex colours.

    Frame: y up, metres, right-handed; counter-clockwise faces point outwards. All arrays are checked on construction:
    shapes, types, index ranges, and that every number is finite.
    """

    name: str
    """Name of the node, object or group."""
    vertices: NDArray[np.float32]
    """(V, 3) [m]."""
    faces: NDArray[np.integer]
    """(F, 3) rows of ``vertices``."""
    uv: NDArray[np.float32] | None = None
    """(T, 2) texture coordinates, v up: (0, 0) is the lower left corner of the texture."""
    faces_uv: NDArray[np.integer] | None = None
    """(F, 3) rows of ``uv`` at each face corner; given if and only if ``uv`` is."""
    texture: NDArray[np.uint8] | None = None
    """(height, width, 3) sRGB, first row = top (v = 1); needs ``uv``."""
    colours: NDArray[np.uint8] | None = None
    """(V, 3) sRGB vertex colours."""

    def __post_init__(self) -> None:
        self._check("vertices", self.vertices, ("V", 3), np.floating)
        self._check("faces", self.faces, ("F", 3), np.integer)
        self._check_range("faces", self.faces, len(self.vertices))
        if (self.uv is None) != (self.faces_uv is None):
            raise InputError(f"Mesh '{self.name}': uv and faces_uv must be given together.")
        if self.uv is not None and self.faces_uv is not None:
            self._check("uv", self.uv, ("T", 2), np.floating)
            self._check("faces_uv", self.faces_uv, (len(self.faces), 3), np.integer)
            self._check_range("faces_uv", self.faces_uv, len(self.uv))
        if self.texture is not None:
            self._check("texture", self.texture, ("height", "width", 3), np.uint8)
            if self.uv is None or self.texture.size == 0:
                raise InputError(f"Mesh '{self.name}': a texture needs pixels and texture coordinates.")
        if self.colours is not None:
            self._check("colours", self.colours, (len(self.vertices), 3), np.uint8)

    def _check(self, name: str, array: NDArray[np.generic], shape: tuple[int | str, ...], kind: type[np.generic]) -> None:
        if array.ndim != len(shape) or any(isinstance(e, int) and a != e for a, e in zip(array.shape, shape, strict=True)):
            raise ShapeError(f"{name} of mesh '{self.name}'", array.shape, shape)
        if not np.issubdtype(array.dtype, kind):
            raise InputError(f"Mesh '{self.name}': {name} has type {array.dtype}, expected {kind.__name__}.")
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            raise InputError(f"Mesh '{self.name}': {name} holds NaN or infinite values.")

    def _check_range(self, name: str, index: NDArray[np.integer], count: int) -> None:
        if index.size and (index.min() < 0 or index.max() >= count):
            raise InputError(f"Mesh '{self.name}': {name} points outside its {count} rows.", why=f"Range {index.min()} … {index.max()}.")


def mesh_from_file(path: str | os.PathLike[str], *arrays: Any, **more: Any) -> MeshData:
    """:class:`MeshData` of these arguments; what is wrong with it is told as a fault of the file."""
    try:
        return MeshData(*arrays, **more)
    except HuddleError as e:
        raise InputError(f"{display_name(path)}: the mesh in this file cannot be used.", why=str(e), next_step="Export the mesh again.") from e


def corner_split(mesh: MeshData) -> tuple[NDArray[np.int64], NDArray[np.int64] | None, NDArray[np.int64]]:
    """One index per corner, for formats that index position and texture together: each distinct (vertex, uv) pair becomes one row.

    Returns:
        vertex (N,) and uv (N,) rows of each pair (uv is None without texture coordinates), and the faces (F, 3) over the pairs. Pairs
        are sorted, so the split is deterministic. Vertices that no face uses are dropped where there are texture coordinates.
    """
    if mesh.faces_uv is None:
        return np.arange(len(mesh.vertices)), None, mesh.faces.astype(np.int64)
    pairs = np.stack([mesh.faces.reshape(-1), mesh.faces_uv.reshape(-1)], -1).astype(np.int64)
    unique, inverse = np.unique(pairs, axis=0, return_inverse=True)
    return unique[:, 0], unique[:, 1], inverse.reshape(-1, 3)


def corner_normals(mesh: MeshData) -> NDArray[np.float32]:
    """(V, 3) unit vertex normals, area-weighted; +y where a vertex has no face of positive area (glTF forbids zero normals)."""
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    scaled = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros((len(mesh.vertices), 3))
    for k in range(3):
        np.add.at(normals, mesh.faces[:, k], scaled)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    flat = length[:, 0] < 1e-20
    normals = normals / np.where(length < 1e-20, 1.0, length)
    normals[flat] = (0.0, 1.0, 0.0)
    return normals.astype(np.float32)
