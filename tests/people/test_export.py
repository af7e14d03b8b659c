"""``export`` and ``convert-body``: what a finished run becomes, and that it can be used again."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from huddle3d.bodies import load_body, read_bodies_npz
from huddle3d.cli import main
from huddle3d.geometry import Camera, look_at
from huddle3d.io import read_bvh
from huddle3d.people import coco_image, fitted_keypoints
from huddle3d.perception import perceive
from huddle3d.render import instance_ids, merge_meshes, rasterize
from huddle3d.scene import Bodies, BodyParams, People2D, PersonMesh, load_photo, make_scene, write_scene_json

sys.path.insert(0, str(Path(__file__).parents[1] / "fitting"))

WIDTH, HEIGHT = 320, 240


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder as ``people`` leaves it, of two rendered bodies; the photo is twice as large as the work image."""
    folder = tmp_path_factory.mktemp("run")
    body = load_body()
    params = body.neutral(2)
    params = BodyParams(params.shape, params.pose, torch.tensor([[-0.6, 0.9, 0.0], [0.6, 0.9, 0.0]]), params.expression)
    with torch.no_grad():
        out = body(params)
        camera = Camera.perspective(300.0, WIDTH, HEIGHT, look_at(torch.tensor([0.0, 1.2, 3.8]), torch.tensor([0.0, 0.85, 0.0])))
        vertices, faces, owner = merge_meshes([(v, body.faces) for v in out.vertices])
        ids = instance_ids(rasterize(vertices, faces, camera), owner)[0]
    masks = torch.stack([ids == k for k in range(2)])
    boxes = torch.stack([torch.tensor([float(f(m.nonzero()[:, c])) for f, c in ((min, 1), (min, 0), (max, 1), (max, 0))]) for m in masks])
    uv, _ = camera.project(out.landmarks)
    keypoints = torch.cat([uv, torch.full((2, 75, 1), 0.9)], -1)
    keypoints[0, 9, 2], keypoints[1, 0, 2] = 0.4, 0.0
    Image.fromarray(np.full((2 * HEIGHT, 2 * WIDTH, 3), 128, np.uint8)).save(folder / "pair.png")
    photo = load_photo(folder / "pair.png", max_side=WIDTH)
    names = ("person_0", "person_1")
    people = People2D(names, boxes, torch.tensor([0.9, 0.8]), keypoints, torch.zeros(2, 75, 4), masks, "test")
    bodies = Bodies("anny", names, params, out.vertices, out.landmarks, camera, torch.zeros(2), torch.ones(2))
    meshes = [PersonMesh(n, v, body.faces, body.uv, body.faces_uv, torch.zeros(2, 2, 3), torch.ones(len(v))) for n, v in zip(names, out.vertices)]
    (folder / "stages").mkdir()
    bodies.save(folder / "stages" / "fit")
    people.save(folder / "stages" / "perceive")
    write_scene_json(folder / "scene.json", make_scene(photo, people, bodies, meshes))
    return folder, photo, people, bodies


def test_export_writes_every_format(run, tmp_path):
    folder, _, people, bodies = run
    assert main(["export", str(folder), "--output", str(tmp_path / "out")]) == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["bodies.npz", "export.json", "people.coco.json", "person_0.bvh", "person_1.bvh"]
    facts = json.loads((tmp_path / "out" / "export.json").read_text())
    assert (
        facts["bvh"]["unit"] == "cm" and facts["bvh"]["rotations"] == ["Zrotation", "Xrotation", "Yrotation"] and "CC0" in facts["model"]["licence"]
    )
    body = load_body()
    for k in range(2):
        motion = read_bvh(tmp_path / "out" / f"person_{k}.bvh")
        places, _ = motion.pose(0)
        rows = [motion.names.index(n) for n in body.joint_names]
        assert np.abs(places[rows] / 100 - body.joints(bodies.params)[k].numpy()).max() < 1e-4
    assert read_bodies_npz(tmp_path / "out" / "bodies.npz").names == people.names
    tree = json.loads((tmp_path / "out" / "people.coco.json").read_text())
    flags = np.array(tree["annotations"][0]["keypoints"]).reshape(17, 3)[:, 2]
    assert flags[9] == 1 and flags[5] == 2 and tree["annotations"][1]["keypoints"][:3] == [0, 0, 0]
    assert tree["images"][0]["width"] == 2 * WIDTH and len(tree["annotations"][0]["keypoint_scores"]) == 17


def test_the_coco_file_is_accepted_back(run, tmp_path, monkeypatch):
    """Read as ``people --coco`` reads it, without networks: the same points, boxes and masks in the work image."""
    from huddle3d.errors import WeightsMissingError

    def absent(*args):
        raise WeightsMissingError("none here")

    monkeypatch.setattr("huddle3d.weights.weights_path", absent)  # perceive imports it when it is called
    folder, photo, people, _ = run
    assert main(["export", str(folder), "--output", str(tmp_path / "out"), "--bodies", "coco"]) == 0
    again = perceive(photo, coco=tmp_path / "out" / "people.coco.json")
    assert again.names == people.names
    seen = people.keypoints[:, :17, 2] > 0
    assert torch.allclose(again.keypoints[:, :17, :2][seen], people.keypoints[:, :17, :2][seen], atol=1e-2)
    assert torch.equal(again.keypoints[:, :17, 2] > 0, seen)
    assert torch.allclose(again.boxes, people.boxes, atol=0.6)
    for k in range(2):
        both, either = (again.masks[k] & people.masks[k]).sum(), (again.masks[k] | people.masks[k]).sum()
        assert float(both / either) > 0.97


def test_fitted_joints_instead_of_observed_ones(run):
    _, _, people, bodies = run
    points = fitted_keypoints(bodies, people)
    uv, _ = bodies.camera.project(bodies.landmarks[:, :17])
    inside = points[..., 2] > 0
    assert np.allclose(points[inside, :2], uv.numpy()[inside]) and points[1, 0, 2] == 0.5, "not observed, but in the picture"
    image = coco_image(people, "pair", (2 * WIDTH, 2 * HEIGHT), keypoints=points, names=bodies.names)
    assert np.allclose(image.people[0].keypoints[5, :2], 2 * points[0, 5, :2])


def test_units_and_refusals(run, tmp_path, capsys):
    folder = run[0]
    assert main(["export", str(folder), "--output", str(tmp_path / "m"), "--bodies", "bvh", "--unit", "m"]) == 0
    assert np.abs(read_bvh(tmp_path / "m" / "person_0.bvh").pose(0)[0]).max() < 3
    assert main(["export", str(tmp_path / "absent")]) == 2 and "scene.json" in capsys.readouterr().err
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    assert main(["export", str(folder), "--output", str(tmp_path / "full")]) == 2
    assert main(["export", str(folder), "--output", str(tmp_path / "x"), "--model", "smplx"]) == 5, "the user's file is missing"
    assert not (tmp_path / "x").exists()
    assert main(["convert-body", str(tmp_path / "no.npz"), "--to", "smplx", "--output", str(tmp_path / "o.npz")]) == 2
    assert main(["convert-body", str(tmp_path / "no.npz"), "--to", "anny", "--output", str(tmp_path / "o.txt")]) == 2


@pytest.mark.slow
def test_conversion_by_command(run, tmp_path, capsys, monkeypatch):
    from smplx_like import write_smplx_like

    from huddle3d.fitting import SurfaceFitConfig

    monkeypatch.setattr("huddle3d.fitting._convert.SurfaceFitConfig", lambda: SurfaceFitConfig(steps_landmarks=40, steps_surface=60))

    file = write_smplx_like(tmp_path / "SMPLX_NEUTRAL.npz", load_body())
    out = tmp_path / "out"
    assert main(["export", str(run[0]), "--output", str(out), "--bodies", "npz", "--model", "smplx", "--model-file", str(file)]) == 0
    told = capsys.readouterr().err
    assert "surfaces agree to" in told and "licence of smplx" in told
    assert read_bodies_npz(out / "bodies.npz").model == "smplx"
    back = tmp_path / "back.npz"
    assert main(["convert-body", str(out / "bodies.npz"), "--to", "anny", "--source-file", str(file), "--output", str(back)]) == 0
    raw = np.load(back)
    assert str(raw["model"]) == "anny" and np.linalg.norm(raw["landmarks"][:, 5:17] - run[3].landmarks[:, 5:17].numpy(), axis=-1).mean() < 0.03
