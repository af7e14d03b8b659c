"""Recorded couples: known directions come out, files that do not fit are refused, real frames end without interpenetration."""

import json
import math

import pytest
import torch

from huddle3d.bodies import load_body
from huddle3d.errors import InputError
from huddle3d.evaluation import group_penetration
from huddle3d.geometry import rotation_x, rotation_y
from huddle3d.synthesis import MotionSpec, SceneSpec, close_frames, plan_motion, read_couple, retarget, sample_spec, solve_interaction

BONES = (("upperarm01", "lowerarm01", "Shldr", "ForeArm"), ("lowerarm01", "wrist", "ForeArm", "Hand"), ("upperleg01", "lowerleg01", "Thigh", "Shin"))


@pytest.fixture(scope="module")
def body():
    return load_body()


def skeleton(turn):
    """Joints and orientations of somebody who bends forwards by 20 degrees, the left arm forwards, the right one aside with the forearm up."""
    chest = rotation_x(math.radians(20))
    local = {"hip": (0, 1, 0), "chest": (0, 1.3, 0.1), "head": (0, 1.6, 0.2)}
    arms = {"l": ((0.2, 1.5, 0.2), (0.2, 1.4, 0.5), (0.1, 1.5, 0.7)), "r": ((-0.2, 1.5, 0.2), (-0.5, 1.5, 0.25), (-0.5, 1.75, 0.3))}
    legs = {"l": ((0.1, 0.95, 0), (0.12, 0.55, 0.15), (0.1, 0.1, 0)), "r": ((-0.1, 0.95, 0), (-0.12, 0.55, 0.02), (-0.14, 0.1, -0.05))}
    for side, sign in (("l", 1), ("r", -1)):
        local |= dict(zip((side + "Shldr", side + "ForeArm", side + "Hand"), arms[side]))
        local |= dict(zip((side + "Thigh", side + "Shin", side + "Foot"), legs[side]))
        hand = arms[side][2]
        local[side + "Index1"] = (hand[0] - 0.02 * sign, hand[1] + 0.03, hand[2] + 0.08)
        local[side + "Pinky1"] = (hand[0] + 0.02 * sign, hand[1] - 0.03, hand[2] + 0.08)
    joints = {n: turn @ torch.tensor(p, dtype=torch.float32) for n, p in local.items()}
    return joints, {n: turn @ (chest if n in ("chest", "head") else torch.eye(3)) for n in local}


@pytest.mark.parametrize("yaw", [0.0, 140.0])
@pytest.mark.parametrize("kind", [0, 1])
def test_bones_point_where_they_pointed(body, yaw, kind):
    joints, rotations = skeleton(rotation_y(math.radians(yaw)))
    shape = body.neutral_shape.clone()
    shape[1] += 0.1 * kind  # directions do not depend on the build
    params = retarget(body, shape, joints, rotations)
    out = body(params)
    place = dict(zip(body.joint_names, out.joints[0]))
    for a, b, s, t in BONES:
        for side, end in (("l", ".L"), ("r", ".R")):
            wanted = joints[side + t] - joints[side + s]
            assert torch.cosine_similarity(place[b + end] - place[a + end], wanted, dim=0) > 0.99, (a, end)  # thighs turn about fixed axes
    row = body.joint_names.index("spine01")
    assert torch.allclose(out.T_world_joint[0, row, :3, :3], rotations["chest"], atol=1e-4)
    hips = (place["upperleg01.L"] + place["upperleg01.R"]) / 2
    assert torch.allclose(hips[[0, 2]], ((joints["lThigh"] + joints["rThigh"]) / 2)[[0, 2]], atol=1e-4)


def test_limits_are_kept_for_impossible_motion(body):
    joints, rotations = skeleton(torch.eye(3))
    rotations["head"] = rotation_y(3.0)
    rotations["chest"] = rotation_x(-2.5)
    joints["lShin"] = joints["lThigh"] + torch.tensor([0.0, 0.4, -0.3])
    pose = retarget(body, body.neutral_shape, joints, rotations).pose[0, 1:]
    limits = body.joint_limits[1:]
    assert bool((pose >= limits[..., 0]).all()) and bool((pose <= limits[..., 1]).all())


def test_scene_files_name_clip_and_frame():
    spec = sample_spec(3, family="motion", motion=MotionSpec("01", 30, 20.0))
    assert SceneSpec.from_json(spec.to_json()) == spec
    without = sample_spec(3, family="hug")
    tree = json.loads(without.to_json())
    for changes in ({"motion": {"clip": "01", "frame": 3}}, {"family": "motion"}, {"family": "motion", "motion": {"clip": "01", "frame": -1}}):
        with pytest.raises(InputError):
            SceneSpec.from_json(json.dumps(tree | changes))
    with pytest.raises(InputError):
        sample_spec(3, family="motion")
    with pytest.raises(InputError):
        sample_spec(3, family="hug", motion=MotionSpec("01", 30))


def test_absent_folders_and_foreign_files_are_refused(body, tmp_path, monkeypatch):
    monkeypatch.delenv("HUDDLE3D_ASSETS", raising=False)
    shape = body.neutral_shape.expand(2, -1)
    with pytest.raises(InputError, match="HUDDLE3D_ASSETS"):
        plan_motion(MotionSpec("01", 0), body, shape)
    with pytest.raises(InputError, match="no such file"):
        plan_motion(MotionSpec("01", 0), body, shape, assets=tmp_path)
    with pytest.raises(InputError, match="number"):
        read_couple("../x", tmp_path)
    (tmp_path / "mocap").mkdir()
    for subject in (60, 61):
        text = "HIERARCHY\nROOT hip\n{\nOFFSET 0 0 0\nCHANNELS 1 Yrotation\n}\nMOTION\nFrames: 1\nFrame Time: 1\n0\n"
        (tmp_path / "mocap" / f"{subject}_01.bvh").write_text(text)
    with pytest.raises(InputError, match="chest"):
        read_couple("01", tmp_path)


@pytest.mark.slow
@pytest.mark.shared
def test_a_salsa_frame_ends_without_penetration_and_near_the_motion(body, shared):
    assets = shared / "data"
    couple = read_couple("01", assets)
    frame = close_frames(*couple)[6]
    plan = plan_motion(MotionSpec("01", frame), body, body.neutral_shape.expand(2, -1), assets=assets)
    params = solve_interaction(plan, body)
    out = body(params)
    assert group_penetration([(v, body.faces) for v in out.vertices])[0] <= 5.0
    assert torch.allclose(out.vertices[..., 1].amin(1), torch.zeros(2), atol=1e-3)
    moved = (out.joints - body(plan.params).joints)[..., [0, 2]].norm(dim=-1)
    assert float(moved.mean()) < 0.1  # on the floor's plane; centimetres are what parting them costs
    with pytest.raises(InputError, match="Frame"):
        plan_motion(MotionSpec("01", 10**6), body, body.neutral_shape.expand(2, -1), assets=assets)
