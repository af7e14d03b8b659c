"""Pose banks and the training of the proxemics prior."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from huddle3d.bodies import load_body
from huddle3d.cli import main
from huddle3d.diffusion import Placement, read_prior
from huddle3d.errors import InputError
from huddle3d.scene import BodyParams
from huddle3d.synthesis.suites.splits import split_of_shape
from huddle3d.training import (
    BankConfig,
    PoseBank,
    PriorTraining,
    RoughConfig,
    harvest,
    is_held,
    measure_pairs,
    mirrored,
    neighbours,
    read_bank,
    read_banks,
    rough,
    split_bank,
    train_prior,
    write_bank,
)
from huddle3d.training.harvest import draw_shapes, harvest_item

TINY = PriorTraining(width=16, depth=1, heads=2, feed_forward=16, batch=24, warm_up=5, validation_share=0.25)


@pytest.fixture(scope="module")
def body():
    return load_body()


def made_up(body, count=32, sources=("hug", "handshake")):
    """Pairs around one pose for each source, four neighbours in a group; not solved."""
    g = torch.Generator().manual_seed(3)
    limits = body.joint_limits
    base = 0.4 * torch.rand(len(sources), 2, body.num_joints, 3, generator=g) * limits[..., 1]
    source = torch.arange(count) % len(sources)
    pose = base[source] + 0.02 * torch.randn(count, 2, body.num_joints, 3, generator=g)
    pose[:, 0, 0], pose[:, 1, 0] = torch.tensor([0.0, 0.3, 0.0]), torch.tensor([0.0, 2.9, 0.0])
    place = torch.tensor([[0.0, 0.95, 0.0], [0.0, 0.95, 0.4]]) + 0.02 * torch.randn(count, 2, 3, generator=g)
    shape = torch.stack([draw_shapes(body, g) for _ in range(count)])
    zero = torch.zeros(count, dtype=torch.float16)
    return PoseBank(shape.half(), pose.half(), place, source.int(), torch.arange(count) // 4, zero, zero, sources)


def test_bank_file_keeps_everything_and_refuses_others(body, tmp_path):
    bank = made_up(body)
    write_bank(tmp_path / "a.safetensors", bank, note={"by": "test"})
    back = read_bank(tmp_path / "a.safetensors")
    for name in ("shape", "pose", "translation", "source", "group", "gap_mm"):
        assert torch.equal(getattr(back, name), getattr(bank, name)), name
    assert back.source_names == bank.source_names and back.model == "anny"
    other = replace(bank, source_names=("circle", "hug"))
    write_bank(tmp_path / "b.safetensors", other)
    joined = read_banks([tmp_path / "a.safetensors", tmp_path / "b.safetensors"])
    names = [joined.source_names[i] for i in joined.source.tolist()]
    assert names == ["hug", "handshake"] * 16 + ["circle", "hug"] * 16
    tensors = load_file(tmp_path / "a.safetensors")
    save_file(tensors, tmp_path / "plain.safetensors")
    write_bank(tmp_path / "nan.safetensors", replace(bank, pose=bank.pose * torch.nan))
    write_bank(tmp_path / "source.safetensors", replace(bank, source=bank.source + 7))
    (tmp_path / "noise.safetensors").write_bytes(b"\x99" * 64)
    for name in ("plain", "nan", "source", "noise", "absent"):
        with pytest.raises(InputError, match=name):
            read_bank(tmp_path / f"{name}.safetensors")
    with pytest.raises(InputError, match="different models"):
        PoseBank.join([bank, replace(bank, model="smplx")])
    with pytest.raises(InputError, match="No pose bank"):
        read_banks([])


def test_mirror_reflects_the_surface(body, rng):
    pose = 0.2 * torch.randn(2, body.num_joints, 3, generator=rng)
    shape = 0.3 + 0.4 * torch.rand(2, body.num_shape, generator=rng)
    params = BodyParams(shape, pose, torch.randn(2, 3, generator=rng), shape[:, :0])
    flipped = body(mirrored(Placement.of(params), body).params()).vertices
    expected = body(params).vertices[:, body.mirror] * torch.tensor([-1.0, 1.0, 1.0])
    assert float((flipped - expected).abs().max()) < 2e-3  # the skeleton is symmetric to half a millimetre


def test_depths_and_gaps_of_known_pairs(body):
    still = body.neutral(2)
    width = float(body(still).vertices[0, :, 0].max() - body(still).vertices[0, :, 0].min())

    def at(gap):
        place = torch.zeros(2, 3)
        place[1, 0] = width + gap
        return replace(still, translation=place)

    depth, gap = measure_pairs(at(0.02), body)
    assert float(depth[0]) == 0 and 19 < float(gap[0]) < 24  # the widest points face each other
    depth, gap = measure_pairs(at(-0.02), body)
    assert 4 < float(depth[0]) < 21 and float(gap[0]) == 0
    depth, gap = measure_pairs(at(2.0), body)
    assert float(depth[0]) == 0 and float(gap[0]) == 1000


def test_rough_estimates_err_as_they_are_told_to(body):
    bank = made_up(body, 64)
    truth = Placement.of(bank.params(torch.arange(64)))
    g = torch.Generator().manual_seed(0)
    exact = RoughConfig(hidden=0, joint_rad=0, turn_rad=0, shape=0, depth_m=0, across_m=0)
    same = rough(truth, body, g, exact)
    assert torch.equal(same.pose, truth.pose) and torch.equal(same.root, truth.root)
    age = body.shape_names.index("age")
    assert torch.allclose(same.shape[:, age], body.neutral_shape[age].expand(128))
    deep = rough(truth, body, g, replace(exact, depth_m=0.1))
    offset = (deep.root - truth.root).reshape(64, 2, 3)
    assert float(offset[..., 1].abs().max()) == 0  # the line of sight is level, and one for both
    cross = offset[:, 0, 0] * offset[:, 1, 2] - offset[:, 0, 2] * offset[:, 1, 0]
    assert float(cross.abs().max()) < 1e-6 and float(offset.norm(dim=-1).mean()) == pytest.approx(0.08, rel=0.2)
    hidden = rough(truth, body, g, replace(exact, hidden=1.0, rest_rad=0.0))
    rows = [j for j, n in enumerate(body.joint_names) if n.startswith(("upperarm01", "upperleg01", "spine"))]
    share = hidden.pose[:, rows].norm(dim=-1).mean() / truth.pose[:, rows].norm(dim=-1).mean()
    assert 0.1 < float(share) < 0.2  # up to 0.3 of the rotation is left


def test_split_keeps_neighbours_together_and_evaluation_out(body):
    bank = made_up(body, 64)
    train, held = split_bank(bank, 0.25, 0)
    assert len(train) + len(held) == 64 and not set(train.group.tolist()) & set(held.group.tolist())
    assert bool(is_held(replace(bank, source_names=("back_to_back", "motion:03"))).all())
    assert not bool(is_held(replace(bank, source_names=("hug", "motion:04"))).any())
    builds = [
        s for s in (torch.rand(6, generator=torch.Generator().manual_seed(i)) for i in range(60)) if split_of_shape(s.half().tolist()) == "heldout"
    ]
    shape = bank.shape.clone()
    shape[5, 1] = builds[0].half()
    assert is_held(replace(bank, shape=shape)).nonzero().tolist() == [[5]]
    with pytest.raises(InputError, match="too few"):
        split_bank(bank.take(torch.arange(4)), 0.25, 0)


def test_neighbours_touch_without_sinking_in(body):
    bank = harvest_item(1, BankConfig(neighbours=6), body)
    assert len(bank) >= 3 and set(bank.group.tolist()) == {1}
    depth, gap = measure_pairs(bank.params(torch.arange(len(bank))), body)  # of what the halves of the file say
    assert float(depth.max()) < 9.0 and float((depth - bank.penetration_mm.float()).abs().max()) < 1.0
    assert float((gap - bank.gap_mm.float()).abs().max()) < 1.5
    assert not bool(is_held(bank).any())
    moved = (bank.pose[1:].float() - bank.pose[:1].float()).abs().amax((1, 2, 3))
    assert float(moved.min()) > 0.03 and float((bank.shape[1:].float() - bank.shape[:1].float()).abs().amax((1, 2)).min()) > 0.02
    solved = bank.params(torch.tensor([0]))
    again, once = (neighbours(solved, body, 2, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(again.pose, once.pose)


def test_training_learns_and_a_finished_one_stays(body, tmp_path):
    bank = made_up(body)
    losses = []
    _, report = train_prior(bank, tmp_path / "more", replace(TINY, weight_joints=0.0), body=body, steps=300, log=lambda s, n: losses.append((s, n)))
    assert losses[-1][0] == 300 and report.restored_mm < 0.8 * report.rough_mm
    train_prior(bank, tmp_path / "short", TINY, body=body, steps=4)
    assert read_prior(tmp_path / "short" / "prior.safetensors").model == "anny"
    state = (tmp_path / "short" / "state.safetensors").read_bytes()
    train_prior(bank, tmp_path / "short", TINY, body=body, steps=4)  # nothing left to do
    assert (tmp_path / "short" / "state.safetensors").read_bytes() == state
    with pytest.raises(InputError, match="other settings"):
        train_prior(bank, tmp_path / "short", replace(TINY, batch=8), body=body, steps=4)
    with pytest.raises(InputError, match="smplx"):
        train_prior(replace(bank, model="smplx"), tmp_path / "x", TINY, body=body, steps=1)


def test_a_stopped_training_goes_on_where_it_was(body, tmp_path, monkeypatch):
    from huddle3d.training import prior as module

    bank = made_up(body)
    train_prior(bank, tmp_path / "straight", TINY, body=body, steps=12)
    advance, calls = module._Trainer.advance, []

    def stopped(self, rate):
        if len(calls) == 5:
            self.keeper.save(tmp_path / "stopped" / "state.safetensors")
            raise KeyboardInterrupt
        calls.append(rate)
        return advance(self, rate)

    monkeypatch.setattr(module._Trainer, "advance", stopped)
    with pytest.raises(KeyboardInterrupt):
        train_prior(bank, tmp_path / "stopped", TINY, body=body, steps=12)
    monkeypatch.setattr(module._Trainer, "advance", advance)
    train_prior(bank, tmp_path / "stopped", TINY, body=body, steps=12)
    a, b = (load_file(tmp_path / n / "state.safetensors") for n in ("straight", "stopped"))
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.slow
def test_command_line_makes_a_bank_and_trains_on_it(tmp_path, capsys, monkeypatch):
    bank = tmp_path / "bank.safetensors"
    args = ["train", "bank", "--count", "4", "--neighbours", "2", "--output", str(bank), "--seed", "2"]
    assert main(args) == 0
    assert not (tmp_path / "bank.safetensors.parts").exists() and len(read_bank(bank)) >= 4
    assert main(args) == 2  # exists
    monkeypatch.setenv("HUDDLE3D_KERNELS", "torch")
    tiny = ["--config.width", "16", "--config.depth", "1", "--config.heads", "2", "--config.feed-forward", "16", "--config.batch", "8"]
    run = ["train", "prior", "--banks", str(bank), "--output", str(tmp_path / "prior"), "--steps", "3", "--device", "cpu", *tiny]
    assert main(run) == 0 and (tmp_path / "prior" / "prior.safetensors").is_file()
    assert main(["train", "prior", "--banks", str(tmp_path / "absent.safetensors"), "--output", str(tmp_path / "p")]) == 2
    assert "absent.safetensors" in capsys.readouterr().err


@pytest.mark.slow
def test_bank_resumes_and_does_not_depend_on_workers(tmp_path):
    config = BankConfig(neighbours=0)
    first = harvest(tmp_path / "a.safetensors", 2, config)
    with pytest.raises(InputError, match="No pair"):
        harvest(tmp_path / "b.safetensors", 2, config, minutes=0)
    again = harvest(tmp_path / "b.safetensors", 2, config, workers=2)
    assert torch.equal(first.pose, again.pose) and torch.equal(first.group, again.group)
