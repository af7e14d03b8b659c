"""Rooms, streets and studios behind the people: planes with procedural colours, met by the ray of each pixel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from huddle3d.geometry import Camera
from huddle3d.synthesis.noise import cell_tone, fractal_noise
from huddle3d.synthesis.spec import RGB, BackdropSpec

__all__ = ["Backdrop", "draw_backdrop"]


@dataclass(frozen=True)
class Backdrop:
    """What a camera sees without the people."""

    albedo: Float[Tensor, "height width 3"]
    """Linear reflectance; for the sky its radiance."""
    points: Float[Tensor, "height width 3"]
    """World place of each pixel [m]; undefined where ``emits``."""
    normals: Float[Tensor, "height width 3"]
    """Unit."""
    emits: Bool[Tensor, "height width"]
    """Sky and studio: not lit by the scene's lights."""


def _linear(colour: RGB) -> Tensor:
    return torch.tensor(colour, dtype=torch.float32) ** 2.2


def _tiles(uv: Tensor, seed: int, *, size: tuple[float, float], brick: bool, joint: float, spread: float) -> tuple[Tensor, Tensor]:
    """Brightness of each tile and whether a place lies in a joint."""
    p = uv / torch.tensor(size)
    if brick:
        p = torch.stack([p[:, 0] + 0.5 * (p[:, 1].floor() % 2), p[:, 1]], -1)
    cell = p.floor()
    tone = 1 + spread * (cell_tone(cell.long(), seed) - 0.5)
    edge = torch.minimum(p - cell, 1 - (p - cell)) * torch.tensor(size)
    return tone, edge.amin(-1) < joint


def _floor_colour(points: Tensor, spec: BackdropSpec) -> Tensor:
    uv = points[:, [0, 2]]
    grain = fractal_noise(uv / torch.tensor([0.05, 0.6]), spec.seed, octaves=3)
    if spec.kind == "room":
        tone, joint = _tiles(uv, spec.seed, size=(0.14, 1.3), brick=True, joint=0.002, spread=0.35)
        tone = tone * (1 + 0.12 * grain)
    else:
        tone, joint = _tiles(uv, spec.seed, size=(0.6, 0.4), brick=True, joint=0.006, spread=0.15)
        tone = tone * (1 + 0.08 * fractal_noise(uv / 0.02, spec.seed + 3, octaves=2) + 0.1 * fractal_noise(uv / 0.7, spec.seed + 4))
    return _linear(spec.floor) * torch.where(joint, 0.45 * tone, tone)[:, None]


def _room_wall(uv: Tensor, spec: BackdropSpec) -> Tensor:
    """A painted wall with a skirting board and framed pictures."""
    u, v = uv.unbind(-1)
    colour = _linear(spec.wall) * (1 + 0.06 * fractal_noise(uv / 0.8, spec.seed + 7))[:, None]
    bay = ((u + 0.35) / 1.9).floor()
    pick = torch.stack([bay, torch.zeros_like(bay)], -1).long()
    wide, high = 0.28 + 0.2 * cell_tone(pick, spec.seed + 1), 0.22 + 0.2 * cell_tone(pick, spec.seed + 2)
    du, dv = (u - (bay + 0.5) * 1.9 + 0.35).abs(), (v - 1.75).abs()
    frame = (du < wide + 0.03) & (dv < high + 0.03)
    canvas = (du < wide) & (dv < high)
    paint = fractal_noise(uv / 0.25 + 9.0 * bay[:, None], spec.seed + 11, octaves=3)
    picture = torch.lerp(_linear(spec.accent), _linear(spec.floor), (0.5 + paint)[:, None].clamp(0, 1))
    colour = torch.where(frame[:, None], torch.tensor([0.03, 0.025, 0.02]), colour)
    colour = torch.where(canvas[:, None], picture, colour)
    return torch.where((v < 0.1)[:, None], torch.tensor([0.62, 0.6, 0.56]), colour)


def _house_front(uv: Tensor, spec: BackdropSpec) -> Tensor:
    """Bricks with rows of windows and doors."""
    u, v = uv.unbind(-1)
    tone, joint = _tiles(uv, spec.seed + 1, size=(0.24, 0.08), brick=True, joint=0.005, spread=0.4)
    colour = _linear(spec.wall) * torch.where(joint, 1.35 * torch.ones_like(tone), tone)[:, None]
    bay, level = (u / 2.4).floor(), ((v - 0.2) / 2.8).floor()
    du, dv = (u / 2.4 - bay - 0.5).abs() * 2.4, ((v - 0.2) / 2.8 - level - 0.52).abs() * 2.8
    frame, glass = (du < 0.62) & (dv < 0.85), (du < 0.55) & (dv < 0.78) & (du > 0.025) & ((dv - 0.1).abs() > 0.025)
    dark = 0.08 + 0.25 * cell_tone(torch.stack([bay, level], -1).long(), spec.seed + 4)
    pane = dark[:, None] * torch.tensor([0.7, 0.85, 1.0]) * (1 + 0.5 * fractal_noise(uv / 0.5, spec.seed + 5))[:, None]
    colour = torch.where(frame[:, None], _linear(spec.accent), colour)
    return torch.where(glass[:, None], pane, colour)


def _sky(direction: Tensor, spec: BackdropSpec) -> Tensor:
    """A gradient with clouds; for a studio, a soft vertical gradient between two greys of the wall's colour."""
    t = direction[:, 1].clamp(-1, 1)
    if spec.kind == "studio":
        return _linear(spec.wall) * torch.lerp(torch.tensor(0.55), torch.tensor(1.05), (t + 0.5).clamp(0, 1))[:, None]
    base = torch.lerp(torch.tensor([0.75, 0.8, 0.86]), torch.tensor([0.28, 0.48, 0.8]), t.clamp_min(0).sqrt()[:, None])
    cloud = (fractal_noise(direction[:, [0, 2]] / (t.abs() + 0.15)[:, None] * 1.5, spec.seed + 6, octaves=4) * 1.6).clamp(0, 1)
    return torch.lerp(base, torch.tensor([0.9, 0.9, 0.92]), cloud[:, None])


def _rays(camera: Camera) -> tuple[Tensor, Tensor]:
    """Origin and unit directions of the pixels' rays, world."""
    uv = camera.pixel_centres()
    far = camera.unproject(uv.reshape(-1, 2), torch.ones(camera.height * camera.width))
    origin = camera.centre
    return origin, torch.nn.functional.normalize(far - origin, dim=-1)


def draw_backdrop(spec: BackdropSpec, camera: Camera) -> Backdrop:
    """Meet the rays of a perspective camera with floor and wall; the wall stands upright behind the origin and faces the camera's side.

    A camera at or below the floor sees no floor (as if the people stood on glass): below the horizon it sees the wall or the sky.
    """
    origin, d = _rays(camera)
    n = len(d)
    colour, points = _sky(d, spec), origin + d
    normals, emits = -d.clone(), torch.ones(n, dtype=torch.bool)
    back = -camera.T_world_cam[:3, 2] * torch.tensor([1.0, 0.0, 1.0])
    facing = torch.nn.functional.normalize(back, dim=0) if float(back.norm()) > 1e-4 else torch.tensor([0.0, 0.0, 1.0])
    side = torch.linalg.cross(torch.tensor([0.0, 1.0, 0.0]), facing)
    t_floor = torch.where((d[:, 1] < -1e-4) & (origin[1] > 0.02), -origin[1] / d[:, 1], torch.inf)
    along = d @ facing
    t_wall = torch.where(along < -1e-4, (-spec.distance_m - origin @ facing) / along, torch.inf)
    t_wall = torch.where(t_wall > 0, t_wall, torch.inf)
    if spec.kind == "studio":
        t_wall = torch.full_like(t_wall, torch.inf)
        t_floor = torch.where(t_floor < 12.0, t_floor, torch.inf)
    wall = (t_wall < t_floor).nonzero()[:, 0]
    floor = ((t_floor <= t_wall) & torch.isfinite(t_floor)).nonzero()[:, 0]
    if len(wall):
        hit = origin + d[wall] * t_wall[wall, None]
        uv = torch.stack([hit @ side, hit[:, 1]], -1)
        keep = uv[:, 1] < (99.0 if spec.kind == "room" else 8.6)
        wall, hit, uv = wall[keep], hit[keep], uv[keep]
        colour[wall] = _room_wall(uv, spec) if spec.kind == "room" else _house_front(uv, spec)
        points[wall], normals[wall], emits[wall] = hit, facing, False
    if len(floor):
        hit = origin + d[floor] * t_floor[floor, None]
        points[floor], normals[floor], emits[floor] = hit, torch.tensor([0.0, 1.0, 0.0]), False
        colour[floor] = _linear(spec.wall) * 0.9 if spec.kind == "studio" else _floor_colour(hit, spec)
    shape = (camera.height, camera.width)
    return Backdrop(colour.reshape(*shape, 3), points.reshape(*shape, 3), normals.reshape(*shape, 3), emits.reshape(shape))
