"""Penalties on distances: against interpenetration (HUG3D eq. 7, S10) and for known contacts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.errors import InputError, ShapeError

__all__ = ["CARVING", "FITTING", "PenetrationConfig", "attraction_loss", "penetration_loss"]


@dataclass(frozen=True)
class PenetrationConfig:
    """Settings of L_pen; the defaults are those of body fitting (HUG3D S10), ``CARVING`` those of mesh refinement (S15)."""

    gamma: float = 15.0
    """Weight; it sits inside the loss, so there is no outer weight."""
    tolerance: float = 0.02
    """Distance [m] that is kept free; below it the penalty is nearly linear."""

    @property
    def temperature(self) -> float:
        """Width [m] of the softplus: a quarter of the tolerance, at least 1e-5 (HUG3D eq. 7)."""
        return max(self.tolerance / 4, 1e-5)

    @property
    def reach(self) -> float:
        """Distance [m] beyond which the penalty is below 1e-8 of the temperature."""
        return self.tolerance + 20 * self.temperature


FITTING = PenetrationConfig()
"""Weight and tolerance of body fitting."""
CARVING = PenetrationConfig(gamma=30.0, tolerance=5e-4)
"""Weight and tolerance of mesh refinement. The main text prints weight 2.0; at this tolerance the raw loss is about 1e-4, so 30 it is."""


def penetration_loss(distance: Float[Tensor, "*n"], config: PenetrationConfig = FITTING) -> Float[Tensor, ""]:
    """``gamma · mean_V[T ln(1 + exp((tol − d)/T))]``, HUG3D eq. 7 and S10 on *signed* distances.

    The paper's unsigned d would push a penetrating pair either way; with d negative inside, the gradient always points out.

    Args:
        distance: signed distances [m] of the set V (the vertices or pairs in question); an empty set gives 0.
        config: weight and tolerance.
    """
    if distance.numel() == 0:
        return distance.sum()
    t = config.temperature
    return config.gamma * t * torch.nn.functional.softplus((config.tolerance - distance) / t).mean()


def attraction_loss(a: Float[Tensor, "P 3"], b: Float[Tensor, "P 3"], *, scale: float = 0.1) -> Float[Tensor, ""]:
    """Mean of ``d² / (1 + d²/scale²)`` [m²] over known contact pairs: pulls row i of ``a`` and of ``b`` together.

    Quadratic when near; pairs farther than ``scale`` [m] saturate (Geman-McClure), so a wrong pair cannot tear a body apart.
    """
    if a.shape != b.shape or a.shape[-1:] != (3,):
        raise ShapeError("b", b.shape, tuple(a.shape))
    if scale <= 0:
        raise InputError(f"scale is {scale}, it must be positive.")
    square = (a - b).square().sum(-1)
    return (square / (1 + square / scale**2)).mean() if len(square) else square.sum()
