"""Who is who: predicted people against true ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.evaluation.surface import nearest

__all__ = ["match_people", "pairwise_distance"]


def pairwise_distance(predicted: Sequence[Float[Tensor, "n 3"]], truth: Sequence[Float[Tensor, "m 3"]]) -> Float[Tensor, "P T"]:
    """Symmetric mean nearest-point distance [m] of each predicted person to each true one, from point samples of their surfaces.

    Surfaces rather than centres: the centres of two people who hug may lie within centimetres of each other.
    """
    out = torch.zeros(len(predicted), len(truth), dtype=torch.float64)
    for i, p in enumerate(predicted):
        for j, t in enumerate(truth):
            out[i, j] = nearest(p, t)[0].mean() + nearest(t, p)[0].mean()
    return out


def match_people(predicted: Sequence[Float[Tensor, "n 3"]], truth: Sequence[Float[Tensor, "m 3"]]) -> tuple[tuple[int, int], ...]:
    """Pairs ``(predicted, true)`` of the assignment with the smallest total distance (Hungarian), sorted by the true index.

    People in excess on either side stay unmatched.
    """
    from scipy.optimize import linear_sum_assignment

    if not predicted or not truth:
        return ()
    rows, columns = linear_sum_assignment(pairwise_distance(predicted, truth).numpy())
    return tuple(sorted(((int(i), int(j)) for i, j in zip(rows, columns)), key=lambda pair: pair[1]))
