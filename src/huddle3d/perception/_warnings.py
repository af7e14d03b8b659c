"""What perception was unsure of, in words that a user can act on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from huddle3d.perception._anchors import Detection
from huddle3d.perception._limbs import keypoint_scale, limb_distance
from huddle3d.perception._pose import Pose
from huddle3d.scene.landmarks import BODY

__all__ = ["missing_warnings", "people_warnings"]

_SMALL_PX = 100
_UNSURE = 0.75
_MIXED = 0.25
_FACE = 0.6


def people_warnings(
    names: Sequence[str],
    boxes: Float[np.ndarray, "K 4"],
    keypoints: Float[np.ndarray, "K L 3"],
    masks: Bool[np.ndarray, "K height width"],
    scores: Sequence[float],
) -> list[str]:
    """Warnings about the people found: unsure, small, cut by the frame, hardly visible, mixed with a neighbour."""
    height, width = masks.shape[1:]
    notes = []
    for name, box, mask, table, score in zip(names, boxes, masks, keypoints, scores, strict=True):
        if score < _UNSURE:
            notes.append(f"{name} was found with a low confidence of {score:.2f}; check that it is a person.")
        if box[3] - box[1] < _SMALL_PX:
            notes.append(f"{name} is small ({box[3] - box[1]:.0f} px high): key points are coarse.")
        edges = [e for e, cut in zip(("left", "top", "right", "bottom"), _cut(mask), strict=True) if cut]
        if edges:
            notes.append(f"{name} is cut by the {' and '.join(edges)} edge of the picture; the parts outside are guessed.")
        if mask.sum() < 0.05 * max((box[2] - box[0]) * (box[3] - box[1]), 1):
            notes.append(f"{name} has hardly any visible pixels; others may cover it.")
        if (table[BODY, 2] > 0.3).sum() < 6:
            notes.append(f"{name} has only {(table[BODY, 2] > 0.3).sum()} sure body key points.")
    return notes + _pairs(names, keypoints, height, width)


def missing_warnings(
    faces: Sequence[Detection],
    owned: Sequence[Detection | None],
    doubtful: Sequence[Pose],
    unexplained: Sequence[tuple[float, float, float, float]],
    factor: float,
) -> list[str]:
    """Warnings about people who may have been missed: faces of nobody, places where a person was too unsure, bodies without a skeleton.

    Args:
        faces: all faces, in working pixels.
        owned: the faces that belong to somebody.
        doubtful: poses that were refused.
        unexplained: boxes xyxy of person pixels that belong to nobody.
        factor: working pixels per photo pixel.
    """
    notes = []
    for face in faces:
        if face.score >= _FACE and not any(face is f for f in owned):
            x, y = (face.box[:2] + face.box[2:]) / 2 / factor
            notes.append(f"A face at ({x:.0f}, {y:.0f}) belongs to none of the people found: a person may be missing. {_REMEDY}")
    for pose in doubtful:
        sure = pose.points[pose.confidence > 0.1] if (pose.confidence > 0.1).sum() > 2 else pose.points
        (x0, y0), (x1, y1) = sure.min(axis=0) / factor, sure.max(axis=0) / factor
        notes.append(f"There may be another person within x {x0:.0f}–{x1:.0f}, y {y0:.0f}–{y1:.0f}, too unsure to be used. {_REMEDY}")
    for box in unexplained:
        x0, y0, x1, y1 = (v / factor for v in box)
        notes.append(f"What looks like a body within x {x0:.0f}–{x1:.0f}, y {y0:.0f}–{y1:.0f} belongs to none of the people found. {_REMEDY}")
    return notes


_REMEDY = "Such people can be given as COCO JSON."


def _cut(mask: Bool[np.ndarray, "height width"]) -> tuple[bool, bool, bool, bool]:
    """Whether the mask runs along the left, top, right and bottom edge for more than a few pixels."""
    least = max(3, 0.01 * max(mask.shape))
    return tuple(bool(edge.sum() > least) for edge in (mask[:, 0], mask[0], mask[:, -1], mask[-1]))  # type: ignore[return-value]


def _pairs(names: Sequence[str], keypoints: Float[np.ndarray, "K L 3"], height: int, width: int) -> list[str]:
    """Pairs of whom one has many key points on the other's body."""
    step = max(1, max(height, width) // 320)
    on = [limb_distance(t, keypoint_scale(t), height, width, step=step) < 1 for t in keypoints]
    notes = []
    for i in range(len(names)):
        for j in range(i + 1, len(names)):
            if max(_share(keypoints[i], on[j], step), _share(keypoints[j], on[i], step)) > _MIXED:
                notes.append(f"{names[i]} and {names[j]} overlap heavily: limbs near the contact may be given to the wrong one.")
    return notes


def _share(table: Float[np.ndarray, "L 3"], region: Bool[np.ndarray, "rows columns"], step: int) -> float:
    cells = np.clip((table[BODY, :2] / step).astype(int), 0, np.array(region.shape)[::-1] - 1)
    weights = table[BODY, 2]
    return float((weights * region[cells[:, 1], cells[:, 0]]).sum() / max(weights.sum(), 1e-6))
