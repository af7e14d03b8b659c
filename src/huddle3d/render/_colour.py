"""sRGB to linear light and back: shading adds light, so it happens in linear values."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["linear_from_srgb", "srgb_from_linear"]


def linear_from_srgb(colour: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
    """IEC 61966-2-1 decoding."""
    return torch.where(colour <= 0.04045, colour / 12.92, ((colour.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(light: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
    """IEC 61966-2-1 encoding; values outside [0, 1] are clipped."""
    light = light.clamp(0, 1)
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light.clamp_min(0.0031308) ** (1 / 2.4) - 0.055)
