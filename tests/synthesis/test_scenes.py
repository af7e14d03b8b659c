"""Whole scenes: contact without interpenetration, truth that agrees with itself, the same bytes from the same file."""

import json

import pytest
import torch

from huddle3d.bodies import load_body
from huddle3d.contact import closest_point
from huddle3d.errors import InputError
from huddle3d.evaluation import group_penetration
from huddle3d.scene import Bodies, People2D
from huddle3d.scene.landmarks import LANDMARK_INDEX
from huddle3d.synthesis import SceneSpec, SolveConfig, build_scene, place_camera, render_scene, sample_spec, write_sample
from huddle3d.synthesis.poses.interactions import plan_interaction
from huddle3d.synthesis.poses.posing import PoseAuthor
from huddle3d.synthesis.poses.solve import solve_interaction

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def sample(body):
    return render_scene(build_scene(sample_spec(2, family="handshake"), body=body))


def test_authored_arms_point_where_they_are_told(body):
    author = PoseAuthor.start(body, body.neutral_shape)
    upper, fore = torch.tensor([0.3, -0.2, 0.9]), torch.tensor([-0.7, 0.1, 0.7])
    author.arm("left", upper.tolist(), fore.tolist())
    author.leg("right", (0.0, -1.0, 0.3), (0.0, -1.0, -0.2))
    params = body.neutral(1)
    out = body(type(params)(params.shape, author.pose[None], params.translation, params.expression))
    joint = dict(zip(body.joint_names, out.joints[0]))
    for a, b, wanted in (
        ("upperarm01.L", "lowerarm01.L", upper),
        ("lowerarm01.L", "wrist.L", fore),
        ("upperleg01.R", "lowerleg01.R", torch.tensor([0.0, -1.0, 0.3])),
        ("lowerleg01.R", "foot.R", torch.tensor([0.0, -1.0, -0.2])),
    ):
        assert torch.cosine_similarity(joint[b] - joint[a], wanted, dim=0) > 0.995  # hips and knees turn about fixed axes: a degree or two is lost


def test_bodies_touch_and_do_not_interpenetrate(sample, body):
    skins = [(v, body.faces) for v in sample.scene.bodies.vertices]
    assert group_penetration(skins)[0] <= 5.0
    gap = closest_point(skins[0][0], *skins[1]).distance.min()
    assert float(gap) <= 0.01
    assert torch.allclose(sample.scene.bodies.vertices[..., 1].amin(1), torch.zeros(2), atol=1e-4)


def test_dressed_people_do_not_interpenetrate(sample):
    assert group_penetration([(m.vertices, m.faces) for m in sample.scene.meshes])[0] <= 5.0


def test_joint_limits_are_kept(sample, body):
    pose = sample.scene.bodies.params.pose[:, 1:]
    limits = body.joint_limits[1:]
    assert bool((pose >= limits[..., 0] - 1e-4).all()) and bool((pose <= limits[..., 1] + 1e-4).all())


def test_truth_of_pixels_agrees(sample):
    people, ids = sample.people2d, sample.ids
    assert bool((people.masks.sum(0) <= 1).all())
    assert torch.equal(people.masks.any(0), ids >= 0)
    assert torch.equal(ids >= 0, sample.depth > 0)
    assert bool((people.masks & ~sample.amodal).sum() == 0)
    assert torch.allclose(sample.normals.norm(dim=-1)[ids >= 0], torch.ones(int((ids >= 0).sum())), atol=1e-3)
    camera = sample.scene.bodies.camera
    v, u = (ids == 0).nonzero()[::997].unbind(-1)
    points = camera.unproject(torch.stack([u, v], -1) + 0.5, sample.depth[v, u])
    mesh = sample.scene.meshes[0]
    assert float(closest_point(points, mesh.vertices, mesh.faces).distance.max()) < 1e-3
    toward = camera.centre - points
    assert float(((sample.normals[v, u] * toward).sum(-1) > 0).float().mean()) > 0.95


def test_visible_keypoints_lie_on_their_person(sample):
    keypoints = sample.people2d.keypoints
    assert keypoints.shape == (2, 75, 3)
    for k in range(2):
        nose = keypoints[k, LANDMARK_INDEX["left_shoulder"]]
        x0, y0, x1, y1 = sample.people2d.boxes[k].tolist()
        assert x0 - 1 <= float(nose[0]) <= x1 + 1 and y0 - 1 <= float(nose[1]) <= y1 + 1
    assert float((keypoints[..., 2] == 1).float().mean()) > 0.4


def test_people_fill_the_picture_as_asked(sample):
    camera, spec = sample.scene.bodies.camera, sample.scene.spec.camera
    uv, _ = camera.project(torch.cat([m.vertices for m in sample.scene.meshes]))
    size = (uv.amax(0) - uv.amin(0)) / torch.tensor([spec.width, spec.height])
    assert float(size.max()) == pytest.approx(spec.fill, abs=0.03)
    assert place_camera(spec, torch.randn(50, 3)).width == spec.width


def test_files_are_complete_and_readable(sample, tmp_path):
    write_sample(sample, tmp_path / "s")
    names = {p.name for p in (tmp_path / "s").iterdir()}
    assert {"photo.jpg", "spec.json", "meshes.glb", "bodies.json", "people2d.json", "maps.safetensors", "ids.png", "normals.png"} <= names
    assert SceneSpec.from_json((tmp_path / "s" / "spec.json").read_text()) == sample.scene.spec
    assert Bodies.load(tmp_path / "s" / "bodies").digest() == sample.scene.bodies.digest()
    assert People2D.load(tmp_path / "s" / "people2d").digest() == sample.people2d.digest()
    with pytest.raises(InputError):
        write_sample(sample, tmp_path / "s")


def test_the_same_file_gives_the_same_bytes(body):
    spec = SceneSpec.from_json(sample_spec(4, family="side_by_side").to_json())
    config = SolveConfig(steps=4, repair_steps=2, retries=0)
    first, second = (render_scene(build_scene(spec, body=body, config=config)) for _ in range(2))
    assert first.jpeg == second.jpeg
    assert [m.digest() for m in first.scene.meshes] == [m.digest() for m in second.scene.meshes]
    assert first.scene.bodies.digest() == second.scene.bodies.digest()


def test_one_person_and_three_people(body):
    one = plan_interaction("hug", body, body.neutral_shape[None], torch.Generator().manual_seed(0))
    assert not one.palms and torch.equal(solve_interaction(one, body).pose, one.params.pose)
    three = plan_interaction("arm_over_shoulder", body, body.neutral_shape.expand(3, -1), torch.Generator().manual_seed(0))
    assert len(three.palms) == 4 and len(three.touches) == 2
    with pytest.raises(InputError):
        plan_interaction("hug", body, body.neutral_shape.expand(3, -1), torch.Generator().manual_seed(0))


def test_a_file_for_another_body_is_refused(body):
    tree = json.loads(sample_spec(0).to_json())
    tree["people"][0]["shape"] = [0.5]
    with pytest.raises(InputError):
        build_scene(SceneSpec.from_json(json.dumps(tree)), body=body)
