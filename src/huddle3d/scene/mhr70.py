"""The 70 body points of Meta's Momentum Human Rig, as SAM 3D Body gives them (also the first 70 of Sapiens2's 308), in the landmark table."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from huddle3d.scene.landmarks import LANDMARK_INDEX, NUM_LANDMARKS

__all__ = ["MHR70", "table_of_mhr70"]

_FINGERS = ("thumb", "index", "middle", "ring", "pinky")


def _hand(side: str) -> tuple[str, ...]:
    """Each finger from its tip inwards, then the wrist."""
    return (*(f"{side}_{finger}{k}" for finger in _FINGERS for k in (4, 3, 2, 1)), f"{side}_wrist")


MHR70: tuple[str, ...] = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    "left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel",
    *_hand("right"), *_hand("left"),
    "", "", "", "", "", "", "",
)  # fmt: skip
"""Landmark of each point; empty where the table has none (points of the elbows and shoulders, neck)."""
_ROWS = tuple((LANDMARK_INDEX[name], k) for k, name in enumerate(MHR70) if name)


def table_of_mhr70(points: Float[np.ndarray, "70 c"]) -> Float[np.ndarray, "L c"]:
    """Any values of the 70 points in the landmark table; 0 for landmarks they lack. A hand's root is its wrist."""
    table = np.zeros((NUM_LANDMARKS, points.shape[1]))
    for row, k in _ROWS:
        table[row] = points[k]
    for side in ("left", "right"):
        table[LANDMARK_INDEX[f"{side}_hand_root"]] = table[LANDMARK_INDEX[f"{side}_wrist"]]
    return table
