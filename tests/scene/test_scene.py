"""The scene: what goes into scene.glb and scene.json, and that both say the same."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from scene_samples import bodies, people2d, person, photo, scene

from huddle3d.errors import InputError
from huddle3d.io import read_glb
from huddle3d.scene import SCENE_SCHEMA, PersonMesh, Scene, SceneDocument, make_scene, read_scene_json, write_scene_json
from huddle3d.scene.landmarks import LANDMARKS

DOCS = Path(__file__).resolve().parents[2] / "docs" / "scene-json.md"


def test_person_to_file_and_back(tmp_path: Path) -> None:
    before = person("Zoë")
    scene_ = scene()
    scene_.save(tmp_path / "out.glb")
    mesh = before.to_mesh_data()
    assert mesh.texture is not None and np.array_equal(mesh.texture, (before.texture * 255).round().byte().numpy())
    after = PersonMesh.from_mesh_data(mesh)
    assert after.name == "Zoë" and torch.equal(after.faces, before.faces) and torch.allclose(after.uv, before.uv)
    assert torch.allclose(after.texture, before.texture, atol=1e-6)


def test_a_mesh_without_texture_becomes_a_grey_person() -> None:
    mesh = person("x").to_mesh_data()
    plain = PersonMesh.from_mesh_data(replace(mesh, uv=None, faces_uv=None, texture=None))
    assert plain.texture.shape == (1, 1, 3) and plain.to_mesh_data().uv is not None


def test_save_writes_one_named_textured_node_per_person(tmp_path: Path) -> None:
    scene().save(tmp_path / "out.glb")
    loaded = trimesh.load_scene(tmp_path / "out.glb")
    assert set(loaded.graph.nodes_geometry) == {"person_0", "person_1"}
    assert loaded.geometry["person_1"].visual.material.baseColorTexture.size == (24, 16)
    assert [m.name for m in read_glb(tmp_path / "out.glb")] == ["person_0", "person_1"]
    with pytest.raises(InputError, match="already exists"):
        scene().save(tmp_path / "out.glb")
    scene().save(tmp_path / "out.glb", overwrite=True)
    with pytest.raises(InputError, match=r"saved as \.glb"):
        scene().save(tmp_path / "out.obj")


def test_save_and_load_as_artefact(tmp_path: Path) -> None:
    scene().save(tmp_path / "scene_stage")
    assert Scene.load(tmp_path / "scene_stage").digest() == scene().digest()


def test_warnings_go_to_whom_they_name() -> None:
    s = scene()
    assert s.summaries[0].warnings == () and s.summaries[1].warnings == ("person_1 is cut off.", "person_1 floats.")
    assert s.warnings == ("A note.", "It is dark.")
    many = replace(people2d(), warnings=("person_12 is small.",))
    assert (
        make_scene(photo(), many, bodies(), [person("person_0"), person("person_1")]).warnings
        == ("A note.", "person_12 is small.", "person_1 floats.")[:2]
    )


def test_people_are_matched_by_name_not_by_row() -> None:
    s = make_scene(photo(), people2d(("person_1", "person_0")), bodies(), [person("person_1"), person("person_0")])
    assert s.summaries[0].name == "person_1"
    assert s.summaries[0].box.tolist() == [10, 5, 30, 55]  # the first row of this People2D
    assert s.summaries[0].reprojection_px == 2.5  # the second of the bodies


def test_scenes_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="person_7: unknown to perception"):
        make_scene(photo(), people2d(), bodies(), [person("person_7")])
    with pytest.raises(InputError, match="same name"):
        make_scene(photo(), people2d(), bodies(), [person("person_0"), person("person_0")])
    with pytest.raises(InputError, match="differ"):
        replace(scene(), summaries=scene().summaries[:1])


def test_an_empty_scene_or_one_person() -> None:
    one = make_scene(photo(), people2d(("person_0",)), bodies(("person_0",)), [person("person_0")])
    assert len(one.people) == 1
    with pytest.raises(InputError):
        make_scene(photo(), people2d(), bodies(), []).save("never.glb")


def test_scene_json_speaks_in_pixels_of_the_full_size_photo(tmp_path: Path) -> None:
    write_scene_json(tmp_path / "scene.json", scene((320, 240)))  # the work image is 80 × 60
    document = read_scene_json(tmp_path / "scene.json")
    assert (document.photo.width, document.photo.height) == (320, 240)
    assert document.camera.K[0][0] == pytest.approx(280) and document.camera.K[1][2] == pytest.approx(120)
    assert document.people[0].box == [40, 20, 120, 220]
    assert document.people[0].reprojection_px == pytest.approx(6.0)


def test_joints_are_the_projection_of_the_fitted_body(tmp_path: Path) -> None:
    """Recomputed from what the file itself says about the camera: a reader needs nothing else."""
    write_scene_json(tmp_path / "scene.json", scene())
    document = read_scene_json(tmp_path / "scene.json")
    assert document.joint_names == list(LANDMARKS[:17])
    K, T = np.array(document.camera.K), np.array(document.camera.T_cam_world)
    for k, entry in enumerate(document.people):
        world = bodies().landmarks[k, :17].numpy()
        cam = world @ T[:3, :3].T + T[:3, 3]
        uv = (cam @ K.T)[:, :2] / cam[:, 2:]
        joints = np.array(entry.joints)
        front = cam[:, 2] > 0
        assert not front[10] and front.sum() == 16
        assert np.abs(joints[front, :2] - uv[front]).max() < 0.01  # two decimals are written
        assert joints[9, 2] == 0 and joints[10, 2] == 0 and (np.delete(joints[:, 2], [9, 10]) == 0.5).all()


def test_contacts_and_penetration_are_told_from_both_sides(tmp_path: Path) -> None:
    write_scene_json(tmp_path / "scene.json", scene())
    a, b = read_scene_json(tmp_path / "scene.json").people
    assert [(c.region, c.partner, c.partner_region) for c in a.contacts] == [("left_hand", "person_1", "upper_back")]
    assert [(c.region, c.partner, c.partner_region) for c in b.contacts] == [("upper_back", "person_0", "left_hand")]
    assert a.contacts[0].distance_mm == b.contacts[0].distance_mm == -1.25 and a.contacts[0].vertices == 12
    assert [(p.partner, p.max_mm) for p in a.penetration] == [("person_1", 4.5), ("person_0", 1.0)]
    assert [(p.partner, p.max_mm) for p in b.penetration] == [("person_0", 3.5)]  # its own measurement, not the mirrored one


def test_body_parameters_are_those_of_the_person(tmp_path: Path) -> None:
    write_scene_json(tmp_path / "scene.json", scene())
    entry = read_scene_json(tmp_path / "scene.json").people[1].parameters
    assert entry.model == "anny" and entry.expression == []
    assert entry.shape == pytest.approx(bodies().params.shape[1].tolist(), abs=1e-6)
    assert np.allclose(entry.pose, bodies().params.pose[1], atol=1e-6) and np.allclose(entry.translation, bodies().params.translation[1], atol=1e-6)


def test_same_scene_same_bytes_and_no_overwriting(tmp_path: Path) -> None:
    write_scene_json(tmp_path / "a.json", scene())
    write_scene_json(tmp_path / "b.json", scene())
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    with pytest.raises(InputError, match="already exists"):
        write_scene_json(tmp_path / "a.json", scene())


def test_numbers_that_json_cannot_hold_are_refused(tmp_path: Path) -> None:
    s = scene()
    bad = replace(s.summaries[0], box=torch.tensor([0.0, float("nan"), 1, 1]))
    with pytest.raises(InputError, match=r"people\[0\]\.box\[1\]"):
        write_scene_json(tmp_path / "a.json", replace(s, summaries=(bad, s.summaries[1])))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        (("schema_version",), 2, "schema version 2, this program reads 1"),
        (("people", 1, "joints", 3), [1, 2], r"people\[1\]\.joints\[3\]"),
        (("people", 1, "joints"), [], r"people\[1\]\.joints"),
        (("camera", "K", 0, 0), None, r"camera\.K\[0\]\[0\]"),
        (("camera", "convention"), "opengl", r"camera\.convention"),
        (("people", 0, "confidence"), 3, r"people\[0\]\.confidence"),
        (("format",), "another", "format"),
    ],
)
def test_reading_a_wrong_document(tmp_path: Path, path: tuple, value: object, word: str) -> None:
    write_scene_json(tmp_path / "a.json", scene())
    tree = json.loads((tmp_path / "a.json").read_text())
    node = tree
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    (tmp_path / "a.json").write_text(json.dumps(tree))
    with pytest.raises(InputError, match=word) as error:
        read_scene_json(tmp_path / "a.json")
    assert "a.json" in str(error.value)


def test_the_documentation_names_every_member() -> None:
    """docs/scene-json.md is written by hand; it may not fall behind the schema."""
    text = DOCS.read_text(encoding="utf-8")
    schema = SceneDocument.model_json_schema()
    parts = [schema, *schema["$defs"].values()]
    missing = [name for part in parts for name in part["properties"] if f"`{name}`" not in text]
    assert not missing
    assert f"Schema version: **{SCENE_SCHEMA}**" in text


def test_every_member_has_a_description() -> None:
    schema = SceneDocument.model_json_schema()
    for part in (schema, *schema["$defs"].values()):
        for name, member in part["properties"].items():
            assert "description" in member or "const" in member or "$ref" in member, name
