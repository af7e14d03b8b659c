"""Whose mask is whose: duplicates merged, the rest given to people by their heads and feet (Hungarian assignment; HUG3D section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment

from huddle3d.scene.landmarks import LANDMARK_INDEX

__all__ = ["anchors_held", "anchors_of", "assign_masks", "merge_duplicates"]

_HEAD = tuple(LANDMARK_INDEX[n] for n in ("nose", "left_eye", "right_eye", "left_ear", "right_ear"))
_FEET = tuple(tuple(LANDMARK_INDEX[f"{s}_{n}"] for n in ("ankle", "heel", "big_toe")) for s in ("left", "right"))
_MIDDLE = tuple(LANDMARK_INDEX[n] for n in ("left_shoulder", "right_shoulder", "left_hip", "right_hip"))
_SAME = 0.8
"""IoU from which two masks are one thing."""
_LEAST = 0.05


def anchors_of(table: Float[np.ndarray, "L 3"]) -> Float[np.ndarray, "n 3"]:
    """Points that tell people apart even in an embrace: head and both feet, and, with less weight, the torso; u, v [px] and weight."""
    groups = [(_HEAD, 1.0), (_FEET[0], 0.7), (_FEET[1], 0.7), *(((r,), 0.3) for r in _MIDDLE)]
    rows = []
    for members, weight in groups:
        points = table[list(members)]
        confidence = points[:, 2].max()
        if confidence > 0.1:
            rows.append([*np.average(points[:, :2], axis=0, weights=points[:, 2]), weight * confidence])
    return np.array(rows, float).reshape(-1, 3)


def merge_duplicates(masks: Sequence[Bool[np.ndarray, "height width"]], quality: Float[np.ndarray, "M"]) -> list[int]:
    """Indices of the masks that stay, in order: of two that are the same thing, the better; empty ones go."""
    kept: list[int] = []
    for k in np.argsort(-np.asarray(quality), kind="stable"):
        mask = masks[k]
        if mask.any() and not any((mask & masks[j]).sum() > _SAME * (mask | masks[j]).sum() for j in kept):
            kept.append(int(k))
    return sorted(kept)


def assign_masks(masks: Sequence[Bool[np.ndarray, "height width"]], tables: Sequence[Float[np.ndarray, "L 3"]]) -> list[int | None]:
    """For each person the index of the mask that holds most of their anchors and fewest of the others'; None where no mask is left or fits."""
    if not masks:
        return [None] * len(tables)
    held = np.array([[anchors_held(m, t) for m in masks] for t in tables])
    foreign = held.sum(0, keepdims=True) - held
    worth = held - 0.5 * foreign / max(len(tables) - 1, 1)
    owner: list[int | None] = [None] * len(tables)
    for person, mask in zip(*linear_sum_assignment(-worth), strict=True):
        if held[person, mask] > _LEAST:
            owner[person] = int(mask)
    return owner


def anchors_held(mask: Bool[np.ndarray, "height width"], table: Float[np.ndarray, "L 3"]) -> float:
    """Weighted share of a person's anchors in a mask, in [0, 1]."""
    anchors = anchors_of(table)
    if not len(anchors):
        return 0.0
    cells = np.clip(anchors[:, :2].astype(int), 0, np.array(mask.shape)[::-1] - 1)
    return float((anchors[:, 2] * mask[cells[:, 1], cells[:, 0]]).sum() / anchors[:, 2].sum())
