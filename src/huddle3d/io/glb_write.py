"""GLB (binary glTF 2.0) out: one named node per mesh, textures embedded, nothing left to a viewer's defaults."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from huddle3d import __version__
from huddle3d.errors import InputError
from huddle3d.io.files import write_bytes
from huddle3d.io.images import encode_image
from huddle3d.io.limits import display_name
from huddle3d.io.mesh_data import MeshData, corner_normals, corner_split

__all__ = ["encode_glb", "srgb_from_linear", "linear_from_srgb", "write_glb"]

_FLOAT, _UINT32, _UINT16 = 5126, 5125, 5123
_VERTEX_BUFFER, _INDEX_BUFFER = 34962, 34963
_LINEAR, _LINEAR_MIPMAP_LINEAR, _CLAMP = 9729, 9987, 33071


def write_glb(
    path: str | os.PathLike[str], meshes: Sequence[MeshData], *, overwrite: bool = False, texture_format: Literal["png", "jpeg"] = "png"
) -> None:
    """Write meshes as one scene; complete or absent, and the same meshes give the same bytes.

    Each mesh becomes one node of its name in one common frame (y up, metres) with vertex normals and an opaque, matt, one-sided PBR
    material: its texture if it has one, else its vertex colours, else plain grey. glTF's texture origin is the upper left, so v is flipped.

    Args:
        path: the file.
        meshes: at least one, with distinct names and at least one face each.
        overwrite: replace an existing file.
        texture_format: lossless ``"png"``, or ``"jpeg"`` for smaller files.
    """
    try:
        data = encode_glb(meshes, texture_format=texture_format)
    except InputError as e:
        raise InputError(f"{display_name(path)}: {e.what}", why=e.why, next_step=e.next_step) from e
    write_bytes(path, data, overwrite=overwrite)


def encode_glb(meshes: Sequence[MeshData], *, texture_format: Literal["png", "jpeg"] = "png") -> bytes:
    """The bytes of :func:`write_glb`."""
    names = [mesh.name for mesh in meshes]
    if not meshes or any(len(mesh.faces) == 0 for mesh in meshes):
        raise InputError("A GLB file needs at least one mesh, and each mesh at least one face.")
    if len(set(names)) != len(names):
        raise InputError("Two meshes of one GLB file have the same name.", why=f"Names: {', '.join(names)}.")
    builder = _Builder()
    for mesh in meshes:
        builder.add_mesh(mesh, texture_format)
    return builder.bytes()


def linear_from_srgb(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Linear light of sRGB values in [0, 1] (IEC 61966-2-1); glTF stores vertex colours linearly."""
    v = np.asarray(values, dtype=np.float64)
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Inverse of :func:`linear_from_srgb`."""
    v = np.asarray(values, dtype=np.float64)
    return np.where(v <= 0.0031308, v * 12.92, 1.055 * np.maximum(v, 0.0) ** (1 / 2.4) - 0.055)


class _Builder:
    """Collects the JSON document and its one binary buffer."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.size = 0
        self.document: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": f"huddle3d {__version__}"},
            "scene": 0,
            "scenes": [{"nodes": []}],
            "nodes": [],
            "meshes": [],
            "materials": [],
            "accessors": [],
            "bufferViews": [],
        }

    def add_mesh(self, mesh: MeshData, texture_format: Literal["png", "jpeg"]) -> None:
        """One node, one mesh, one primitive, one material."""
        document = self.document
        vertex, uv_row, faces = corner_split(mesh)
        attributes = {
            "POSITION": self._accessor(mesh.vertices[vertex].astype("<f4"), "VEC3", _FLOAT, bounds=True),
            "NORMAL": self._accessor(corner_normals(mesh)[vertex].astype("<f4"), "VEC3", _FLOAT),
        }
        if mesh.uv is not None and uv_row is not None:
            flipped = mesh.uv[uv_row].astype(np.float64) * (1, -1) + (0, 1)
            attributes["TEXCOORD_0"] = self._accessor(flipped.astype("<f4"), "VEC2", _FLOAT)
        if mesh.colours is not None and mesh.texture is None:  # with a texture, a viewer would multiply the two
            linear = np.round(linear_from_srgb(mesh.colours[vertex] / 255) * 65535).astype("<u2")
            rgba = np.concatenate([linear, np.full((len(linear), 1), 65535, "<u2")], 1)
            attributes["COLOR_0"] = self._accessor(rgba, "VEC4", _UINT16, normalized=True)
        indices = self._accessor(faces.reshape(-1).astype("<u4"), "SCALAR", _UINT32, target=_INDEX_BUFFER)
        primitive = {"attributes": attributes, "indices": indices, "material": self._material(mesh, texture_format), "mode": 4}
        document["scenes"][0]["nodes"].append(len(document["nodes"]))
        document["nodes"].append({"name": mesh.name, "mesh": len(document["meshes"])})
        document["meshes"].append({"name": mesh.name, "primitives": [primitive]})

    def bytes(self) -> bytes:
        """Header, JSON chunk (padded with spaces), binary chunk (padded with zeros)."""
        self.document["buffers"] = [{"byteLength": self.size}]
        text = json.dumps(self.document, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 4)
        binary = b"".join(self.chunks)
        total = 12 + 8 + len(text) + 8 + len(binary)
        head = struct.pack("<4sII", b"glTF", 2, total)
        return head + struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\x00") + binary

    def _view(self, data: bytes, target: int | None = None) -> int:
        view: dict[str, int] = {"buffer": 0, "byteOffset": self.size, "byteLength": len(data)}
        if target is not None:
            view["target"] = target
        padded = data + b"\x00" * (-len(data) % 4)  # each view starts at a multiple of 4, as accessors of 4-byte numbers must
        self.chunks.append(padded)
        self.size += len(padded)
        self.document["bufferViews"].append(view)
        return len(self.document["bufferViews"]) - 1

    def _accessor(
        self,
        array: NDArray[Any],
        type: str,
        component: int,
        *,
        target: int = _VERTEX_BUFFER,
        normalized: bool = False,
        bounds: bool = False,
    ) -> int:
        accessor: dict[str, Any] = {
            "bufferView": self._view(np.ascontiguousarray(array).tobytes(), target),
            "componentType": component,
            "count": len(array),
            "type": type,
        }
        if normalized:
            accessor["normalized"] = True
        if bounds:
            accessor["min"], accessor["max"] = array.min(0).tolist(), array.max(0).tolist()
        self.document["accessors"].append(accessor)
        return len(self.document["accessors"]) - 1

    def _material(self, mesh: MeshData, texture_format: Literal["png", "jpeg"]) -> int:
        grey = [0.6, 0.6, 0.6, 1.0] if mesh.texture is None and mesh.colours is None else [1.0, 1.0, 1.0, 1.0]
        surface: dict[str, Any] = {"baseColorFactor": grey, "metallicFactor": 0.0, "roughnessFactor": 0.9}
        if mesh.texture is not None:
            surface["baseColorTexture"] = {"index": self._texture(mesh.name, mesh.texture, texture_format)}
        material = {"name": mesh.name, "pbrMetallicRoughness": surface, "doubleSided": False, "alphaMode": "OPAQUE"}
        self.document["materials"].append(material)
        return len(self.document["materials"]) - 1

    def _texture(self, name: str, pixels: NDArray[np.uint8], format: Literal["png", "jpeg"]) -> int:
        document = self.document
        images, textures = document.setdefault("images", []), document.setdefault("textures", [])
        document.setdefault("samplers", [{"magFilter": _LINEAR, "minFilter": _LINEAR_MIPMAP_LINEAR, "wrapS": _CLAMP, "wrapT": _CLAMP}])
        images.append({"name": name, "mimeType": f"image/{format}", "bufferView": self._view(encode_image(pixels, format, quality=95))})
        textures.append({"sampler": 0, "source": len(images) - 1})
        return len(textures) - 1
