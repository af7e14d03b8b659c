"""L_pen of HUG3D (eqs. 7 and S10) on signed distances between proxies of the bodies."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.contact import PenetrationConfig, PenetrationTerm, penetrations
from huddle3d.fitting._config import FitConfig

__all__ = ["PersonPenetration", "deepest_mm", "soft_penetration"]


def soft_penetration(distance: Float[Tensor, "n"], tolerance: float, temperature: float) -> Float[Tensor, "n"]:
    """``T ln(1 + exp((tol - d) / T))`` [m]: about ``tol - d`` for signed distances below the tolerance, 0 far outside."""
    return temperature * torch.nn.functional.softplus((tolerance - distance) / temperature)


class PersonPenetration:
    """L_pen between people as an energy.

    The mean of eq. S10 runs over all proxy vertices of a person, so that the energy is smooth: a mean over the near vertices alone would fall
    when a person comes nearer with more vertices. Its set V is not defined in the paper.

    Args:
        faces: of the proxy.
        config: weight.
        tolerance: distance that is kept free [m].
    """

    def __init__(self, faces: Int[Tensor, "Q 3"], config: FitConfig, tolerance: float) -> None:
        self._weight = config.weight_penetration * config.penetration_scale
        self._distances = PenetrationTerm(faces, PenetrationConfig(config.weight_penetration, tolerance))

    def __call__(self, vertices: Float[Tensor, "K P 3"]) -> Float[Tensor, ""]:
        """Energy of all ordered pairs; zero (with a graph) if nobody is near."""
        c = self._distances.config
        distance = self._distances.distances(vertices)
        total = soft_penetration(distance, c.tolerance, c.temperature).sum() / vertices.shape[1]
        return self._weight * total + 0.0 * vertices.sum()


def deepest_mm(vertices: Float[Tensor, "K P 3"], faces: Int[Tensor, "Q 3"]) -> Float[Tensor, "K K"]:
    """``[a, b]``: how deep the deepest vertex of body a lies inside body b [mm]; 0 if none does."""
    names = tuple(str(k) for k in range(len(vertices)))
    out = torch.zeros(len(vertices), len(vertices))
    for pair in penetrations(vertices, faces, names):
        out[int(pair.a), int(pair.b)] = pair.max_mm
    return out
