"""Distances between surfaces: Chamfer distance, point-to-surface, normal consistency, F-score, bounding-box overlap.

The definitions are those of the lineage that HUG3D's tables come from: 100 000 area-uniform samples, face normals, unsquared distances. Lengths
in are metres, lengths out centimetres.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.errors import InputError, ShapeError
from huddle3d.geometry import face_normals, sample_surface

__all__ = [
    "SurfaceMetrics", "SurfacePair", "SurfaceSamples", "bbox_iou", "check_mesh", "mean_surface", "nearest", "pair_surfaces", "sample_with_normals",
    "surface_metrics",
]  # fmt: skip

Mesh = tuple[Float[Tensor, "v 3"], Int[Tensor, "f 3"]]


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
    check_mesh(vertices, faces)
    points, face, _ = sample_surface(vertices, faces, count, generator=generator)
    return SurfaceSamples(points, face_normals(vertices, faces)[face])


def check_mesh(vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "f 3"]) -> None:
    """:class:`ShapeError` or :class:`InputError` for a mesh that cannot be measured: wrong shape, no faces, NaN or infinite values."""
    if vertices.ndim != 2 or vertices.shape[-1] != 3:
        raise ShapeError("vertices", vertices.shape, ("v", 3))
    if len(faces) == 0 or not bool(torch.isfinite(vertices).all()):
        raise InputError("A mesh to be measured has no faces or holds values that are not finite.", next_step="Repair or leave out this mesh.")


def nearest(queries: Float[Tensor, "n 3"], targets: Float[Tensor, "m 3"]) -> tuple[Float[Tensor, "n"], Int[Tensor, "n"]]:
    """Distance to and index of the nearest target of each query (k-d tree, exact, double precision)."""
    from scipy.spatial import KDTree

    # Balanced trees and one worker: the answer must not depend on the number of processors.
    distance, index = KDTree(targets.detach().cpu().double().numpy()).query(queries.detach().cpu().double().numpy(), k=1, workers=1)
    return torch.from_numpy(distance), torch.from_numpy(index)


def bbox_iou(a: Float[Tensor, "n 3"], b: Float[Tensor, "m 3"]) -> float:
    """Overlap of the axis-aligned bounding boxes of two point sets; 0 if both boxes are flat.

    Example:
        >>> cube = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
        >>> round(bbox_iou(cube, cube + torch.tensor([0.5, 0.0, 0.0])), 4)
        0.3333
    """
    low = torch.maximum(a.amin(0), b.amin(0))
    high = torch.minimum(a.amax(0), b.amax(0))
    shared = float((high - low).clamp_min(0).double().prod())
    union = sum(float((p.amax(0) - p.amin(0)).double().prod()) for p in (a, b)) - shared
    return shared / union if union > 0 else 0.0


@dataclass(frozen=True)
class SurfacePair:
    """Samples of a predicted and a true surface with their distances; every surface metric, whole or of a part, is a mean over them."""

    predicted: SurfaceSamples
    """n samples of the prediction."""
    truth: SurfaceSamples
    """n samples of the truth."""
    to_truth: Float[Tensor, "n"]
    """From each predicted sample to the nearest true one [m]."""
    at_truth: Int[Tensor, "n"]
    """Index of that true sample."""
    to_predicted: Float[Tensor, "n"]
    """From each true sample to the nearest predicted one [m]."""
    at_predicted: Int[Tensor, "n"]
    """Index of that predicted sample."""
    to_triangles: Float[Tensor, "n"]
    """From each predicted sample to the true triangles [m]."""
    bbox_iou: float
    """Of the whole meshes."""

    def metrics(self, of_truth: Bool[Tensor, "n"] | None = None) -> SurfaceMetrics:
        """The metrics of the whole pair, or of the true samples in ``of_truth`` and the predicted ones whose nearest true sample is in it.

        Each metric of a part without samples on one of the sides is NaN: nothing was predicted there, or there is nothing to predict. Boxes
        are always those of the whole meshes.
        """
        rows_t = torch.ones(len(self.to_predicted), dtype=torch.bool) if of_truth is None else of_truth.cpu()
        rows_p = rows_t[self.at_truth]
        if not bool(rows_t.any()) or not bool(rows_p.any()):
            return SurfaceMetrics(math.nan, math.nan, math.nan, math.nan, self.bbox_iou)
        d_pt, d_tp = self.to_truth[rows_p], self.to_predicted[rows_t]
        cos_pt = (self.predicted.normals * self.truth.normals[self.at_truth]).sum(-1).abs().double()[rows_p].mean()
        cos_tp = (self.truth.normals * self.predicted.normals[self.at_predicted]).sum(-1).abs().double()[rows_t].mean()
        precision, recall = (float((d <= F_SCORE_RADIUS_M).double().mean()) for d in (d_pt, d_tp))
        return SurfaceMetrics(
            chamfer_cm=100 * float(d_pt.mean() + d_tp.mean()),
            p2s_cm=100 * float(self.to_triangles[rows_p].double().mean()),
            normal_consistency=float(cos_pt + cos_tp) / 2,
            f_score=200 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0,
            bbox_iou=self.bbox_iou,
        )


def pair_surfaces(predicted: Mesh, truth: Mesh, *, samples: int = 100_000, generator: torch.Generator | None = None) -> SurfacePair:
    """Sample both meshes ``(vertices [m], faces)`` and measure all distances between them.

    Raises:
        InputError: a mesh without faces or area, or one that holds NaN.
        ShapeError: vertices are not (v, 3).
    """
    from huddle3d.contact import closest_point

    p = sample_with_normals(*predicted, samples, generator=generator)
    t = sample_with_normals(*truth, samples, generator=generator)
    to_truth, at_truth = nearest(p.points, t.points)
    to_predicted, at_predicted = nearest(t.points, p.points)
    exact = closest_point(p.points, *truth).distance
    return SurfacePair(p, t, to_truth, at_truth, to_predicted, at_predicted, exact, bbox_iou(predicted[0], truth[0]))


def surface_metrics(predicted: Mesh, truth: Mesh, *, samples: int = 100_000, generator: torch.Generator | None = None) -> SurfaceMetrics:
    """All surface metrics of one pair of meshes ``(vertices [m], faces)``; follows HUG3D's protocol with the readings of its formulas below.

    The Chamfer distance is a sum of unsquared means (not their mean), point-to-surface is unsquared, and normal consistency is the mean absolute
    cosine: the printed formulas (squared, ``1 - cos``) contradict the tables.
    """
    return pair_surfaces(predicted, truth, samples=samples, generator=generator).metrics()


def mean_surface(items: Sequence[SurfaceMetrics]) -> SurfaceMetrics | None:
    """Field-wise mean over the items where the field is defined (NaN if it never is); None of an empty list."""
    if not items:
        return None
    known = {k: [v for m in items if not math.isnan(v := getattr(m, k))] for k in SurfaceMetrics.__dataclass_fields__}
    return SurfaceMetrics(**{k: math.fsum(v) / len(v) if v else math.nan for k, v in known.items()})
