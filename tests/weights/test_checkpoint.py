"""Checkpoints of others: numbers arrive, differences are named, nothing in the file is run."""

import importlib.util
import io
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from huddle3d.cli import main
from huddle3d.errors import InputError
from huddle3d.networks import Buddi, BuddiConfig
from huddle3d.weights import convert, read_checkpoint

_spec = importlib.util.spec_from_file_location("buddi_checkpoint", Path(__file__).parents[1] / "networks" / "buddi_checkpoint.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
published_state, spare = _module.published_state, _module.spare


class Settings:
    """Stands for the configuration objects that training programs put into their checkpoints."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("buddi") / "buddi_cond_bev.pt"
    state = published_state()
    optimiser = {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1e-4, "params": [0]}]}
    torch.save({"model": state, "optimizer": optimiser, "epoch": 3, "config": Settings(), "when": Path("x")}, path)
    return path, state


def test_published_checkpoint_becomes_our_network(checkpoint, tmp_path):
    path, state = checkpoint
    output = tmp_path / "buddi.safetensors"
    done = convert("buddi", path, output)
    assert set(done.left_out) == {k for k in state if spare(k)}
    written = load_file(output)
    network = Buddi(BuddiConfig())
    network.load_state_dict(written)
    for key, value in network.state_dict().items():
        assert torch.equal(value, state[key]), key


def test_command_line_converts_and_names_differences(checkpoint, tmp_path, capsys, monkeypatch):
    path, state = checkpoint
    monkeypatch.setenv("HUDDLE3D_CACHE", str(tmp_path / "cache"))
    assert main(["models", "convert", "buddi", str(path)]) == 0
    assert (tmp_path / "cache" / "weights" / "buddi" / "buddi.safetensors").is_file()
    assert main(["models", "convert", "buddi", str(path)]) == 2  # exists
    wrong = dict(state)
    del wrong["human_embedding_h1"]
    wrong["strange.weight"] = torch.zeros(2)
    wrong["param_embedding_pose"] = torch.zeros(7)
    torch.save({"model": wrong}, tmp_path / "wrong.pt")
    with pytest.raises(InputError) as caught:
        convert("buddi", tmp_path / "wrong.pt", tmp_path / "out.safetensors")
    assert caught.value.data["missing"] == ["human_embedding_h1"]
    assert caught.value.data["extra"] == ["strange.weight"]
    assert caught.value.data["shapes"] == ["param_embedding_pose: (7,) instead of (152,)"]
    assert all(name in str(caught.value) for name in ("human_embedding_h1", "strange.weight", "param_embedding_pose"))
    assert not (tmp_path / "out.safetensors").exists()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        convert("buddi", path, tmp_path / "file" / "out.safetensors")
    capsys.readouterr()
    assert main(["models", "convert", "hmr", str(path)]) == 2
    assert "buddi-unconditional" in capsys.readouterr().err


def test_unconditional_kind_takes_no_guidance(checkpoint, tmp_path):
    path, state = checkpoint
    done = convert("buddi-unconditional", path, tmp_path / "u.safetensors")
    network = Buddi(BuddiConfig(guidance=""))
    network.load_state_dict(load_file(tmp_path / "u.safetensors"))
    assert done.tensors == len(network.state_dict())
    assert torch.equal(network.state_dict()["human_embedding_h0"], state["human_embedding_h0"])


def test_views_types_parameters_and_wrappers(tmp_path):
    base = torch.arange(24.0)
    content = {
        "module.a": base[4:16].reshape(3, 4).T,
        "module.b": base[::2],
        "module.c": torch.nn.Parameter(torch.tensor([1.5], dtype=torch.float64)),
        "module.d": torch.tensor([True, False]),
        "module.e": torch.tensor(7),
        "module.f": torch.ones(3, dtype=torch.bfloat16),
    }
    torch.save({"state_dict": content}, tmp_path / "x.ckpt")
    read = read_checkpoint(tmp_path / "x.ckpt")
    assert set(read) == {k.removeprefix("module.") for k in content}
    for key, value in content.items():
        assert torch.equal(read[key.removeprefix("module.")], value.detach()), key
    save_file({"a": base}, tmp_path / "x.safetensors")
    assert torch.equal(read_checkpoint(tmp_path / "x.safetensors")["a"], base)


class Hostile:
    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return os.mkdir, (self.victim,)


def test_nothing_in_the_file_is_run(tmp_path):
    victim = tmp_path / "made-by-the-pickle"
    torch.save({"model": {"a": torch.ones(2)}, "evil": Hostile(str(victim))}, tmp_path / "evil.pt")
    assert torch.equal(read_checkpoint(tmp_path / "evil.pt")["a"], torch.ones(2))
    assert not victim.exists()


def rewritten(path, target, change):
    """The archive with some members changed."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.infolist():
            new.writestr(member.filename, change(member.filename, old.read(member)))


def test_damaged_files_are_refused(tmp_path):
    torch.save({"model": {"a": torch.ones(64)}}, tmp_path / "good.pt")
    rewritten(tmp_path / "good.pt", tmp_path / "short.pt", lambda n, b: b[:-8] if "/data/" in n else b)
    rewritten(tmp_path / "good.pt", tmp_path / "big.pt", lambda n, b: b"big" if n.endswith("byteorder") else b)
    rewritten(tmp_path / "good.pt", tmp_path / "cut.pt", lambda n, b: b[: len(b) // 2] if n.endswith(".pkl") else b)
    (tmp_path / "noise.pt").write_bytes(os.urandom(500))
    (tmp_path / "noise.safetensors").write_bytes(b"\x10" + os.urandom(200))
    torch.save({"model": {"a": torch.ones(2)}}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    torch.save([1, 2], tmp_path / "list.pt")
    buffer = io.BytesIO()
    pickle.dump({"a": 1}, buffer)
    (tmp_path / "plain.pt").write_bytes(buffer.getvalue())
    for name in ("short.pt", "big.pt", "cut.pt", "noise.pt", "noise.safetensors", "old.pt", "list.pt", "plain.pt", "absent.pt"):
        with pytest.raises(InputError, match=name):
            read_checkpoint(tmp_path / name)
