"""Who is in front of whom: the order of people along the camera's axis against the true one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from jaxtyping import Float
from torch import Tensor

from huddle3d.errors import ShapeError

__all__ = ["DepthOrder", "depth_order"]


@dataclass(frozen=True)
class DepthOrder:
    """Pairs of people in the right order."""

    right: int
    """Pairs whose predicted order is the true one."""
    decided: int
    """Pairs whose true depths differ by more than the threshold; the others have no order."""


def depth_order(predicted: Float[Tensor, "K n 3"], truth: Float[Tensor, "K n 3"], *, threshold_m: float = 0.05) -> DepthOrder:
    """Compare the mean depths of all pairs of people.

    Args:
        predicted: joints of matched people, camera axes (z away from the camera).
        truth: the same joints of the true people, in the true camera's axes [m].
        threshold_m: pairs whose true mean depths differ by less have no order.
    """
    if predicted.shape != truth.shape:
        raise ShapeError("predicted joints", predicted.shape, tuple(truth.shape))
    near_p, near_t = predicted[..., 2].double().mean(-1), truth[..., 2].double().mean(-1)
    right = decided = 0
    for a, b in combinations(range(len(truth)), 2):
        gap = float(near_t[a] - near_t[b])
        if abs(gap) > threshold_m:
            decided += 1
            right += int(float(near_p[a] - near_p[b]) * gap > 0)
    return DepthOrder(right, decided)
