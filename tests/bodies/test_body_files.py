"""Bodies in other programs' files: npz, BVH. The readers are our own, numpy's and scipy's."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from huddle3d.bodies import bvh_motion, load_body, read_bodies_npz, write_bodies_npz
from huddle3d.errors import InputError
from huddle3d.geometry import Camera, look_at
from huddle3d.io import BvhMotion, read_bvh, write_bvh
from huddle3d.scene import Bodies, BodyParams

sys.path.insert(0, str(Path(__file__).parent))
from smpl_files import write_npz


def posed(body, count=2, seed=0):
    g = torch.Generator().manual_seed(seed)
    low, high = body.shape_limits.unbind(-1)
    middle = body.neutral_shape.expand(count, -1)
    shape = (middle + 0.1 * (high - low) * torch.randn(count, body.num_shape, generator=g)).clamp(low, high)
    pose = 0.5 * torch.randn(count, body.num_joints, 3, generator=g)
    return BodyParams(shape, pose, torch.randn(count, 3, generator=g), torch.zeros(count, 0))


def bodies_of(body, params):
    with torch.no_grad():
        out = body(params)
    camera = Camera.perspective(500.0, 640, 480, look_at(torch.tensor([0.0, 1.0, 4.0]), torch.zeros(3)))
    names = tuple(f"person_{k}" for k in range(len(params.shape)))
    return Bodies(body.name, names, params, out.vertices, out.landmarks, camera, torch.zeros(len(names)), torch.ones(len(names)))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {
        "anny": load_body(),
        "smplx": load_body("smplx", path=write_npz(folder, "smplx", shapes=20)[0]),
        "smpl": load_body("smpl", path=write_npz(folder, "smpl")[0]),
    }


@pytest.mark.parametrize("kind", ["anny", "smplx", "smpl"])
@pytest.mark.parametrize("unit", ["cm", "m"])
def test_bvh_has_the_joints_of_the_body(kind, unit, models, tmp_path):
    body = models[kind]
    params = posed(body, 3)
    params = replace(params, shape=params.shape[:1].expand(3, -1).contiguous())
    write_bvh(tmp_path / "a.bvh", bvh_motion(body, params, fps=25, unit=unit))
    read = read_bvh(tmp_path / "a.bvh")
    assert read.frame_time == pytest.approx(0.04) and len(read.values) == 3
    scale = {"cm": 0.01, "m": 1.0}[unit]
    out = body(params)
    place = [read.names.index(name) for name in body.joint_names]
    for frame in range(3):
        places, turns = read.pose(frame)
        assert np.abs(scale * places[place] - out.joints[frame].numpy()).max() < 1e-5
        assert np.abs(turns[place] - out.T_world_joint[frame, :, :3, :3].numpy()).max() < 1e-5


def test_bvh_angles_equal_scipy_and_survive_the_locked_pose(models, tmp_path):
    from scipy.spatial.transform import Rotation

    body = models["smpl"]
    params = posed(body, 1)
    locked = Rotation.from_euler("ZXY", [30, 90, 20], degrees=True)
    params.pose[0, 5] = torch.from_numpy(locked.as_rotvec()).float()
    motion = bvh_motion(body, params)
    names = [n for n, c in zip(motion.names, motion.channels) if c]
    angles = motion.values[0, 3:].reshape(-1, 3)
    for j, name in enumerate(body.joint_names):
        found = Rotation.from_euler("ZXY", angles[names.index(name)], degrees=True)
        assert (found.inv() * Rotation.from_rotvec(params.pose[0, j].double().numpy())).magnitude() < 2e-4


def test_bvh_text_is_conventional(models, tmp_path):
    write_bvh(tmp_path / "a.bvh", bvh_motion(models["anny"], models["anny"].neutral()))
    lines = (tmp_path / "a.bvh").read_text().split("\n")
    assert lines[:2] == ["HIERARCHY", "ROOT root"] and lines[4].split()[:4] == ["CHANNELS", "6", "Xposition", "Yposition"]
    assert lines.count("MOTION") == 1 and lines[lines.index("MOTION") + 1] == "Frames: 1"
    text = "\n".join(lines)
    assert text.count("{") == text.count("}") and "nan" not in text and " -0.000000" not in text
    depth, open_leaf = 0, text.count("End Site")
    assert open_leaf == sum(j not in models["anny"].joint_parents for j in range(models["anny"].num_joints))
    for line in lines:
        assert line.startswith("\t" * (depth - (line.strip() == "}"))) or not line or depth == 0
        depth += line.count("{") - line.count("}")
    assert depth == 0
    with pytest.raises(InputError, match="already exists"):
        write_bvh(tmp_path / "a.bvh", bvh_motion(models["anny"], models["anny"].neutral()))


def test_written_motion_is_read_as_it_was(tmp_path):
    names, parents = ("hip", "knee", "knee_end", "arm", "arm_end"), (-1, 0, 1, 0, 3)
    channels = (("Xposition", "Yposition", "Zposition", "Zrotation", "Xrotation", "Yrotation"), ("Zrotation",), (), ("Yrotation", "Xrotation"), ())
    rng = np.random.default_rng(0)
    motion = BvhMotion(names, parents, rng.normal(size=(5, 3)).round(6), channels, (100 * rng.normal(size=(4, 9))).round(6), 0.02)
    write_bvh(tmp_path / "a.bvh", motion)
    read = read_bvh(tmp_path / "a.bvh")
    assert (read.names, read.parents, read.channels, read.frame_time) == (names, parents, channels, 0.02)
    assert np.array_equal(read.offsets, motion.offsets) and np.array_equal(read.values, motion.values)


@pytest.mark.parametrize(
    "change",
    [
        {"parents": (-1, 0, 0, 1, 3)},
        {"names": ("h p", "knee", "knee_end", "arm", "arm_end")},
        {"names": ("hip", "knee", "other", "arm", "arm_end")},
        {"values": np.full((1, 9), np.nan)},
        {"values": np.zeros((0, 9))},
        {"values": np.zeros((1, 8))},
        {"frame_time": 0.0},
    ],
)
def test_motions_that_bvh_cannot_hold(change, tmp_path):
    channels = (("Xposition", "Yposition", "Zposition", "Zrotation", "Xrotation", "Yrotation"), ("Zrotation",), (), ("Yrotation", "Xrotation"), ())
    base = BvhMotion(("hip", "knee", "knee_end", "arm", "arm_end"), (-1, 0, 1, 0, 3), np.zeros((5, 3)), channels, np.zeros((1, 9)), 0.1)
    with pytest.raises(InputError):
        write_bvh(tmp_path / "a.bvh", replace(base, **change))
    assert not (tmp_path / "a.bvh").exists()


def test_frames_of_different_shapes_are_no_skeleton(models):
    with pytest.raises(InputError, match="one body shape"):
        bvh_motion(models["smpl"], posed(models["smpl"], 2))


@pytest.mark.parametrize("kind", ["anny", "smplx", "smpl"])
def test_npz_gives_the_same_bodies(kind, models, tmp_path):
    body = models[kind]
    bodies = bodies_of(body, posed(body))
    write_bodies_npz(tmp_path / "a.npz", bodies, body)
    read = read_bodies_npz(tmp_path / "a.npz")
    assert read.model == kind and read.names == bodies.names
    again = body(read.params(body))
    assert torch.allclose(again.vertices, bodies.vertices, atol=2e-5) and torch.allclose(again.joints, body.joints(bodies.params), atol=2e-5)
    raw = np.load(tmp_path / "a.npz")  # without pickles
    assert str(raw["unit"]) == "metre, radian" and "y up" in str(raw["frame"]) and str(raw["model_licence"])
    assert np.array_equal(raw["vertices"], bodies.vertices.numpy()) and raw["joints"].shape == (2, body.num_joints, 3)
    write_bodies_npz(tmp_path / "b.npz", bodies, body)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_npz_of_smplx_follows_its_convention(models, tmp_path):
    """The published model adds ``transl`` to the body that turned about its own rest pelvis."""
    from smpl_files import random_arrays, reference

    body = models["smplx"]
    bodies = bodies_of(body, posed(body, 1))
    write_bodies_npz(tmp_path / "a.npz", bodies, body)
    raw, arrays = np.load(tmp_path / "a.npz"), random_arrays("smplx", shapes=20)
    pose = np.concatenate(
        [raw[k].reshape(-1, 3) for k in ("global_orient", "body_pose", "jaw_pose", "leye_pose", "reye_pose", "left_hand_pose", "right_hand_pose")]
    )
    directions = arrays["shapedirs"][..., :10]
    pelvis = (arrays["J_regressor"] @ (arrays["v_template"] + directions @ raw["betas"][0]))[0]
    vertices, _ = reference(arrays, raw["betas"][0], directions, pose, pelvis + raw["transl"][0])
    assert np.allclose(vertices, bodies.vertices[0].numpy(), atol=1e-4)


def test_foreign_and_damaged_npz(models, tmp_path):
    plain = {"betas": np.zeros(10), "global_orient": np.zeros(3), "body_pose": np.zeros(69), "transl": np.array([1.0, 2, 3])}
    path = tmp_path / "a.npz"
    np.savez(path, **plain)
    read = read_bodies_npz(path, "smpl")
    assert read.names == ("person_0",) and read.pose.shape == (1, 24, 3) and read.params(models["smpl"]).pose.shape == (1, 24, 3)
    with pytest.raises(InputError, match="unknown model"):
        read_bodies_npz(path)
    with pytest.raises(InputError, match="do not fit the model"):
        read.params(models["smplx"])
    for change, words in (
        ({"betas": np.full(10, np.nan)}, "not finite"),
        ({"body_pose": np.zeros(68)}, "do not belong|shape"),
        ({"betas": np.array([{}], dtype=object)}, "pickle|Object"),
        ({"model": "robot"}, "robot"),
    ):
        np.savez(path, **{**plain, **change})
        with pytest.raises(InputError, match=words):
            read_bodies_npz(path, None if "model" in change else "smpl")
    path.write_bytes(b"PK no")
    with pytest.raises(InputError):
        read_bodies_npz(path, "smpl")
    np.savez(path, betas=np.zeros(10))
    with pytest.raises(InputError, match="global_orient"):
        read_bodies_npz(path, "smpl")
    with pytest.raises(InputError, match="cannot be written"):
        write_bodies_npz(tmp_path / "b.npz", bodies_of(models["smpl"], posed(models["smpl"])), models["anny"])


def test_numbers_that_bodies_share_are_not_dealt_out_among_them(tmp_path):
    two = {"global_orient": np.zeros((2, 3)), "body_pose": np.zeros((2, 69)), "transl": np.zeros((2, 3))}
    np.savez(tmp_path / "a.npz", betas=np.zeros(10), **two)  # one row for a whole motion
    with pytest.raises(InputError, match="2 bodies"):
        read_bodies_npz(tmp_path / "a.npz", "smpl")
    np.savez(tmp_path / "b.npz", betas=np.zeros((2, 10)), **two)
    assert read_bodies_npz(tmp_path / "b.npz", "smpl").shape.shape == (2, 10)


def test_damage_anywhere_in_a_file_of_bodies_is_told(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"betas": rng.random((2, 10)), "global_orient": rng.random((2, 3)), "body_pose": rng.random((2, 69)), "transl": np.zeros((2, 3))}
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    data, refused = (tmp_path / "a.npz").read_bytes(), 0
    for place in range(0, len(data), 5):
        (tmp_path / "b.npz").write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        try:
            read_bodies_npz(tmp_path / "b.npz", "smpl")
        except InputError:
            refused += 1
    assert refused > len(data) / 10  # most of it is compressed numbers, with their checksum
