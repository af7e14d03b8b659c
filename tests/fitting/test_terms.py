"""Each term against a case that can be computed by hand."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from scenes import HEIGHT, WIDTH, camera, observe_truth, photo, stand
from tiny_body import TinyBody

from huddle3d.bodies import load_body
from huddle3d.fitting import FitConfig
from huddle3d.fitting._contact_term import PersonPenetration, deepest_mm
from huddle3d.fitting._depth_order import OrderPairs, wrong_order
from huddle3d.fitting._image_terms import SmallMasks, shrink_masks, silhouette_term
from huddle3d.fitting._landmark_terms import (
    balance_term,
    direction_term,
    evidence,
    floor_term,
    geman_mcclure,
    gravity_term,
    keypoint_term,
    limit_term,
    moved_landmarks,
    pose_spread,
    pose_term,
)
from huddle3d.fitting._observations import BONES, bone_matrix, observe, occluded_joints
from huddle3d.fitting._state import Frame, Variables, project_view
from huddle3d.fitting._world import to_world, world_camera
from huddle3d.geometry import Camera, apply, so3_exp
from huddle3d.scene import BodyParams, People2D
from huddle3d.scene.landmarks import LANDMARK_INDEX, NUM_LANDMARKS
from huddle3d.synthesis.pictures.photograph import _landmarks3d


def variables(count=1, **changes):
    z = torch.zeros
    base = dict(
        R_view_base=torch.eye(3).expand(count, 3, 3), base_ray=z(count, 2), base_depth=torch.full((count,), 4.0), turn=z(count, 3), pose=z(count, 14, 3),
        shape=z(count, 2), shift=z(count, 2), log_depth=z(count), tilt=z(2), camera_height=torch.tensor([1.0]), log_focal=z(1),
    )  # fmt: skip
    return Variables(**{**base, **changes})


def people(masks, keypoints):
    count = len(masks)
    boxes = torch.tensor([[0.0, 0, masks.shape[2], masks.shape[1]]]).expand(count, 4)
    kp = torch.zeros(count, NUM_LANDMARKS, 3)
    kp[:, : keypoints.shape[1]] = keypoints
    names = tuple(f"person_{k}" for k in range(count))
    return People2D(names, boxes, torch.ones(count), kp, torch.zeros(count, NUM_LANDMARKS, 4), masks, "test")


def test_occluded_joints_are_outside_the_own_or_inside_another_mask():
    masks = torch.zeros(2, 40, 60, dtype=torch.bool)
    masks[0, :, :30] = True
    masks[1, :, 30:50] = True
    points = torch.tensor([[10.0, 20, 1], [40, 20, 1], [55, 20, 1], [30.4, 20, 1]])
    hidden = occluded_joints(people(masks, points.expand(2, 4, 3)), 0.05)  # margin 3 px, half of it towards another person
    assert hidden[0, :4].tolist() == [False, True, True, False]  # own, in the other, on nobody, on the border
    assert hidden[1, :4].tolist() == [True, False, True, False]


def test_a_person_without_mask_has_no_occluded_joints():
    masks = torch.zeros(2, 40, 60, dtype=torch.bool)
    masks[1] = True
    hidden = occluded_joints(people(masks, torch.tensor([[[10.0, 20, 1]]]).expand(2, 1, 3)), 0.05)
    assert not hidden[0].any()


def test_occluded_joints_weigh_a_tenth_in_half_of_the_term():
    masks = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool)
    masks[0, :, :300] = True
    points = torch.zeros(1, 17, 3)
    points[0, 5:7] = torch.tensor([[100.0, 100, 1], [500, 100, 1]])
    observed = observe(photo(), people(masks, points), 700.0, FitConfig(), torch.ones(NUM_LANDMARKS, dtype=torch.bool))
    assert observed.weight[0, 5] == pytest.approx(1.0)
    assert observed.weight[0, 6] == pytest.approx(0.5 * 1 + 0.5 * 0.1)
    assert observed.weight[0, 7] == 0


def test_landmarks3d_turn_from_the_crop_to_the_photo_axes():
    # Somebody at the right border, seen by a crop camera: straight "away" in the crop points right in the photo's axes.
    p = people(torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool), torch.zeros(1, 17, 3))
    lm = torch.zeros(1, NUM_LANDMARKS, 4)
    lm[0, LANDMARK_INDEX["left_heel"]] = torch.tensor([0, 0, 0, 1.0])
    lm[0, LANDMARK_INDEX["left_big_toe"]] = torch.tensor([0, 0, 1.0, 1.0])
    boxes = torch.tensor([[WIDTH - 100.0, 190, WIDTH + 100.0, 290]])  # centre on the right border, at half height
    p = People2D(p.names, boxes, p.scores, p.keypoints, lm, p.masks, "test")
    focal = WIDTH / 2.0  # the border is seen at 45 degrees
    observed = observe(photo(), p, focal, FitConfig(), torch.ones(NUM_LANDMARKS, dtype=torch.bool))
    row = [i for i, (a, b) in enumerate(BONES) if a == ("left_heel",)][0]
    assert torch.allclose(observed.bones[0, row], torch.tensor([math.sqrt(0.5), 0, -math.sqrt(0.5)]), atol=1e-5)


def test_bone_matrix_of_the_torso():
    points = torch.zeros(NUM_LANDMARKS, 3)
    points[[5, 6]] = torch.tensor([[0.2, 1.5, 0], [-0.2, 1.5, 0]])
    points[[11, 12]] = torch.tensor([[0.1, 1.0, 0], [-0.1, 1.0, 0]])
    assert torch.allclose((bone_matrix() @ points)[2], torch.tensor([0, 0.5, 0]))


def test_geman_mcclure_is_quadratic_then_flat():
    assert geman_mcclure(torch.tensor(1e-6), 0.1) == pytest.approx(1e-6, rel=1e-3)
    assert geman_mcclure(torch.tensor(0.01), 0.1) == pytest.approx(0.005)
    assert geman_mcclure(torch.tensor(1e9), 0.1) == pytest.approx(0.01)


def test_keypoint_term_counts_metres_at_the_person():
    body, cam = TinyBody(), camera()
    params = body.neutral(1)
    p = observe_truth(body, type(params)(params.shape, params.pose, torch.tensor([[0.0, 1, 0]]), params.expression), cam)
    observed = observe(photo(), p, 760.0, FitConfig(), body.landmark_valid)
    uv = observed.uv.clone()
    assert keypoint_term(uv, observed, torch.tensor([0.005]), FitConfig()).item() == 0
    knee = LANDMARK_INDEX["left_knee"]
    uv[0, knee, 0] += 4  # 4 px at 5 mm/px = 2 cm
    sigma = 0.010 + 0.30 * 0.087
    expected = 0.02**2 / (1 + (0.02 / 0.25) ** 2) / sigma**2
    assert keypoint_term(uv, observed, torch.tensor([0.005]), FitConfig()).item() == pytest.approx(expected, rel=1e-4)


def test_direction_term_is_the_squared_angle():
    body = TinyBody()
    params = body.neutral(1)
    p = observe_truth(body, params, Camera.perspective(500.0, WIDTH, HEIGHT, camera(pitch_deg=0).T_cam_world))
    # boxes in the middle of the image leave the axes alone
    p = People2D(
        p.names,
        torch.tensor([[300.0, 220, 340, 260]]),
        p.scores,
        p.keypoints,
        torch.cat([p.landmarks3d[..., :3], torch.ones(1, 75, 1)], -1),
        p.masks,
        "t",
    )
    observed = observe(photo(), p, 500.0, FitConfig(), body.landmark_valid)
    lm = body.landmarks(params)
    sigma = math.radians(20)
    assert direction_term(lm, observed, bone_matrix(), sigma).item() == pytest.approx(0, abs=1e-4)
    turned = lm @ so3_exp(torch.tensor([0.0, 0.1, 0])).T
    # Each horizontal bone turns by 0.1 rad, each bone by 0.1 times its horizontal share.
    bones = torch.nn.functional.normalize(bone_matrix() @ lm[0], dim=-1)
    expected = (observed.bone_weight[0] * (0.1 * bones[:, [0, 2]].norm(dim=-1)).square()).sum().item() / sigma**2
    assert direction_term(turned, observed, bone_matrix(), sigma).item() == pytest.approx(expected, rel=0.01)


def test_limits_and_pose_prior():
    limits = torch.tensor([[[-0.1, 2.0], [-0.5, 0.5], [-0.2, 0.2]]])
    assert limit_term(torch.tensor([[[1.9, -0.4, 0.1]]]), limits).item() == 0
    assert limit_term(torch.tensor([[[-0.3, 0.6, 0.0]]]), limits).item() == pytest.approx(4 + 1)
    spread = pose_spread(limits)
    half = torch.tensor([[1.05, 0.5, 0.2]])
    assert torch.allclose(spread, half * (half / 1.05).sqrt())
    assert pose_term(torch.tensor([[[1.05, 0.0, 0.0]]]), spread, torch.full((1, 1), 3.0)).item() == pytest.approx(3)


def test_evidence_is_what_a_joint_moves():
    body = TinyBody()
    frame = Frame.build(body, photo(), FitConfig())
    confidence = torch.zeros(1, NUM_LANDMARKS)
    confidence[0, LANDMARK_INDEX["left_ankle"]] = 0.8
    seen = dict(zip((body.joint_names[j] for j in frame.fit_joints), evidence(moved_landmarks(body, frame), confidence)[0].tolist(), strict=True))
    assert seen["left_thigh"] == seen["left_shin"] == pytest.approx(0.8)
    assert seen["left_foot"] == seen["right_thigh"] == seen["left_arm"] == seen["spine"] == 0


def test_floor_term_lets_a_jumper_go_sooner_than_a_sunken_foot():
    lm = torch.zeros(1, NUM_LANDMARKS, 3)

    def at(height):
        lm[..., 1] = height - 1.0  # camera 1 m above the floor, level
        return floor_term(lm, variables(), torch.ones(1), 0.04, 0.3).item()

    assert at(0.0) == pytest.approx(0, abs=1e-9)
    assert at(0.04) == pytest.approx(1 / (1 + (0.04 / 0.3) ** 2), rel=1e-3)
    assert at(-0.08) == pytest.approx(4 / (1 + (0.08 / 0.6) ** 2), rel=1e-3)
    assert at(5.0) < (0.3 / 0.04) ** 2 < at(-1.0)


def figure(pitch=0.0):
    """A straight figure seen by a camera that looks down by ``pitch`` [rad]: its head leans towards the viewer."""
    body = TinyBody()
    lm = body.landmarks(body.neutral(1))
    lm[..., 2] = 0
    return lm @ so3_exp(torch.tensor([pitch, 0, 0])).T


def test_gravity_term_follows_the_camera_tilt():
    pitch = math.radians(7)
    level = gravity_term(figure(pitch), variables(), pitch).item()
    assert level == pytest.approx(1 / (1 + 0.25), rel=0.01)  # one sigma under Geman-McClure of scale two sigma
    assert gravity_term(figure(pitch), variables(tilt=torch.tensor([pitch, 0.0])), pitch).item() == pytest.approx(0, abs=1e-4)


def test_balance_term_is_the_offset_of_the_trunk():
    pitch = math.radians(10)
    lm = figure()
    height = ((lm[0, [5, 6, 11, 12], 1]).mean() - lm[0, [15, 16], 1].mean()).item()
    offset = math.sin(pitch) * height
    seen = balance_term(figure(pitch), variables(), 0.15, 0.45).item()
    assert seen == pytest.approx((offset / 0.15) ** 2 / (1 + (offset / 0.45) ** 2), rel=1e-3)
    assert balance_term(figure(pitch), variables(tilt=torch.tensor([pitch, 0.0])), 0.15, 0.45).item() == pytest.approx(0, abs=1e-6)


def test_penetration_pushes_bodies_apart_and_leaves_distant_ones_alone():
    body = TinyBody()
    params = body.neutral(2)
    term = PersonPenetration(body.proxy_faces, FitConfig(), 0.02)

    def energy(gap):
        x = torch.tensor([[0.0, 0, 0], [0, 0, gap]]).requires_grad_()
        v = body(type(params)(params.shape, params.pose, x, params.expression)).vertices
        value = term(v)
        value.backward()
        return value.item(), x.grad

    far, _ = energy(3.0)
    assert far == 0
    near, grad = energy(0.05)
    nearer, _ = energy(0.02)
    assert nearer > near > 0
    assert grad[0, 2] > 0 > grad[1, 2]  # down the gradient the two move apart
    v = body(type(params)(params.shape, params.pose, torch.tensor([[0.0, 0, 0], [0, 0, 3.0]]), params.expression)).vertices
    assert deepest_mm(v, body.proxy_faces).max() == 0


def test_wrong_order_is_where_the_owner_is_hidden():
    share = torch.zeros(2, 4, 4)
    share[0, :, :2] = 1  # the picture says: left half person 0
    depth = torch.stack([torch.full((4, 4), 3.2), torch.full((4, 4), 3.0)])
    assert wrong_order(share, depth)[0, :, :2].all() and wrong_order(share, depth).sum() == 8
    assert not wrong_order(share, depth.flip(0)).any()
    depth[1] = 0  # body 1 is not rendered there
    assert not wrong_order(share, depth).any()


def test_depth_order_pushes_the_hidden_owner_forwards():
    # Two squares, 4 pixels wide, at depths 3.2 and 3.0; the picture gives all of it to the farther one.
    square = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    vertices = torch.stack([square - torch.tensor([0, 0, 3.2]), square - torch.tensor([0, 0, 3.0])]).requires_grad_()
    cam = Camera.perspective(6.0, 8, 8, torch.diag(torch.tensor([1.0, -1, -1, 1])))
    share = torch.zeros(2, 8, 8)
    share[0, 2:6, 2:6] = 1
    pairs = OrderPairs.freeze(vertices, faces, cam, share)
    covered = len(pairs.weight)
    assert covered >= 9  # the farther square covers 3.75² pixels
    assert torch.allclose(pairs.excess(vertices), torch.full((covered,), 0.2), atol=1e-5)
    energy = pairs.energy(vertices)
    assert energy.item() == pytest.approx(0.2 * covered / 16, rel=1e-3)
    energy.backward()
    assert vertices.grad[0, :, 2].sum() < 0 < vertices.grad[1, :, 2].sum()  # descent moves the owner to larger z, towards the camera
    right = OrderPairs.freeze(vertices.detach().flip(0), faces, cam, share)
    assert len(right.weight) == 0 and right.energy(vertices.detach()).item() == 0


def test_silhouette_term_ignores_what_other_people_own():
    masks = torch.zeros(2, 8, 8, dtype=torch.bool)
    masks[0, :, :4] = True
    masks[1, :, 4:6] = True
    small = shrink_masks(masks, 8)
    coverage = torch.zeros(2, 8, 8)
    coverage[0, :, :6] = 1  # reaches under person 1: no error
    coverage[1, :, 4:6] = 1
    assert silhouette_term(coverage, small).tolist() == [0, 0]
    coverage[0, :, 6:8] = 1  # 16 background pixels over a mask of 32
    assert silhouette_term(coverage, small)[0].item() == pytest.approx(0.5)
    none = SmallMasks(small.share * 0, small.others, torch.zeros(2, dtype=torch.bool))
    assert silhouette_term(coverage, none).tolist() == [0, 0]


def test_world_keeps_the_picture_and_is_upright():
    body = TinyBody()
    frame = Frame(
        torch.arange(1, 15), 15, body.neutral_shape, torch.ones(2), body.shape_limits, 700.0, torch.tensor([WIDTH / 2, HEIGHT / 2])
    )  # fmt: skip
    v = variables(
        2, tilt=torch.tensor([0.2, -0.05]), base_ray=torch.tensor([[0.1, 0.02], [-0.2, 0.0]]), turn=torch.tensor([[0.1, 2.0, 0.2], [0.0, -0.4, 0.1]])
    )
    v = Variables(**{**vars(v), "pose": 0.3 * torch.randn(2, 14, 3, generator=torch.Generator().manual_seed(1))})
    params, T = to_world(v, frame)
    cam = world_camera(T, 700.0, WIDTH, HEIGHT)
    view = v.landmarks(body, frame)
    lm = body.landmarks(params)
    assert torch.allclose(lm, apply(T, view), atol=1e-5)
    assert torch.allclose(cam.project(lm)[0], project_view(view, 700.0, frame.centre), atol=1e-2)
    assert params.translation[:, [0, 2]].mean(0).abs().max() < 1e-5
    assert cam.centre[1].item() == pytest.approx(1.0, abs=1e-5)  # camera_height
    forward = cam.T_world_cam[:3, 2]
    assert abs(forward[0].item()) < 1e-6 and forward[2].item() == pytest.approx(-math.cos(0.2), abs=1e-6)
    assert forward[1].item() == pytest.approx(-math.sin(0.2), abs=1e-6)  # positive pitch looks down


def test_synthetic_truth_is_read_as_it_stands():
    # What the synthesis tells of somebody at the border of the picture are the true bones, in the axes of the photo's camera.
    body, cam = TinyBody(), camera()
    params = stand(body, body.neutral(1), torch.tensor([40.0]), torch.tensor([[1.2, 0.3]]))
    landmarks = body.landmarks(params)
    seen = observe_truth(body, params, cam)
    bodies = SimpleNamespace(landmarks=landmarks)
    people = replace(seen, landmarks3d=_landmarks3d(bodies, cam, seen.boxes))
    observed = observe(photo(760.0), people, 760.0, FitConfig(), body.landmark_valid)
    view = apply(cam.T_cam_world, landmarks) * torch.tensor([1.0, -1.0, -1.0])
    true_bones = torch.nn.functional.normalize(bone_matrix() @ view, dim=-1)
    known = (bone_matrix() @ view).norm(dim=-1) > 1e-4
    assert float((observed.bones - true_bones)[known].abs().max()) < 1e-5


def test_of_whom_nothing_is_known_is_an_adult_of_average_stature():
    body = load_body()
    frame = Frame.build(body, photo(), FitConfig())
    zero = torch.zeros(1, 3)
    average = body(BodyParams(frame.neutral_shape[None], torch.zeros(1, len(body.joint_names), 3), zero, zero[:, :0])).vertices[0]
    assert float(average[:, 1].max() - average[:, 1].min()) == pytest.approx(1.70, abs=0.005)
    assert torch.allclose(frame.neutral_shape - frame.shape_offset, body.neutral_shape), "what a regressor tells is about the model's own middle"
    tiny = TinyBody()
    assert torch.equal(Frame.build(tiny, photo(), FitConfig()).neutral_shape, tiny.neutral_shape), "other models keep theirs"
