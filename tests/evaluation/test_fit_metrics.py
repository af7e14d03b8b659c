"""Metrics of fitted bodies: known motions, invariances, scipy as a peer; contact by region on cubes; depth order."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from huddle3d.bodies import load_body
from huddle3d.errors import InputError, ShapeError
from huddle3d.evaluation import EvaluationSample, TouchingBodies, depth_order, fit_metrics, match_in_picture, region_contacts
from huddle3d.geometry import Camera, apply, look_at, se3, so3_exp
from huddle3d.scene import Bodies, BodyParams, People2D, Photo

from .shapes import cube

WIDTH, HEIGHT = 320, 240


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def truth(body):
    """Two average adults in rest pose, 40 cm apart and one 20 cm behind the other."""
    params = body.neutral(2)
    place = torch.tensor([[-0.25, 0.9, 0.1], [0.25, 0.9, -0.1]])
    params = BodyParams(params.shape, params.pose, place, params.expression)
    out = body(params)
    camera = Camera.perspective(300.0, WIDTH, HEIGHT, look_at(torch.tensor([0.3, 1.5, 3.5]), torch.tensor([0.0, 0.9, 0.0])))
    return Bodies("anny", ("a", "b"), params, out.vertices, out.landmarks, camera, torch.zeros(2), torch.ones(2))


@pytest.fixture(scope="module")
def sample(truth):
    uv, _ = truth.camera.project(truth.landmarks.reshape(-1, 3))
    keypoints = torch.cat([uv.reshape(2, 75, 2), torch.ones(2, 75, 1)], -1)
    keypoints[0, 9, 2] = 0.3  # hidden
    people = People2D(
        ("a", "b"), torch.zeros(2, 4), torch.ones(2), keypoints, torch.zeros(2, 75, 4), torch.zeros(2, HEIGHT, WIDTH, dtype=torch.bool), "truth"
    )
    photo = Photo(torch.zeros(HEIGHT, WIDTH, 3), "x", "0" * 64)
    return EvaluationSample("x", "test", photo, (), truth.camera, truth, people)


def moved(bodies, T, camera=True):
    """The same bodies in another world."""
    seen = replace(bodies.camera, T_cam_world=bodies.camera.T_cam_world @ torch.linalg.inv(T)) if camera else bodies.camera
    return replace(bodies, vertices=apply(T, bodies.vertices), landmarks=apply(T, bodies.landmarks), camera=seen)


def shifted(bodies, person, offset_world):
    """One person elsewhere in the same world."""
    delta = torch.zeros(len(bodies.names), 1, 3)
    delta[person, 0] = torch.as_tensor(offset_world)
    return replace(bodies, vertices=bodies.vertices + delta, landmarks=bodies.landmarks + delta)


def test_the_truth_has_no_error(truth, sample, body):
    m = fit_metrics(truth, sample, body)
    assert max(m.mpjpe_mm, m.pa_mpjpe_mm, m.joint_pa_mpjpe_mm, m.mve_mm, m.pa_mve_mm, m.offset_mm, m.seen_pa_mm, m.hidden_pa_mm) < 1e-2
    assert (m.order_right, m.order_decided, m.people_found, m.people_invented) == (1, 1, 2, 0)
    assert max(m.joint_errors_mm) < 1e-2 and len(m.joint_errors_mm) == 17
    assert m.contact_recall == m.contact_precision == m.contact_pair_recall == 1  # arms in A-pose cross the other's


def test_another_world_is_the_same_picture(truth, sample, body):
    noisy = replace(truth, landmarks=truth.landmarks + 0.03 * torch.randn(truth.landmarks.shape, generator=torch.Generator().manual_seed(1)))
    here = fit_metrics(noisy, sample, body)
    there = fit_metrics(moved(noisy, se3(so3_exp(torch.tensor([0.2, 2.0, -0.3])), torch.tensor([3.0, -1.0, 2.0]))), sample, body)
    for name in ("mpjpe_mm", "pa_mpjpe_mm", "joint_pa_mpjpe_mm", "mve_mm", "offset_mm", "offset_depth_mm", "max_penetration_mm", "contact_recall"):
        assert getattr(there, name) == pytest.approx(getattr(here, name), rel=2e-3, abs=2e-2), name
    assert here.mpjpe_mm > 20


def test_joint_errors_equal_scipy(truth, sample, body):
    from scipy.spatial import procrustes

    p = truth.landmarks + 0.05 * torch.randn(truth.landmarks.shape, generator=torch.Generator().manual_seed(2))
    got = fit_metrics(replace(truth, landmarks=p), sample, body, pairs=[(0, 0), (1, 1)])
    a, b = p[:, :17].double().numpy(), truth.landmarks[:, :17].double().numpy()

    def peer(x, y):
        one, two, _ = procrustes(y, x)  # both are scaled to unit norm
        return 1000 * np.linalg.norm(one - two, axis=1) * np.linalg.norm(y - y.mean(0))

    assert got.pa_mpjpe_mm == pytest.approx(np.mean([peer(x, y) for x, y in zip(a, b)]), rel=1e-3)
    assert got.joint_pa_mpjpe_mm == pytest.approx(peer(a.reshape(-1, 3), b.reshape(-1, 3)).mean(), rel=1e-3)
    assert got.hidden_pa_mm == pytest.approx(peer(a[0], b[0])[9], rel=1e-3)
    count = 2 * 17
    assert got.pa_mpjpe_mm * count == pytest.approx(got.seen_pa_mm * (count - 1) + got.hidden_pa_mm, rel=1e-6)
    hips = [x[:, [11, 12]].mean(1) for x in (a, b)]
    assert got.offset_mm == pytest.approx(1000 * np.linalg.norm((hips[0][0] - hips[0][1]) - (hips[1][0] - hips[1][1])), rel=1e-4)


def test_a_person_pushed_along_the_camera_axis(truth, sample, body):
    axis = truth.camera.T_world_cam[:3, 2]
    m = fit_metrics(shifted(truth, 1, 0.3 * axis), sample, body, pairs=[(0, 0), (1, 1)])
    assert m.offset_mm == pytest.approx(300, rel=1e-3) and m.offset_depth_mm == pytest.approx(300, rel=1e-3)
    assert m.pa_mpjpe_mm < 1e-2 and m.mpjpe_mm < 1e-2 and 50 < m.joint_pa_mpjpe_mm < 150 and m.order_right == 1
    m = fit_metrics(shifted(truth, 1, -0.6 * axis), sample, body, pairs=[(0, 0), (1, 1)])
    assert (m.order_right, m.order_decided) == (0, 1)


def test_bodies_apart_have_no_contact_and_touch_no_more(truth, sample, body):
    m = fit_metrics(shifted(truth, 1, (1.5, 0.0, 0.0)), sample, body, pairs=[(0, 0), (1, 1)])
    assert m.max_penetration_mm == 0 and m.contact_recall == 0 and math.isnan(m.contact_precision)


def test_people_are_matched_in_the_picture(truth, sample, body):
    swapped = replace(truth, names=("b", "a"), vertices=truth.vertices.flip(0), landmarks=truth.landmarks.flip(0))
    assert match_in_picture(swapped, sample) == [(1, 0), (0, 1)]
    assert fit_metrics(swapped, sample, body).mpjpe_mm < 1e-2
    one = replace(truth, names=("a",), vertices=truth.vertices[:1], landmarks=truth.landmarks[:1])
    m = fit_metrics(one, sample, body)
    assert (m.people_found, m.people_invented) == (1, 0) and math.isnan(m.joint_pa_mpjpe_mm) and m.pa_mpjpe_mm < 1e-2
    far = shifted(one, 0, (3.0, 0.0, 0.0))
    m = fit_metrics(far, sample, body)
    assert (m.people_found, m.people_invented) == (0, 1) and math.isnan(m.pa_mpjpe_mm)


def test_a_truth_of_some_joints(truth, sample, body):
    joints = truth.landmarks[:, :17].clone()
    joints[:, :5] = math.nan
    some = replace(sample, bodies=None, people2d=None, joints=joints)
    m = fit_metrics(shifted(truth, 1, (0.0, 0.1, 0.0)), some, body)
    assert m.pa_mpjpe_mm < 1e-2 and math.isnan(m.mve_mm) and math.isnan(m.contact_recall) and math.isnan(m.joint_errors_mm[0])
    assert m.max_penetration_mm >= 0
    with pytest.raises(InputError, match="joints"):
        fit_metrics(truth, replace(some, joints=None), body)


def test_depth_order_of_three():
    z = torch.tensor([1.0, 2.0, 2.02])
    truth = torch.zeros(3, 4, 3)
    truth[..., 2] = z[:, None]
    assert depth_order(truth, truth).decided == 2  # the last two are too near each other to have an order
    wrong = truth.clone()
    wrong[0, :, 2] = 2.01
    found = depth_order(wrong, truth)
    assert (found.right, found.decided) == (1, 2)
    with pytest.raises(ShapeError):
        depth_order(truth[:2], truth)


def boxes(*centres):
    """Cubes of 20 cm whose vertices with x > 0 are 'left_hand', the others 'chest'."""
    vertices, faces = cube(side=0.2)
    regions = (vertices[:, 0] > 0).long()
    return TouchingBodies(torch.stack([vertices + torch.tensor(c) for c in centres]), faces, regions, ("chest", "left_hand"))


def test_contacts_by_region():
    side_by_side = boxes((0.0, 0.0, 0.0), (0.21, 0.0, 0.0))  # left_hand of 0 against chest of 1, one cm apart
    apart = boxes((0.0, 0.0, 0.0), (0.5, 0.0, 0.0))
    other = boxes((0.0, 0.0, 0.0), (-0.21, 0.0, 0.0))
    same = region_contacts(side_by_side, side_by_side)
    assert (same.recall, same.precision, same.pair_recall, same.pair_precision) == (1, 1, 1, 1)
    assert same.by_region == {"chest": (1, 1, 1), "hand": (1, 1, 1)}
    none = region_contacts(apart, side_by_side)
    assert none.recall == 0 and math.isnan(none.precision) and none.by_region["hand"] == (0, 1, 0)
    wrong = region_contacts(other, side_by_side)
    assert wrong.recall == 0 and wrong.precision == 0 and wrong.pair_recall == 0
    turned = region_contacts(boxes((0.0, 0.0, 0.0), (0.0, 0.21, 0.0)), side_by_side, min_vertices=2)  # both regions of both
    assert turned.recall == 1 and turned.precision == pytest.approx(0.5)
    assert math.isnan(region_contacts(side_by_side, apart).recall)
    with pytest.raises(InputError, match="two or more"):
        region_contacts(boxes((0.0, 0.0, 0.0)), boxes((0.0, 0.0, 0.0)))


def test_regions_of_two_models_are_made_common():
    a = boxes((0.0, 0.0, 0.0), (0.21, 0.0, 0.0))
    fine, coarse = replace(a, region_names=("chest", "left_shoulder")), replace(a, region_names=("chest", "left_upper_arm"))
    assert region_contacts(fine, coarse).recall == 1
