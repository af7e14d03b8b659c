"""Whether a pose is a person: how sure the networks are, whether a face agrees, and whether it is a part of somebody else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from huddle3d.perception._anchors import Detection
from huddle3d.perception._config import PerceiveConfig
from huddle3d.perception._consensus import steadiness
from huddle3d.perception._erase import person_region
from huddle3d.perception._hands import Hand
from huddle3d.perception._pose import HEAD, Pose
from huddle3d.perception._roi import Picture
from huddle3d.perception._similarity import body_scale

__all__ = ["SURE_FACE", "face_of", "has_face", "has_hand_for_head", "has_head_of", "is_plausible", "lies_on_others", "quality", "share_on"]

SURE_FACE = 0.6
"""Verified score of a face that tells of a person."""


def quality(pose: Pose) -> float:
    """How sure we are that a pose is a person, in [0, 1]: presence, agreement of the looks, mask under the skeleton, detector's score, posture.

    Detector scores of 0.5 and more tell no more apart. People mostly stand or sit, whereas false people lie in all directions; so a lying
    person needs surer looks than a standing one.
    """
    shoulders, hips = pose.points[[11, 12]].mean(axis=0), pose.points[[23, 24]].mean(axis=0)
    upright = float((hips - shoulders)[1]) / max(float(np.linalg.norm(hips - shoulders)), 1e-6)
    return pose.flag * steadiness(pose) * _coverage(pose) * min(1.0, 2 * pose.score) * (0.6 + 0.4 * upright)


def _coverage(pose: Pose) -> float:
    """Confidence-weighted share of points that lie on the pose's own mask."""
    size = pose.mask_logits.shape[0]
    crop = pose.roi.from_picture(pose.points)
    cells = np.clip((crop * size).astype(int), 0, size - 1)
    inside = ((crop >= 0) & (crop < 1)).all(axis=1)
    weights = pose.confidence * inside
    on = pose.mask_logits[cells[:, 1], cells[:, 0]] > 0
    return float((weights * on).sum() / max(weights.sum(), 1e-6))


def face_of(pose: Pose, faces: Sequence[Detection]) -> Detection | None:
    """The best face around the head of a pose, if size and uprightness agree."""
    fitting = [f for f in faces if _head_distance(pose, f) < 0.6 and _fits(pose, f)]
    return max(fitting, key=lambda f: f.score, default=None)


def has_face(pose: Pose, faces: Sequence[Detection], least: float = 0.5) -> bool:
    """Whether there is a face at the head that is more than a guess."""
    face = face_of(pose, faces)
    return face is not None and face.score >= least


def _head_distance(pose: Pose, face: Detection) -> float:
    """Largest coordinate difference between the head of a pose and a face, in face sizes."""
    head = pose.points[list(HEAD)].mean(axis=0)
    return float(np.abs(head - (face.box[:2] + face.box[2:]) / 2).max() / (face.box[2] - face.box[0]))


def _fits(pose: Pose, face: Detection) -> bool:
    """Whether size (a face box is about 0.4 of a torso length, foreshortened torsos aside) and direction of the head agree."""
    up = (face.points[0] + face.points[1]) / 2 - face.points[3]
    neck = pose.points[list(HEAD)].mean(axis=0) - pose.points[[11, 12]].mean(axis=0)
    upright = float(up @ neck) > 0.1 * float(np.linalg.norm(up) * np.linalg.norm(neck))
    return upright and 0.15 < float(face.box[3] - face.box[1]) / body_scale(pose) < 1.6


def has_head_of(pose: Pose, other: Pose, faces: Sequence[Detection]) -> bool:
    """Whether the head of a pose lies on the face of another one, without being a head that fits that face better."""
    face = face_of(other, faces)
    return face is not None and _head_distance(pose, face) < 0.8


def lies_on_others(pose: Pose, others: Sequence[Pose], picture: Picture) -> bool:
    """Whether a pose is a part of known people: mostly on them, or much smaller than one of them and on or beside that one.

    Legs, gloves and patterns on clothes pass for small people; a person behind another shows a good part beside them.
    """
    if not others:
        return False
    size = (picture.height, picture.width)
    if share_on(pose, np.logical_or.reduce([person_region(p, *size) for p in others])) > 0.5:
        return True
    larger = [p for p in others if body_scale(pose) < 0.55 * body_scale(p)]
    if any(share_on(pose, person_region(p, *size, reach=2.0)) > 0.3 for p in larger):
        return True
    # Parts of a person that were not seen well enough to be painted over still lie in that person's region.
    x, y = pose.points.mean(axis=0)
    boxes = [p.roi.box() for p in others if body_scale(pose) < 0.25 * body_scale(p)]
    return any(x0 < x < x1 and y0 < y < y1 for x0, y0, x1, y1 in boxes)


def has_hand_for_head(pose: Pose, hands: Sequence[Hand]) -> bool:
    """Whether the head of a pose is a hand: one with its fingers spread makes a fine head and shoulders.

    The hand must lie around the head's middle and be as large as a head at least; a hand laid on somebody's head is smaller.
    """
    head = pose.points[list(HEAD)].mean(axis=0)
    size = 0.4 * body_scale(pose)
    for hand in hands:
        extent = float(np.ptp(hand.points, axis=0).max())
        if hand.presence >= 0.8 and extent > size and float(np.linalg.norm(hand.points.mean(axis=0) - head)) < 0.5 * extent:
            return True
    return False


def share_on(pose: Pose, region: Bool[np.ndarray, "height width"]) -> float:
    """Confidence-weighted share of the points inside the picture that lie in a region."""
    height, width = region.shape
    cells = pose.points.astype(int)
    inside = ((cells >= 0) & (cells < (width, height))).all(axis=1)
    weights = pose.confidence[inside]
    return float((weights * region[cells[inside, 1], cells[inside, 0]]).sum() / max(weights.sum(), 1e-6))


def is_plausible(pose: Pose, picture: Picture, config: PerceiveConfig) -> bool:
    """Whether a pose can be a person of the picture: size, and enough points inside it, head or shoulders among them."""
    inside = ((pose.points >= 0) & (pose.points < (picture.width, picture.height))).all(axis=1)
    seen = inside & (pose.confidence > 0.2)
    if seen.sum() < 8 or not seen[[0, 7, 8, 11, 12]].any():
        return False
    extent = np.ptp(pose.points[seen, 1])
    return bool(extent >= config.min_height * picture.height and body_scale(pose) > 4)
