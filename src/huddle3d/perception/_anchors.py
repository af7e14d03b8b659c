"""Single-shot detector outputs: anchors, decoding, non-maximum suppression (SSD, Liu et al. 2016; BlazeFace, Bazarevsky et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from huddle3d.perception._roi import Roi

__all__ = ["FACE_GRID", "PALM_GRID", "POSE_GRID", "Detection", "anchor_centres", "decode", "iou", "suppress"]

POSE_GRID = ((28, 2), (14, 2), (7, 6))
PALM_GRID = ((24, 2), (12, 6))
FACE_GRID = ((48, 1),)


@dataclass(frozen=True)
class Detection:
    """One detected object, in pixels of the picture."""

    box: Float[np.ndarray, "4"]
    """xyxy [px], axis-aligned in the picture."""
    points: Float[np.ndarray, "P 2"]
    """The network's alignment points [px]."""
    score: float
    """In [0, 1]."""


def anchor_centres(grid: tuple[tuple[int, int], ...]) -> Float[np.ndarray, "A 2"]:
    """Centres in [0, 1]² of ``(cells per side, anchors per cell)`` layers, row by row, anchors of a cell together."""
    layers = []
    for cells, per_cell in grid:
        axis = (np.arange(cells) + 0.5) / cells
        y, x = np.meshgrid(axis, axis, indexing="ij")
        layers.append(np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), per_cell, axis=0))
    return np.concatenate(layers)


def decode(
    raw: Float[np.ndarray, "A D"], logits: Float[np.ndarray, "A 1"], centres: Float[np.ndarray, "A 2"], size: int, threshold: float, roi: Roi
) -> list[Detection]:
    """Rows above the score threshold, as picture-space detections, best first.

    A row holds box centre, box size and P points [px of the input], all but the size relative to its anchor's centre.
    """
    scores = 1 / (1 + np.exp(-np.clip(logits[:, 0].astype(np.float64), -60, 60)))
    keep = np.flatnonzero(scores >= threshold)
    keep = keep[np.argsort(-scores[keep], kind="stable")]
    detections = []
    for i in keep:
        values = raw[i].astype(np.float64).reshape(-1, 2) / size
        centre, extent = values[0] + centres[i], np.abs(values[1])
        middle = roi.to_picture(centre)
        half = extent * roi.side / 2
        points = roi.to_picture(values[2:] + centres[i])
        detections.append(Detection(np.concatenate([middle - half, middle + half]), points, float(scores[i])))
    return detections


def iou(a: Float[np.ndarray, "N 4"], b: Float[np.ndarray, "M 4"]) -> Float[np.ndarray, "N M"]:
    """Intersection over union of boxes xyxy; 0 for empty boxes."""
    lo = np.maximum(a[:, None, :2], b[None, :, :2])
    hi = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = np.prod(np.clip(hi - lo, 0, None), axis=-1)
    area_a, area_b = (np.prod(np.clip(x[:, 2:] - x[:, :2], 0, None), axis=-1) for x in (a, b))
    return inter / np.maximum(area_a[:, None] + area_b[None] - inter, 1e-12)


def suppress(detections: list[Detection], max_iou: float) -> list[Detection]:
    """Greedy non-maximum suppression; the best first. Scores of suppressed boxes are dropped, not averaged."""
    left = sorted(detections, key=lambda d: -d.score)
    if not left:
        return []
    boxes = np.stack([d.box for d in left])
    overlap = iou(boxes, boxes)
    kept: list[int] = []
    for i in range(len(left)):
        if all(overlap[i, j] <= max_iou for j in kept):
            kept.append(i)
    return [left[i] for i in kept]
