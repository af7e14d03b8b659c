"""Who is who: predicted people against true ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.evaluation.surface import nearest
from huddle3d.geometry import Camera

__all__ = ["best_pairs", "match_people", "pairwise_distance", "picture_distance"]

_FAR = 1e6
"""Distance of joints that no camera can project."""


def pairwise_distance(predicted: Sequence[Float[Tensor, "n 3"]], truth: Sequence[Float[Tensor, "m 3"]]) -> Float[Tensor, "P T"]:
    """Symmetric mean nearest-point distance [m] of each predicted person to each true one, from point samples of their surfaces.

    Surfaces rather than centres: the centres of two people who hug may lie within centimetres of each other.
    """
    out = torch.zeros(len(predicted), len(truth), dtype=torch.float64)
    for i, p in enumerate(predicted):
        for j, t in enumerate(truth):
            out[i, j] = nearest(p, t)[0].mean() + nearest(t, p)[0].mean()
    return out


def picture_distance(
    predicted: Float[Tensor, "P J 3"], predicted_camera: Camera, truth: Float[Tensor, "T J 3"], true_camera: Camera
) -> Float[Tensor, "P T"]:
    """Mean distance of the same joints in the picture, as a share of the true person's larger extent there.

    The worlds may differ in origin, direction and scale: the photo, which each camera looks at in its own world, is what they share.

    Args:
        predicted: joints in the prediction's world.
        predicted_camera: the photo's camera in that world.
        truth: the same joints in the true world, finite.
        true_camera: the photo's camera there.
    """
    uv_t, _ = true_camera.project(truth)
    uv_p, _ = predicted_camera.project(predicted.to(truth))
    size = (uv_t.amax(1) - uv_t.amin(1)).amax(-1)
    cost = (uv_p[:, None] - uv_t[None]).norm(dim=-1).mean(-1) / size[None]
    return cost.double().nan_to_num(_FAR, posinf=_FAR)


def best_pairs(cost: Float[Tensor, "P T"]) -> tuple[tuple[int, int], ...]:
    """Pairs ``(row, column)`` of the assignment with the smallest total cost (Hungarian), sorted by the column."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(cost.detach().cpu().numpy())
    return tuple(sorted(((int(i), int(j)) for i, j in zip(rows, columns)), key=lambda pair: pair[1]))


def match_people(predicted: Sequence[Float[Tensor, "n 3"]], truth: Sequence[Float[Tensor, "m 3"]]) -> tuple[tuple[int, int], ...]:
    """Pairs ``(predicted, true)`` with the smallest total distance of their surfaces in one world, sorted by the true index.

    People in excess on either side stay unmatched.
    """
    return best_pairs(pairwise_distance(predicted, truth)) if predicted and truth else ()
