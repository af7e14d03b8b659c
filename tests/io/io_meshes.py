"""Meshes that the tests of this room share."""

from pathlib import Path

import numpy as np

from huddle3d.io import MeshData


def cube(name: str = "cube", *, textured: bool = True, colours: bool = False) -> MeshData:
    """A closed cube of side 1 whose six faces are unwrapped apart (24 texture rows for 8 vertices) into a 3 × 2 grid of one colour each."""
    vertices = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)
    quads = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    corner = np.array([[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]])
    cells = np.array([[k % 3, k // 3] for k in range(6)])
    uv = ((cells[:, None] + corner) / (3, 2)).reshape(-1, 2).astype(np.float32)
    rows = np.arange(24).reshape(6, 4)
    faces_uv = np.concatenate([rows[:, [0, 1, 2]], rows[:, [0, 2, 3]]])
    texture = np.zeros((20, 30, 3), np.uint8)
    for k, (x, y) in enumerate(cells):  # v is up: the cell of row 0 is at the bottom of the picture
        texture[20 - 10 * (y + 1) : 20 - 10 * y, 10 * x : 10 * (x + 1)] = (40 * k, 255 - 40 * k, 7 * k)
    paint = (vertices * 255).astype(np.uint8) if colours else None
    if not textured:
        return MeshData(name, vertices, faces, colours=paint)
    return MeshData(name, vertices, faces, uv, faces_uv, texture, paint)


def corner_positions(mesh: MeshData) -> np.ndarray:
    """(F, 3, 3) positions, comparable across files that number vertices differently."""
    return mesh.vertices[mesh.faces]


def corner_colours(mesh: MeshData) -> np.ndarray:
    """(F, 3, 3) nearest texture colours at the face corners."""
    assert mesh.uv is not None and mesh.faces_uv is not None and mesh.texture is not None
    height, width = mesh.texture.shape[:2]
    uv = mesh.uv[mesh.faces_uv]
    return mesh.texture[((1 - uv[..., 1]) * height).astype(int), (uv[..., 0] * width).astype(int)]


def patch_glb(path: Path, old: bytes, new: bytes) -> None:
    """Replace text inside the JSON chunk of a GLB file, keeping all lengths right."""
    data = path.read_bytes()
    length = int.from_bytes(data[12:16], "little")
    text = data[20 : 20 + length]
    assert old in text
    text = text.replace(old, new, 1).rstrip(b" ")
    text += b" " * (-len(text) % 4)
    rest = data[20 + length :]
    total = 20 + len(text) + len(rest)
    path.write_bytes(data[:8] + total.to_bytes(4, "little") + len(text).to_bytes(4, "little") + b"JSON" + text + rest)
