"""Smooth random fields that a seed fixes: lattice value noise, for folds, textures and variation of tone."""

from __future__ import annotations

import functools

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.compute import kernel_backend, launch_rows, warp

__all__ = ["cell_tone", "fractal_noise", "value_noise"]

_TABLE = 4096
_PRIMES = (73_856_093, 19_349_663, 83_492_791)


@functools.cache
def _table() -> Float[Tensor, "4096"]:
    """Numbers in [0, 1) from a multiplicative sequence: integer arithmetic, the same on every machine and torch version."""
    values, x = [], 1
    for _ in range(_TABLE):
        x = (x * 48_271) % 2_147_483_647
        values.append(x / 2_147_483_647)
    return torch.tensor(values, dtype=torch.float32)


def _mixed(seed: int) -> int:
    return (seed * 2_654_435_761 + 40_503) & 0x7FFFFFFF


def _axis_codes(cell: Int[Tensor, "*batch"], axis: int) -> Int[Tensor, "*batch"]:
    code = cell * _PRIMES[axis]
    return code ^ (code >> 11)


def cell_tone(cells: Int[Tensor, "*batch d"], seed: int) -> Float[Tensor, "*batch"]:
    """A number in [0, 1) for each integer cell of 1 to 3 dimensions."""
    if kernel_backend() == "warp" and cells.shape[-1] == 2 and cells.numel():
        return _cell_tones_warp(cells, seed)
    return _cell_tone_torch(cells, seed)


def _cell_tone_torch(cells: Int[Tensor, "*batch d"], seed: int) -> Float[Tensor, "*batch"]:
    """The kernel's plain twin."""
    code = torch.full(cells.shape[:-1], _mixed(seed), dtype=torch.int64, device=cells.device)
    for axis in range(cells.shape[-1]):
        code = code ^ _axis_codes(cells[..., axis].long(), axis)
    return _table().to(cells.device)[(code ^ (code >> 17)) & (_TABLE - 1)]


def value_noise(points: Float[Tensor, "*batch d"], seed: int) -> Float[Tensor, "*batch"]:
    """Noise in [-1, 1] with features of size 1, smooth (cubic fade) in 2 or 3 dimensions."""
    base = points.floor()
    f = points - base
    f = f * f * (3 - 2 * f)
    d = points.shape[-1]
    cells = base.long()
    codes = [(_axis_codes(cells[..., a], a), _axis_codes(cells[..., a] + 1, a)) for a in range(d)]
    weights = [(1 - f[..., a], f[..., a]) for a in range(d)]
    table, start = _table().to(points.device), _mixed(seed)
    total = torch.zeros(points.shape[:-1], dtype=points.dtype, device=points.device)
    for corner in range(1 << d):
        code, weight = codes[0][corner & 1] ^ start, weights[0][corner & 1]
        for a in range(1, d):
            bit = (corner >> a) & 1
            code, weight = code ^ codes[a][bit], weight * weights[a][bit]
        total += weight * table[(code ^ (code >> 17)) & (_TABLE - 1)]
    return 2 * total - 1


def fractal_noise(points: Float[Tensor, "*batch d"], seed: int, *, octaves: int = 3) -> Float[Tensor, "*batch"]:
    """Sum of octaves of :func:`value_noise`, each half as large and twice as fine; about [-1, 1]."""
    if kernel_backend() == "warp" and points.dtype == torch.float32 and points.shape[-1] in (2, 3) and points.numel():
        return _fractal_warp(points, seed, octaves)
    return _fractal_torch(points, seed, octaves)


def _fractal_torch(points: Float[Tensor, "*batch d"], seed: int, octaves: int) -> Float[Tensor, "*batch"]:
    """The kernel's plain twin."""
    total = torch.zeros(points.shape[:-1], dtype=points.dtype, device=points.device)
    norm = 0.0
    for k in range(octaves):
        total = total + value_noise(points * 2.0**k, seed + 31 * k) * 0.5**k
        norm += 0.5**k
    return total / norm


def _fractal_warp(points: Float[Tensor, "*batch d"], seed: int, octaves: int) -> Float[Tensor, "*batch"]:
    from huddle3d.synthesis._noise_kernels import CHUNK, fractal

    wp, device = warp(), points.device
    flat = points.detach().reshape(-1, points.shape[-1]).contiguous()
    starts = torch.tensor([_mixed(seed + 31 * k) for k in range(octaves)], dtype=torch.int64, device=device)
    table, out = _table().to(device), torch.zeros(len(flat), device=device)
    inputs = [wp.from_torch(flat), wp.from_torch(starts), wp.from_torch(table), wp.from_torch(out)]
    launch_rows(fractal, -(-len(flat) // CHUNK), CHUNK, inputs, device)
    return out.reshape(points.shape[:-1])


def _cell_tones_warp(cells: Int[Tensor, "*batch 2"], seed: int) -> Float[Tensor, "*batch"]:
    from huddle3d.synthesis._noise_kernels import CHUNK, cell_tones

    wp, device = warp(), cells.device
    flat = cells.long().reshape(-1, 2).contiguous()
    table, out = _table().to(device), torch.zeros(len(flat), device=device)
    launch_rows(cell_tones, -(-len(flat) // CHUNK), CHUNK, [wp.from_torch(flat), _mixed(seed), wp.from_torch(table), wp.from_torch(out)], device)
    return out.reshape(cells.shape[:-1])
