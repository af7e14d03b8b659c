"""GLB (binary glTF 2.0) in: only what lies inside the file, every offset checked before it is followed."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from huddle3d.errors import InputError
from huddle3d.io._gltf_schema import Gltf, Node, Primitive
from huddle3d.io.glb_write import srgb_from_linear
from huddle3d.io.images import decode_image
from huddle3d.io.json_files import parse_json, validate_json
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

__all__ = ["decode_glb", "read_glb"]

_COMPONENTS = {5120: np.int8, 5121: np.uint8, 5122: np.int16, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_INDEX_COMPONENTS = (5121, 5123, 5125)
_TRIANGLES = 4
_MAX_INSTANCES = 10_000
Item = TypeVar("Item")


def read_glb(path: str | os.PathLike[str], *, weld: bool = True) -> list[MeshData]:
    """All triangle meshes of a GLB file in the scene's frame, one per primitive, named after their nodes.

    Args:
        path: the file. External buffers and images, sparse accessors and required extensions (Draco …) are refused.
        weld: merge rows with exactly equal positions where texture coordinates split them, so that a closed surface is closed again.

    Raises:
        InputError: not a GLB file, damaged, or in need of something that is not supported; nodes that contain themselves.
        ResourceLimitError: more bytes, vertices or faces than the budget.
    """
    return decode_glb(read_regular_file(path, MAX_MESH_BYTES), path, weld=weld)


def decode_glb(data: bytes, source: str | os.PathLike[str], *, weld: bool = True) -> list[MeshData]:
    """:func:`read_glb` for bytes in memory; ``source`` names them in messages."""
    name = display_name(source)
    text, binary = _chunks(data, name)
    require_budget(source, "bytes of JSON", len(text), MAX_JSON_BYTES)
    gltf = validate_json(parse_json(text, source), Gltf, source)
    return _Reader(gltf, binary, name, weld).meshes()


def _chunks(data: bytes, name: str) -> tuple[bytes, bytes]:
    if len(data) < 20 or data[:4] != b"glTF":
        raise InputError(f"{name}: not a GLB file.", next_step="Give a binary glTF 2.0 file.")
    version, total = struct.unpack_from("<II", data, 4)
    if version != 2 or total > len(data):
        raise InputError(f"{name}: damaged GLB file.", why=f"Version {version}; the header says {total:,} bytes, the file has {len(data):,}.")
    found: list[tuple[bytes, bytes]] = []
    offset = 12
    while offset + 8 <= total and len(found) < 2:
        length, kind = struct.unpack_from("<I4s", data, offset)
        if offset + 8 + length > total:
            raise InputError(f"{name}: damaged GLB file.", why=f"A chunk of {length:,} bytes runs over the end.")
        found.append((kind, data[offset + 8 : offset + 8 + length]))
        offset += 8 + length
    if not found or found[0][0] != b"JSON":
        raise InputError(f"{name}: damaged GLB file.", why="The JSON chunk is missing.")
    return found[0][1], found[1][1] if len(found) > 1 and found[1][0] == b"BIN\x00" else b""


@dataclass(frozen=True)
class _Reader:
    gltf: Gltf
    binary: bytes
    name: str
    weld: bool

    def meshes(self) -> list[MeshData]:
        gltf = self.gltf
        if gltf.extensionsRequired:
            self._refuse(f"needs the extensions {', '.join(gltf.extensionsRequired)[:80]}, which are not supported")
        if not gltf.asset.version.startswith("2."):
            self._refuse(f"is of glTF version {gltf.asset.version[:20]}")
        textures: dict[int, NDArray[np.uint8]] = {}
        out: list[MeshData] = []
        total = [0, 0]
        for node, T_scene_node in self._placed_nodes():
            if node.mesh is None:
                continue
            mesh = self._item(gltf.meshes, node.mesh, "meshes")
            for k, primitive in enumerate(mesh.primitives):
                if primitive.mode != _TRIANGLES:
                    continue  # points and lines have no surface
                label = node.name or mesh.name or f"mesh_{node.mesh}"
                found = self._mesh(label if len(mesh.primitives) == 1 else f"{label}.{k}", primitive, T_scene_node, textures)
                total = [total[0] + len(found.vertices), total[1] + len(found.faces)]
                require_budget(self.name, "vertices", total[0], MAX_VERTICES)
                require_budget(self.name, "faces", total[1], MAX_FACES)
                out.append(found)
        if not out:
            self._refuse("holds no triangle mesh")
        return out

    def _placed_nodes(self) -> list[tuple[Node, NDArray[np.float64]]]:
        """Nodes of the scene with ``T_scene_node``; each node may be reached once, so cycles and shared children are refused."""
        gltf = self.gltf
        roots = self._item(gltf.scenes, gltf.scene, "scenes").nodes if gltf.scenes else list(range(len(gltf.nodes)))
        seen: set[int] = set()
        todo = [(index, np.eye(4)) for index in reversed(roots)]
        placed: list[tuple[Node, NDArray[np.float64]]] = []
        while todo:
            index, T_scene_parent = todo.pop()
            if index in seen:
                self._refuse(f"reaches node {index} twice (a cycle, or two parents)")
            seen.add(index)
            require_budget(self.name, "nodes", len(seen), _MAX_INSTANCES)
            node = self._item(gltf.nodes, index, "nodes")
            T = T_scene_parent @ _local_transform(node)
            placed.append((node, T))
            todo += [(child, T) for child in reversed(node.children)]
        return placed

    def _mesh(self, label: str, primitive: Primitive, T: NDArray[np.float64], textures: dict[int, NDArray[np.uint8]]) -> MeshData:
        if "POSITION" not in primitive.attributes:
            self._refuse(f"has no positions in mesh '{label[:80]}'")
        positions = self._accessor(primitive.attributes["POSITION"], "VEC3")
        vertices = (positions @ T[:3, :3].T + T[:3, 3]).astype(np.float32)
        count = len(vertices)
        corners = np.arange(count) if primitive.indices is None else self._indices(primitive.indices)
        if len(corners) % 3 or len(corners) == 0 or corners.max() >= count:
            self._refuse(f"has broken indices in mesh '{label[:80]}'")
        faces = corners.reshape(-1, 3)
        if np.linalg.det(T[:3, :3]) < 0:  # a mirroring node turns faces inside out
            faces = faces[:, ::-1].copy()
        uv = self._uv(primitive, count)
        texture = self._texture(primitive, textures) if uv is not None else None
        colours = self._colours(primitive, count) if texture is None else None
        faces_uv = None if uv is None else faces
        if self.weld and uv is not None:
            _, first, inverse = np.unique(vertices, axis=0, return_index=True, return_inverse=True)
            order = np.argsort(first)  # keep the order of first appearance
            rank = np.zeros_like(order)
            rank[order] = np.arange(len(order))
            vertices, colours = vertices[first[order]], None if colours is None else colours[first[order]]
            faces = rank[inverse.reshape(-1)][faces]
        return mesh_from_file(self.name, label, vertices, faces, uv, faces_uv, texture, colours)

    def _indices(self, index: int) -> NDArray[np.int64]:
        """Corners of faces: glTF knows unsigned integers only, so none is negative or no number."""
        corners = self._accessor(index, "SCALAR").reshape(-1)
        if self.gltf.accessors[index].componentType not in _INDEX_COMPONENTS or self.gltf.accessors[index].normalized:
            self._refuse(f"has indices (accessor {index}) that are no unsigned integers")
        return corners

    def _uv(self, primitive: Primitive, count: int) -> NDArray[np.float32] | None:
        if "TEXCOORD_0" not in primitive.attributes:
            return None
        uv = self._accessor(primitive.attributes["TEXCOORD_0"], "VEC2")
        self._same_length("TEXCOORD_0", uv, count)
        return (uv * (1, -1) + (0, 1)).astype(np.float32)

    def _colours(self, primitive: Primitive, count: int) -> NDArray[np.uint8] | None:
        if "COLOR_0" not in primitive.attributes:
            return None
        rgb = self._accessor(primitive.attributes["COLOR_0"], "VEC3", "VEC4")[:, :3]
        self._same_length("COLOR_0", rgb, count)
        return (np.clip(srgb_from_linear(rgb), 0, 1) * 255 + 0.5).astype(np.uint8)

    def _texture(self, primitive: Primitive, cache: dict[int, NDArray[np.uint8]]) -> NDArray[np.uint8] | None:
        if primitive.material is None:
            return None
        ref = self._item(self.gltf.materials, primitive.material, "materials").pbrMetallicRoughness.baseColorTexture
        if ref is None:
            return None
        if ref.texCoord != 0:
            self._refuse("uses a second set of texture coordinates")
        source = self._item(self.gltf.textures, ref.index, "textures").source
        if source is None:
            return None
        if source not in cache:
            image = self._item(self.gltf.images, source, "images")
            if image.bufferView is None:
                self._refuse("refers to an image outside the file")
            data = self._view(image.bufferView)[0]
            decoded = decode_image(data, f"{self.name}, image {source}", max_pixels=MAX_TEXTURE_PIXELS, kinds=("PNG", "JPEG", "WEBP"))
            cache[source] = (decoded.image * 255 + 0.5).astype(np.uint8)
        return cache[source]

    def _accessor(self, index: int, *types: str) -> NDArray[Any]:
        """Numbers of an accessor as (count, width) float64, or integers if they are not normalised."""
        accessor = self._item(self.gltf.accessors, index, "accessors")
        if accessor.sparse is not None or accessor.bufferView is None:
            self._refuse(f"uses a sparse or empty accessor ({index})")
        if accessor.type not in types:
            self._refuse(f"has an accessor of type {accessor.type} where {' or '.join(types)} is needed")
        data, stride = self._view(accessor.bufferView)
        dtype = np.dtype(_COMPONENTS[accessor.componentType]).newbyteorder("<")
        row = dtype.itemsize * _WIDTHS[accessor.type]
        stride = stride or row
        if stride < row or accessor.byteOffset + stride * (accessor.count - 1) + row > len(data):
            self._refuse(f"has an accessor ({index}) that leaves its buffer")
        shape, strides = (accessor.count, _WIDTHS[accessor.type]), (stride, dtype.itemsize)
        values = np.ndarray(shape, dtype, data, accessor.byteOffset, strides)
        if dtype.kind == "f" or not accessor.normalized:
            return values.astype(np.float64 if dtype.kind == "f" else np.int64)
        return np.maximum(values / np.iinfo(dtype).max, -1.0)

    def _view(self, index: int) -> tuple[bytes, int | None]:
        view = self._item(self.gltf.bufferViews, index, "bufferViews")
        buffer = self._item(self.gltf.buffers, view.buffer, "buffers")
        if view.buffer != 0 or buffer.uri is not None:
            self._refuse("refers to a buffer outside the file")
        if buffer.byteLength > len(self.binary) or view.byteOffset + view.byteLength > buffer.byteLength:
            self._refuse(f"has a buffer view ({index}) that leaves its buffer")
        return self.binary[view.byteOffset : view.byteOffset + view.byteLength], view.byteStride

    def _item(self, items: list[Item], index: int, kind: str) -> Item:
        if index >= len(items):
            self._refuse(f"refers to {kind}[{index}], which does not exist")
        return items[index]

    def _same_length(self, attribute: str, values: NDArray[Any], count: int) -> None:
        if len(values) != count:
            self._refuse(f"has {len(values)} rows of {attribute} for {count} positions")

    def _refuse(self, why: str) -> NoReturn:
        raise InputError(f"{self.name}: this GLB file cannot be used.", why=f"It {why}.")


def _local_transform(node: Node) -> NDArray[np.float64]:
    """``T_parent_node``: the matrix (stored by columns), or translation · rotation (quaternion xyzw) · scale."""
    if node.matrix is not None:
        return np.array(node.matrix).reshape(4, 4).T
    x, y, z, w = np.array(node.rotation) / max(float(np.linalg.norm(node.rotation)), 1e-12)
    T = np.eye(4)
    T[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    T[:3, :3] *= node.scale
    T[:3, 3] = node.translation
    return T
