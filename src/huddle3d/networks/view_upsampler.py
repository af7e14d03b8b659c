"""From completed views at the denoiser's size to large ones, guided by what is known at full size: body normals, seen pixels, a first completion."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from huddle3d.errors import ShapeError

__all__ = ["UPSAMPLED_CHANNELS", "UpsamplerConfig", "ViewUpsampler"]

UPSAMPLED_CHANNELS = 7
"""Channels of a view that is enlarged: normals 3, colours on white 3, opacity; all in [-1, 1]."""


@dataclass(frozen=True)
class UpsamplerConfig:
    """Sizes of the upsampler."""

    factor: int = 4
    """Large side over small side."""
    guide_channels: int = 14
    """Channels of the guide at full size."""
    widths: tuple[int, int] = (40, 72)
    """Channels at half and at a quarter of the full size."""
    blocks: int = 2
    """Residual blocks of each size on the way down, and again on the way up."""
    norm_groups: int = 8
    """Groups of the group norms."""


class _Residual(nn.Module):
    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(groups, width), nn.GroupNorm(groups, width)
        self.conv1, self.conv2 = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(nn.functional.silu(self.norm1(x)))
        return x + self.conv2(nn.functional.silu(self.norm2(y)))


class ViewUpsampler(nn.Module):
    """A small UNet over pixel-unshuffled views; it tells what to add to the bilinear enlargement, which a fresh one returns.

    Each view is enlarged for itself, so any number of views and any side that the config's sizes divide will do (patches, when it is trained).
    """

    def __init__(self, config: UpsamplerConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or UpsamplerConfig()
        fine, coarse = c.widths
        self.enter = nn.Conv2d(4 * (UPSAMPLED_CHANNELS + c.guide_channels), fine, 3, padding=1)
        self.down = nn.Sequential(*(_Residual(fine, c.norm_groups) for _ in range(c.blocks)))
        self.shrink = nn.Conv2d(fine, coarse, 3, stride=2, padding=1)
        self.middle = nn.Sequential(*(_Residual(coarse, c.norm_groups) for _ in range(2 * c.blocks)))
        self.grow = nn.Conv2d(coarse, 4 * fine, 1)
        self.up = nn.Sequential(*(_Residual(fine, c.norm_groups) for _ in range(c.blocks)))
        self.leave = nn.Conv2d(fine, 4 * UPSAMPLED_CHANNELS, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def enlarged(self, small: Float[Tensor, "B 7 h w"]) -> Float[Tensor, "B 7 H W"]:
        """The bilinear enlargement."""
        return nn.functional.interpolate(small, scale_factor=self.config.factor, mode="bilinear", align_corners=False)

    def forward(self, small: Float[Tensor, "B 7 h w"], guide: Float[Tensor, "B G H W"]) -> Float[Tensor, "B 7 H W"]:
        """Large views.

        Args:
            small: completed views.
            guide: what is known of the same views at full size.

        Raises:
            ShapeError: sizes that do not fit each other, or that four does not divide.
        """
        base = self.enlarged(small)
        if guide.shape[1:] != (self.config.guide_channels, *base.shape[2:]) or len(guide) != len(base) or base.shape[2] % 4 or base.shape[3] % 4:
            raise ShapeError("guide", guide.shape, (len(base), self.config.guide_channels, *base.shape[2:]))
        fine = self.down(self.enter(nn.functional.pixel_unshuffle(torch.cat([base, guide], 1), 2)))
        deep = self.middle(self.shrink(fine))
        fine = self.up(fine + nn.functional.pixel_shuffle(self.grow(deep), 2))
        return base + nn.functional.pixel_shuffle(self.leave(fine), 2)
