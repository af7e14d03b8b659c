"""Pickled models: read when they hold arrays (chumpy and scipy objects included), refused without running anything when they do not."""

import os
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch

from huddle3d.bodies import load_body
from huddle3d.errors import InputError

sys.path.insert(0, str(Path(__file__).parent))
from smpl_files import random_arrays


class _Command:
    """Pickles as a call of any function with any argument."""

    def __init__(self, function, *arguments) -> None:
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.fixture
def chumpy(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module of that name whose class pickles as chumpy's does: no constructor arguments, a dictionary with ``x`` as state."""
    module = types.ModuleType("chumpy.ch")
    module.Ch = type("Ch", (), {"__module__": "chumpy.ch"})
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
    monkeypatch.setitem(sys.modules, "chumpy.ch", module)
    return module


@pytest.mark.parametrize("protocol", [1, 2, 5])
def test_a_model_as_it_is_distributed(tmp_path: Path, chumpy: types.ModuleType, protocol: int) -> None:
    arrays = random_arrays("smpl")
    wrapped = chumpy.Ch()
    wrapped.x = arrays["shapedirs"]
    content = arrays | {"shapedirs": wrapped, "J_regressor": scipy.sparse.csc_matrix(arrays["J_regressor"]), "bs_type": "lrotmin", "n": np.float64(3)}
    path = tmp_path / "SMPL_NEUTRAL.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    np.savez(tmp_path / "same.npz", **arrays)
    a, b = load_body("smpl", path=path), load_body("smpl", path=tmp_path / "same.npz")
    params = a.neutral()
    params.shape[:] = 1.0
    params.pose[:] = 0.2
    assert torch.allclose(a(params).vertices, b(params).vertices, atol=1e-6)


def test_rows_of_a_csr_matrix(tmp_path: Path) -> None:
    arrays = random_arrays("smpl")
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(arrays | {"J_regressor": scipy.sparse.csr_matrix(arrays["J_regressor"])}))
    body = load_body("smpl", dtype=torch.float64, path=path)
    assert np.allclose(body.skeleton.head_template.numpy(), arrays["J_regressor"] @ arrays["v_template"])


@pytest.mark.parametrize(
    "function", [os.popen, eval, exec, open, getattr, __import__, np.load, np.lib.format.open_memmap], ids=lambda f: getattr(f, "__name__", "f")
)
def test_a_hostile_pickle_is_refused_and_not_run(tmp_path: Path, function) -> None:
    target = tmp_path / "created"
    argument = {os.popen: f"touch {target}", eval: f"open({str(target)!r}, 'w')", exec: f"open({str(target)!r}, 'w')", open: str(target)}.get(
        function, "x"
    )
    arguments = (argument, "w") if function is open else (argument,)
    path = tmp_path / "SMPL_NEUTRAL.pkl"
    path.write_bytes(pickle.dumps(random_arrays("smpl") | {"extra": _Command(function, *arguments)}))
    with pytest.raises(InputError, match=r"SMPL_NEUTRAL\.pkl.*no place in a body model"):
        load_body("smpl", path=path)
    assert not target.exists()


def test_a_module_that_only_starts_like_chumpy_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = types.ModuleType("chumpyevil")
    evil.run = type("run", (), {"__module__": "chumpyevil"})
    monkeypatch.setitem(sys.modules, "chumpyevil", evil)
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps({"a": evil.run()}))
    with pytest.raises(InputError, match="chumpyevil"):
        load_body("smpl", path=path)


def test_an_array_cannot_ask_for_memory(tmp_path: Path) -> None:
    """The constructor of numpy's pickles takes a shape; a forged one of a terabyte must not be allocated."""
    from numpy._core.multiarray import _reconstruct

    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps({"v_template": _Command(_reconstruct, np.ndarray, (1 << 40,), b"b")}))
    with pytest.raises(InputError, match="not a model"):
        load_body("smpl", path=path)


@pytest.mark.parametrize("content", [b"", b"\x80", b"not a pickle", pickle.dumps([1, 2]), pickle.dumps(random_arrays("smpl"))[:5000]])
def test_truncated_or_foreign_content(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"m\.pkl"):
        load_body("smpl", path=path)


def test_a_damaged_sparse_matrix(tmp_path: Path) -> None:
    matrix = scipy.sparse.csc_matrix(random_arrays("smpl")["J_regressor"])
    matrix.indices[5] = 10_000
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps(random_arrays("smpl") | {"J_regressor": matrix}))
    with pytest.raises(InputError, match="J_regressor"):
        load_body("smpl", path=path)
