"""Where people are, whoever they are: person masks of many looks together, and the parts of them that no skeleton explains."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float

from huddle3d.perception._erase import person_region
from huddle3d.perception._pose import Pose, estimate_pose, sigmoid
from huddle3d.perception._roi import Picture, Roi, roi_of_window
from huddle3d.perception._runner import Networks

__all__ = ["EXPLAINED_REACH", "box_of", "explained", "own_share", "person_evidence", "unexplained_parts"]

EXPLAINED_REACH = 1.3
"""Half thicknesses of the body's parts up to which a pixel counts as explained by a skeleton."""
_LEAST_FLAG = 0.3
"""Probability of a person below which the mask of a look says nothing."""
_LEAST_AREA = 0.2
"""Area of a part worth naming, in areas of the largest person found."""


def person_evidence(picture: Picture, poses: Sequence[Pose], networks: Networks) -> Float[np.ndarray, "height width"]:
    """Probability that a pixel shows a person: the largest of looks at each person's region and at windows around all of them.

    The landmark network masks whoever is in its region, though it gives a skeleton to one of them only.
    """
    best = networks.landmark_variants()[0]
    total = np.zeros((picture.height, picture.width), np.float32)
    for roi in _windows(picture, poses):
        looks = [estimate_pose(picture, roi, best, 1.0, mirrored=m) for m in (False, True)]
        if min(p.flag for p in looks) >= _LEAST_FLAG:
            logits = (looks[0].mask_logits + looks[1].mask_logits) / 2
            np.maximum(total, roi.paste(sigmoid(logits).astype(np.float32), picture.width, picture.height), out=total)
    return total


def explained(poses: Sequence[Pose], picture: Picture) -> Bool[np.ndarray, "height width"]:
    """Pixels on or near the limbs of any of the poses."""
    size = (picture.height, picture.width)
    return np.logical_or.reduce([np.zeros(size, bool), *(person_region(p, *size, reach=EXPLAINED_REACH) for p in poses)])


def own_share(evidence: Float[np.ndarray, "height width"], pose: Pose, others: Sequence[Pose], picture: Picture) -> float:
    """Share of a pose's pixels that are person pixels and explained by none of the others."""
    mine = person_region(pose, picture.height, picture.width)
    return float((mine & (evidence > 0.5) & ~explained(others, picture)).sum()) / max(int(mine.sum()), 1)


def unexplained_parts(evidence: Float[np.ndarray, "height width"], poses: Sequence[Pose], picture: Picture) -> list[Bool[np.ndarray, "height width"]]:
    """Connected parts of the person pixels that no pose explains and that are as large as a good part of a person; largest first."""
    if not poses:
        return []
    areas = [int(person_region(p, picture.height, picture.width).sum()) for p in poses]
    rest = ((evidence > 0.5) & ~explained(poses, picture)).astype(np.uint8)
    # Rims along silhouettes are thinner than limbs: an opening takes them away.
    radius = max(1, round(0.04 * float(np.sqrt(max(areas)))))
    rest = cv2.morphologyEx(rest, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(rest, connectivity=8)
    order = sorted(range(1, count), key=lambda k: -stats[k, cv2.CC_STAT_AREA])
    return [labels == k for k in order if stats[k, cv2.CC_STAT_AREA] >= _LEAST_AREA * max(areas)]


def box_of(part: Bool[np.ndarray, "height width"]) -> tuple[float, float, float, float]:
    """The box xyxy [px] of a part that is not empty."""
    ys, xs = np.nonzero(part)
    return float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1)


def _windows(picture: Picture, poses: Sequence[Pose]) -> list[Roi]:
    """Each person's region, one 1.7 times as large that reaches down, and windows around and beside each group of regions that overlap."""
    windows = [r for p in poses for r in (p.roi, p.roi.shifted(0, 0.2, 1.7))]
    for x0, y0, x1, y1 in _groups(poses):
        window = roi_of_window((x0, y0, x1, y1))
        windows += [window, window.shifted(0, 0, 1.3), window.shifted(-0.25, 0), window.shifted(0.25, 0)]
    return windows


def _groups(poses: Sequence[Pose]) -> list[tuple[float, float, float, float]]:
    """Boxes xyxy around the sure points of people, those that overlap joined."""
    boxes = []
    for pose in poses:
        sure = pose.points[pose.confidence > 0.2] if (pose.confidence > 0.2).sum() > 2 else pose.points
        boxes.append((*sure.min(axis=0).tolist(), *sure.max(axis=0).tolist()))
    joined: list[tuple[float, float, float, float]] = []
    while boxes:
        x0, y0, x1, y1 = boxes.pop()
        for other in [b for b in boxes if b[0] < x1 and x0 < b[2] and b[1] < y1 and y0 < b[3]]:
            boxes.remove(other)
            x0, y0, x1, y1 = min(x0, other[0]), min(y0, other[1]), max(x1, other[2]), max(y1, other[3])
            boxes.append((x0, y0, x1, y1))
            break
        else:
            joined.append((x0, y0, x1, y1))
    return joined
