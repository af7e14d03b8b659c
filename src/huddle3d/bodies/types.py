"""What a body model returns."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

__all__ = ["BodyOutput"]


@dataclass(frozen=True)
class BodyOutput:
    """K posed bodies in the world [m]."""

    vertices: Float[Tensor, "K V 3"]
    """Skinned surface."""
    joints: Float[Tensor, "K J 3"]
    """Joint centres."""
    landmarks: Float[Tensor, "K L 3"]
    """In the order of :data:`huddle3d.scene.landmarks.LANDMARKS`; rows that the model does not define are NaN-free copies of its root (see
    ``BodyModel.landmark_valid``)."""
    T_world_joint: Float[Tensor, "K J 4 4"]
    """Joint frames: identity orientation at identity pose (axes of the body at rest), origin at the joint."""
