import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from huddle3d.compute import launch_rows, threads, warp


@pytest.fixture(scope="module")
def kernel():
    warp()
    path = Path(__file__).parent / "_scale_kernel.py"
    spec = importlib.util.spec_from_file_location("huddle3d_test_scale_kernel", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.scale_rows


@pytest.mark.parametrize("rows", [0, 1, 3, 64])
def test_all_rows_are_written_once(kernel, rows):
    wp = warp()
    src = torch.rand(rows, 7)
    dst = torch.full_like(src, -1)
    launch_rows(kernel, rows, 7, [wp.from_torch(src), wp.from_torch(dst)] if rows else [], "cpu")
    assert torch.equal(dst, src * 2 + torch.arange(rows, dtype=torch.float32)[:, None])


def test_threads_is_positive():
    assert threads() >= 1
