"""The 75 landmarks as joints and as weighted sums of a few vertices."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.scene.landmarks import NUM_LANDMARKS

__all__ = ["LandmarkTable"]


@dataclass(frozen=True)
class LandmarkTable:
    """Which joint or which vertices define each landmark."""

    joint: Int[Tensor, "L"]
    """Joint of each landmark; 0 where it comes from vertices or is not defined."""
    from_vertices: Int[Tensor, "R"]
    """Landmarks that come from vertices."""
    vertices: Int[Tensor, "n"]
    """The vertices they need, ascending."""
    weights: Float[Tensor, "R n"]
    """Their weights; rows sum to 1."""
    valid: Bool[Tensor, "L"]
    """Landmarks that this model defines."""

    @staticmethod
    def build(joints: dict[int, int], vertices: dict[int, dict[int, float]], *, dtype: torch.dtype, device: torch.device | str) -> LandmarkTable:
        """From ``landmark -> joint`` and ``landmark -> {vertex: weight}``; vertex rows win over joints."""
        rows = sorted(vertices)
        used = sorted({v for row in rows for v in vertices[row]})
        place = {v: i for i, v in enumerate(used)}
        weights = torch.zeros(len(rows), len(used), dtype=dtype)
        for i, row in enumerate(rows):
            for v, w in vertices[row].items():
                weights[i, place[v]] = w
        joint = torch.zeros(NUM_LANDMARKS, dtype=torch.long)
        valid = torch.zeros(NUM_LANDMARKS, dtype=torch.bool)
        for row, j in joints.items():
            joint[row], valid[row] = j, True
        valid[rows] = True
        return LandmarkTable(
            joint=joint.to(device),
            from_vertices=torch.tensor(rows, dtype=torch.long, device=device),
            vertices=torch.tensor(used, dtype=torch.long, device=device),
            weights=weights.to(device),
            valid=valid.to(device),
        )

    def __call__(self, points: Float[Tensor, "K n 3"], joints: Float[Tensor, "K J 3"]) -> Float[Tensor, "K L 3"]:
        """Landmarks from the positions of :attr:`vertices` and of all joints."""
        return joints[:, self.joint].index_copy(1, self.from_vertices, self.weights @ points)
