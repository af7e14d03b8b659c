"""From BlazePose's 33 points, hand and face meshes to the landmark table of :mod:`huddle3d.scene`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from huddle3d.perception._face import FACE_ROWS, Face
from huddle3d.perception._hands import Hand
from huddle3d.perception._pose import Pose
from huddle3d.scene.landmarks import FACE, LANDMARK_INDEX, LANDMARKS, LEFT_HAND, NUM_LANDMARKS, RIGHT_HAND

__all__ = ["BLAZE_ROWS", "keypoints_of", "landmarks3d_of"]

_NAMES = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer", "left_ear", "right_ear",
    "mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_pinky1", "right_pinky1", "left_index1", "right_index1", "left_thumb", "right_thumb", "left_hip", "right_hip",
    "left_knee", "right_knee", "left_ankle", "right_ankle", "left_heel", "right_heel", "left_big_toe", "right_big_toe",
)  # fmt: skip
_FACE_NAMES = {
    "face_right_eye_outer": "right_eye_outer", "face_right_eye_inner": "right_eye_inner", "face_left_eye_inner": "left_eye_inner",
    "face_left_eye_outer": "left_eye_outer", "face_nose_tip": "nose", "face_mouth_right": "mouth_right", "face_mouth_left": "mouth_left",
}  # fmt: skip
_HAND_NAMES = {f"{side}_{k}": v for side in ("left", "right") for k, v in (("hand_root", f"{side}_wrist"),)}
_COARSE = 0.5
"""Body points stand for face and hand points with less confidence than the networks made for them."""


def _rows() -> tuple[tuple[int, int, float], ...]:
    pairs = []
    for row, name in enumerate(LANDMARKS):
        source = _FACE_NAMES.get(name, _HAND_NAMES.get(name, name))
        if source in _NAMES:
            pairs.append((row, _NAMES.index(source), 1.0 if row < LEFT_HAND.start else _COARSE))
    return tuple(pairs)


BLAZE_ROWS = _rows()
"""(row of the table, row of BlazePose, factor of the confidence) for all points that BlazePose has."""


def keypoints_of(pose: Pose, hands: Mapping[str, tuple[Hand, float]], face: Face | None, width: int, height: int) -> Float[np.ndarray, "L 3"]:
    """Picture coordinates and confidence of all landmarks of one person; 0 confidence for what is outside the picture or not observed.

    Args:
        pose: the body.
        hands: ``"left"``, ``"right"`` → hand and confidence, as far as found.
        face: its face mesh, if one was found.
        width: picture width [px].
        height: picture height [px].
    """
    table = np.zeros((NUM_LANDMARKS, 3))
    for row, source, factor in BLAZE_ROWS:
        table[row] = *pose.points[source], factor * pose.confidence[source]
    for side, rows in (("left", LEFT_HAND), ("right", RIGHT_HAND)):
        if side in hands:
            hand, confidence = hands[side]
            table[rows, :2], table[rows, 2] = hand.points, confidence
    if face is not None:
        table[FACE, :2], table[FACE, 2] = face.points[list(FACE_ROWS)], face.score
    inside = ((table[:, :2] >= 0) & (table[:, :2] <= (width, height))).all(axis=1)
    table[:, 2] = np.clip(table[:, 2] * inside, 0, 1)
    return table


def landmarks3d_of(pose: Pose, hands: Mapping[str, tuple[Hand, float]]) -> Float[np.ndarray, "L 4"]:
    """Hip-centred metric landmarks and confidence of one person, camera axes.

    Hands are metric about their own wrist and are placed at the body's wrist.

    Args:
        pose: the body.
        hands: as in :func:`keypoints_of`.
    """
    table = np.zeros((NUM_LANDMARKS, 4))
    for row, source, factor in BLAZE_ROWS:
        table[row] = *pose.world[source], factor * pose.confidence[source]
    for side, rows in (("left", LEFT_HAND), ("right", RIGHT_HAND)):
        if side in hands:
            hand, confidence = hands[side]
            wrist = pose.world[_NAMES.index(f"{side}_wrist")]
            body = table[LANDMARK_INDEX[f"{side}_wrist"], 3]
            table[rows, :3], table[rows, 3] = hand.world - hand.world[0] + wrist, confidence * body
    return table
