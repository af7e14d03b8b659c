"""Wavefront OBJ with its material and texture files, in and out."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from huddle3d.errors import InputError
from huddle3d.io.files import atomic_file, safe_name, write_bytes
from huddle3d.io.images import encode_image, read_image
from huddle3d.io.limits import (
    MAX_FACES,
    MAX_JSON_BYTES,
    MAX_MESH_BYTES,
    MAX_TEXTURE_PIXELS,
    MAX_VERTICES,
    display_name,
    read_regular_file,
    require_budget,
)
from huddle3d.io.mesh_data import MeshData, mesh_from_file

__all__ = ["read_obj", "write_obj"]


def write_obj(path: str | os.PathLike[str], mesh: MeshData, *, overwrite: bool = False) -> None:
    """Write ``NAME.obj`` and, for a textured mesh, ``NAME.mtl`` and ``NAME.png`` beside it.

    The OBJ file is published last, so that a reader that finds it finds its companions; their names hold no blanks, which many readers
    of ``mtllib`` do not understand. Vertex colours follow the coordinates (``v x y z r g b``, a common extension). Micrometre precision.
    """
    path = Path(path)
    stem = re.sub(r"\s", "_", safe_name(path.stem))
    label = re.sub(r"\s", "_", safe_name(mesh.name))
    lines = [f"o {label}"]
    with atomic_file(path, overwrite=overwrite) as tmp:
        if mesh.texture is not None:
            write_bytes(path.with_name(f"{stem}.png"), encode_image(mesh.texture), overwrite=overwrite)
            material = f"newmtl {label}\nKa 0 0 0\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {stem}.png\n"
            write_bytes(path.with_name(f"{stem}.mtl"), material.encode(), overwrite=overwrite)
            lines = [f"mtllib {stem}.mtl", *lines, f"usemtl {label}"]
        lines += _vertex_lines(mesh)
        if mesh.uv is not None:
            lines += [f"vt {u:.6f} {v:.6f}" for u, v in mesh.uv.tolist()]
        lines += _face_lines(mesh)
        tmp.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _vertex_lines(mesh: MeshData) -> list[str]:
    if mesh.colours is None or mesh.texture is not None:
        return [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in mesh.vertices.tolist()]
    rows = zip(mesh.vertices.tolist(), (mesh.colours / 255).tolist(), strict=True)
    return [f"v {x:.6f} {y:.6f} {z:.6f} {r:.4f} {g:.4f} {b:.4f}" for (x, y, z), (r, g, b) in rows]


def _face_lines(mesh: MeshData) -> list[str]:
    faces = (mesh.faces + 1).tolist()
    if mesh.faces_uv is None:
        return [f"f {a} {b} {c}" for a, b, c in faces]
    return [f"f {a}/{i} {b}/{j} {c}/{k}" for (a, b, c), (i, j, k) in zip(faces, (mesh.faces_uv + 1).tolist(), strict=True)]


def read_obj(path: str | os.PathLike[str]) -> MeshData:
    """The whole file as one mesh; polygons are cut into fans.

    The first ``mtllib`` and its first ``map_Kd`` are followed only to plain files in the same folder: a name with a folder part, an
    absolute path or a link that leaves the folder is refused. Mixed files (some faces without texture coordinates) lose them.

    Raises:
        InputError: damaged, empty, an index out of range, a path that leaves the folder.
        ResourceLimitError: over budget.
    """
    path = Path(path)
    name = display_name(path)
    text = read_regular_file(path, MAX_MESH_BYTES).decode("utf-8", "replace")
    parsed = _Parsed(name)
    for number, line in enumerate(text.splitlines(), 1):
        try:
            parsed.add(line)
        except (ValueError, IndexError) as e:
            raise InputError(f"{name}: line {number} cannot be read.", why=f"{e}.", next_step="Export the mesh again.") from e
    if not parsed.faces:
        raise InputError(f"{name}: no faces found.", next_step="Give an OBJ file with triangles or polygons.")
    has_uv = bool(parsed.uv) and all(k is not None for corner in parsed.faces_uv for k in corner)
    texture = _texture(path, parsed.library) if has_uv and parsed.library else None
    has_colours = parsed.colours and len(parsed.colours) == len(parsed.vertices) and texture is None
    return mesh_from_file(
        path,
        parsed.label or path.stem,
        np.array(parsed.vertices, np.float64).reshape(-1, 3).astype(np.float32),
        np.array(parsed.faces, np.int64),
        np.array(parsed.uv, np.float64).astype(np.float32) if has_uv else None,
        np.array(parsed.faces_uv, np.int64) if has_uv else None,
        texture,
        (np.clip(np.array(parsed.colours), 0, 1) * 255 + 0.5).astype(np.uint8) if has_colours else None,
    )


class _Parsed:
    """Rows of one OBJ file as they come."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.label = ""
        self.library = ""
        self.vertices: list[list[float]] = []
        self.colours: list[list[float]] = []
        self.uv: list[list[float]] = []
        self.faces: list[list[int]] = []
        self.faces_uv: list[list[int | None]] = []

    def add(self, line: str) -> None:
        """Take one line; ValueError or IndexError if it is damaged."""
        key, rest = (*line.strip().split(None, 1), "", "")[:2]
        if key == "v":
            numbers = [float(x) for x in rest.split()]
            if len(numbers) < 3:
                raise ValueError("a vertex needs three coordinates")
            self.vertices.append(numbers[:3])
            if len(numbers) >= 6:
                self.colours.append(numbers[3:6])
            require_budget(self.name, "vertices", len(self.vertices), MAX_VERTICES)
        elif key == "vt":
            u, v = (float(x) for x in rest.split()[:2])
            self.uv.append([u, v])
            require_budget(self.name, "texture coordinates", len(self.uv), MAX_VERTICES)
        elif key == "f":
            self._add_face(rest.split())
        elif key == "mtllib" and not self.library:
            self.library = rest.strip()
        elif key in ("o", "g") and not self.label:
            self.label = rest.strip()

    def _add_face(self, corners: list[str]) -> None:
        if len(corners) < 3:
            raise ValueError("a face needs three corners")
        parts = [corner.split("/") for corner in corners]
        rows = [_row(p[0], len(self.vertices)) for p in parts]
        rows_uv = [_row(p[1], len(self.uv)) if len(p) > 1 and p[1] else None for p in parts]
        for k in range(1, len(corners) - 1):
            self.faces.append([rows[0], rows[k], rows[k + 1]])
            self.faces_uv.append([rows_uv[0], rows_uv[k], rows_uv[k + 1]])
        require_budget(self.name, "faces", len(self.faces), MAX_FACES)


def _row(text: str, count: int) -> int:
    """Zero-based row of a one-based or negative (from the end) index."""
    index = int(text)
    row = index - 1 if index > 0 else count + index
    if index == 0 or not 0 <= row < count:
        raise IndexError(f"index {index} points outside the {count} rows so far")
    return row


def _texture(obj: Path, library: str) -> NDArray[np.uint8] | None:
    material = _companion(obj, library)
    text = read_regular_file(material, MAX_JSON_BYTES).decode("utf-8", "replace")
    found = re.search(r"^\s*map_Kd\s+(\S.*?)\s*$", text, re.MULTILINE)
    if found is None:
        return None
    pixels = read_image(_companion(obj, found[1]), max_pixels=MAX_TEXTURE_PIXELS).image
    return (pixels * 255 + 0.5).astype(np.uint8)


def _companion(obj: Path, name: str) -> Path:
    """A file beside the OBJ file; anything else is refused, so that a mesh from outside cannot make us read other files."""
    path = obj.parent / name
    if "/" in name or "\\" in name or name in ("", ".", "..") or path.resolve().parent != obj.parent.resolve():
        why = f"It refers to '{display_name(name[:80])}', which is not beside it."
        raise InputError(f"{display_name(obj)}: refused.", why=why, next_step="Put the file's materials and textures into its own folder.")
    return path
