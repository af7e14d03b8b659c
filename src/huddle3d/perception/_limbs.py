"""Distance of pixels to a skeleton, in units of each body part's thickness."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float

__all__ = ["keypoint_scale", "limb_distance", "limb_distance_map"]

_BONES: tuple[tuple[int, int, float], ...] = (
    (5, 7, 0.11), (7, 9, 0.10), (6, 8, 0.11), (8, 10, 0.10), (11, 13, 0.18), (13, 15, 0.13), (12, 14, 0.18), (14, 16, 0.13),
    (15, 17, 0.11), (16, 20, 0.11), (15, 19, 0.11), (16, 22, 0.11), (5, 6, 0.14), (11, 12, 0.18),
)  # fmt: skip
"""Rows of the landmark table and half thickness in body scales (torso length, about 0.5 m)."""
_NOSE, _EARS, _SHOULDERS, _HIPS = 0, (3, 4), (5, 6), (11, 12)


def keypoint_scale(keypoints: Float[np.ndarray, "L 3"]) -> float:
    """Torso length or shoulder width [px], whichever is larger; from the extent of the seen points if both need unseen ones; at least 1."""
    p, seen = keypoints[:, :2], keypoints[:, 2] > 0
    lengths = [1.0]
    if seen[list(_SHOULDERS)].all():
        lengths.append(float(np.linalg.norm(p[_SHOULDERS[0]] - p[_SHOULDERS[1]])))
        if seen[list(_HIPS)].all():
            lengths.append(float(np.linalg.norm(p[list(_SHOULDERS)].mean(axis=0) - p[list(_HIPS)].mean(axis=0))))
    if len(lengths) < 3 and seen[:17].any():
        # Seen points of a person span between one torso (waist up) and 3.4 torsos (whole figure).
        lengths.append(float(np.ptp(p[:17][seen[:17]], axis=0).max()) / 2.6)
    return max(lengths)


def limb_distance(
    keypoints: Float[np.ndarray, "L 3"], scale: float, height: int, width: int, *, step: int = 1, min_confidence: float = 0.1
) -> Float[np.ndarray, "rows columns"]:
    """Distance to the nearest bone divided by that part's half thickness: below 1 on the body, more outside.

    Thin parts win over the torso they cross, which is right for the arm of whoever is in front.

    Args:
        keypoints: u, v [px] and confidence, rows 0..22 of the landmark table; parts with an unseen end are left out.
        scale: torso length or shoulder width, whichever is larger [px].
        height: rows of the picture.
        width: columns of the picture.
        step: one sample in ``step`` pixels per axis.
        min_confidence: an end below it is unseen.

    Returns:
        ``ceil(height / step)`` × ``ceil(width / step)``; infinite if no part is seen.
    """
    v, u = np.meshgrid(np.arange(0, height, step) + 0.5 * step, np.arange(0, width, step) + 0.5 * step, indexing="ij")
    best = np.full(u.shape, np.inf, np.float32)
    p, seen = keypoints[:, :2], keypoints[:, 2] >= min_confidence
    for a, b, radius in _BONES:
        if seen[a] and seen[b]:
            np.minimum(best, _to_segment(u, v, p[a], p[b]) / (radius * scale), out=best)
    if seen[list(_SHOULDERS)].all():
        neck = p[list(_SHOULDERS)].mean(axis=0)
        wide = float(np.linalg.norm(p[_SHOULDERS[0]] - p[_SHOULDERS[1]]))
        # Hips outside the picture are still good enough to say where the torso goes.
        hips = p[list(_HIPS)].mean(axis=0)
        half = max(0.52 * wide, 0.5 * float(np.linalg.norm(p[_HIPS[0]] - p[_HIPS[1]])), 0.22 * scale)
        np.minimum(best, _to_segment(u, v, neck + 0.25 * (hips - neck), hips) / half, out=best)
        head = [i for i in (_NOSE, *_EARS) if seen[i]]
        if head:
            top = p[head].mean(axis=0)
            size = max(0.22 * scale, 0.4 * float(np.linalg.norm(top - neck)))
            # Nose and ears lie low in a head with its hair or hat.
            crown = top + (top - neck) * (0.9 * size / max(float(np.linalg.norm(top - neck)), 1e-9))
            np.minimum(best, _to_segment(u, v, top, crown) / size, out=best)
            np.minimum(best, _to_segment(u, v, top, neck) / (0.5 * size), out=best)
    return best


def limb_distance_map(
    keypoints: Float[np.ndarray, "L 3"], scale: float, height: int, width: int, *, min_confidence: float = 0.1
) -> Float[np.ndarray, "height width"]:
    """:func:`limb_distance` at every pixel, interpolated from samples that are dense enough for the person's size; at most 1000."""
    step = int(np.clip(scale / 25, 1, 8))
    coarse = np.minimum(limb_distance(keypoints, scale, height, width, step=step, min_confidence=min_confidence), 1e3)
    if step == 1:
        return coarse
    rows, columns = coarse.shape
    full = cv2.resize(coarse, (columns * step, rows * step), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(full[:height, :width])


def _to_segment(
    u: Float[np.ndarray, "h w"], v: Float[np.ndarray, "h w"], a: Float[np.ndarray, "2"], b: Float[np.ndarray, "2"]
) -> Float[np.ndarray, "h w"]:
    d = b - a
    t = np.clip(((u - a[0]) * d[0] + (v - a[1]) * d[1]) / max(float(d @ d), 1e-9), 0, 1)
    return np.hypot(u - a[0] - t * d[0], v - a[1] - t * d[1]).astype(np.float32)
