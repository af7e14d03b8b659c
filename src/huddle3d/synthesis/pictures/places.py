"""Walls and floors of the places: furnished rooms, parks, painted and printed backdrops, lofts, beaches, out of noise and arithmetic."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from huddle3d.synthesis.noise import cell_tone, fractal_noise, value_noise
from huddle3d.synthesis.spec import RGB, BackdropSpec

__all__ = ["floor_shade", "linear", "new_floor", "new_wall", "tiles"]


def linear(colour: RGB, like: Tensor) -> Float[Tensor, "3"]:
    """A colour of a scene file in linear light, on the device of ``like``."""
    return like.new_tensor(colour) ** 2.2


def tiles(uv: Tensor, seed: int, *, size: tuple[float, float], brick: bool, joint: float, spread: float) -> tuple[Tensor, Tensor]:
    """Brightness of each tile and whether a place lies in a joint."""
    p = uv / uv.new_tensor(size)
    if brick:
        p = torch.stack([p[:, 0] + 0.5 * (p[:, 1].floor() % 2), p[:, 1]], -1)
    cell = p.floor()
    tone = 1 + spread * (cell_tone(cell.long(), seed) - 0.5)
    edge = torch.minimum(p - cell, 1 - (p - cell)) * uv.new_tensor(size)
    return tone, edge.amin(-1) < joint


def _draws(spec: BackdropSpec, count: int, salt: int) -> list[float]:
    """Numbers in [0, 1) that the backdrop's seed fixes."""
    cells = torch.stack([torch.arange(count), torch.full((count,), salt)], -1)
    return cell_tone(cells, spec.seed).tolist()


def _windows(uv: Tensor, spec: BackdropSpec, *, pitch: float, wide: float, low: float, high: float, panes: int) -> tuple[Tensor, Tensor]:
    """Where glass and where frame is, of windows at regular places along a wall."""
    u, v = uv.unbind(-1)
    shift = _draws(spec, 1, 51)[0] * pitch
    x = ((u + shift) / pitch - ((u + shift) / pitch).floor() - 0.5) * pitch
    inside = (x.abs() < wide / 2) & (v > low) & (v < high)
    cell_u, cell_v = (x / wide + 0.5) * panes, (v - low) / (high - low) * panes
    bar = ((cell_u - cell_u.round()).abs() * wide / panes < 0.02) | ((cell_v - cell_v.round()).abs() * (high - low) / panes < 0.02)
    frame = (x.abs() < wide / 2 + 0.06) & (v > low - 0.06) & (v < high + 0.06)
    return inside & ~bar, frame & ~(inside & ~bar)


def _outside(uv: Tensor, spec: BackdropSpec) -> Tensor:
    """What is seen through a window: a bright sky over something blurred and green or grey."""
    v = uv[:, 1:2]
    sky, far = uv.new_tensor([0.8, 0.88, 0.97]), torch.lerp(linear(spec.accent, uv), uv.new_tensor([0.25, 0.32, 0.2]), 0.6)
    return torch.lerp(far, sky, ((v - 1.3 + 0.5 * fractal_noise(uv / 0.8, spec.seed + 21, octaves=2)[:, None]) * 2).clamp(0, 1))


def _furnished_wall(uv: Tensor, spec: BackdropSpec) -> tuple[Tensor, Tensor]:
    a, b = _draws(spec, 2, 52)
    colour = linear(spec.wall, uv) * (1 + 0.05 * fractal_noise(uv / 0.9, spec.seed + 7, octaves=2))[:, None]
    if a < 0.3:  # panels up to the waist
        low = uv[:, 1] < 1.0
        groove = ((uv[:, 0] / 0.35) - (uv[:, 0] / 0.35).round()).abs() * 0.35 < 0.006
        colour = torch.where(low[:, None], linear(spec.accent, uv) * torch.where(groove, 0.55, 0.9)[:, None], colour)
    elif a < 0.55:  # wallpaper
        stripe = ((uv[:, 0] / (0.08 + 0.15 * b)).floor() % 2 == 0)[:, None]
        colour = torch.where(stripe, colour, torch.lerp(colour, linear(spec.accent, uv), 0.35))
    glass, frame = _windows(uv, spec, pitch=2.6 + 1.5 * b, wide=0.9 + 0.5 * b, low=0.9, high=2.2, panes=2)
    colour = torch.where(frame[:, None], uv.new_tensor([0.7, 0.69, 0.66]), colour)
    colour = torch.where(glass[:, None], _outside(uv, spec), colour)
    skirting = (uv[:, 1] < 0.09) & ~glass
    return torch.where(skirting[:, None], uv.new_tensor([0.6, 0.58, 0.54]), colour), glass


def _loft_wall(uv: Tensor, spec: BackdropSpec) -> tuple[Tensor, Tensor]:
    tone, joint = tiles(uv, spec.seed + 1, size=(0.22, 0.07), brick=True, joint=0.005, spread=0.6)
    worn = 1 + 0.25 * fractal_noise(uv / 0.6, spec.seed + 2)
    colour = linear(spec.wall, uv) * torch.where(joint, 0.6 * torch.ones_like(tone), tone * worn)[:, None]
    glass, frame = _windows(uv, spec, pitch=2.2, wide=1.3, low=0.7, high=3.2, panes=4)
    colour = torch.where(frame[:, None], uv.new_tensor([0.02, 0.02, 0.022]), colour)
    return torch.where(glass[:, None], _outside(uv, spec), colour), glass


def _trees(uv: Tensor, spec: BackdropSpec) -> tuple[Tensor, Tensor]:
    """A hedge and crowns over trunks; where nothing grows the sky is seen."""
    u, v = uv.unbind(-1)
    a, b = _draws(spec, 2, 53)
    rough = fractal_noise(uv / 0.45, spec.seed + 8, octaves=4)
    hedge = v < 0.7 + 0.9 * a + 0.25 * rough
    pitch = 3.0 + 3.0 * b
    bay = (u / pitch).floor()
    pick = torch.stack([bay, torch.zeros_like(bay)], -1).long()
    x = u - (bay + 0.3 + 0.4 * cell_tone(pick, spec.seed + 9)) * pitch
    height, wide = 3.2 + 2.5 * cell_tone(pick, spec.seed + 10), 1.2 + 0.9 * cell_tone(pick, spec.seed + 11)
    crown = (x / wide).square() + ((v - height) / (0.55 * height)).square() < 1 + 0.9 * rough
    trunk = (x.abs() < 0.14 + 0.04 * rough) & (v < height)
    leaf = fractal_noise(uv / 0.12, spec.seed + 12, octaves=3)
    green = linear(spec.wall, uv) * (0.75 + 0.55 * leaf + 0.25 * rough)[:, None].clamp_min(0.1)
    far = torch.lerp(green, uv.new_tensor([0.35, 0.42, 0.4]), 0.25)
    colour = torch.where(hedge[:, None], green, far)
    colour = torch.where((trunk & ~hedge & ~crown)[:, None], uv.new_tensor([0.09, 0.065, 0.045]) * (1 + 0.3 * leaf)[:, None], colour)
    return colour, hedge | crown | trunk


def _print(uv: Tensor, spec: BackdropSpec) -> Tensor:
    """Stripes, dots, cells or marble in two colours."""
    which, size, angle = _draws(spec, 3, 54)
    scale, c, s = 0.06 + 0.4 * size, torch.cos(uv.new_tensor(3.14 * angle)), torch.sin(uv.new_tensor(3.14 * angle))
    p = torch.stack([c * uv[:, 0] - s * uv[:, 1], s * uv[:, 0] + c * uv[:, 1]], -1) / scale
    cell = p.floor()
    if which < 0.25:
        share = (p[:, 0] - cell[:, 0] < 0.5).float()
    elif which < 0.5:
        share = ((p - cell - 0.5).norm(dim=-1) < 0.32).float()
    elif which < 0.75:
        share = cell_tone(cell.long(), spec.seed + 13)
    else:
        warp = value_noise(p, spec.seed + 14)
        share = 0.5 + 0.5 * torch.sin(4 * (p[:, 0] * 0.3 + 1.5 * warp + fractal_noise(p * 2, spec.seed + 15)))
    return torch.lerp(linear(spec.wall, uv), linear(spec.accent, uv), share[:, None])


def new_wall(uv: Float[Tensor, "n 2"], spec: BackdropSpec) -> tuple[Float[Tensor, "n 3"], Bool[Tensor, "n"], Bool[Tensor, "n"]]:
    """Colour of the wall at places ``(along, up)`` [m], whether it shines by itself (glass), and whether there is any wall."""
    everywhere = torch.ones(len(uv), dtype=torch.bool, device=uv.device)
    if spec.kind == "park":
        colour, keep = _trees(uv, spec)
        return colour, ~everywhere, keep
    if spec.kind in ("furnished", "loft"):
        colour, glass = _furnished_wall(uv, spec) if spec.kind == "furnished" else _loft_wall(uv, spec)
        return colour, glass, everywhere
    if spec.kind == "texture":
        return _print(uv, spec), ~everywhere, everywhere
    share = (uv[:, 1:2] / 2.4 + 0.15 * fractal_noise(uv / 1.5, spec.seed + 16, octaves=2)[:, None]).clamp(0, 1)
    return torch.lerp(linear(spec.wall, uv), linear(spec.accent, uv), share), ~everywhere, everywhere


def _boards(points: Tensor, spec: BackdropSpec) -> Tensor:
    uv = points[:, [0, 2]]
    width = 0.08 + 0.14 * _draws(spec, 1, 55)[0]
    tone, joint = tiles(uv, spec.seed, size=(width, 1.6), brick=True, joint=0.0015, spread=0.3)
    grain = fractal_noise(uv / uv.new_tensor([0.04, 0.7]), spec.seed + 17, octaves=3)
    return linear(spec.floor, points) * torch.where(joint, 0.5 * tone, tone * (1 + 0.12 * grain))[:, None]


def _carpet(points: Tensor, spec: BackdropSpec) -> Tensor:
    uv = points[:, [0, 2]]
    return linear(spec.floor, points) * (1 + 0.18 * value_noise(uv / 0.008, spec.seed) + 0.12 * fractal_noise(uv / 0.5, spec.seed + 1))[:, None]


def _beach(points: Tensor, spec: BackdropSpec, from_wall: Tensor) -> Tensor:
    """Sand with ripples; beyond the shore, water."""
    uv = points[:, [0, 2]]
    ripple = torch.sin(14 * (uv[:, 1] + 0.15 * fractal_noise(uv / 0.7, spec.seed))) * 0.04
    sand = (
        linear(spec.floor, points)
        * (1 + ripple + 0.12 * value_noise(uv / 0.012, spec.seed + 2) + 0.15 * fractal_noise(uv / 0.6, spec.seed + 3))[:, None]
    )
    shore = from_wall + 0.6 * fractal_noise(uv / 4.0, spec.seed + 4)
    wave = fractal_noise(torch.stack([uv[:, 0] * 0.2, from_wall], -1) / 0.9, spec.seed + 5, octaves=3)
    sea = torch.lerp(linear(spec.wall, points), points.new_tensor([0.75, 0.8, 0.82]), (wave[:, None] * 1.4 - 0.3).clamp(0, 0.6))
    foam = ((shore.abs() < 0.12 + 0.15 * wave) & (shore < 0.15))[:, None]
    return torch.where(foam, points.new_tensor([0.8, 0.82, 0.82]), torch.where((shore < 0)[:, None], sea, sand))


def new_floor(points: Float[Tensor, "n 3"], spec: BackdropSpec, from_wall: Float[Tensor, "n"]) -> Float[Tensor, "n 3"]:
    """Colour of the floor at world places; ``from_wall``: distance before the wall [m]."""
    uv = points[:, [0, 2]]
    if spec.kind == "park":
        blade = fractal_noise(uv / 0.03, spec.seed, octaves=2)
        patch = fractal_noise(uv / 0.8, spec.seed + 1, octaves=3)
        colour = linear(spec.floor, points) * (1 + 0.35 * blade + 0.3 * patch)[:, None].clamp_min(0.2)
        return torch.lerp(colour, points.new_tensor([0.25, 0.2, 0.13]), (patch[:, None] * 1.5 - 0.7).clamp(0, 0.6))
    if spec.kind == "beach":
        return _beach(points, spec, from_wall)
    if spec.kind in ("furnished", "loft"):
        return _carpet(points, spec) if spec.kind == "furnished" and _draws(spec, 1, 56)[0] < 0.4 else _boards(points, spec)
    return linear(spec.floor, points) * (1 + 0.05 * fractal_noise(uv / 0.7, spec.seed + 18))[:, None]


def floor_shade(spec: BackdropSpec, from_wall: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Ambient light that the corner between floor and wall loses."""
    if spec.kind == "beach":
        return torch.ones_like(from_wall)
    return 1 - 0.4 * torch.exp(-from_wall.clamp_min(0) / (0.12 if spec.kind != "park" else 0.5))
