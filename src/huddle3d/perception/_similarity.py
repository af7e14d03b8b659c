"""Likeness of two poses: object keypoint similarity, and the rule that one head belongs to one person."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from huddle3d.perception._pose import HEAD, Pose
from huddle3d.scene.landmarks import COCO_SIGMAS

__all__ = ["BLAZE_OF_COCO", "body_scale", "is_alike", "is_same_person", "oks"]

BLAZE_OF_COCO = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
"""BlazePose row of each COCO-17 keypoint."""


def oks(a: Float[np.ndarray, "17 2"], b: Float[np.ndarray, "17 2"], area: float, weights: Float[np.ndarray, "17"]) -> float:
    """Object keypoint similarity of COCO: weighted mean of ``exp(-d² / (2 · area · (2σ)²))``; 0 if all weights are 0.

    Args:
        a: keypoints [px].
        b: keypoints [px].
        area: area of the person [px²]; about 0.53 of the box's area for standing people.
        weights: 1 for each keypoint that counts; fractions allowed.
    """
    if weights.sum() <= 0 or area <= 0:
        return 0.0
    k = (2 * np.asarray(COCO_SIGMAS)) ** 2
    e = ((a - b) ** 2).sum(axis=-1) / (2 * area * k)
    return float((np.exp(-e) * weights).sum() / weights.sum())


def body_scale(pose: Pose) -> float:
    """Length scale of a person [px]: the larger of torso length and shoulder width (a torso seen from above is short, one from the side narrow)."""
    p = pose.points
    torso = np.linalg.norm((p[11] + p[12] - p[23] - p[24]) / 2)
    return float(max(torso, np.linalg.norm(p[11] - p[12]), 1e-6))


def is_alike(a: Pose, b: Pose, threshold: float) -> bool:
    """Whether the key points that both see are alike: OKS above the threshold."""
    weights = np.minimum(a.confidence, b.confidence)[list(BLAZE_OF_COCO)]
    # A torso is about 0.29 of the stature, and a standing person's area about 0.12 stature².
    area = 0.12 * (min(body_scale(a), body_scale(b)) / 0.29) ** 2
    return oks(a.points[list(BLAZE_OF_COCO)], b.points[list(BLAZE_OF_COCO)], area, weights) > threshold


def is_same_person(a: Pose, b: Pose, threshold: float) -> bool:
    """Whether two poses describe one person: alike as a whole, or heads of like size in one place.

    Two people never share a head, whereas two poses of one person may disagree on the limbs.
    """
    if is_alike(a, b, threshold):
        return True
    scale = min(body_scale(a), body_scale(b))
    core = [11, 12, 23, 24]
    head = float(np.linalg.norm(a.points[list(HEAD)].mean(axis=0) - b.points[list(HEAD)].mean(axis=0)))
    torso = float(np.linalg.norm(a.points[core].mean(axis=0) - b.points[core].mean(axis=0)))
    return head < 0.2 * scale or (torso < 0.25 * scale and head < 0.5 * scale)
