"""Tensor files appear whole, for everybody who may read the folder's other files, or not at all."""

import os
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError, safe_open

from huddle3d.errors import InputError
from huddle3d.io import tensors, write_tensors


def test_written_and_read(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a.safetensors", {"x": torch.arange(3)}, metadata={"k": "v"})
    with safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        assert file.get_tensor("x").tolist() == [0, 1, 2] and file.metadata() == {"k": "v"}
    with pytest.raises(InputError, match="already exists"):
        write_tensors(tmp_path / "a.safetensors", {"x": torch.zeros(1)})


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
def test_others_may_read_it_as_they_may_read_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_tensors(tmp_path / "a.safetensors", {"x": torch.zeros(1)})
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_cannot_be_written_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_tensors(tmp_path / "absent" / "a.safetensors", {"x": torch.zeros(1)})

    def full_disk(*_: object, **__: object) -> None:
        raise SafetensorError("Error while serializing: No space left on device (os error 28)")

    monkeypatch.setattr(tensors, "save_file", full_disk)
    with pytest.raises(InputError, match="No space left"):
        write_tensors(tmp_path / "b.safetensors", {"x": torch.zeros(1)})
    assert list(tmp_path.iterdir()) == []
