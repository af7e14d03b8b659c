"""Which pairs of people can touch at all: sweep over their axis-aligned boxes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.contact._checks import check_vertices

__all__ = ["overlapping_pairs"]


def overlapping_pairs(vertices: Sequence[Float[Tensor, "_ 3"]] | Float[Tensor, "K V 3"], margin: float = 0.0) -> list[tuple[int, int]]:
    """Pairs ``(i, j)``, i < j, sorted, whose boxes come within ``margin`` [m] of each other in every axis.

    Boxes are swept along the axis in which their centres spread most, so a row of K people costs O(K log K), not K².
    """
    for v in vertices:
        check_vertices(v)
    if len(vertices) < 2:
        return []
    low = torch.stack([v.detach().amin(0) for v in vertices]).double().cpu()
    high = torch.stack([v.detach().amax(0) for v in vertices]).double().cpu()
    axis = int((low + high).var(0).argmax())
    low_rows, high_rows = low.tolist(), (high + margin).tolist()
    pairs: list[tuple[int, int]] = []
    active: list[int] = []
    for i in sorted(range(len(low_rows)), key=lambda k: low_rows[k][axis]):
        active = [j for j in active if high_rows[j][axis] >= low_rows[i][axis]]
        pairs += [
            (min(i, j), max(i, j)) for j in active if all(low_rows[i][x] <= high_rows[j][x] and low_rows[j][x] <= high_rows[i][x] for x in range(3))
        ]
        active.append(i)
    return sorted(pairs)
