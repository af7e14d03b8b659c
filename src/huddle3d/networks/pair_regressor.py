"""From what a picture shows of two people to the body of the first: a residual network over one row of numbers.

Residual blocks of two linear layers over keypoints have lifted single skeletons since Martinez et al. (ICCV 2017); here a row also holds the second
person and coarse masks, so that arms that nobody sees can be told from how people hold each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from huddle3d.errors import ShapeError

__all__ = ["PairRegressor", "PairRegressorConfig"]


@dataclass(frozen=True)
class PairRegressorConfig:
    """Sizes of the network."""

    points: int = 489
    """Numbers of keypoints and landmarks."""
    cells: int = 512
    """Numbers of the coarse masks."""
    out: int = 252
    """Numbers that come out."""
    width: int = 448
    """Width of the residual stream."""
    mask_width: int = 64
    """Width of the masks' code."""
    blocks: int = 4
    """Residual blocks."""
    dropout: float = 0.1
    """In training."""


class _Block(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "B d"]) -> Float[Tensor, "B d"]:
        return x + self.outer(self.dropout(torch.nn.functional.gelu(self.inner(self.norm(x)))))


class PairRegressor(nn.Module):
    """The network; what its numbers mean is the caller's (:mod:`huddle3d.fitting.regressor`)."""

    def __init__(self, config: PairRegressorConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or PairRegressorConfig()
        self.masks = nn.Sequential(nn.Linear(c.cells, c.mask_width), nn.GELU())
        self.enter = nn.Linear(c.points + c.mask_width, c.width)
        self.blocks = nn.ModuleList(_Block(c.width, c.dropout) for _ in range(c.blocks))
        self.norm = nn.LayerNorm(c.width)
        self.leave = nn.Linear(c.width, c.out)

    def forward(self, points: Float[Tensor, "B P"], cells: Float[Tensor, "B C"]) -> Float[Tensor, "B O"]:
        """Numbers of B ordered pairs.

        Raises:
            ShapeError: rows of other sizes than the config's.
        """
        for name, value, size in (("points", points, self.config.points), ("cells", cells, self.config.cells)):
            if value.ndim != 2 or value.shape[1] != size:
                raise ShapeError(name, value.shape, ("B", size))
        x = self.enter(torch.cat([points, self.masks(cells)], 1))
        for block in self.blocks:
            x = block(x)
        return self.leave(self.norm(x))
