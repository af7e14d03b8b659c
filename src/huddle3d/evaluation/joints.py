"""Errors of body joints: absolute, root-aligned, Procrustes-aligned for each person and for the whole group."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from huddle3d.errors import InputError, ShapeError
from huddle3d.geometry import apply, umeyama
from huddle3d.scene.landmarks import BODY, LANDMARK_INDEX

__all__ = ["BodyMetrics", "body_metrics"]


@dataclass(frozen=True)
class BodyMetrics:
    """Errors of the 17 COCO joints, means over people and joints."""

    absolute_mpjpe_mm: float
    """No alignment: position, size and pose in the world [mm]."""
    mpjpe_mm: float
    """After moving each person's hip centre onto the true one [mm]."""
    pa_mpjpe_mm: float
    """After one similarity for each person (Procrustes) [mm]."""
    joint_pa_mpjpe_mm: float
    """After one similarity for the whole group [mm]: what is left is pose and how people stand to each other."""


def _mean_mm(a: Tensor, b: Tensor) -> float:
    return 1000 * float((a - b).norm(dim=-1).mean())


def body_metrics(predicted: Float[Tensor, "K 75 3"], truth: Float[Tensor, "K 75 3"]) -> BodyMetrics:
    """Joint errors of matched people from their landmarks [m] in one world (row k of both is the same person)."""
    if predicted.shape != truth.shape or predicted.ndim != 3:
        raise ShapeError("predicted landmarks", predicted.shape, tuple(truth.shape))
    if len(predicted) == 0:
        raise InputError("No person to measure joints of.", why="No predicted person was matched to a true one.")
    p, t = predicted[:, BODY].double(), truth[:, BODY].double()
    hips = [LANDMARK_INDEX["left_hip"], LANDMARK_INDEX["right_hip"]]
    rooted = p - p[:, hips].mean(1, keepdim=True) + t[:, hips].mean(1, keepdim=True)
    each = apply(umeyama(p, t), p)
    group = apply(umeyama(p.reshape(-1, 3), t.reshape(-1, 3)), p)
    return BodyMetrics(_mean_mm(p, t), _mean_mm(rooted, t), _mean_mm(each, t), _mean_mm(group, t))
