"""Pairs of data sets of the user's own, in the published layouts, as banks for the prior."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from huddle3d.bodies import load_body
from huddle3d.cli import main
from huddle3d.errors import InputError, LicenceRequiredError
from huddle3d.fitting import SurfaceFitConfig
from huddle3d.geometry import so3_exp, so3_log
from huddle3d.progress import silent
from huddle3d.synthesis.suites.splits import split_of_shape
from huddle3d.training import RecordedConfig, is_held, open_recordings, record_bank, recorded_pair, split_bank
from huddle3d.training.bank import PoseBank, write_bank
from huddle3d.training.harvest import collect
from huddle3d.training.recordings import up_to_y

sys.path.insert(0, str(Path(__file__).parents[1] / "fitting"))
from smplx_like import write_smplx_like

Z_UP = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]], dtype=torch.float64)
"""From a y-up world to one whose z is up."""


def standing(world, joints, turn=0.0):
    """Poses of two people who stand in a world, the second turned towards the first; the arms of the first hang."""
    pose = torch.zeros(2, joints, 3, dtype=torch.float64)
    for k, yaw in enumerate((turn, turn + np.pi)):
        pose[k, 0] = so3_log(world @ so3_exp(torch.tensor([0.0, yaw, 0.0], dtype=torch.float64)))
    pose[0, 16, 2], pose[0, 17, 2] = -1.1, 1.1
    return pose


PLACES = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.5]], dtype=torch.float64)


@pytest.fixture
def hi4d(tmp_path):
    """The world of this one has x up."""
    world = torch.tensor([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    for pair in ("pair00", "pair15"):
        base = tmp_path / "Hi4D" / pair / "hug00"
        (base / "smpl").mkdir(parents=True)
        np.savez(base / "meta.npz", start=11, end=40, contact_ids=np.arange(11, 41), mono_cam=4)
        pose = standing(world, 24)
        for frame in range(11, 41):
            arrays = {"global_orient": pose[:, 0], "body_pose": pose[:, 1:].flatten(1), "betas": np.zeros((2, 10)), "transl": PLACES @ world.T}
            np.savez(base / "smpl" / f"{frame:06d}.npz", **arrays, verts=np.zeros((2, 6890, 3)))
    return tmp_path / "Hi4D"


@pytest.fixture
def chi3d(tmp_path):
    for subject in ("s02", "s03"):
        base = tmp_path / "chi3d" / "train" / subject
        (base / "smplx").mkdir(parents=True)
        (base / "interaction_contact_signature.json").write_text(json.dumps({"Hug 1": {"start_fr": 0, "end_fr": 3, "fr_id": 2}}))
        pose = so3_exp(standing(Z_UP, 55))[:, None].expand(-1, 4, -1, -1, -1)
        sizes = {"global_orient": 1, "body_pose": 21, "jaw_pose": 1, "leye_pose": 1, "reye_pose": 1, "left_hand_pose": 15, "right_hand_pose": 15}
        tree, start = {}, 0
        for key, size in sizes.items():
            tree[key] = pose[:, :, start : start + size].tolist()
            start += size
        tree["betas"] = np.zeros((2, 4, 10)).tolist()
        tree["transl"] = (PLACES @ Z_UP.T)[:, None].expand(-1, 4, -1).tolist()
        (base / "smplx" / "Hug 1.json").write_text(json.dumps(tree))
    return tmp_path / "chi3d"


def amass_file(path, numbers, frames=20, person=0, **other):
    pose = np.zeros((frames, numbers))
    pose[:, :3] = standing(Z_UP, 24)[person, 0]
    arrays = {"poses": pose, "trans": np.tile((PLACES @ Z_UP.T)[person], (frames, 1)), "betas": np.zeros(16), **other}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)


@pytest.mark.parametrize("up", [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)])
def test_the_vertical_is_found_from_the_trunks(up):
    up = torch.tensor(up, dtype=torch.float64)
    trunks = torch.nn.functional.normalize(up + 0.4 * torch.randn(40, 3, generator=torch.Generator().manual_seed(0)).double(), dim=-1)
    R = up_to_y(trunks)
    torch.testing.assert_close(R @ up, torch.tensor([0.0, 1, 0], dtype=torch.float64))
    torch.testing.assert_close(R @ R.T, torch.eye(3, dtype=torch.float64))
    assert float(torch.linalg.det(R)) == 1.0


def check_upright(pair, joints, model):
    """The two stand upright, face each other, half a metre apart."""
    bodies, R = pair.bodies, pair.R_up
    assert bodies.model == model and bodies.pose.shape == (2, joints, 3)
    axes = R @ so3_exp(torch.from_numpy(bodies.pose[:, 0]))
    torch.testing.assert_close(axes[:, :, 1], torch.tensor([[0.0, 1, 0]] * 2, dtype=torch.float64), atol=1e-6, rtol=0)
    offset = R @ torch.from_numpy(bodies.transl[1] - bodies.transl[0])
    torch.testing.assert_close(axes[0, :, 2] * 0.5, offset, atol=1e-6, rtol=0)
    torch.testing.assert_close(axes[1, :, 2], -axes[0, :, 2], atol=1e-6, rtol=0)


def test_hi4d(hi4d):
    found = open_recordings("hi4d", hi4d, every=16)
    assert [(r.source, r.take, r.frame) for r in found] == [("hi4d:hug", f"{p}/hug00", f) for p in ("pair00", "pair15") for f in (11, 27)]
    assert found[0].group == found[1].group != found[2].group
    check_upright(found[1].load(), 24, "smpl")
    assert {r.take for r in open_recordings("hi4d", hi4d, leave=("pair15",))} == {"pair00/hug00"}


def test_chi3d(chi3d):
    found = open_recordings("chi3d", chi3d, every=2, leave=("s03",))
    assert [(r.source, r.take, r.frame) for r in found] == [("chi3d:hug", "s02/Hug 1", 0), ("chi3d:hug", "s02/Hug 1", 2)]
    check_upright(found[0].load(), 55, "smplx")


@pytest.mark.parametrize(("numbers", "model", "joints"), [(165, "smplx", 55), (156, "smpl", 24), (72, "smpl", 24)])
def test_amass(tmp_path, numbers, model, joints):
    for k in (0, 1):
        amass_file(tmp_path / "dance_01" / f"P{k}.npz", numbers, person=k)
    found = open_recordings("amass", tmp_path, every=8)
    assert [(r.source, r.frame) for r in found] == [("amass:dance", 0), ("amass:dance", 8), ("amass:dance", 16)]
    check_upright(found[2].load(), joints, model)


def test_amass_with_the_pose_in_parts(tmp_path):
    for k in (0, 1):
        root = np.tile(standing(Z_UP, 24)[k, 0], (5, 1))
        arrays = {"root_orient": root, "pose_body": np.zeros((5, 21, 3)), "betas": np.zeros((1, 10)), "trans": np.tile((PLACES @ Z_UP.T)[k], (5, 1))}
        (tmp_path / "G1").mkdir(exist_ok=True)
        np.savez(tmp_path / "G1" / f"P{k}.npz", **arrays)
    check_upright(open_recordings("amass", tmp_path)[0].load(), 55, "smplx")


def test_other_layouts_are_named(hi4d, chi3d, tmp_path):
    for name in ("hi4d", "chi3d", "amass"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(InputError, match="not the layout of"):
            open_recordings(name, tmp_path / "empty")
        with pytest.raises(InputError, match="no such folder"):
            open_recordings(name, tmp_path / "absent")
    with pytest.raises(InputError, match="all are left out"):
        open_recordings("chi3d", chi3d, leave=("s02", "s03"))
    smpl = hi4d / "pair00" / "hug00" / "smpl"
    np.savez(smpl / "000011.npz", global_orient=np.zeros((2, 3)), body_pose=np.zeros((2, 23)), betas=np.zeros((2, 10)), transl=np.zeros((2, 3)))
    with pytest.raises(InputError, match="expected \\(2, 69\\)"):
        open_recordings("hi4d", hi4d)[0].load()
    (smpl / "000011.npz").unlink()
    with pytest.raises(InputError, match="half unpacked"):
        open_recordings("hi4d", hi4d)
    file = chi3d / "train" / "s02" / "smplx" / "Hug 1.json"
    tree = json.loads(file.read_text())
    for key, value, match in (("betas", None, "no numbers 'betas'"), ("transl", [[0.0]], "have shapes"), ("jaw_pose", [[float("nan")]], "finite")):
        file.write_text(json.dumps({**tree, key: value} if value is not None else {k: v for k, v in tree.items() if k != key}))
        with pytest.raises(InputError, match=match):
            open_recordings("chi3d", chi3d, leave=("s03",))[0].load()
    for k, frames in ((0, 5), (1, 6)):
        amass_file(tmp_path / "two" / "x" / f"{k}.npz", 165, frames=frames)
    with pytest.raises(InputError, match="different models or lengths"):
        open_recordings("amass", tmp_path / "two")
    amass_file(tmp_path / "odd" / "x" / "0.npz", 99)
    with pytest.raises(InputError, match="holds 1 .npz files"):
        open_recordings("amass", tmp_path / "odd")
    amass_file(tmp_path / "odd" / "x" / "1.npz", 99)
    with pytest.raises(InputError, match="165 numbers"):
        open_recordings("amass", tmp_path / "odd")
    with pytest.raises(InputError, match="at least one apart"):
        open_recordings("amass", tmp_path, every=0)


def test_the_users_model_is_needed_before_anything_is_written(chi3d, tmp_path, monkeypatch):
    monkeypatch.delenv("HUDDLE3D_BODY_MODELS", raising=False)
    with pytest.raises(LicenceRequiredError):
        record_bank(tmp_path / "bank.safetensors", 5, RecordedConfig("chi3d", str(chi3d)))
    assert not list(tmp_path.glob("bank*"))


def test_the_command_refuses_what_does_not_belong_together(tmp_path, capsys):
    for options in (["--dataset", "chi3d"], ["--data", str(tmp_path)], ["--dataset", "chi3d", "--data", str(tmp_path), "--held"]):
        assert main(["train", "bank", "--output", str(tmp_path / "b.safetensors"), *options]) == 2
    capsys.readouterr()


def small_bank(index, config, folder):
    """A part of one pair, or of none for odd indices."""
    count = 1 - index % 2
    build = next(s for s in (0.25, 0.3125, 0.375, 0.4375, 0.5, 0.5625, 0.625) if split_of_shape([s] * 6) == "training")
    shape = torch.full((count, 2, 6), build, dtype=torch.float32)
    number = torch.zeros(count, dtype=torch.float16)
    pose = torch.zeros(count, 2, 104, 3, dtype=torch.float16)
    kind, group = torch.zeros(count, dtype=torch.int32), torch.full((count,), index)
    bank = PoseBank(shape, pose, torch.zeros(count, 2, 3), kind, group, number, number, ("chi3d:hug",))
    write_bank(Path(folder) / f"{index:07d}.safetensors", bank, overwrite=True)
    return count


def test_a_data_set_that_ends_early_is_complete(tmp_path):
    output = tmp_path / "bank.safetensors"
    bank = collect(output, 100, "config", small_bank, limit=5, minutes=None, workers=1, overwrite=False, progress=silent)
    assert len(bank) == 3 and bank.group.tolist() == [0, 2, 4]
    assert not output.with_name("bank.safetensors.parts").exists()
    train, held = split_bank(bank, 0.3, 0)
    assert len(train) + len(held) == int((~is_held(bank)).sum()) == 3, "recorded kinds are no held-out families"


@pytest.mark.slow
def test_a_recorded_pair_becomes_a_pair_of_anny(chi3d, tmp_path):
    anny = load_body()
    smplx = load_body("smplx", path=write_smplx_like(tmp_path / "SMPLX_NEUTRAL.npz", anny))
    recording = open_recordings("chi3d", chi3d)[0]
    config = RecordedConfig("chi3d", str(chi3d))
    quick = SurfaceFitConfig(steps_landmarks=40, steps_surface=60)
    bank = recorded_pair(recording, config, anny, smplx, fit=quick)
    assert len(bank) == 1 and bank.source_names == ("chi3d:hug",) and bank.group.tolist() == [recording.group]
    params = bank.params(torch.arange(1))
    out = anny(params)
    assert float(out.vertices[..., 1].min().abs()) < 2e-3, "the lower one stands on the floor"
    nose, hips = out.landmarks[:, 0], out.landmarks[:, [11, 12]].mean(1)
    assert bool((nose[:, 1] - hips[:, 1] > 0.5).all())
    offset = hips[1] - hips[0]
    assert abs(float(offset[[0, 2]].norm()) - 0.5) < 0.05
    facing = so3_exp(params.pose[:, 0])[:, :, 2]
    assert float(facing[0] @ facing[1]) < -0.9 and float(facing[0] @ offset) > 0.4
    wrists = out.landmarks[:, [9, 10], 1]
    assert float(wrists[0].mean()) < float(wrists[1].mean()) - 0.2, "the arms of the first hang, those of the second are level"
    far = RecordedConfig("chi3d", str(chi3d), worst_mm=0.1)
    assert len(recorded_pair(recording, far, anny, smplx, fit=quick)) == 0
