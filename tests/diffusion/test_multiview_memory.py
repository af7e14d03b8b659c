"""Counted memory against layers by hand, against the peak of a real call, and what happens where it does not suffice."""

import math
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from huddle3d.diffusion.multiview import MultiViewModel, SamplerConfig, SetMemory, call_bytes, weight_bytes
from huddle3d.diffusion.multiview.memory import MARGIN, _Alive, _residuals
from huddle3d.errors import ResourceLimitError
from huddle3d.networks import EMBEDDED_64, EMBEDDED_128, PSHUMAN, MultiViewUNet

TINY = replace(EMBEDDED_64, widths=(8, 8), heads=(1, 1), attention=(False, True), norm_groups=4, size=16, text_width=8)

_REAL = """
import torch
from huddle3d.compute import measure, peak_memory_mb
from huddle3d.diffusion.multiview import MultiViewModel, SamplerConfig
from huddle3d.networks import EMBEDDED_64

torch.set_num_threads(1)
sets, side = 9, EMBEDDED_64.size
model = MultiViewModel.fresh(EMBEDDED_64)
model.network.eval()

def run(count):
    people = torch.zeros(count - 1, 6, side, side)
    condition = torch.zeros(count, 2, 6, EMBEDDED_64.condition_channels, side, side)
    with measure() as found:
        now = int(next(l for l in open("/proc/self/status") if l.startswith("VmRSS")).split()[1]) / 1024
        model.generate(condition, people, [""] * count, config=SamplerConfig(steps=1), generator=torch.Generator().manual_seed(0), max_bytes=1e12)
    return found.peak_mb - now

run(1)
print(run(sets))
"""


def test_bytes_of_two_layers_by_hand():
    """While the second layer works, the call's input, the first layer's output and its own output live; at the end its output alone."""
    layers = torch.nn.Sequential(torch.nn.Linear(16, 64, device="meta"), torch.nn.Linear(64, 32, device="meta"))
    alive = _Alive()
    with torch.no_grad(), alive:
        out = layers(torch.zeros(10, 16, device="meta"))
    assert alive.peak == 4 * (10 * 16 + 10 * 64 + 10 * 32)
    assert alive.now == 4 * 10 * 32
    del out
    assert alive.now == 0


def test_weights_are_counted_once():
    first = torch.nn.Linear(3, 5)
    second = torch.nn.Linear(3, 5)
    second.weight = first.weight
    assert weight_bytes(first, None) == 4 * 20 and weight_bytes(first, second) == 4 * 25


def test_sizes_and_what_grows_with_them():
    one = call_bytes(EMBEDDED_64, 6, 64)
    assert call_bytes(EMBEDDED_64, 6, 128) == pytest.approx(4 * one, rel=0.05)
    assert call_bytes(EMBEDDED_128, 6, 128) > 4 * one and call_bytes(EMBEDDED_64, 3, 64) == pytest.approx(one / 2, rel=0.05)
    # two pictures of the finest level at least, and no map of all pairs of tokens
    maps = 12 * 32 * 32 * 32 * 4
    assert 4 * maps < one < 40 * maps
    tokens, heads = 2 * 96 * 96, 5
    assert call_bytes(PSHUMAN, 6, 96) < 0.6 * 6 * heads * tokens * tokens * 4


def test_residuals_of_a_controlnet_fit_the_network():
    plain, more = (call_bytes(EMBEDDED_64, 6, 64, control=c) for c in (False, True))
    added = sum(t.numel() * 4 for r in [_residuals(EMBEDDED_64, 12, 64)] for t in (*r.down, r.mid))
    assert plain + 0.5 * added < more < plain + 2.5 * added


def test_how_many_sets_fit():
    memory = SetMemory(weights=100, pictures=50, per_set=30)
    assert [memory.sets_at_once(3, b) for b in (180, 209, 210, 1e9)] == [1, 1, 2, 3]
    with pytest.raises(ResourceLimitError, match="does not fit") as e:
        memory.sets_at_once(3, 179)
    assert e.value.data["needed"] == 180 and "--max-memory" in e.value.next_step


def test_too_little_memory_is_told_before_anything_is_computed():
    torch.manual_seed(0)
    model = MultiViewModel.fresh(TINY)

    def generate(most, progress):
        return model.generate(
            torch.zeros(3, 2, 6, 11, 16, 16), torch.zeros(2, 6, 16, 16), ["", "", ""], config=SamplerConfig(steps=1),
            generator=torch.Generator().manual_seed(0), max_bytes=most, progress=progress,
        )  # fmt: skip

    heard = []
    with pytest.raises(ResourceLimitError) as e:
        generate(1e5, lambda *a: heard.append(a))
    assert not heard
    assert bool(generate(float(e.value.data["needed"]), lambda *a: None).isfinite().all())


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of resident memory is read from /proc")
def test_counted_memory_is_that_of_a_real_call():
    """Nine sets at once through the embedded network on the CPU: the growth of a process whose allocator gives every large block back at once, within a fifth."""
    at_once = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "131072"}
    done = subprocess.run([sys.executable, "-c", _REAL], capture_output=True, text=True, check=True, timeout=300, env=os.environ | at_once)
    real, counted = float(done.stdout) * 2**20, 9 * call_bytes(EMBEDDED_64, 6, EMBEDDED_64.size, words=1)
    assert counted / 1.2 < real < counted * 1.2, (real / 1e6, counted / 1e6)
    memory = SetMemory.of(EMBEDDED_64, 9, 6, EMBEDDED_64.size, weights=0, words=1)
    assert real < 9 * memory.per_set + memory.pictures < 2.5 * real


def test_weights_of_the_published_network_are_known():
    assert weight_bytes(MultiViewUNet.meta(PSHUMAN)) / 4 == pytest.approx(919.8e6, rel=0.001)
    assert math.isclose(SetMemory.of(PSHUMAN, 3, 6, 96, weights=0).per_set / MARGIN, call_bytes(PSHUMAN, 6, 96), rel_tol=1e-6)
