"""The whole table: a perfect prediction, known displacements, people in another order, missing people, strict JSON."""

import json
import math
from dataclasses import replace

import pytest
import torch

from huddle3d.errors import InputError
from huddle3d.evaluation import EvaluateConfig, evaluate_scene, evaluation_cameras, image_metrics
from huddle3d.geometry import Camera, apply, look_at, rotation_y, se3
from huddle3d.scene import Bodies, BodyParams

from .shapes import cube, person, sphere

QUICK = EvaluateConfig(samples=5000, image_size=96)


def pair(gap: float = 0.005):
    """Two cubes of 0.5 m whose faces lie ``gap`` apart, red and blue."""
    return [person("a", cube((-0.25 - gap / 2, 0, 0), 0.5), (0.9, 0.1, 0.1)), person("b", cube((0.25 + gap / 2, 0, 0), 0.5), (0.1, 0.1, 0.9))]


def bodies(landmarks: torch.Tensor, names=("a", "b")) -> Bodies:
    k = len(landmarks)
    empty = BodyParams(torch.zeros(k, 1), torch.zeros(k, 1, 3), torch.zeros(k, 3), torch.zeros(k, 0))
    camera = Camera.perspective(100, 10, 10)
    return Bodies("test", names, empty, torch.zeros(k, 1, 3), landmarks, camera, torch.zeros(k), torch.ones(k))


def test_a_perfect_prediction():
    m = evaluate_scene(pair(), pair(), QUICK)
    assert m.group.p2s_cm < 1e-3 and m.group.bbox_iou == pytest.approx(1)
    assert m.contact.precision == 1 and m.contact.recall == 1 and m.contact.penetration_max_mm == 0
    assert m.image.psnr_db == 100 and m.image.normal_l2 == pytest.approx(0, abs=1e-9)
    assert not m.missed and not m.invented and m.bodies is None
    assert [p.predicted_name for p in m.people] == ["a", "b"]


def test_order_and_names_do_not_matter():
    predicted = [replace(p, name=n) for p, n in zip(reversed(pair()), ("x", "y"))]
    m = evaluate_scene(predicted, pair(), QUICK)
    assert [(p.name, p.predicted_name) for p in m.people] == [("a", "y"), ("b", "x")]
    assert m.group.p2s_cm < 1e-3 and m.image.psnr_db == 100


def test_missing_and_invented_people_are_named_and_cost():
    m = evaluate_scene(pair()[:1], pair(), QUICK)
    assert m.missed == ("b",) and m.people_predicted == 1 and m.contact is None
    assert m.group.chamfer_cm > 10 and m.instance.chamfer_cm < m.group.chamfer_cm
    m = evaluate_scene([*pair(), person("ghost", cube((3, 0, 0), 0.5))], pair(), QUICK)
    assert m.invented == ("ghost",) and m.group.p2s_cm > 10


def test_swapped_colours_show_in_the_pictures_only():
    truth = pair()
    predicted = [replace(truth[0], texture=truth[1].texture), replace(truth[1], texture=truth[0].texture)]
    m = evaluate_scene(predicted, truth, QUICK)
    assert m.group.p2s_cm < 1e-3 and m.image.psnr_db < 15
    # From the sides one cube hides the other: the hidden one's colour is wrong by 0.8 in two of three channels.
    assert m.image.occluded_psnr_db == pytest.approx(-10 * torch.log10(torch.tensor(2 / 3 * 0.64)).item(), abs=1e-3)


def test_an_error_that_nobody_hides_is_not_an_occluded_error():
    # A small cube in front of a sphere hides its middle from the front and the back, and nothing from the sides.
    vertices, faces = sphere(0.5)
    truth = [person("a", (vertices, faces)), person("b", cube((0, 0, 2.0), 0.2))]
    off = vertices.clone()
    off[:, 1] = torch.where(off[:, 1].abs() > 0.25, 0.25 * off[:, 1].sign() + 0.3 * (off[:, 1] - 0.25 * off[:, 1].sign()), off[:, 1])
    wrong = [replace(truth[0], vertices=off), truth[1]]
    group, _ = image_metrics(wrong, truth, size=96)
    assert group.normal_l2 > 1e-3 and group.occluded_normal_l2 < 1e-6


def test_similarity_alignment_undoes_a_similarity(rng):
    truth = pair()
    landmarks = torch.randn(2, 75, 3, generator=rng)
    moved = [replace(p, vertices=p.vertices * 1.3 + torch.tensor([0.2, 0.0, 1.0])) for p in truth]
    args = {"predicted_bodies": bodies(landmarks * 1.3 + torch.tensor([0.2, 0.0, 1.0])), "true_bodies": bodies(landmarks)}
    aligned = evaluate_scene(moved, truth, replace(QUICK, alignment="similarity"), **args)
    assert aligned.group.p2s_cm < 1e-2 and aligned.bodies.absolute_mpjpe_mm < 0.1
    plain = evaluate_scene(moved, truth, QUICK, **args)
    assert plain.group.p2s_cm > 10 and plain.bodies.pa_mpjpe_mm < 0.1
    with pytest.raises(InputError):
        evaluate_scene(moved, truth, replace(QUICK, alignment="similarity"))
    with pytest.raises(InputError):
        evaluate_scene(moved, truth, QUICK, predicted_bodies=bodies(landmarks, ("a", "z")), true_bodies=bodies(landmarks))


@pytest.mark.parametrize("turn_deg", [0.0, 90.0, 180.0])
def test_a_world_that_is_turned_with_its_camera_changes_nothing(rng, turn_deg):
    truth = pair()
    landmarks = 0.2 * torch.randn(2, 75, 3, generator=rng) + torch.tensor([[[-0.25, 0.0, 0.0]], [[0.25, 0.0, 0.0]]])
    camera = Camera.perspective(500, 400, 400, look_at(torch.tensor([0.3, 0.5, 3.0]), torch.zeros(3)))
    T = se3(rotation_y(torch.deg2rad(torch.tensor(turn_deg))), torch.tensor([0.3, -0.1, 0.2])) @ torch.diag(torch.tensor([1.2, 1.2, 1.2, 1.0]))
    eye = apply(T, camera.centre[None])[0]
    turned_camera = Camera.perspective(500, 400, 400, look_at(eye, apply(T, torch.zeros(1, 3))[0]))
    moved = [replace(m, vertices=apply(T, m.vertices)) for m in truth]
    given = {"predicted_bodies": replace(bodies(apply(T, landmarks)), camera=turned_camera), "true_bodies": replace(bodies(landmarks), camera=camera)}
    m = evaluate_scene(moved, truth, replace(QUICK, alignment="similarity"), camera=camera, **given)
    assert [(p.name, p.predicted_name) for p in m.people] == [("a", "a"), ("b", "b")]
    assert m.group.p2s_cm < 1e-2 and m.bodies.absolute_mpjpe_mm < 0.1
    alone = evaluate_scene(moved[1:], truth, replace(QUICK, alignment="similarity"), camera=camera, **given)
    assert [(p.name, p.predicted_name) for p in alone.people] == [("b", "b")] and alone.missed == ("a",)
    # The group's error of those who were found would be the better, the more are missed.
    assert m.bodies.joint_pa_mpjpe_mm < 0.1 and math.isnan(alone.bodies.joint_pa_mpjpe_mm) and "joint_pa_mpjpe_mm" in alone.undefined
    assert alone.bodies.pa_mpjpe_mm < 0.1


def test_normals_of_a_sphere_against_a_turned_cube_are_bounded():
    group, each = image_metrics([person("s", sphere(0.4))], [person("c", cube((0, 0, 0), 0.7))], size=64)
    assert 0 < group.normal_l2 < 0.3 and len(each) == 1
    assert group.occluded_psnr_db != group.occluded_psnr_db  # nobody hides anybody


def test_pictures_are_taken_relative_to_the_photo():
    eye = torch.tensor([3.0, 1.0, 0.0])
    camera = Camera.perspective(100, 10, 10, look_at(eye, torch.zeros(3)))
    cameras = evaluation_cameras(cube()[0], camera)
    forward = cameras.T_world_cam[:, :3, 2]
    expected = torch.tensor([[-1.0, 0, 0], [0, 0, 1], [1, 0, 0], [0, 0, -1]])
    torch.testing.assert_close(forward, expected, atol=1e-5, rtol=0)
    uv, _ = cameras.project(cube()[0].expand(4, -1, 3))
    assert float(uv.min()) >= 0 and float(uv.max()) <= cameras.width


def test_json_is_strict():
    m = evaluate_scene(pair()[:1], pair()[:1], QUICK)
    tree = json.loads(m.to_json())
    assert tree["image"]["occluded_psnr_db"] is None and tree["group"]["bbox_iou"] == pytest.approx(1)


def test_nothing_to_measure():
    with pytest.raises(InputError):
        evaluate_scene([], pair())
    with pytest.raises(InputError):
        evaluate_scene([replace(pair()[0], vertices=pair()[0].vertices * torch.nan)], pair())
