"""Distances between surfaces: Chamfer distance, point-to-surface, normal consistency, F-score, bounding-box overlap.

The definitions are those of the lineage that HUG3D's tables come from: 100 000 area-uniform samples, face normals, unsquared distances. Lengths
in are metres, lengths out centimetres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.errors import InputError, ShapeError
from huddle3d.geometry import face_normals, sample_surface

__all__ = ["SurfaceMetrics", "SurfaceSamples", "bbox_iou", "nearest", "sample_with_normals", "surface_metrics"]

F_SCORE_RADIUS_M = 0.01


@dataclass(frozen=True)
class SurfaceMetrics:
    """How near one predicted surface is to the true one."""

    chamfer_cm: float
    """Sum of both directed mean nearest-sample distances [cm]; two samplings of one surface of 2 m² give about 0.5, the floor of this measure."""
    p2s_cm: float
    """Mean distance from predicted samples to the true triangles [cm] (exact; no sampling floor)."""
    normal_consistency: float
    """Mean absolute cosine between the normals of nearest samples, both directions averaged, in [0, 1]."""
    f_score: float
    """Harmonic mean of precision and recall at 1 cm [percent]."""
    bbox_iou: float
    """Intersection over union of the axis-aligned boxes, in [0, 1]."""


@dataclass(frozen=True)
class SurfaceSamples:
    """Area-uniform samples with the normals of their faces."""

    points: Float[Tensor, "n 3"]
    """[m]."""
    normals: Float[Tensor, "n 3"]
    """Unit; zero on degenerate faces."""


def sample_with_normals(
    vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "f 3"], count: int, *, generator: torch.Generator | None = None
) -> SurfaceSamples:
    """``count`` area-uniform samples with face normals; :class:`InputError` for a mesh without area or with values that are not finite."""
    if vertices.ndim != 2 or vertices.shape[-1] != 3:
        raise ShapeError("vertices", vertices.shape, ("v", 3))
    if len(faces) == 0 or not bool(torch.isfinite(vertices).all()):
        raise InputError("A mesh to be measured has no faces or holds values that are not finite.", next_step="Repair or leave out this mesh.")
    points, face, _ = sample_surface(vertices, faces, count, generator=generator)
    return SurfaceSamples(points, face_normals(vertices, faces)[face])


def nearest(queries: Float[Tensor, "n 3"], targets: Float[Tensor, "m 3"]) -> tuple[Float[Tensor, "n"], Int[Tensor, "n"]]:
    """Distance to and index of the nearest target of each query (k-d tree, exact, double precision)."""
    from scipy.spatial import KDTree

    # Balanced trees and one worker: the answer must not depend on the number of processors.
    distance, index = KDTree(targets.detach().cpu().double().numpy()).query(queries.detach().cpu().double().numpy(), k=1, workers=1)
    return torch.from_numpy(distance), torch.from_numpy(index)


def bbox_iou(a: Float[Tensor, "n 3"], b: Float[Tensor, "m 3"]) -> float:
    """Overlap of the axis-aligned bounding boxes of two point sets; 0 if both boxes are flat."""
    low = torch.maximum(a.amin(0), b.amin(0))
    high = torch.minimum(a.amax(0), b.amax(0))
    shared = float((high - low).clamp_min(0).double().prod())
    union = sum(float((p.amax(0) - p.amin(0)).double().prod()) for p in (a, b)) - shared
    return shared / union if union > 0 else 0.0


def surface_metrics(
    predicted: tuple[Float[Tensor, "v 3"], Int[Tensor, "f 3"]],
    truth: tuple[Float[Tensor, "w 3"], Int[Tensor, "g 3"]],
    *,
    samples: int = 100_000,
    generator: torch.Generator | None = None,
) -> SurfaceMetrics:
    """All surface metrics of one pair of meshes ``(vertices [m], faces)``; follows HUG3D's protocol with the readings of its formulas below.

    The Chamfer distance is a sum of unsquared means (not their mean), point-to-surface is unsquared, and normal consistency is the mean absolute
    cosine: the printed formulas (squared, ``1 - cos``) contradict the tables.
    """
    from huddle3d.contact import closest_point

    p = sample_with_normals(*predicted, samples, generator=generator)
    t = sample_with_normals(*truth, samples, generator=generator)
    d_pt, i_pt = nearest(p.points, t.points)
    d_tp, i_tp = nearest(t.points, p.points)
    cos_pt = (p.normals * t.normals[i_pt]).sum(-1).abs().double().mean()
    cos_tp = (t.normals * p.normals[i_tp]).sum(-1).abs().double().mean()
    precision, recall = (float((d <= F_SCORE_RADIUS_M).double().mean()) for d in (d_pt, d_tp))
    p2s = closest_point(p.points, *truth).distance.double().mean()
    return SurfaceMetrics(
        chamfer_cm=100 * float(d_pt.mean() + d_tp.mean()),
        p2s_cm=100 * float(p2s),
        normal_consistency=float(cos_pt + cos_tp) / 2,
        f_score=200 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0,
        bbox_iou=bbox_iou(predicted[0], truth[0]),
    )


def mean_surface(items: list[SurfaceMetrics]) -> SurfaceMetrics | None:
    """Field-wise mean; None of an empty list."""
    if not items:
        return None
    return SurfaceMetrics(**{k: math.fsum(getattr(m, k) for m in items) / len(items) for k in SurfaceMetrics.__dataclass_fields__})
