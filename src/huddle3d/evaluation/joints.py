"""Errors of bodies: joints absolute, root-aligned, Procrustes-aligned for each person and for the whole group; vertices; penetration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.errors import InputError, ShapeError
from huddle3d.evaluation.contacts import group_penetration
from huddle3d.geometry import apply, umeyama
from huddle3d.scene.landmarks import LANDMARK_INDEX

__all__ = ["BodyMetrics", "body_metrics"]


@dataclass(frozen=True)
class BodyMetrics:
    """Errors of the 17 COCO joints and of the body's vertices, means over people and points; and how the predicted bodies collide."""

    absolute_mpjpe_mm: float
    """No alignment: position, size and pose in the world [mm]."""
    mpjpe_mm: float
    """After moving each person's hip centre onto the true one [mm]."""
    pa_mpjpe_mm: float
    """After one similarity for each person (Procrustes) [mm]."""
    joint_pa_mpjpe_mm: float
    """After one similarity for the whole group [mm]: what is left is pose and how people stand to each other.
    Of a scene as a whole NaN unless there are two or more people, and all were found (:func:`huddle3d.evaluation.evaluate_scene`)."""
    mve_mm: float = math.nan
    """Mean vertex error after moving each person's hip centre onto the true one [mm]; NaN if the body models differ."""
    pa_mve_mm: float = math.nan
    """Mean vertex error after one similarity of each person's vertices [mm]; NaN if the body models differ."""
    penetration_max_mm: float = math.nan
    """Deepest vertex of a predicted body inside another [mm]; NaN for one person or without the body's faces."""
    penetration_mean_mm: float = math.nan
    """Mean depth over those vertices [mm]; NaN as above, 0 without penetration."""
    penetration_volume_cm3: float = math.nan
    """Volume that predicted bodies share [cm³]; NaN as above."""


def _mean_mm(a: Tensor, b: Tensor) -> float:
    return 1000 * float((a - b).norm(dim=-1).mean())


def _hips(landmarks: Float[Tensor, "K L 3"]) -> Float[Tensor, "K 1 3"]:
    return landmarks[:, [LANDMARK_INDEX["left_hip"], LANDMARK_INDEX["right_hip"]]].mean(1, keepdim=True)


def _check(predicted: Tensor, truth: Tensor, what: str) -> None:
    if predicted.shape != truth.shape or predicted.ndim != 3:
        raise ShapeError(f"predicted {what}", predicted.shape, tuple(truth.shape))
    if len(predicted) == 0:
        raise InputError("No person to measure joints of.", why="No predicted person was matched to a true one.")
    if not bool(torch.isfinite(predicted).all() and torch.isfinite(truth).all()):
        raise InputError(f"The {what} to be measured hold NaN or infinite values.", next_step="Leave out this scene.")


def body_metrics(
    predicted: Float[Tensor, "K 75 3"],
    truth: Float[Tensor, "K 75 3"],
    *,
    predicted_vertices: Float[Tensor, "K V 3"] | None = None,
    true_vertices: Float[Tensor, "K V 3"] | None = None,
    faces: Int[Tensor, "F 3"] | None = None,
    joints: Sequence[int] = tuple(range(17)),
) -> BodyMetrics:
    """Errors of matched people's bodies in one world (row k of both is the same person).

    Args:
        predicted: landmarks [m].
        truth: true landmarks [m].
        predicted_vertices: of the body model [m]; with ``true_vertices`` of the same topology they give the vertex errors.
        true_vertices: see there.
        faces: of the predicted bodies; with ``predicted_vertices`` of two or more people they give the penetration.
        joints: rows of the landmarks that are compared, for truths that lack some of the 17; both hips are needed in any case.

    Raises:
        ShapeError: the shapes of prediction and truth differ.
        InputError: nobody to measure, or NaN.
    """
    _check(predicted, truth, "landmarks")
    rows = list(joints)
    p, t = predicted[:, rows].double(), truth[:, rows].double()
    to_hips = _hips(truth.double()) - _hips(predicted.double())
    rooted = p + to_hips
    each = apply(umeyama(p, t), p)
    group = apply(umeyama(p.reshape(-1, 3), t.reshape(-1, 3)), p)
    result = BodyMetrics(_mean_mm(p, t), _mean_mm(rooted, t), _mean_mm(each, t), _mean_mm(group, t))
    if predicted_vertices is not None and true_vertices is not None:
        _check(predicted_vertices, true_vertices, "vertices")
        v, w = predicted_vertices.double(), true_vertices.double()
        result = replace(result, mve_mm=_mean_mm(v + to_hips, w), pa_mve_mm=_mean_mm(apply(umeyama(v, w), v), w))
    if predicted_vertices is not None and faces is not None and len(p) > 1:
        found = group_penetration([(v, faces) for v in predicted_vertices])
        result = replace(result, penetration_max_mm=found.max_mm, penetration_mean_mm=found.mean_mm, penetration_volume_cm3=found.volume_cm3)
    return result
