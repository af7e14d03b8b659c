"""Masks in COCO files: run lengths (plain or packed into a string) and polygons.

Run lengths count pixels by columns (down, then right), starting with background. The packed string writes each count, from the third on as the
difference to the one before the last, in groups of five bits, least significant first; bit 6 says that more follow; 48 is added to each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["decode_rle", "encode_rle", "pack_counts", "polygon_mask", "unpack_counts"]

_MAX_GROUPS = 8


def decode_rle(counts: Sequence[int], height: int, width: int) -> NDArray[np.bool_]:
    """(height, width) mask of run lengths; ValueError if they are negative or do not add up to the picture."""
    if min(counts, default=0) < 0:
        raise ValueError("a run length is negative")
    total = sum(counts)  # Python's integers: numpy's would wrap round, and numpy.repeat would then write beyond its memory
    if total != height * width:
        raise ValueError(f"the run lengths add up to {total}, not to {height} × {width} pixels")
    runs = np.asarray(counts, dtype=np.int64)
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


def encode_rle(mask: NDArray[np.bool_]) -> list[int]:
    """Run lengths of a mask, the first one of background (perhaps 0)."""
    flat = np.concatenate([[False], np.asarray(mask, dtype=bool).T.reshape(-1)])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate([[0], changes, [flat.size - 1]])).tolist()


def unpack_counts(text: str) -> list[int]:
    """Run lengths of a packed string; ValueError if it is damaged."""
    counts: list[int] = []
    value, groups = 0, 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or groups >= _MAX_GROUPS:
            raise ValueError("the packed run lengths are damaged")
        value |= (bits & 31) << (5 * groups)
        groups += 1
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << (5 * groups)  # sign extension
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value, groups = 0, 0
    if groups:
        raise ValueError("the packed run lengths end too early")
    return counts


def pack_counts(counts: Sequence[int]) -> str:
    """Inverse of :func:`unpack_counts`."""
    out: list[str] = []
    for k, count in enumerate(counts):
        value = count - (counts[k - 2] if k > 2 else 0)
        while True:
            bits, value = value & 31, value >> 5
            done = value == (-1 if bits & 16 else 0)
            out.append(chr(48 + (bits if done else bits | 32)))
            if done:
                break
    return "".join(out)


def polygon_mask(polygons: Sequence[Sequence[float]], height: int, width: int) -> NDArray[np.bool_]:
    """Pixels whose centre (+0.5) lies inside one of the polygons (even-odd rule within a polygon, union between them).

    Args:
        polygons: ``x0, y0, x1, y1, …`` [px] each, at least three points; they may leave the image.
        height: rows [px].
        width: columns [px].
    """
    mask = np.zeros((height, width), dtype=bool)
    for flat in polygons:
        points = np.asarray(flat, dtype=np.float64).reshape(-1, 2)
        ends = np.roll(points, -1, axis=0)
        low, high = max(0, int(points[:, 1].min()) - 1), min(height, int(np.ceil(points[:, 1].max())) + 1)
        for row in range(low, high):
            y = row + 0.5
            crossing = (points[:, 1] <= y) != (ends[:, 1] <= y)
            a, b = points[crossing], ends[crossing]
            x = np.sort(a[:, 0] + (y - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0]))
            spans = np.clip(np.ceil(x - 0.5), 0, width).astype(int).reshape(-1, 2)
            for start, stop in spans:
                mask[row, start:stop] = True
    return mask
