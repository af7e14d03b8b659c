"""GLB: what is written is what trimesh (an independent reader) and our own reader see; hostile files are refused."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh
from io_meshes import corner_colours, corner_positions, cube, patch_glb

from huddle3d.errors import InputError, ShapeError
from huddle3d.io import MeshData, linear_from_srgb, read_glb, srgb_from_linear, write_glb


def gltf_json(path: Path) -> dict:
    data = path.read_bytes()
    return json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])


def moved(mesh: MeshData, x: float, name: str) -> MeshData:
    return MeshData(name, mesh.vertices + np.float32([x, 0, 0]), mesh.faces, mesh.uv, mesh.faces_uv, mesh.texture, mesh.colours)


def test_trimesh_sees_named_textured_people_in_one_world(tmp_path: Path) -> None:
    people = [cube("person_0"), moved(cube(), 3, "Zoë ❤")]
    write_glb(tmp_path / "scene.glb", people)
    scene = trimesh.load_scene(tmp_path / "scene.glb")
    assert set(scene.graph.nodes_geometry) == {"person_0", "Zoë ❤"}
    for person in people:
        T, geometry = scene.graph[person.name]
        mesh = scene.geometry[geometry]
        assert np.array_equal(T, np.eye(4))
        assert np.allclose(mesh.bounds, [person.vertices.min(0), person.vertices.max(0)])
        assert mesh.volume == pytest.approx(1.0)  # outward faces
        assert (mesh.face_normals * (mesh.triangles_center - mesh.centroid) > -1e-6).all()
        texture = np.asarray(mesh.visual.material.baseColorTexture)
        assert np.array_equal(texture, person.texture)
        # trimesh flips v back to "up": the colour at each corner must be the one that we meant
        other = MeshData("t", mesh.vertices.astype(np.float32), mesh.faces, mesh.visual.uv.astype(np.float32), mesh.faces, texture)
        assert sorted(map(bytes, corner_colours(other))) == sorted(map(bytes, corner_colours(person)))


def test_material_and_attributes(tmp_path: Path) -> None:
    write_glb(tmp_path / "a.glb", [cube()])
    document = gltf_json(tmp_path / "a.glb")
    material = document["materials"][0]
    assert material["doubleSided"] is False and material["pbrMetallicRoughness"]["metallicFactor"] == 0
    assert set(document["meshes"][0]["primitives"][0]["attributes"]) == {"POSITION", "NORMAL", "TEXCOORD_0"}
    accessor = document["accessors"][0]
    assert accessor["min"] == [0, 0, 0] and accessor["max"] == [1, 1, 1] and accessor["count"] == 24
    assert all(view["byteOffset"] % 4 == 0 for view in document["bufferViews"])
    assert (tmp_path / "a.glb").stat().st_size % 4 == 0


def test_round_trip_with_texture_is_closed_again(tmp_path: Path) -> None:
    write_glb(tmp_path / "a.glb", [cube("one")])
    (mesh,) = read_glb(tmp_path / "a.glb")
    assert mesh.name == "one" and np.array_equal(mesh.texture, cube().texture)
    assert np.array_equal(corner_positions(mesh), corner_positions(cube()))
    assert np.array_equal(corner_colours(mesh), corner_colours(cube()))
    assert len(mesh.vertices) == 8 and trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).is_watertight
    (split,) = read_glb(tmp_path / "a.glb", weld=False)
    assert len(split.vertices) == 24 and np.array_equal(corner_colours(split), corner_colours(cube()))


def test_vertex_colours_round_trip_exactly_through_linear_light(tmp_path: Path) -> None:
    values = np.arange(256, dtype=np.uint8)
    vertices = np.zeros((256, 3), np.float32)
    vertices[:, 0] = np.arange(256)
    mesh = MeshData("ramp", vertices, np.array([[0, 1, 2]]), colours=np.stack([values] * 3, -1))
    write_glb(tmp_path / "a.glb", [mesh])
    (back,) = read_glb(tmp_path / "a.glb")
    assert np.array_equal(back.colours, mesh.colours)
    assert np.allclose(srgb_from_linear(linear_from_srgb(values / 255)), values / 255, atol=1e-12)
    assert linear_from_srgb(np.array([0.5]))[0] == pytest.approx(0.21404114)


def test_same_meshes_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        write_glb(tmp_path / f"{name}.glb", [cube("x"), cube("y", textured=False, colours=True)])
    assert (tmp_path / "a.glb").read_bytes() == (tmp_path / "b.glb").read_bytes()


def test_jpeg_textures(tmp_path: Path) -> None:
    write_glb(tmp_path / "a.glb", [cube()], texture_format="jpeg")
    (mesh,) = read_glb(tmp_path / "a.glb")
    assert mesh.texture is not None and np.abs(mesh.texture.astype(int) - cube().texture).mean() < 10


def test_what_cannot_be_written(tmp_path: Path) -> None:
    empty = MeshData("e", np.zeros((3, 3), np.float32), np.zeros((0, 3), int))
    for meshes in ([], [empty], [cube(), cube()]):
        with pytest.raises(InputError, match=r"a\.glb"):
            write_glb(tmp_path / "a.glb", meshes)
    assert not list(tmp_path.iterdir())


def test_mesh_data_checks_itself() -> None:
    v, f = cube().vertices, cube().faces
    bad = v.copy()
    bad[3, 1] = np.nan
    for arguments in (
        {"vertices": bad},
        {"faces": f + 1},
        {"faces": f - 1},
        {"faces": f.astype(float)},
        {"uv": v[:, :2]},
        {"texture": np.zeros((2, 2, 3), np.uint8)},
    ):
        with pytest.raises(InputError):
            MeshData(**{"name": "m", "vertices": v, "faces": f, **arguments})
    for arguments in ({"vertices": v[:, :2]}, {"faces": f[:, :2]}, {"colours": np.zeros((3, 3), np.uint8)}):
        with pytest.raises(ShapeError):
            MeshData(**{"name": "m", "vertices": v, "faces": f, **arguments})


@pytest.fixture
def glb(tmp_path: Path) -> Path:
    write_glb(tmp_path / "a.glb", [cube("x"), moved(cube(), 2, "y")])
    return tmp_path / "a.glb"


def test_node_transforms_are_applied(glb: Path) -> None:
    patch_glb(
        glb,
        b'{"name":"x","mesh":0}',
        b'{"name":"x","mesh":0,"translation":[0,5,0],"rotation":[0,0,0.7071067811865476,0.7071067811865476],"scale":[2,1,1]}',
    )
    x, y = read_glb(glb)
    # scaled along x by 2, then turned x → y, then lifted by 5
    assert np.allclose([x.vertices.min(0), x.vertices.max(0)], [[-1, 5, 0], [0, 7, 1]], atol=1e-6)
    assert np.allclose(y.vertices.min(0), [2, 0, 0])


def test_a_child_inherits_its_parent_and_a_mirror_keeps_faces_outward(glb: Path) -> None:
    patch_glb(glb, b'"nodes":[0,1]', b'"nodes":[0]')
    patch_glb(glb, b'{"name":"x","mesh":0}', b'{"name":"x","mesh":0,"matrix":[-1,0,0,0,0,1,0,0,0,0,1,0,0,9,0,1],"children":[1]}')
    for mesh, low in zip(read_glb(glb), ([-1, 9, 0], [-3, 9, 0]), strict=True):
        assert np.allclose(mesh.vertices.min(0), low)
        assert trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).volume == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        (b'{"name":"x","mesh":0}', b'{"name":"x","mesh":0,"children":[0]}', "twice"),
        (b'{"name":"x","mesh":0}', b'{"name":"x","mesh":0,"children":[1]}', "twice"),
        (b'{"name":"x","mesh":0}', b'{"name":"x","mesh":7}', r"meshes\[7\]"),
        (b'"scene":0', b'"scene":3', r"scenes\[3\]"),
        (b'"indices":3', b'"indices":99', r"accessors\[99\]"),
        (b'"indices":3', b'"indices":0', "SCALAR"),
        (b'"count":24', b'"count":2400000000', "leaves its buffer"),
        (b'"count":36', b'"count":35', "indices"),
        (b'"count":24', b'"count":-1', r"accessors\[0\]\.count"),
        (b'"componentType":5126', b'"componentType":1', r"accessors\[0\]\.componentType"),
        (b'"byteOffset":0', b'"byteOffset":99999999', "leaves its buffer"),
        (b'"buffer":0', b'"buffer":1', r"buffers\[1\]"),
        (b'"buffers":[{', b'"buffers":[{"uri":"../../etc/passwd",', "outside the file"),
        (b'"version":"2.0"', b'"version":"1.0"', "version 1.0"),
        (b'"scene":0', b'"scene":0,"extensionsRequired":["KHR_draco_mesh_compression"]', "draco"),
        (b'"asset"', b'"assets"', "asset"),
        (b'"name":"x","mesh":0', b'"name":"x","mesh":0,"translation":[1e999,0,0]', r"nodes\[0\]\.translation"),
        (b'"name":"x","mesh":0', b'"name":"x","mesh":0,"translation":[NaN,0,0]', r"nodes\[0\]\.translation"),
        (b'"mode":4', b'"mode":9', "mode"),
    ],
)
def test_hostile_documents(glb: Path, old: bytes, new: bytes, word: str) -> None:
    patch_glb(glb, old, new)
    with pytest.raises(InputError, match=word) as error:
        read_glb(glb)
    assert "a.glb" in str(error.value)


def test_an_outside_image_is_refused(glb: Path) -> None:
    document = gltf_json(glb)
    view = document["images"][0]["bufferView"]
    patch_glb(glb, f'"mimeType":"image/png","bufferView":{view}'.encode(), b'"uri":"file:///etc/passwd"')
    with pytest.raises(InputError, match="image outside the file"):
        read_glb(glb)


def test_hostile_bytes(glb: Path) -> None:
    data = glb.read_bytes()
    length = int.from_bytes(data[12:16], "little")
    cases = {
        "empty": b"",
        "text": b"solid cube",
        "header only": data[:12],
        "truncated": data[: len(data) // 2],
        "version 1": data[:4] + struct.pack("<I", 1) + data[8:],
        "huge chunk": data[:12] + struct.pack("<I", 2**32 - 1) + data[16:],
        "no JSON": data[:16] + b"JSOX" + data[20:],
        "broken JSON": data[:20] + b"{" * length + data[20 + length :],
        "not UTF-8": data[:20] + b"\xff" * length + data[20 + length :],
    }
    for case, content in cases.items():
        glb.write_bytes(content)
        with pytest.raises(InputError, match=r"a\.glb"):
            read_glb(glb)
            pytest.fail(case)


def test_every_single_byte_flip_of_the_header_is_answered(glb: Path) -> None:
    """No flip in the first kilobyte may raise anything but our own errors (or leave the file readable)."""
    data = bytearray(glb.read_bytes())
    for k in range(0, 1024, 7):
        flipped = bytearray(data)
        flipped[k] ^= 0x15
        glb.write_bytes(flipped)
        try:
            read_glb(glb)
        except InputError as error:
            assert "a.glb" in str(error)


@pytest.mark.parametrize("component, value", [(5120, -3), (5122, -300), (5126, -1000.0), (5126, float("nan"))])
def test_indices_must_be_unsigned_integers(tmp_path: Path, component: int, value: float) -> None:
    write_glb(tmp_path / "a.glb", [cube()])  # textured, so that rows are welded: a negative index would count from the end
    document, data = gltf_json(tmp_path / "a.glb"), bytearray((tmp_path / "a.glb").read_bytes())
    accessor = document["accessors"][document["meshes"][0]["primitives"][0]["indices"]]
    kind = {5120: "i1", 5122: "<i2", 5126: "<f4"}[component]
    numbers = np.full(accessor["count"], value, kind).tobytes()
    start = 28 + int.from_bytes(data[12:16], "little") + document["bufferViews"][accessor["bufferView"]]["byteOffset"]
    data[start : start + len(numbers)] = numbers
    (tmp_path / "a.glb").write_bytes(data)
    patch_glb(tmp_path / "a.glb", json.dumps(accessor, separators=(",", ":")).encode(), json.dumps({**accessor, "componentType": component}).encode())
    with pytest.raises(InputError, match="unsigned"):
        read_glb(tmp_path / "a.glb")
