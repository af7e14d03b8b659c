"""Adaptive learning rates: hands and faces keep the detail of the body model (HUG3D A.4, eqs. S17 and S18)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.scene.landmarks import FACE, LANDMARK_INDEX, LEFT_HAND, RIGHT_HAND

__all__ = ["adaptive_rate", "detail_points"]

_DETAIL = (
    *range(LEFT_HAND.start, LEFT_HAND.stop),
    *range(RIGHT_HAND.start, RIGHT_HAND.stop),
    *range(FACE.start, FACE.stop),
    *(LANDMARK_INDEX[name] for name in ("nose", "left_eye", "right_eye")),
)
"""Hands with finger tips, and points on the face's surface: joints alone lie too deep inside the head. No ears: hair may grow over them."""


def detail_points(landmarks: Float[Tensor, "K L 3"]) -> Float[Tensor, "K n 3"]:
    """The landmarks of hands and face."""
    return landmarks[:, list(_DETAIL)]


def adaptive_rate(
    vertices: Float[Tensor, "K V 3"], points: Float[Tensor, "K n 3"], *, steepness: float = 200.0, offset: float = 10.0
) -> Float[Tensor, "K V"]:
    """Factor of each vertex's update: ``sigmoid(steepness * d - offset)``, d the distance to the person's nearest point (canonical units).

    Eq. S17 is printed with ``+ offset``, which is 1 everywhere; the sentence below it (lower rates near hands and face) needs the minus sign.
    """
    return torch.sigmoid(steepness * torch.cdist(vertices, points).amin(-1) - offset)
