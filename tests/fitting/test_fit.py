"""The whole fit on bodies whose truth is known."""

from dataclasses import replace

import pytest
import torch
from scenes import camera, camera_error_deg, mpjpe_in_camera, observe_truth, pa_mpjpe, photo, random_pose, stand, with_masks
from tiny_body import TinyBody

from huddle3d.errors import StageError
from huddle3d.fitting import FitConfig, fit
from huddle3d.scene import BodyParams

FOCAL = 760.0
QUICK = FitConfig(steps_initial=80, steps_joint=80, steps_silhouette=15, steps_polish=10)
"""About half of the default iterations: enough for these easy scenes."""


def tiny_people(seed, count, *, pitch=10.0, yaw=None, gap=0.8, **observe):
    """People side by side on the floor, and what is seen of them."""
    body, cam = TinyBody(), camera(FOCAL, pitch)
    g = torch.Generator().manual_seed(seed)
    neutral = body.neutral(count)
    pose = random_pose(body, count, g, spread=0.3)
    for name in ("left_thigh", "right_thigh", "left_shin", "right_shin", "spine"):  # they stand
        pose[:, body.joint_names.index(name)] *= 0.2
    yaw = torch.rand(count, generator=g) * 360 - 180 if yaw is None else yaw
    position = torch.stack([(torch.arange(count) - (count - 1) / 2) * gap, 0.3 * torch.randn(count, generator=g)], -1)
    params = stand(body, replace(neutral, pose=pose), yaw, position)
    return body, cam, params, observe_truth(body, params, cam, generator=g, **observe)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_one_person_with_3d_landmarks_is_found_again(seed):
    body, cam, params, people = tiny_people(seed, 1)
    bodies = fit(photo(FOCAL), people, QUICK, body=body)
    truth = body.landmarks(params)
    # Noise-free, so what remains is the pull of the priors (a pose prior of half the joint range against 3 cm keypoints).
    assert pa_mpjpe(bodies.landmarks, truth).max() < 0.025
    assert mpjpe_in_camera(bodies, truth, cam).max() < 0.05
    assert bodies.reprojection_px.max() < 1.5
    assert bodies.confidence.min() > 0.9
    assert camera_error_deg(bodies, cam) < 7  # one person's lean and the camera's pitch are told apart by balance alone
    assert abs(bodies.landmarks[0, 17:23, 1].min()) < 0.05
    depth = (bodies.camera.project(bodies.landmarks)[1] - cam.project(truth)[1])[0, [11, 12]].mean()
    assert abs(depth) < 0.3  # stature is free within its spread: 4 m x 6 %


@pytest.mark.slow
def test_keypoints_alone_find_the_facing():
    # Left and right joints tell front from back: the same pose turned by half a turn must be found turned.
    for yaw in (0.0, 180.0):
        body, cam, params, people = tiny_people(3, 1, yaw=torch.tensor([yaw]), with_3d=False)
        bodies = fit(photo(FOCAL), people, QUICK, body=body)
        assert mpjpe_in_camera(bodies, body.landmarks(params), cam).max() < 0.12
        assert bodies.reprojection_px.max() < 2


def test_noise_drop_out_and_two_people():
    body, cam, params, people = tiny_people(5, 2, noise_px=3.0, noise_3d=0.03, drop=0.2)
    people = with_masks(people, body(params).vertices, body.faces, cam)
    bodies = fit(photo(FOCAL), people, QUICK, body=body)
    truth = body.landmarks(params)
    # 3 px at 4 m are 1.6 cm per joint; hidden joints rest on the 3D landmarks.
    assert pa_mpjpe(bodies.landmarks, truth).mean() < 0.07
    assert bodies.reprojection_px.max() < 6
    assert bodies.vertices.shape == (2, len(body.faces) // 12 * 8, 3)
    assert bodies.camera.batch_shape == ()


def test_gross_outlier_is_let_go():
    body, cam, params, people = tiny_people(1, 1)
    keypoints = people.keypoints.clone()
    keypoints[0, 9, :2] += torch.tensor([250.0, -200.0])  # a wrist on somebody else
    bodies = fit(photo(FOCAL), replace(people, keypoints=keypoints), QUICK, body=body)
    others = [j for j in range(5, 17) if j not in (7, 9)]
    error = (bodies.camera.project(bodies.landmarks)[0] - people.keypoints[..., :2])[0, others].norm(dim=-1)
    assert error.mean() < 4


def test_upper_body_only_says_so():
    body, cam, params, people = tiny_people(2, 1, yaw=torch.tensor([20.0]))
    keypoints, lm3d = people.keypoints.clone(), people.landmarks3d.clone()
    keypoints[0, 13:23, 2] = 0
    lm3d[0, 13:23, 3] = 0
    bodies = fit(photo(FOCAL), replace(people, keypoints=keypoints, landmarks3d=lm3d), QUICK, body=body)
    assert any("lower body not seen" in w and w.startswith("person_0") for w in bodies.warnings)
    truth = body.landmarks(params)
    assert mpjpe_in_camera(bodies, truth, cam, rows=slice(5, 11)).max() < 0.08
    knees = bodies.landmarks[0, 13:15, 1]
    assert (knees < bodies.landmarks[0, 11:13, 1]).all()  # hidden legs hang down
    assert bodies.vertices[..., 1].min() == pytest.approx(0, abs=1e-5)  # without seen feet the floor lies under the body


@pytest.mark.slow
def test_tilt_of_the_camera_is_found_from_those_who_stand():
    body, cam, params, people = tiny_people(7, 3, pitch=25.0, gap=0.7)
    assert camera_error_deg(fit(photo(FOCAL), people, QUICK, body=body), cam) < 6
    level = fit(photo(FOCAL), people, FitConfig(optimise_tilt=False, steps_joint=20, steps_polish=0), body=body)
    assert level.camera.T_cam_world[1, 1] == pytest.approx(-1)


def test_same_input_same_bytes():
    body, _, _, people = tiny_people(0, 2, noise_px=1.0)
    config = FitConfig(steps_initial=20, steps_joint=20, steps_silhouette=5, steps_polish=5)
    assert fit(photo(), people, config, body=body).digest() == fit(photo(), people, config, body=body).digest()


def test_unknown_focal_length_uses_the_stated_default_and_says_so():
    body, _, _, people = tiny_people(0, 1)
    config = FitConfig(steps_initial=5, steps_joint=5, steps_silhouette=0, steps_polish=0)
    bodies = fit(photo(), people, config, body=body)
    assert bodies.camera.K[0, 0] == pytest.approx(1.2 * 640)
    assert any("Focal length unknown" in w for w in bodies.warnings)


def test_nothing_to_fit_is_an_error_that_names_the_photo():
    body, _, _, people = tiny_people(0, 2)
    empty = replace(people, keypoints=people.keypoints * torch.tensor([[[1.0, 1, 1]], [[1, 1, 0]]]))
    with pytest.raises(StageError, match="synthetic.*person_1"):
        fit(photo(), empty, body=body)
    none = replace(
        people,
        names=(),
        boxes=people.boxes[:0],
        scores=people.scores[:0],
        keypoints=people.keypoints[:0],
        landmarks3d=people.landmarks3d[:0],
        masks=people.masks[:0],
    )
    with pytest.raises(StageError, match="no person"):
        fit(photo(), none, body=body)


@pytest.mark.slow
def test_two_anny_bodies_are_found_again():
    from huddle3d.bodies import load_body

    body, cam = load_body(), camera(FOCAL, 15.0)
    g = torch.Generator().manual_seed(0)
    pose = random_pose(body, 2, g, spread=0.3)
    for j, name in enumerate(body.joint_names):
        if any(part in name for part in ("leg", "foot", "spine", "pelvis", "finger")):
            pose[:, j] *= 0.3
    neutral = body.neutral(2)
    params = stand(
        body,
        BodyParams(neutral.shape, pose, neutral.translation, neutral.expression),
        torch.tensor([-40.0, 150]),
        torch.tensor([[-0.35, 0.1], [0.35, -0.1]]),
    )
    truth = body(params)
    people = with_masks(observe_truth(body, params, cam), truth.vertices, body.faces, cam)
    bodies = fit(photo(FOCAL), people, body=body)
    # Noise-free: hidden limbs and the priors leave a few centimetres.
    assert pa_mpjpe(bodies.landmarks, truth.landmarks).max() < 0.04
    assert mpjpe_in_camera(bodies, truth.landmarks, cam).max() < 0.08
    assert bodies.reprojection_px.max() < 3
    assert camera_error_deg(bodies, cam) < 6
