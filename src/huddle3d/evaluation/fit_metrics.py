"""Fitted bodies of one photo against the true ones: the row of ``huddle3d eval fit``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.evaluation.depth_order import depth_order
from huddle3d.evaluation.joints import body_metrics
from huddle3d.evaluation.matching import best_pairs, picture_distance
from huddle3d.evaluation.region_contacts import TouchingBodies, region_contacts
from huddle3d.evaluation.sample import EvaluationSample
from huddle3d.geometry import apply, umeyama
from huddle3d.scene import Bodies
from huddle3d.scene.landmarks import BODY, LANDMARK_INDEX

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["FitMetrics", "fit_metrics", "match_in_picture", "true_joints"]

_HIPS = [LANDMARK_INDEX["left_hip"], LANDMARK_INDEX["right_hip"]]
_MATCH_LIMIT = 0.5
"""A fitted person is a true one if its joints lie on average nearer to the true ones, in the picture, than this share of the true person's size."""


@dataclass(frozen=True)
class FitMetrics:
    """All numbers of one scene; NaN where undefined. Lengths in millimetres unless the name says otherwise; bodies are compared in camera axes."""

    people_true: int
    """People in the truth."""
    people_found: int
    """True people that have a fitted body; the others are missing from all numbers below."""
    people_invented: int
    """Fitted bodies that belong to nobody."""
    mpjpe_mm: float = math.nan
    """COCO-17 joints after moving each hip centre onto the true one."""
    pa_mpjpe_mm: float = math.nan
    """After one similarity for each person."""
    joint_pa_mpjpe_mm: float = math.nan
    """After one similarity for all people; only if two or more, and all of the scene's, were found."""
    mve_mm: float = math.nan
    """Vertices, hip centres aligned; only if both bodies are of one model."""
    pa_mve_mm: float = math.nan
    """Vertices after one similarity for each person."""
    offset_mm: float = math.nan
    """Error of the vector from one person's hip centre to another's, mean over pairs."""
    offset_depth_mm: float = math.nan
    """Its part along the camera's axis (absolute value)."""
    seen_pa_mm: float = math.nan
    """PA-MPJPE's part of the joints that the picture shows."""
    hidden_pa_mm: float = math.nan
    """And of those that it hides or does not hold."""
    order_right: int = 0
    """Pairs of people in the right depth order."""
    order_decided: int = 0
    """Pairs that have a depth order (mean depths differ by more than 5 cm)."""
    max_penetration_mm: float = math.nan
    """Deepest vertex of a fitted body inside another."""
    mean_penetration_mm: float = math.nan
    """Mean over the vertices inside."""
    penetration_cm3: float = math.nan
    """Shared volume over pairs."""
    contact_recall: float = math.nan
    """Of the regions in contact, see :class:`RegionContacts`."""
    contact_precision: float = math.nan
    contact_pair_recall: float = math.nan
    contact_pair_precision: float = math.nan
    contact_by_region: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """Right, true and predicted contacts of each region."""
    joint_errors_mm: tuple[float, ...] = ()
    """PA error of each of the 17 joints, mean over people; NaN for joints that the truth lacks."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values; NaN becomes None."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def true_joints(sample: EvaluationSample) -> Float[Tensor, "K 17 3"]:
    """The true COCO-17 joints [m], world; NaN for those that the data set does not have.

    Raises:
        InputError: it has none at all.
    """
    if sample.bodies is not None:
        return sample.bodies.landmarks[:, BODY]
    if sample.joints is None:
        raise InputError(
            f"{sample.name}: the data set has no joints that bodies could be compared with.", next_step="Use eval people: it compares surfaces."
        )
    return sample.joints


def match_in_picture(predicted: Bodies, sample: EvaluationSample) -> list[tuple[int, int]]:
    """Pairs (fitted row, true row): the assignment with the smallest mean distance of the joints in the picture, without the hopeless ones.

    Worlds of different origin and scale share the picture, so this needs no alignment.
    """
    truth = true_joints(sample)
    known = torch.isfinite(truth).all(-1).all(0)
    cost = picture_distance(predicted.landmarks[:, BODY][:, known], predicted.camera, truth[:, known], sample.camera)
    return [(i, j) for i, j in best_pairs(cost) if cost[i, j] < _MATCH_LIMIT]


def fit_metrics(predicted: Bodies, sample: EvaluationSample, body: BodyModel, *, pairs: Sequence[tuple[int, int]] | None = None) -> FitMetrics:
    """Measure the fitted bodies of one photo.

    Args:
        predicted: fitted bodies with their camera.
        sample: the truth: bodies, or at least joints and the camera.
        body: the model of ``predicted``.
        pairs: (fitted row, true row) of the same people; None matches them in the picture.
    """
    truth = true_joints(sample)
    found = list(pairs) if pairs is not None else match_in_picture(predicted, sample)
    counts = (len(truth), len(found), len(predicted.names) - len(found))
    if not found:
        return FitMetrics(*counts)
    rows_p, rows_t = [i for i, _ in found], [j for _, j in found]
    known = torch.isfinite(truth).all(-1).all(0)
    joints = known.nonzero()[:, 0].tolist()
    p = apply(predicted.camera.T_cam_world, predicted.landmarks[rows_p][:, BODY]).double()
    t = apply(sample.camera.T_cam_world, truth[rows_t].nan_to_num(0.0)).double()
    vertices_p = apply(predicted.camera.T_cam_world, predicted.vertices[rows_p])
    bodies = sample.bodies if sample.bodies is not None and sample.bodies.model == predicted.model else None
    vertices_t = apply(sample.camera.T_cam_world, bodies.vertices[rows_t]) if bodies is not None else None
    errors = body_metrics(p, t, predicted_vertices=vertices_p, true_vertices=vertices_t, faces=body.faces, joints=joints)
    whole = len(found) == len(truth) > 1
    order = depth_order(p[:, joints], t[:, joints])
    seen, hidden, each = _by_joint(p, t, joints, sample, rows_t)
    offset, offset_depth = _offsets(p, t)
    contact = _contact(vertices_p, sample, rows_t, body)
    return FitMetrics(
        *counts,
        mpjpe_mm=errors.mpjpe_mm,
        pa_mpjpe_mm=errors.pa_mpjpe_mm,
        joint_pa_mpjpe_mm=errors.joint_pa_mpjpe_mm if whole else math.nan,
        mve_mm=errors.mve_mm,
        pa_mve_mm=errors.pa_mve_mm,
        offset_mm=offset,
        offset_depth_mm=offset_depth,
        seen_pa_mm=seen,
        hidden_pa_mm=hidden,
        order_right=order.right,
        order_decided=order.decided,
        max_penetration_mm=errors.penetration_max_mm,
        mean_penetration_mm=errors.penetration_mean_mm,
        penetration_cm3=errors.penetration_volume_cm3,
        joint_errors_mm=each,
        **contact,
    )


def _by_joint(
    p: Float[Tensor, "K 17 3"], t: Float[Tensor, "K 17 3"], joints: list[int], sample: EvaluationSample, rows_t: list[int]
) -> tuple[float, float, tuple[float, ...]]:
    """PA errors [mm] of seen joints, of hidden ones, and of each joint."""
    error = 1000 * (apply(umeyama(p[:, joints], t[:, joints]), p[:, joints]) - t[:, joints]).norm(dim=-1)
    each = torch.full((17,), math.nan, dtype=torch.float64)
    each[joints] = error.mean(0)
    if sample.people2d is None:
        return math.nan, math.nan, tuple(each.tolist())
    shown = sample.people2d.keypoints[rows_t][:, joints, 2] > 0.5
    return _mean(error[shown]), _mean(error[~shown]), tuple(each.tolist())


def _mean(values: Tensor) -> float:
    return float(values.mean()) if values.numel() else math.nan


def _offsets(p: Float[Tensor, "K 17 3"], t: Float[Tensor, "K 17 3"]) -> tuple[float, float]:
    """Error of the vectors between hip centres, and of their depths, mean over pairs [mm]."""
    hips_p, hips_t = p[:, _HIPS].mean(1), t[:, _HIPS].mean(1)
    a, b = torch.triu_indices(len(p), len(p), 1)
    error = (hips_p[a] - hips_p[b]) - (hips_t[a] - hips_t[b])
    return 1000 * _mean(error.norm(dim=-1)), 1000 * _mean(error[:, 2].abs())


def _contact(vertices_p: Tensor, sample: EvaluationSample, rows_t: list[int], body: BodyModel) -> dict[str, Any]:
    """Contact columns; empty for one person, or a truth whose regions are not known."""
    truth = sample.bodies
    if len(rows_t) < 2 or truth is None:
        return {}
    model = body if truth.model == body.name else _model_of(truth)
    if model is None:
        return {}
    found = region_contacts(
        TouchingBodies(vertices_p, body.faces, body.regions, body.region_names),
        TouchingBodies(truth.vertices[rows_t], model.faces, model.regions, model.region_names),
    )
    return {
        "contact_recall": found.recall,
        "contact_precision": found.precision,
        "contact_pair_recall": found.pair_recall,
        "contact_pair_precision": found.pair_precision,
        "contact_by_region": found.by_region,
    }


def _model_of(bodies: Bodies) -> BodyModel | None:
    """The body model of a data set's own bodies, if its file is on this machine."""
    from huddle3d.bodies import load_body
    from huddle3d.errors import HuddleError

    try:
        model = load_body(bodies.model)
    except HuddleError:
        return None
    return model if model.num_vertices == bodies.vertices.shape[1] else None
