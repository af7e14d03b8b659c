"""The surface network: a person's window of the photo and the fitted body's normals → normals, relief and mask of the dressed person."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["SURFACE_INPUTS", "SURFACE_OUTPUTS", "SurfaceNet", "SurfaceNetConfig"]

SURFACE_INPUTS: dict[str, int] = {"rgb": 3, "own": 1, "others": 1, "body_normals": 3, "body": 1, "body_relief": 1}
"""Maps in the order of their channels: sRGB - 0.5; share of the person's own and of other people's mask; normals of the fitted body (x right, y up, z
towards the camera; 0 beside it); where it is; its depth against its median in units of 0.3 m, farther is larger, within ±1."""
SURFACE_OUTPUTS: dict[str, int] = {"normals": 3, "relief": 1, "mask": 1}
"""Normal minus the body's, before it is made a unit vector; how far the surface lies in front of the body in units of 0.1 m; log odds of the mask."""


@dataclass(frozen=True)
class SurfaceNetConfig:
    """Sizes."""

    widths: tuple[int, ...] = (24, 48, 96, 160)
    """Channels at full, half, quarter … resolution."""
    groups: int = 8
    """Of the group norms."""

    @property
    def multiple(self) -> int:
        """Windows must be a multiple of this [px]."""
        return 2 ** (len(self.widths) - 1)


class _Block(nn.Module):
    """Two convolutions with group norms, and a short cut."""

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.short = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(nn.functional.silu(self.norm1(x)))
        return self.short(x) + self.conv2(nn.functional.silu(self.norm2(y)))


class SurfaceNet(nn.Module):
    """A small U-Net. At first its outputs are nearly zero: the answer is then the body itself and the mask that it was given."""

    def __init__(self, config: SurfaceNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or SurfaceNetConfig()
        w, g = self.config.widths, self.config.groups
        self.enter = nn.Conv2d(sum(SURFACE_INPUTS.values()), w[0], 3, padding=1)
        self.down = nn.ModuleList(_Block(c, c, g) for c in w[:-1])
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in zip(w, w[1:]))
        self.middle = nn.Sequential(_Block(w[-1], w[-1], g), _Block(w[-1], w[-1], g))
        self.grow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in zip(w, w[1:]))
        self.up = nn.ModuleList(_Block(2 * c, c, g) for c in w[:-1])
        self.norm = nn.GroupNorm(g, w[0])
        self.leave = nn.Conv2d(w[0], sum(SURFACE_OUTPUTS.values()), 3, padding=1)
        with torch.no_grad():
            for parameter in self.leave.parameters():
                parameter.normal_(std=1e-3)

    def forward(self, inputs: Float[Tensor, "B 10 S S"]) -> Float[Tensor, "B 5 S S"]:
        """Raw outputs, see :data:`SURFACE_OUTPUTS`; S a multiple of ``config.multiple``."""
        x, skips = self.enter(inputs), []
        for block, shrink in zip(self.down, self.shrink):
            x = block(x)
            skips.append(x)
            x = shrink(x)
        x = self.middle(x)
        for block, grow, skip in zip(reversed(self.up), reversed(self.grow), reversed(skips)):
            x = nn.functional.interpolate(grow(x), scale_factor=2, mode="nearest")
            x = block(torch.cat([x, skip], 1))
        return self.leave(nn.functional.silu(self.norm(x)))
