"""Points that tell a promptable network whom is meant: own key points for, the others' against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from huddle3d.scene.landmarks import LANDMARK_INDEX

__all__ = ["Extremity", "Points", "extremities_outside", "points_for"]

_SURE = 0.5
_FOR = tuple(
    LANDMARK_INDEX[n]
    for n in ("nose", "left_shoulder", "right_shoulder", "left_hip", "right_hip", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
              "left_knee", "right_knee", "left_ankle", "right_ankle")
)  # fmt: skip
_ENDS = tuple((LANDMARK_INDEX[f"{s}_{a}"], LANDMARK_INDEX[f"{s}_{b}"]) for s in ("left", "right") for a, b in (("elbow", "wrist"), ("knee", "ankle")))
"""(joint before, end) of each limb."""
_REACH = 0.12
"""Distance to another's point, in torso lengths, below which a point says nothing about whose pixel it is."""
_MOST_AGAINST = 8


@dataclass(frozen=True)
class Points:
    """Prompt points of one request."""

    coordinates: Float[np.ndarray, "n 2"]
    """[px]."""
    labels: Int[np.ndarray, "n"]
    """1 = belongs to it, 0 = does not."""


@dataclass(frozen=True)
class Extremity:
    """A hand or foot to be asked for alone."""

    points: Points
    """The first one lies on it."""
    window: Float[np.ndarray, "4"]
    """Box xyxy around it [px]."""
    area: float
    """What a hand or foot covers at most [px²]."""


def torso_length(table: Float[np.ndarray, "L 3"]) -> float:
    """Shoulders to hips [px]; a third of the extent where they are not seen."""
    names = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
    rows = [LANDMARK_INDEX[n] for n in names]
    if (table[rows, 2] > 0.2).all():
        return max(1.0, float(np.linalg.norm(table[rows[:2], :2].mean(0) - table[rows[2:], :2].mean(0))))
    seen = table[table[:, 2] > 0.2, :2]
    return max(1.0, float(np.ptp(seen, axis=0).max()) / 3) if len(seen) > 1 else 1.0


def points_for(person: int, tables: Sequence[Float[np.ndarray, "L 3"]]) -> Points:
    """Own sure points, and the sure points of others that are nearest to this person but not at the same place."""
    table = tables[person]
    reach = _REACH * torso_length(table)
    own = table[[r for r in _FOR if table[r, 2] >= _SURE], :2]
    others = [t[[r for r in _FOR if t[r, 2] >= _SURE], :2] for j, t in enumerate(tables) if j != person]
    foreign = np.concatenate(others) if others else np.zeros((0, 2))
    if len(own) and len(foreign):
        distance = np.linalg.norm(own[:, None] - foreign[None], axis=-1)
        clear = own[distance.min(1) > reach]
        against = foreign[distance.min(0) > reach]
        against = against[np.argsort(np.linalg.norm(against - own.mean(0), axis=-1), kind="stable")][:_MOST_AGAINST]
        own = clear if len(clear) else own[[int(distance.min(1).argmax())]]
    else:
        against = foreign[:_MOST_AGAINST]
    return Points(np.concatenate([own, against]).astype(float), np.array([1] * len(own) + [0] * len(against), np.int32))


def extremities_outside(mask: Bool[np.ndarray, "height width"], person: int, tables: Sequence[Float[np.ndarray, "L 3"]]) -> list[Extremity]:
    """Hands and feet whose point lies in the picture but not in the person's mask."""
    table = tables[person]
    torso = torso_length(table)
    height, width = mask.shape
    found = []
    for before, end in _ENDS:
        point = table[end, :2]
        if table[end, 2] < _SURE or not ((point >= 0) & (point < (width, height))).all() or mask[int(point[1]), int(point[0])]:
            continue
        # A hand or foot lies beyond its joint.
        along = point - table[before, :2] if table[before, 2] >= _SURE else np.zeros(2)
        length = float(np.linalg.norm(along))
        middle = point + (along / length * 0.15 * torso if length > 1 else 0.0)
        half = 0.35 * torso
        window = np.clip(np.concatenate([middle - half, middle + half]), 0, [width, height] * 2)
        against = [t[r, :2] for j, t in enumerate(tables) if j != person for r in _FOR if t[r, 2] >= _SURE]
        near = [p for p in against if (p > window[:2]).all() and (p < window[2:]).all() and np.linalg.norm(p - point) > _REACH * torso]
        points = Points(np.stack([point, *near[:4]]), np.array([1] + [0] * len(near[:4]), np.int32))
        found.append(Extremity(points, window, (0.5 * torso) ** 2))
    return found
