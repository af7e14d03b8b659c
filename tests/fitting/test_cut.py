"""Bodies that the border of the picture cuts off: which points, and how they stand."""

from dataclasses import replace

import pytest
import torch
from scenes import HEIGHT, WIDTH, camera, observe_truth, photo, stand
from tiny_body import TinyBody

from huddle3d.bodies import load_body
from huddle3d.diffusion.pairs import pair_joints
from huddle3d.fitting import FitConfig, fit
from huddle3d.fitting._cut import CutLegs
from huddle3d.fitting._landmark_terms import moved_landmarks
from huddle3d.fitting._learned import Learned
from huddle3d.fitting._observations import BONES, observe
from huddle3d.fitting._state import Frame
from huddle3d.fitting.regressor import Regressor, answer_size
from huddle3d.networks import PairRegressor, PairRegressorConfig
from huddle3d.scene import People2D
from huddle3d.scene.landmarks import LANDMARK_INDEX, NUM_LANDMARKS

L = LANDMARK_INDEX
FOCAL = 760.0


def person(**at):
    """Somebody whose points are seen in the middle of the picture, but for those given as (x, y, confidence)."""
    points = torch.tensor([WIDTH / 2, HEIGHT / 2, 1.0]).repeat(NUM_LANDMARKS, 1)
    for s, x in (("left", 20.0), ("right", -20.0)):
        points[L[f"{s}_shoulder"]] = torch.tensor([WIDTH / 2 + x, HEIGHT - 150.0, 1.0])
        points[L[f"{s}_hip"]] = torch.tensor([WIDTH / 2 + x, HEIGHT - 50.0, 1.0])
    for name, value in at.items():
        points[L[name]] = torch.tensor(value)
    box = torch.tensor([[100.0, 100, 500, HEIGHT]])
    return People2D(
        ("a",), box, torch.ones(1), points[None], torch.zeros(1, NUM_LANDMARKS, 4), torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool), "test"
    )


def both(part, value):
    return {f"{s}_{part}": value for s in ("left", "right")}


def cut_names(cut):
    return {n for n, i in L.items() if cut.points[0, i]}


LEGS = {f"{s}_{p}" for s in ("left", "right") for p in ("knee", "ankle", "heel", "big_toe", "small_toe")}
FEET = {p: (300.0, 200.0, 0.0) for n in ("heel", "big_toe", "small_toe") for p in (f"left_{n}", f"right_{n}")}


def test_which_points_the_border_cuts_off():
    below = both("knee", (300.0, HEIGHT + 20.0, 0.0)) | both("ankle", (300.0, HEIGHT + 200.0, 0.0))
    cut = CutLegs.of(photo(FOCAL), person(**below, **FEET))
    assert cut_names(cut) == LEGS  # feet go with their ankle, wherever the detector put them
    assert cut.below[0].sum() == 4 and not cut.hips[0] and cut.upright[0] == 1
    # hidden inside of the picture, or told to be outside: not cut
    assert not cut_names(CutLegs.of(photo(FOCAL), person(**both("knee", (300.0, 400.0, 0.0)))))
    assert not cut_names(CutLegs.of(photo(FOCAL), person(**both("knee", (300.0, HEIGHT + 20.0, 0.9)))))
    beside = CutLegs.of(photo(FOCAL), person(**both("ankle", (-30.0, 300.0, 0.0)), **FEET))
    assert "left_ankle" in cut_names(beside) and not beside.below.any()  # they may lie along the side: nothing says that they hang down


def test_points_that_nobody_placed_are_cut_off_where_the_box_ends_at_the_border():
    nowhere = person(**both("knee", (0.0, 0.0, 0.0)), **both("ankle", (0.0, 0.0, 0.0)), **FEET)
    assert cut_names(CutLegs.of(photo(FOCAL), nowhere)) == LEGS
    higher = replace(nowhere, boxes=nowhere.boxes - torch.tensor([0.0, 0, 0, 40]))
    assert not cut_names(CutLegs.of(photo(FOCAL), higher))


def test_how_upright_the_trunk_is():
    legs = both("knee", (300.0, HEIGHT + 20.0, 0.0))
    lying = person(**legs, **both("hip", (500.0, HEIGHT - 150.0, 1.0)))
    assert CutLegs.of(photo(FOCAL), lying).upright[0] == 0
    without = CutLegs.of(photo(FOCAL), person(**legs, **both("hip", (320.0 - 450.0, HEIGHT + 300.0, 0.0))))
    assert without.hips[0] and torch.allclose(without.trunk[0], torch.tensor([0.5**0.5, 0.5**0.5]), atol=1e-4)
    unknown = CutLegs.of(photo(FOCAL), person(**legs, **both("hip", (0.0, 0.0, 0.0))))
    assert unknown.trunk[0].tolist() == [0, 1] and unknown.upright[0] == 1


def test_nothing_told_of_them_remains():
    body, config = load_body(), FitConfig()
    torch.manual_seed(0)
    joints = pair_joints(body)
    net = PairRegressor(PairRegressorConfig(out=answer_size(len(joints), body.num_shape), width=16, mask_width=4, blocks=1))
    regressor = Regressor(net.eval().requires_grad_(False), joints, body.num_shape)
    people = person(**both("knee", (300.0, HEIGHT + 20.0, 0.0)), **both("ankle", (300.0, HEIGHT + 200.0, 0.0)), **FEET)
    frame = Frame.build(body, photo(FOCAL), config)
    observed = observe(photo(FOCAL), people, FOCAL, config, body.landmark_valid)
    learned = Learned.of(regressor, photo(FOCAL), people, observed, frame)
    cut = CutLegs.of(photo(FOCAL), people)
    silent = cut.untold(learned, cut.joints(moved_landmarks(body, frame)), frame.fit_joints.tolist())
    names = [body.joint_names[j] for j in joints]
    legs = torch.tensor([n.startswith(("upperleg", "lowerleg", "foot")) for n in names])
    assert learned.answer.pose[0, legs].abs().amin(-1).gt(0).all()
    assert silent.answer.pose[0, legs].eq(0).all() and torch.equal(silent.answer.pose[0, ~legs], learned.answer.pose[0, ~legs])
    moved = moved_landmarks(body, frame)
    done = cut.standing(silent.fused(observed, config), moved, config.weight_cut_legs)
    fitted = [body.joint_names[j] for j in frame.fit_joints.tolist()]
    held = {n for n, h in zip(fitted, done.held[0].tolist(), strict=True) if h == 1}
    assert {"upperleg01.L", "lowerleg01.R"} <= held and done.held[0].sum() == len(held)  # others are as stiff as any hidden limb
    assert not any(n.startswith(("spine", "foot", "toe", "upperarm")) for n in held)
    for other in (both("knee", (300.0, 400.0, 0.0)), both("ankle", (-30.0, 300.0, 0.0)), both("hip", (500.0, HEIGHT - 150.0, 1.0))):
        # a knee hidden in the picture, ankles beside it, a trunk that lies: nothing tells the thigh
        loose = CutLegs.of(photo(FOCAL), person(**(both("knee", (300.0, HEIGHT + 20.0, 0.0)) | both("ankle", (300.0, HEIGHT + 200.0, 0.0)) | other)))
        assert loose.held(moved)[0, fitted.index("upperleg01.L")] == 0
    for row, (_, end) in enumerate(BONES):
        if end[0].endswith(("knee", "ankle")):
            assert done.bones[0, row].tolist() == [0, -1, 0] and done.bone_weight[0, row] > 1
        elif end[0].endswith("toe"):
            assert done.bone_weight[0, row] == observed.bone_weight[0, row]
        else:
            assert torch.equal(done.bones[0, row], learned.fused(observed, config).bones[0, row])


def thigh_deg(bodies):
    down = bodies.landmarks[0, [L["left_knee"], L["right_knee"]]] - bodies.landmarks[0, [L["left_hip"], L["right_hip"]]]
    return torch.rad2deg(torch.nn.functional.normalize(down, dim=-1)[:, 1].neg().clamp(-1, 1).acos())


@pytest.mark.slow
def test_who_bows_at_the_border_stands():
    body, quick = TinyBody(), FitConfig(steps_initial=80, steps_joint=80, steps_silhouette=15, steps_polish=10)
    neutral = body.neutral(1)
    pose = neutral.pose.clone()
    pose[0, 0, 2] = 0.8  # the whole body leans to the side, 46 degrees; then the legs come back under it
    for s in ("left", "right"):
        pose[0, body.joint_names.index(f"{s}_thigh"), 2] = -0.8
    params = stand(body, replace(neutral, pose=pose), torch.zeros(1), torch.zeros(1, 2))
    cam = camera(FOCAL, pitch_deg=0.0, distance=2.2, target=1.45)
    people = observe_truth(body, params, cam)
    legs = [L[n] for n in LEGS]
    assert (people.keypoints[0, [L["left_ankle"], L["right_ankle"]], 1] > HEIGHT).all()
    keypoints, points3d = people.keypoints.clone(), people.landmarks3d.clone()
    knees = [L["left_knee"], L["right_knee"]]
    keypoints[0, knees, 1] = keypoints[0, knees, 1].clamp_min(HEIGHT + 1)
    keypoints[0, legs, 2], points3d[0, legs, 3] = 0, 0
    people = replace(people, keypoints=keypoints, landmarks3d=points3d)
    assert thigh_deg(fit(photo(FOCAL), people, quick, body=body)).max() < 15
    assert thigh_deg(fit(photo(FOCAL), people, replace(quick, weight_cut_legs=0.0), body=body)).max() > 25
