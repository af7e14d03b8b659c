"""Anatomical box limits of Anny's joints, on rotation vectors about the body's axes at rest (x left, y up, z forward).

Rest is an A-pose: arms 48° below the horizontal, elbows bent by 42°. Bounds are wide (a penalty, not a prior): a box about the body's axes
cannot hold a joint's true range, so it keeps what is certain, such as the side to which knees, elbows and fingers bend.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["anny_limits"]

_Box = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]

_BOXES: dict[str, _Box] = {
    "pelvis": ((-0.1, 0.1), (-0.1, 0.1), (-0.1, 0.1)),
    "upperleg01": ((-2.3, 0.7), (-0.9, 0.9), (-0.7, 1.3)),
    "foot": ((-0.6, 0.9), (-0.6, 0.6), (-0.5, 0.5)),
    "toe": ((-0.9, 0.5), (-0.2, 0.2), (-0.2, 0.2)),
    "spine05": ((-0.35, 0.6), (-0.35, 0.35), (-0.35, 0.35)),
    "spine": ((-0.3, 0.5), (-0.4, 0.4), (-0.35, 0.35)),
    "clavicle": ((-0.35, 0.35), (-0.5, 0.4), (-0.25, 0.6)),
    "shoulder01": ((-0.35, 0.35), (-0.5, 0.4), (-0.25, 0.6)),
    "upperarm01": ((-2.8, 1.4), (-2.4, 1.4), (-1.4, 2.4)),
    "wrist": ((-1.2, 1.2), (-1.2, 1.2), (-1.2, 1.2)),
    "metacarpal": ((-0.15, 0.15), (-0.15, 0.15), (-0.15, 0.15)),
    "neck": ((-0.4, 0.4), (-0.5, 0.5), (-0.35, 0.35)),
    "head": ((-0.5, 0.5), (-0.6, 0.6), (-0.4, 0.4)),
    "eye": ((-0.5, 0.5), (-0.6, 0.6), (-0.05, 0.05)),
}
"""Lower and upper bound about x, y, z for the left side [rad]; the right side is their mirror image. Longest matching prefix wins.

Signs: +x bends the trunk and head forwards, swings the leg back and bends the knee; +y turns to the subject's left; +z tilts to the right, lifts
the left arm and spreads the left leg.
"""

_HINGES: dict[str, tuple[tuple[float, float], float]] = {
    "lowerarm01": ((-0.75, 1.85), 0.8),
    "lowerleg01": ((-0.1, 2.5), 0.25),
    "finger1-1": ((-0.6, 0.8), 0.5),
    "finger1": ((-0.5, 1.3), 0.2),
    "finger": ((-0.6, 1.6), 0.25),
}
"""Range about the flexion axis [rad], from the rest pose, and slack about every axis (for the forearm, its twist)."""

_CHAINS = {
    "lowerarm01": ("upperarm01", "lowerarm01", "wrist"),
    **{f"finger{i}": (f"finger{i}-1", f"finger{i}-2", f"finger{i}-3") for i in range(1, 6)},
}
_TWIST = ((-0.35, 0.35),) * 3
_FREE = ((-math.pi, math.pi),) * 3


def anny_limits(names: tuple[str, ...], heads: Float[Tensor, "J 3"]) -> Float[Tensor, "J 3 2"]:
    """Limits of all joints.

    Args:
        names: joint names.
        heads: joint positions at rest, from which the flexion axes of elbows and fingers are read (they are bent at rest).
    """
    place = {name: heads[j].double().cpu() for j, name in enumerate(names)}
    rows = []
    for name in names:
        stem, _, side = name.partition(".")
        box = torch.tensor(_left_box(stem, place), dtype=torch.float64)
        rows.append(_mirrored(box) if side == "R" else box)
    return torch.stack(rows).to(heads)


def _left_box(stem: str, place: dict[str, Tensor]) -> Sequence[Sequence[float]]:
    if stem == "root":
        return _FREE
    hinge = _longest(stem, _HINGES)
    if hinge is not None:
        (low, high), slack = _HINGES[hinge]
        return [(min(low * a, high * a) - slack, max(low * a, high * a) + slack) for a in _axis(stem, place)]
    box = _longest(stem, _BOXES)
    return _BOXES[box] if box is not None else _TWIST


def _longest(stem: str, table: Iterable[str]) -> str | None:
    return max((key for key in table if stem.startswith(key)), key=len, default=None)


def _axis(stem: str, place: dict[str, Tensor]) -> list[float]:
    """Unit flexion axis of a left hinge: normal of the plane in which the chain is bent at rest; the knee's is +x."""
    chain = _longest(stem, _CHAINS)
    if chain is None:
        return [1.0, 0.0, 0.0]
    a, b, c = (place[f"{n}.L"] for n in _CHAINS[chain])
    normal = torch.linalg.cross(b - a, c - b)
    return (normal / normal.norm()).tolist()


def _mirrored(box: Float[Tensor, "3 2"]) -> Float[Tensor, "3 2"]:
    """Limits of the twin joint: reflection in x keeps a rotation vector's x and negates y and z."""
    flipped = -box.flip(-1)
    flipped[0] = box[0]
    return flipped
