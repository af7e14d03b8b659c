"""New colours for photographed cloth, skin and hair: the light and dark of a texture stay, its colours change."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from scipy.ndimage import uniform_filter
from torch import Tensor

from huddle3d.synthesis.clothes.patterns import cloth_colour
from huddle3d.synthesis.noise import fractal_noise
from huddle3d.synthesis.spec import RGB, PatternSpec

__all__ = ["dyed", "logo_mask", "shifted", "toned"]

_LUMA = torch.tensor([0.299, 0.587, 0.114])


def shifted(colour: Float[Tensor, "*n 3"], hue_deg: float, value: float) -> Float[Tensor, "*n 3"]:
    """Turn the hue about the grey axis and scale the brightness."""
    a = math.radians(hue_deg)
    k = 1 / 3
    s = math.sqrt(k) * math.sin(a)
    c = math.cos(a)
    one, two, three = c + k * (1 - c), k * (1 - c) - s, k * (1 - c) + s
    turn = torch.tensor([[one, two, three], [three, one, two], [two, three, one]])
    return (colour @ turn.T * value).clamp(0, 1)


def _smooth(image: Float[Tensor, "h w"], weight: Float[Tensor, "h w"], radius: int) -> Float[Tensor, "h w"]:
    """Box mean over covered texels; running sums, for a pooling of this size takes seconds."""
    num, den = (torch.from_numpy(uniform_filter(x.numpy(), 2 * radius + 1, mode="constant")) for x in (image * weight, weight))
    return num / den.clamp_min(1e-6)


def relief(image: Float[Tensor, "h w 3"], covered: Bool[Tensor, "h w"], radius: int = 20) -> Float[Tensor, "h w"]:
    """Light and dark relative to the surroundings, about 1: seams, weave and creases without colour or print."""
    luma = image @ _LUMA
    weight = covered.float()
    local = _smooth(luma, weight, radius)
    # Black cloth has no relative contrast worth keeping: its noise would be blown up.
    return ((luma + 0.12) / (local + 0.12)).clamp(0.6, 1.25)


def dyed(
    image: Float[Tensor, "h w 3"],
    covered: Bool[Tensor, "h w"],
    place: Float[Tensor, "n 3"],
    plane: Float[Tensor, "n 2"],
    pattern: PatternSpec,
    *,
    depth: float = 1.0,
) -> Float[Tensor, "h w 3"]:
    """The pattern in place of the cloth's colours, with the relief of its texture.

    Args:
        image: the cloth's own picture, sRGB.
        covered: texels in use.
        place: of the covered texels on the body at rest [m].
        plane: their coordinates around and along the body [m].
        pattern: new colours.
        depth: exponent of the relief; small where the picture has a print, which would show through.
    """
    out = image.clone()
    out[covered] = (cloth_colour(place, pattern, plane) * relief(image, covered)[covered][:, None] ** depth).clamp(0, 1)
    return out


def toned(image: Float[Tensor, "h w 3"], used: Bool[Tensor, "h w"], colour: RGB) -> Float[Tensor, "h w 3"]:
    """Hair of the given colour on average, with its strands."""
    luma = image @ _LUMA
    mean = luma[used].mean().clamp_min(0.02) if bool(used.any()) else luma.new_tensor(0.3)
    strand = ((luma + 0.1) / (mean + 0.1)).clamp(0.4, 1.7)  # the added light calms pictures of nearly black hair
    return (torch.tensor(colour) * strand[..., None]).clamp(0, 1)


def logo_mask(place: Float[Tensor, "n 3"], centre: Float[Tensor, "3"], size_m: float, seed: int) -> Float[Tensor, "n"]:
    """Where a print on the chest is: a disc, ring, star or bar with a random figure cut out, in [0, 1]."""
    x, y = (place[:, 0] - centre[0]) / size_m, (place[:, 1] - centre[1]) / size_m
    front = place[:, 2] > centre[2] - 0.12
    r, angle = (x.square() + y.square()).sqrt(), torch.atan2(y, x)
    kind = seed % 4
    if kind == 0:
        outline = 1 - r
    elif kind == 1:
        outline = torch.minimum(1 - r, r - 0.72)
        outline = torch.maximum(outline, 0.5 - r)
    elif kind == 2:
        outline = (0.62 + 0.3 * torch.cos((3 + seed % 5) * (angle - math.pi / 2))) - r
    else:
        outline = torch.minimum(1.25 - x.abs(), 0.38 - y.abs())
    figure = fractal_noise(torch.stack([x.abs() * 1.8, y * 1.8], -1), seed, octaves=2)
    inner = torch.where(figure > 0.12, 0.25, 1.0) if kind != 1 else torch.ones_like(x)
    return (outline / 0.04).clamp(0, 1) * inner * front
