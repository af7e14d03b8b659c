"""Photographs that no renderer made: what is done to windows so that the network looks at shapes and not at our pixels."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.training.surface.crops import SurfaceTarget

__all__ = ["mirrored", "photometric"]


def _each(count: int, low: float, high: float, generator: torch.Generator, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(count, *shape, generator=generator)


def photometric(inputs: Float[Tensor, "B 10 S S"], generator: torch.Generator) -> Float[Tensor, "B 10 S S"]:
    """Other exposure, contrast, tone curve, colour balance and saturation, lost sharpness, noise, sometimes no colour; only the colours change."""
    count, size = len(inputs), inputs.shape[-1]
    rgb = inputs[:, :3] + 0.5
    rgb = rgb.clamp_min(1e-4) ** torch.exp(_each(count, -0.5, 0.5, generator, 1, 1, 1))
    rgb = (rgb - 0.5) * _each(count, 0.6, 1.4, generator, 1, 1, 1) + 0.5 + _each(count, -0.15, 0.15, generator, 1, 1, 1)
    rgb = rgb * _each(count, 0.75, 1.25, generator, 3, 1, 1)
    grey = rgb.mean(1, keepdim=True)
    rgb = grey + (rgb - grey) * _each(count, 0.0, 1.5, generator, 1, 1, 1)
    swap = torch.rand(count, generator=generator) < 0.3  # colours of cloth say nothing about its shape
    rgb = torch.where(swap[:, None, None, None], rgb[:, torch.randperm(3, generator=generator)], rgb)
    soft = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(rgb, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    rgb = torch.lerp(rgb, soft, _each(count, -0.5, 1.0, generator, 1, 1, 1))
    noise = torch.randn(count, 3, size, size, generator=generator)
    coarse = torch.nn.functional.interpolate(torch.randn(count, 3, size // 4, size // 4, generator=generator), (size, size), mode="bilinear")
    rgb = rgb + (noise + coarse) * _each(count, 0.0, 0.04, generator, 1, 1, 1)
    return torch.cat([rgb.clamp(0, 1) - 0.5, inputs[:, 3:]], 1)


def mirrored(inputs: Float[Tensor, "B 10 S S"], target: SurfaceTarget, flip: Tensor) -> tuple[Float[Tensor, "B 10 S S"], SurfaceTarget]:
    """Some windows in a mirror: left is right, and normals turn their x."""
    sign = torch.ones(inputs.shape[1])
    sign[5] = -1
    turn = torch.tensor([-1.0, 1.0, 1.0])
    pick = flip[:, None, None]
    return torch.where(pick[:, None], inputs.flip(-1) * sign[:, None, None], inputs), SurfaceTarget(
        torch.where(pick[..., None], target.normals.flip(-2) * turn, target.normals),
        torch.where(pick, target.relief.flip(-1), target.relief),
        torch.where(pick, target.mask.flip(-1), target.mask),
    )
