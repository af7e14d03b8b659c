"""Views without pictures, what is reported of them, and the training of the regressor."""

import math
from dataclasses import replace

import pytest
import torch

from huddle3d.bodies import load_body
from huddle3d.cli import main
from huddle3d.fitting.regressor import POINTS, Answer, Numbers, read_regressor
from huddle3d.geometry import rotation_angle, six_d_from_matrix
from huddle3d.perception.keypoint_noise import load_keypoint_noise, spoil
from huddle3d.scene.landmarks import LANDMARK_INDEX
from huddle3d.training import NoiseMix, PoseBank, RegressorTraining, ViewConfig, observed, pair_views, train_regressor, write_bank
from huddle3d.training.harvest import draw_shapes
from huddle3d.training.pair_sights import true_bones
from huddle3d.training.regressor import _Chain, _goal
from huddle3d.training.singles import single_poses

EXACT = NoiseMix(noisy=0.0, blind=0.0, forgotten=0.0, no_mask=0.0, alone=0.0, soft=0.0)
STILL = ViewConfig(limb_deg=0, trunk_deg=0, shift_m=0, other_limb=0)
TINY = RegressorTraining(width=24, blocks=1, mask_width=4, singles=2, views=40, batch=16, warm_up=2, validation_share=0.25)


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def bank(body):
    """Pairs who stand one behind the other, half a metre apart, facing +z."""
    g = torch.Generator().manual_seed(3)
    count = 12
    pose = torch.zeros(count, 2, body.num_joints, 3)
    place = torch.tensor([[0.0, 0.9, 0.25], [0.0, 0.9, -0.25]]).expand(count, 2, 3)
    shape = torch.stack([draw_shapes(body, g) for _ in range(count)])
    zero = torch.zeros(count, dtype=torch.float16)
    return PoseBank(shape.half(), pose.half(), place.clone(), torch.zeros(count, dtype=torch.int32), torch.arange(count) // 3, zero, zero, ("hug",))


@pytest.fixture(scope="module")
def views(bank, body):
    return pair_views(bank, torch.arange(12), body, torch.Generator().manual_seed(0), replace(STILL, least_visible=0.0))


def test_views_hold_what_a_camera_sees(views):
    assert len(views) == 36  # three cameras each
    z = views.points[..., 2]
    rays = views.points[..., :2] / z[..., None]
    inside = ((rays - views.window[:, None, None, :2]).abs() <= views.window[:, None, None, 2:]).all(-1)
    assert bool(inside[views.state > 0].all()), "what is in the picture is in the window"
    ankles = [POINTS.index(LANDMARK_INDEX[f"{s}_ankle"]) for s in ("left", "right")]
    hips = views.points[:, :, [POINTS.index(LANDMARK_INDEX[f"{s}_hip"]) for s in ("left", "right")]].mean(2)
    assert float((views.root - hips).norm(dim=-1).max()) < 0.2
    behind = views.root[:, 1, 2] - views.root[:, 0, 2]
    straight = behind.abs() > 0.47  # the camera looks along the line of the two
    assert int(straight.sum()) >= 3
    for view in straight.nonzero()[:, 0].tolist():
        front, back = (0, 1) if behind[view] > 0 else (1, 0)
        shown = (views.state[view] == 2).float().mean(-1)
        assert shown[front] > shown[back]
    assert float((views.points[:, :, ankles, 1] - views.root[..., None, 1]).min()) > 0.4, "y points down"


def test_exact_observations_lead_back_to_the_bodies(views, body):
    sights = observed(views, EXACT, torch.Generator().manual_seed(0))
    truth = _goal(views, sights, body.neutral_shape)
    count = len(views)
    numbers = Numbers(
        six_d_from_matrix(truth.orient, "rows"), six_d_from_matrix(truth.pose, "rows"), truth.shape, truth.size, torch.zeros(count), truth.place,
        truth.behind, torch.zeros(count), truth.bones, torch.zeros(count, truth.bones.shape[1]),
    )  # fmt: skip
    answer = Answer.of(numbers, sights)
    assert torch.allclose(answer.root_view, views.root[:, 0] * torch.tensor([1.0, -1.0, -1.0]), atol=1e-4)
    assert float(rotation_angle(answer.R_view_root.transpose(-1, -2) @ views.R_cam_root[:, 0]).max()) < 2e-3
    assert torch.allclose(answer.bones, true_bones(views)[:, 0], atol=1e-4)
    offset = (views.root[:, 1] - views.root[:, 0]) * torch.tensor([1.0, -1.0, -1.0])
    assert torch.allclose((offset * answer.axis).sum(-1), answer.behind, atol=1e-4)
    shown = sights.confidence[:, 0][views.state[:, 0] == 2]
    assert bool((shown == 1).all()) and bool((sights.confidence[:, 0][views.state[:, 0] == 1] == 0.3).all())
    again = views.reordered(torch.ones(count).bool())
    assert torch.equal(again.reordered(torch.ones(count).bool()).owner, views.owner)
    assert torch.allclose(observed(again, EXACT, torch.Generator()).rows()[0], sights.swapped().rows()[0], atol=1e-5)


def test_mixes_leave_out_what_they_say(views):
    g = torch.Generator().manual_seed(1)
    assert float(observed(views, replace(EXACT, blind=1.0), g).confidence3d.max()) == 0
    assert float(observed(views, replace(EXACT, no_mask=1.0), g).maps.max()) == 0
    forgotten = observed(views, replace(EXACT, forgotten=1.0), g)
    assert float(forgotten.confidence[views.state < 2].max()) == 0 and float(forgotten.confidence[views.state == 2].min()) == 1
    lone = observed(views, replace(EXACT, alone=1.0), g)
    assert not bool(lone.paired.any()) and bool((lone.window[:, 2] <= views.window[:, 2] * 1.06).all())
    noisy = observed(views, replace(EXACT, noisy=1.0), g)
    error = (noisy.rays - views.points[..., :2] / views.points[..., 2:]).norm(dim=-1) * views.points[..., 2]
    shoulder = POINTS.index(LANDMARK_INDEX["left_shoulder"])
    noise = load_keypoint_noise()
    table, marked = noise.rows["shoulder"]["seen"].error_m, max(abs(v) for v in noise.offsets_m["shoulder"])
    seen = error[:, :, shoulder][views.state[:, :, shoulder] == 2]
    assert table[2] < float(seen.median()) < table[8] + marked, "the mark on everybody's body and each one's own error"


def test_people_are_spoilt_one_by_one():
    g = torch.Generator().manual_seed(0)
    points = torch.cat([torch.rand(400, 75, 2, generator=g), torch.ones(400, 75, 1)], -1)
    points3d = torch.cat([torch.randn(400, 75, 3, generator=g), torch.ones(400, 75, 1)], -1)
    noise = replace(load_keypoint_noise(), swaps={"all": 0.0, "arms": 0.0, "legs": 0.0})
    out, _ = spoil(points, points3d, torch.cat([torch.full((200,), 1.0), torch.full((200,), 3.0)]), noise, g)
    size = (out[..., :2] - points[..., :2]).norm(dim=-1)[:, :17]
    assert float(size[200:].median() / size[:200].median()) == pytest.approx(3, rel=0.1)
    wrists = size[:200, [9, 10]].log()
    assert abs(float(torch.corrcoef(wrists.T)[0, 1])) < 0.2, "two limbs, two draws"


def test_chain_is_the_skeleton(body):
    from huddle3d.diffusion.pairs import pair_joints
    from huddle3d.geometry import so3_exp

    g = torch.Generator().manual_seed(1)
    told = list(pair_joints(body))
    params = body.neutral(2)
    pose = params.pose.clone()
    pose[:, told] = 0.3 * torch.randn(2, len(told), 3, generator=g)
    pose[:, 0] = torch.randn(2, 3, generator=g)
    joints = body.joints(replace(params, pose=pose))
    found = _Chain(body)(so3_exp(pose[:, 0]), so3_exp(pose[:, told]))
    wrist = body.joint_names.index("wrist.L")
    nearest = (found - (joints[:, wrist] - joints[:, 0])[:, None]).norm(dim=-1).amin(1)
    assert float(nearest.max()) < 1e-4


def test_single_poses_are_apart_and_for_training(body):
    singles = single_poses(2, body)
    assert singles.source_names == ("solo",) and len(singles) == 2
    gap = (singles.translation[:, 0] - singles.translation[:, 1]).norm(dim=-1)
    assert float(gap.min()) > 0.8


@pytest.mark.slow
def test_training_goes_on_where_it_was_stopped(bank, body, tmp_path):
    once, report = train_regressor(bank, tmp_path / "once", TINY, body=body, minutes=5, steps=4)
    train_regressor(bank, tmp_path / "twice", TINY, body=body, minutes=5, steps=4)
    assert (tmp_path / "once/regressor.safetensors").read_bytes() == (tmp_path / "twice/regressor.safetensors").read_bytes()
    assert math.isfinite(report.joint_mm) and read_regressor(tmp_path / "once/regressor.safetensors").joints == once.joints
    write_bank(tmp_path / "bank.safetensors", bank)
    assert main(["train", "regressor", "--banks", str(tmp_path / "bank.safetensors"), "--minutes", "0"]) == 2
