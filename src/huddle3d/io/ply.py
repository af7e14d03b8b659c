"""PLY meshes: binary little endian out; binary (either order) and ASCII in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huddle3d.errors import InputError
from huddle3d.io.files import write_bytes
from huddle3d.io.limits import MAX_FACES, MAX_MESH_BYTES, MAX_VERTICES, display_name, read_regular_file, require_budget
from huddle3d.io.mesh_data import MeshData, mesh_from_file

__all__ = ["read_ply", "write_ply"]

_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4", "double": "f8",
    "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8",
}  # fmt: skip
_MAX_HEADER = 64 * 1024


def write_ply(path: str | os.PathLike[str], mesh: MeshData, *, overwrite: bool = False) -> None:
    """Write a binary little-endian PLY file with vertex colours if there are any; PLY has no standard place for a texture."""
    fields = [("x", "<f4"), ("y", "<f4"), ("z", "<f4")]
    if mesh.colours is not None:
        fields += [("red", "u1"), ("green", "u1"), ("blue", "u1")]
    rows = np.zeros(len(mesh.vertices), np.dtype(fields))
    for k, axis in enumerate("xyz"):
        rows[axis] = mesh.vertices[:, k]
    if mesh.colours is not None:
        for k, channel in enumerate(("red", "green", "blue")):
            rows[channel] = mesh.colours[:, k]
    faces = np.zeros(len(mesh.faces), np.dtype([("count", "u1"), ("corners", "<i4", (3,))]))
    faces["count"], faces["corners"] = 3, mesh.faces
    names = {"<f4": "float", "u1": "uchar"}
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows)}"]
    header += [f"property {names[kind]} {field}" for field, kind in fields]
    header += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header", ""]
    write_bytes(path, "\n".join(header).encode("ascii") + rows.tobytes() + faces.tobytes(), overwrite=overwrite)


def read_ply(path: str | os.PathLike[str]) -> MeshData:
    """The mesh of a PLY file with its vertex colours; polygons are cut into fans, other elements and properties are ignored.

    Raises:
        InputError: damaged, truncated, no faces, counts that are negative or do not fit the file's size.
        ResourceLimitError: over budget.
    """
    name = display_name(path)
    data = read_regular_file(path, MAX_MESH_BYTES)
    try:
        order, elements, body = _header(data)
        require_budget(path, "vertices", elements["vertex"].count, MAX_VERTICES)
        require_budget(path, "faces", elements["face"].count, MAX_FACES)
        tables = _ascii_tables(body, elements) if order == "ascii" else _binary_tables(body, elements, order)
        columns, lists = tables["vertex"].columns, tables["face"].lists
        vertices = np.stack([columns[axis] for axis in "xyz"], -1).astype(np.float32)
        faces = _triangles(lists["vertex_indices"] if "vertex_indices" in lists else lists["vertex_index"])
        colours = np.stack([columns[c] for c in ("red", "green", "blue")], -1).astype(np.uint8) if "red" in columns else None
    except (KeyError, IndexError) as e:
        raise InputError(f"{name}: not a PLY mesh.", why=f"It lacks {e}, or uses it in an unknown way.") from e
    except (ValueError, OverflowError) as e:
        raise InputError(f"{name}: damaged PLY file.", why=f"{e}.", next_step="Export the mesh again.") from e
    return mesh_from_file(path, Path(path).stem, vertices, faces, colours=colours)


@dataclass
class _Element:
    count: int
    properties: list[tuple[str, str, str | None]]
    """(name, numpy type, numpy type of the count if it is a list)."""


@dataclass
class _Table:
    columns: dict[str, NDArray[np.generic]]
    lists: dict[str, list[NDArray[np.int64]]]


def _header(data: bytes) -> tuple[str, dict[str, _Element], bytes]:
    end = data.find(b"end_header", 0, _MAX_HEADER)
    stop = data.find(b"\n", end) + 1
    if not data.startswith(b"ply") or end < 0 or stop == 0:
        raise ValueError("the PLY header is missing")
    order, elements = "", dict[str, _Element]()
    current = _Element(0, [])
    for line in data[:end].decode("ascii").splitlines()[1:]:
        words = line.split()
        if words[:1] == ["format"]:
            order = {"ascii": "ascii", "binary_little_endian": "<", "binary_big_endian": ">"}[words[1]]
        elif words[:1] == ["element"]:
            current = elements[words[1]] = _Element(int(words[2]), [])
            # Every row takes at least one byte, so a count beyond the file's size is a lie and nothing is allocated for it.
            if not 0 <= current.count <= len(data):
                raise ValueError(f"{current.count} rows of '{words[1]}' do not fit {len(data):,} bytes")
        elif words[:2] == ["property", "list"]:
            current.properties.append((words[4], _TYPES[words[3]], _TYPES[words[2]]))
        elif words[:1] == ["property"]:
            current.properties.append((words[2], _TYPES[words[1]], None))
    return order, elements, data[stop:]


def _binary_tables(body: bytes, elements: dict[str, _Element], order: str) -> dict[str, _Table]:
    tables, offset = dict[str, _Table](), 0
    for key, element in elements.items():
        if any(count for _, _, count in element.properties):
            tables[key], offset = _binary_lists(body, offset, element, order)
            continue
        dtype = np.dtype([(name, order + kind) for name, kind, _ in element.properties])
        if offset + dtype.itemsize * element.count > len(body):
            raise ValueError(f"the file ends inside '{key}'")
        rows = np.frombuffer(body, dtype, element.count, offset)
        tables[key] = _Table({name: rows[name] for name, _, _ in element.properties}, {})
        offset += dtype.itemsize * element.count
    return tables


def _binary_lists(body: bytes, offset: int, element: _Element, order: str) -> tuple[_Table, int]:
    """Rows with lists: read as a plain array if all lists turn out to have the first row's length, else row by row."""
    if element.count == 0:
        return _Table({}, {name: [] for name, _, count in element.properties if count}), offset
    lengths: list[int] = []
    position = offset
    for _, kind, count in element.properties:
        length = int(np.frombuffer(body, order + count, 1, position)[0]) if count else 1
        lengths.append(length)
        position += (np.dtype(count).itemsize if count else 0) + max(length, 0) * np.dtype(kind).itemsize
    fields: list[tuple[str, str] | tuple[str, str, tuple[int]]] = []
    for k, ((_, kind, count), length) in enumerate(zip(element.properties, lengths, strict=True)):
        fields += [(f"n{k}", order + count)] if count else []
        fields += [(f"v{k}", order + kind, (max(length, 0),))]
    dtype = np.dtype(fields)
    lists = [k for k, (_, _, count) in enumerate(element.properties) if count]
    if offset + dtype.itemsize * element.count <= len(body):
        rows = np.frombuffer(body, dtype, element.count, offset)
        if all((rows[f"n{k}"] == lengths[k]).all() for k in lists):
            return _Table({}, {element.properties[k][0]: list(rows[f"v{k}"].astype(np.int64)) for k in lists}), offset + rows.nbytes
    return _uneven_lists(body, offset, element, order)


def _uneven_lists(body: bytes, offset: int, element: _Element, order: str) -> tuple[_Table, int]:
    lists = {name: list[NDArray[np.int64]]() for name, _, count in element.properties if count}
    for _ in range(element.count):
        for name, kind, count in element.properties:
            length = int(np.frombuffer(body, order + count, 1, offset)[0]) if count else 1
            offset += np.dtype(count).itemsize if count else 0
            if length < 0:
                raise ValueError("a list has a negative length")
            values = np.frombuffer(body, order + kind, length, offset)
            offset += values.nbytes
            if count:
                lists[name].append(values.astype(np.int64))
    return _Table({}, lists), offset


def _ascii_tables(body: bytes, elements: dict[str, _Element]) -> dict[str, _Table]:
    words = iter(body.decode("ascii").split())
    tables = dict[str, _Table]()
    for key, element in elements.items():
        columns = {name: list[float]() for name, _, count in element.properties if not count}
        lists = {name: list[NDArray[np.int64]]() for name, _, count in element.properties if count}
        for _ in range(element.count):
            for name, _, count in element.properties:
                if count:
                    lists[name].append(np.array([int(_next(words)) for _ in range(_length(words))], np.int64))
                else:
                    columns[name].append(float(_next(words)))
        tables[key] = _Table({name: np.array(values) for name, values in columns.items()}, lists)
    return tables


def _length(words: Iterator[str]) -> int:
    length = int(_next(words))
    if length < 0:
        raise ValueError("a list has a negative length")
    return length


def _next(words: Iterator[str]) -> str:
    word = next(words, None)
    if word is None:
        raise ValueError("the file ends too early")
    return word


def _triangles(polygons: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    if not polygons:
        raise KeyError("faces")
    if all(len(p) == 3 for p in polygons):
        return np.stack(polygons)
    fans = [np.stack([np.repeat(p[0], len(p) - 2), p[1:-1], p[2:]], -1) for p in polygons if len(p) >= 3]
    return np.concatenate(fans) if fans else np.zeros((0, 3), np.int64)
