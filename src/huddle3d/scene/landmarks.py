"""The one landmark table: COCO-17, six foot points, 21 + 21 hand points, ten face points.

Left and right are the subject's own. Body, feet and hands are in the order of COCO-WholeBody, so its files map onto rows 0..22 and
23..64 directly.
"""

from __future__ import annotations

__all__ = [
    "BODY", "COCO_SIGMAS", "FACE", "FEET", "LANDMARKS", "LANDMARK_INDEX", "LEFT_HAND", "MIRROR", "NUM_LANDMARKS", "RIGHT_HAND", "SKELETON",
]  # fmt: skip

_BODY = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
    "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
_FEET = ("left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel")
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_HAND = ("hand_root", *(f"{finger}{k}" for finger in _FINGERS for k in (1, 2, 3, 4)))
_FACE = (
    "right_eye_outer", "right_eye_inner", "left_eye_inner", "left_eye_outer", "nose_tip",
    "mouth_right", "mouth_left", "mouth_top", "mouth_bottom", "chin",
)  # fmt: skip

LANDMARKS: tuple[str, ...] = (*_BODY, *_FEET, *(f"left_{n}" for n in _HAND), *(f"right_{n}" for n in _HAND), *(f"face_{n}" for n in _FACE))
"""Names of all landmarks; a finger's point 1 is its knuckle nearest to the wrist, point 4 its tip."""
NUM_LANDMARKS = len(LANDMARKS)
LANDMARK_INDEX: dict[str, int] = {name: i for i, name in enumerate(LANDMARKS)}

BODY = slice(0, 17)
FEET = slice(17, 23)
LEFT_HAND = slice(23, 44)
RIGHT_HAND = slice(44, 65)
FACE = slice(65, 75)

COCO_SIGMAS: tuple[float, ...] = (
    0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089,
)  # fmt: skip
"""Per-keypoint constants of COCO's object keypoint similarity (OKS), rows 0..16."""


def _mirror_name(name: str) -> str:
    for a, b in (("left_", "right_"), ("right_", "left_")):
        if name.startswith(a):
            return b + name[len(a) :]
        if name.startswith("face_" + a):
            return "face_" + b + name[len("face_" + a) :]
    return {"face_mouth_right": "face_mouth_left", "face_mouth_left": "face_mouth_right"}.get(name, name)


MIRROR: tuple[int, ...] = tuple(LANDMARK_INDEX[_mirror_name(name)] for name in LANDMARKS)
"""Row of the left-right counterpart of each landmark."""


def _edges() -> tuple[tuple[int, int], ...]:
    body = (
        ("nose", "left_eye"), ("nose", "right_eye"), ("left_eye", "left_ear"), ("right_eye", "right_ear"),
        ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"),
    )  # fmt: skip
    limbs = (
        ("shoulder", "elbow"),
        ("elbow", "wrist"),
        ("shoulder", "hip"),
        ("hip", "knee"),
        ("knee", "ankle"),
        ("ankle", "heel"),
        ("ankle", "big_toe"),
    )
    pairs = [*body, *((f"{s}_{a}", f"{s}_{b}") for s in ("left", "right") for a, b in limbs)]
    for side in ("left", "right"):
        for finger in _FINGERS:
            chain = ["hand_root", *(f"{finger}{k}" for k in (1, 2, 3, 4))]
            pairs += [(f"{side}_{a}", f"{side}_{b}") for a, b in zip(chain, chain[1:], strict=False)]
    return tuple((LANDMARK_INDEX[a], LANDMARK_INDEX[b]) for a, b in pairs)


SKELETON: tuple[tuple[int, int], ...] = _edges()
"""Pairs of rows to draw as bones."""
