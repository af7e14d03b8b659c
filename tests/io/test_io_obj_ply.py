"""OBJ with its companions, and PLY: round trips, an independent reader, and hostile files."""

from pathlib import Path

import numpy as np
import pytest
import trimesh
from io_meshes import corner_colours, corner_positions, cube

from huddle3d.errors import HuddleError, InputError, ResourceLimitError
from huddle3d.io import MeshData, read_obj, read_ply, write_obj, write_ply


def test_obj_round_trip_keeps_topology_and_texture(tmp_path: Path) -> None:
    write_obj(tmp_path / "a.obj", cube("one"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mtl", "a.obj", "a.png"]
    mesh = read_obj(tmp_path / "a.obj")
    assert mesh.name == "one" and np.array_equal(mesh.faces, cube().faces) and np.array_equal(mesh.texture, cube().texture)
    assert np.allclose(mesh.vertices, cube().vertices, atol=5e-7)  # six decimals are written
    assert np.array_equal(corner_colours(mesh), corner_colours(cube()))


def test_trimesh_reads_our_obj_with_its_texture(tmp_path: Path) -> None:
    write_obj(tmp_path / "Zoë und Max.obj", cube())
    mesh = trimesh.load(tmp_path / "Zoë und Max.obj", force="mesh")
    assert mesh.volume == pytest.approx(1.0, abs=1e-5)
    texture = np.asarray(mesh.visual.material.image.convert("RGB"))
    seen = MeshData("t", mesh.vertices.astype(np.float32), mesh.faces, mesh.visual.uv.astype(np.float32), mesh.faces, texture)
    assert sorted(map(bytes, corner_colours(seen))) == sorted(map(bytes, corner_colours(cube())))


def test_obj_vertex_colours(tmp_path: Path) -> None:
    mesh = cube(textured=False, colours=True)
    write_obj(tmp_path / "a.obj", mesh)
    assert [p.name for p in tmp_path.iterdir()] == ["a.obj"]
    assert np.array_equal(read_obj(tmp_path / "a.obj").colours, mesh.colours)


def test_obj_forms_of_other_programs(tmp_path: Path) -> None:
    text = "# a quad and a pentagon\r\no thing\r\nv 0 0 0\r\nv 1 0 0\r\nv 1 1 0\r\nv 0 1 0\r\nv .5 1.5 0\r\nvn 0 0 1\r\ns off\r\nf 1//1 2//1 3//1 4//1\r\nf -5 -4 -3 -1 -2\r\n"
    (tmp_path / "a.obj").write_text(text)
    mesh = read_obj(tmp_path / "a.obj")
    assert mesh.name == "thing" and mesh.uv is None
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 2], [0, 2, 4], [0, 4, 3]]


def test_obj_files_are_not_overwritten_and_appear_together(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"precious")
    with pytest.raises(InputError, match=r"a\.png: already exists"):
        write_obj(tmp_path / "a.obj", cube())
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"] and (tmp_path / "a.png").read_bytes() == b"precious"
    write_obj(tmp_path / "a.obj", cube(), overwrite=True)
    assert read_obj(tmp_path / "a.obj").texture is not None


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "sub/a.mtl", "..", "link.mtl", "sub\\a.mtl"])
def test_obj_does_not_leave_its_folder(tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("map_Kd x.png")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "link.mtl").symlink_to(outside / "secret")
    (folder / "a.obj").write_text(f"mtllib {name}\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nf 1/1 2/1 3/1\n")
    with pytest.raises(InputError, match="not beside it"):
        read_obj(folder / "a.obj")


def test_obj_texture_does_not_leave_its_folder(tmp_path: Path) -> None:
    (tmp_path / "a.mtl").write_text("newmtl m\nmap_Kd ../../../etc/passwd\n")
    (tmp_path / "a.obj").write_text("mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nf 1/1 2/1 3/1\n")
    with pytest.raises(InputError, match="not beside it"):
        read_obj(tmp_path / "a.obj")


@pytest.mark.parametrize(
    "text",
    ["", "hello", "v 0 0 0\n", "v 0 0\nf 1 1 1\n", "v 0 0 0\nf 1 2 3\n", "v 0 0 0\nf 0 0 0\n", "v a b c\n", "v 0 0 0\nf 1 1\n", "v nan 0 0\nf 1 1 1\n", "v 1e999 0 0\nf 1 1 1\n",
     "v 0 0 0\nf 1/9 1/9 1/9\n", "v 0 0 0\nf 99999999999999999999 1 1\n", "v 0 0 0\nvt 0\nf 1/1 1/1 1/1\n"],
)  # fmt: skip
def test_hostile_obj(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.obj").write_text(text)
    with pytest.raises(InputError, match=r"a\.obj"):
        read_obj(tmp_path / "a.obj")


@pytest.mark.parametrize("colours", [False, True])
def test_ply_round_trip_and_trimesh(tmp_path: Path, colours: bool) -> None:
    mesh = cube("a", textured=False, colours=colours)
    write_ply(tmp_path / "a.ply", mesh)
    back = read_ply(tmp_path / "a.ply")
    assert back.name == "a" and np.array_equal(back.vertices, mesh.vertices) and np.array_equal(back.faces, mesh.faces)
    assert np.array_equal(back.colours, mesh.colours) if colours else back.colours is None
    seen = trimesh.load(tmp_path / "a.ply", process=False)
    assert seen.volume == pytest.approx(1.0)
    if colours:
        assert np.array_equal(seen.visual.vertex_colors[:, :3], mesh.colours)


_ASCII = (
    "ply\nformat ascii 1.0\ncomment made by hand\nelement vertex 4\nproperty double x\nproperty double y\nproperty double z\nproperty float nx\n"
    "element face 2\nproperty uchar flag\nproperty list uchar int vertex_indices\nelement edge 1\nproperty int a\nend_header\n"
    "0 0 0 9\n1 0 0 9\n1 1 0 9\n0 1 0 9\n7 3 0 1 2\n7 4 0 1 2 3\n5\n"
)


def test_ply_ascii_with_polygons_and_other_elements(tmp_path: Path) -> None:
    (tmp_path / "a.ply").write_text(_ASCII)
    mesh = read_ply(tmp_path / "a.ply")
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 1, 2], [0, 2, 3]] and mesh.vertices[2].tolist() == [1, 1, 0]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("polygons", [[[0, 1, 2], [0, 2, 3]], [[0, 1, 2, 3], [0, 1, 2]]])
def test_ply_binary_orders_and_uneven_faces(tmp_path: Path, order: str, polygons: list[list[int]]) -> None:
    kind = "little" if order == "<" else "big"
    header = (
        f"ply\nformat binary_{kind}_endian 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
        "element face 2\nproperty list uchar int vertex_index\nend_header\n"
    )
    vertices = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], order + "f4")
    body = vertices.tobytes() + b"".join(bytes([len(p)]) + np.array(p, order + "i4").tobytes() for p in polygons)
    (tmp_path / "a.ply").write_bytes(header.encode() + body)
    mesh = read_ply(tmp_path / "a.ply")
    assert np.array_equal(mesh.vertices, vertices.astype(np.float32))
    assert mesh.faces.tolist() == ([[0, 1, 2], [0, 2, 3]] if len(polygons[0]) == 3 else [[0, 1, 2], [0, 2, 3], [0, 1, 2]])
    (tmp_path / "a.ply").write_bytes((header.encode() + body)[:-3])
    with pytest.raises(InputError, match=r"a\.ply"):
        read_ply(tmp_path / "a.ply")


@pytest.mark.parametrize(
    ("old", "new"),
    [("vertex 4", "vertex 2147483648"), ("vertex 4", "vertex -4"), ("vertex 4", "vertex x"), ("face 2", "face 4294967296"), ("face 2", "face -1"), ("face 2", "face 0"),
     ("property double x", "property quad x"), ("property double x\n", ""), ("ascii", "ebcdic"), ("3 0 1 2", "3 0 1 9"), ("3 0 1 2", "9 0 1 2"), ("3 0 1 2", "-3 0 1 2"),
     ("0 0 0 9", "nan 0 0 9"), ("0 0 0 9", "1e999 0 0 9"), ("end_header", "end_headr"), ("vertex_indices", "indices"), ("list uchar int", "list"), ("ply\n", "plx\n"), ("element vertex 4", "element vertex")],
)  # fmt: skip
def test_hostile_ply(tmp_path: Path, old: str, new: str) -> None:
    assert old in _ASCII
    (tmp_path / "a.ply").write_text(_ASCII.replace(old, new, 1))
    with pytest.raises(InputError, match=r"a\.ply"):
        read_ply(tmp_path / "a.ply")


def test_ply_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_ply(tmp_path / "a.ply", cube(textured=False))
    monkeypatch.setattr("huddle3d.io.ply.MAX_VERTICES", 7)
    with pytest.raises(ResourceLimitError, match="8 vertices, the limit is 7"):
        read_ply(tmp_path / "a.ply")


@pytest.mark.parametrize("reader", [read_obj, read_ply])
def test_flipped_bytes_never_escape_as_foreign_errors(tmp_path: Path, reader: object) -> None:
    path = tmp_path / ("a.obj" if reader is read_obj else "a.ply")
    (write_obj if reader is read_obj else write_ply)(path, cube(textured=False, colours=True))
    data = path.read_bytes()
    for k in range(0, len(data), 3):
        path.write_bytes(data[:k] + bytes([data[k] ^ 0x1B]) + data[k + 1 :])
        try:
            reader(path)  # type: ignore[operator]
        except HuddleError as error:
            assert path.name in str(error)


def test_corner_positions_survive_both(tmp_path: Path) -> None:
    mesh = cube(textured=False)
    write_obj(tmp_path / "a.obj", mesh)
    write_ply(tmp_path / "a.ply", mesh)
    assert np.allclose(corner_positions(read_obj(tmp_path / "a.obj")), corner_positions(read_ply(tmp_path / "a.ply")), atol=5e-7)


def test_obj_words_may_stand_apart_by_tabs(tmp_path: Path) -> None:
    (tmp_path / "t.obj").write_text("o\tone two\nv\t0 0 0\nv \t1\t0 0\nv\t0 1 0\nf\t1 2 3\n")
    mesh = read_obj(tmp_path / "t.obj")
    assert mesh.name == "one two" and mesh.vertices.tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0]] and mesh.faces.tolist() == [[0, 1, 2]]
