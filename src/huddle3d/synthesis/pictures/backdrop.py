"""Rooms, streets and studios behind the people: planes with procedural colours, met by the ray of each pixel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.geometry import Camera
from huddle3d.synthesis.noise import cell_tone, fractal_noise
from huddle3d.synthesis.pictures.crates import Crate, crate_hits, place_crates
from huddle3d.synthesis.pictures.places import floor_shade, linear, new_floor, new_wall, tiles
from huddle3d.synthesis.spec import BackdropSpec

__all__ = ["Backdrop", "draw_backdrop"]


@dataclass(frozen=True)
class Backdrop:
    """What a camera sees without the people."""

    albedo: Float[Tensor, "height width 3"]
    """Linear reflectance; for the sky its radiance."""
    surface: Int[Tensor, "height width"]
    """Row of ``normals``; 0 for what is not lit by the scene's lights: sky, studio, window panes."""
    normals: Float[Tensor, "n 3"]
    """Unit normals of the surfaces; zero in the first row."""


def _floor_colour(points: Tensor, spec: BackdropSpec) -> Tensor:
    uv = points[:, [0, 2]]
    grain = fractal_noise(uv / points.new_tensor([0.05, 0.6]), spec.seed, octaves=3)
    if spec.kind == "room":
        tone, joint = tiles(uv, spec.seed, size=(0.14, 1.3), brick=True, joint=0.002, spread=0.35)
        tone = tone * (1 + 0.12 * grain)
    else:
        tone, joint = tiles(uv, spec.seed, size=(0.6, 0.4), brick=True, joint=0.006, spread=0.15)
        tone = tone * (1 + 0.08 * fractal_noise(uv / 0.02, spec.seed + 3, octaves=2) + 0.1 * fractal_noise(uv / 0.7, spec.seed + 4))
    return linear(spec.floor, points) * torch.where(joint, 0.45 * tone, tone)[:, None]


def _room_wall(uv: Tensor, spec: BackdropSpec) -> Tensor:
    """A painted wall with a skirting board and framed pictures."""
    u, v = uv.unbind(-1)
    colour = linear(spec.wall, uv) * (1 + 0.06 * fractal_noise(uv / 0.8, spec.seed + 7))[:, None]
    bay = ((u + 0.35) / 1.9).floor()
    pick = torch.stack([bay, torch.zeros_like(bay)], -1).long()
    wide, high = 0.28 + 0.2 * cell_tone(pick, spec.seed + 1), 0.22 + 0.2 * cell_tone(pick, spec.seed + 2)
    du, dv = (u - (bay + 0.5) * 1.9 + 0.35).abs(), (v - 1.75).abs()
    frame = (du < wide + 0.03) & (dv < high + 0.03)
    canvas = (du < wide) & (dv < high)
    paint = fractal_noise(uv / 0.25 + 9.0 * bay[:, None], spec.seed + 11, octaves=3)
    picture = torch.lerp(linear(spec.accent, uv), linear(spec.floor, uv), (0.5 + paint)[:, None].clamp(0, 1))
    colour = torch.where(frame[:, None], uv.new_tensor([0.03, 0.025, 0.02]), colour)
    colour = torch.where(canvas[:, None], picture, colour)
    return torch.where((v < 0.1)[:, None], uv.new_tensor([0.62, 0.6, 0.56]), colour)


def _house_front(uv: Tensor, spec: BackdropSpec) -> Tensor:
    """Bricks with rows of windows and doors."""
    u, v = uv.unbind(-1)
    tone, joint = tiles(uv, spec.seed + 1, size=(0.24, 0.08), brick=True, joint=0.005, spread=0.4)
    colour = linear(spec.wall, uv) * torch.where(joint, 1.35 * torch.ones_like(tone), tone)[:, None]
    bay, level = (u / 2.4).floor(), ((v - 0.2) / 2.8).floor()
    du, dv = (u / 2.4 - bay - 0.5).abs() * 2.4, ((v - 0.2) / 2.8 - level - 0.52).abs() * 2.8
    frame, glass = (du < 0.62) & (dv < 0.85), (du < 0.55) & (dv < 0.78) & (du > 0.025) & ((dv - 0.1).abs() > 0.025)
    dark = 0.08 + 0.25 * cell_tone(torch.stack([bay, level], -1).long(), spec.seed + 4)
    pane = dark[:, None] * uv.new_tensor([0.7, 0.85, 1.0]) * (1 + 0.5 * fractal_noise(uv / 0.5, spec.seed + 5))[:, None]
    colour = torch.where(frame[:, None], linear(spec.accent, uv), colour)
    return torch.where(glass[:, None], pane, colour)


def _sky(direction: Tensor, spec: BackdropSpec) -> Tensor:
    """A gradient with clouds; for a studio, a soft vertical gradient between two greys of the wall's colour."""
    t = direction[:, 1].clamp(-1, 1)
    new = direction.new_tensor
    if spec.kind in ("studio", "gradient", "texture"):
        return linear(spec.wall, direction) * torch.lerp(new(0.55), new(1.05), (t + 0.5).clamp(0, 1))[:, None]
    base = torch.lerp(new([0.75, 0.8, 0.86]), new([0.28, 0.48, 0.8]), t.clamp_min(0).sqrt()[:, None])
    cloud = (fractal_noise(direction[:, [0, 2]] / (t.abs() + 0.15)[:, None] * 1.5, spec.seed + 6, octaves=4) * 1.6).clamp(0, 1)
    return torch.lerp(base, new([0.9, 0.9, 0.92]), cloud[:, None])


@dataclass(frozen=True)
class _Frame:
    """The wall's axes and the rays of a camera."""

    origin: Float[Tensor, "n 3"]
    d: Float[Tensor, "n 3"]
    """Directions of the rays, of any length."""
    facing: Float[Tensor, "3"]
    """Unit, level, from the wall towards the camera's side."""
    side: Float[Tensor, "3"]
    """Unit, level, along the wall."""
    above_floor: bool


def sees_floor(camera: Camera) -> bool:
    """Whether a camera looks at the floor from above: a perspective one stands above it, an orthographic one looks down."""
    if camera.is_perspective:
        return float(camera.centre[1]) > 0.02
    return float(camera.T_world_cam[1, 2]) < -1e-4


def _frame(camera: Camera) -> _Frame:
    start, ahead = camera.ray_maps()
    v, u = torch.arange(camera.height).to(start) + 0.5, torch.arange(camera.width).to(start) + 0.5

    def of_pixels(m: Tensor) -> Tensor:
        return ((v[:, None] * m[:, 1] + m[:, 2])[:, None] + u[:, None] * m[:, 0]).reshape(-1, 3)

    step = of_pixels(ahead)
    origin = camera.centre.expand_as(step) if camera.is_perspective else of_pixels(start) - step
    back = -camera.T_world_cam[:3, 2] * start.new_tensor([1.0, 0.0, 1.0])
    facing = torch.nn.functional.normalize(back, dim=0) if float(back.norm()) > 1e-4 else start.new_tensor([0.0, 0.0, 1.0])
    side = torch.linalg.cross(start.new_tensor([0.0, 1.0, 0.0]), facing)
    return _Frame(origin, step, facing, side, sees_floor(camera))


def _meet(spec: BackdropSpec, frame: _Frame, camera: Camera) -> tuple[Tensor, Tensor]:
    """Distance along each ray to the floor and to the wall; infinite where it meets none."""
    d, origin = frame.d, frame.origin
    length = d.norm(dim=-1)
    t_floor = torch.where((d[:, 1] < -1e-4 * length) & frame.above_floor, -origin[:, 1] / d[:, 1], torch.inf)
    along = d @ frame.facing
    t_wall = torch.where(along < -1e-4 * length, (-spec.distance_m - origin @ frame.facing) / along, torch.inf)
    if camera.is_perspective:
        t_wall = torch.where(t_wall > 0, t_wall, torch.inf)
    if spec.kind in ("studio", "beach"):
        t_wall = torch.full_like(t_wall, torch.inf)
    if spec.kind == "studio":
        t_floor = torch.where(t_floor * length < 12.0, t_floor, torch.inf)
    return t_floor, t_wall


def _wall(uv: Tensor, spec: BackdropSpec) -> tuple[Tensor, Tensor, Tensor]:
    """Colour, whether it shines by itself, and whether there is any wall."""
    if spec.kind in ("room", "street"):
        keep = uv[:, 1] < (99.0 if spec.kind == "room" else 8.6)
        return _room_wall(uv, spec) if spec.kind == "room" else _house_front(uv, spec), torch.zeros_like(keep), keep
    return new_wall(uv, spec)


def _floor(points: Tensor, spec: BackdropSpec, from_wall: Tensor) -> Tensor:
    if spec.kind == "studio":
        return (linear(spec.wall, points) * 0.9).expand_as(points)
    if spec.kind in ("room", "street"):
        return _floor_colour(points, spec)
    return new_floor(points, spec, from_wall) * floor_shade(spec, from_wall)[:, None]


def _draw_crates(crates: list[Crate], spec: BackdropSpec, frame: _Frame, camera: Camera, nearest: Tensor, colour: Tensor, surface: Tensor) -> None:
    """Furniture before the wall, over the maps (in place); rows 3 to 8 of the normals are plus and minus the wall's axes."""
    for crate in crates:
        pixel, t, face, shade = crate_hits(crate, spec, camera, frame.origin, frame.d, (frame.side, frame.facing))
        near = t < nearest[pixel]
        pixel = pixel[near]
        nearest[pixel], colour[pixel], surface[pixel] = t[near], shade[near], 3 + face[near]


def draw_backdrop(spec: BackdropSpec, camera: Camera) -> Backdrop:
    """Meet the rays of a camera with floor and wall; the wall stands upright behind the origin and faces the camera's side.

    A camera that does not look at the floor from above sees none (as if the people stood on glass): below the horizon it sees the wall or the sky.
    Everything lies on the camera's device.
    """
    frame = _frame(camera)
    d, origin = frame.d, frame.origin
    colour, surface = torch.zeros_like(d), torch.zeros(len(d), dtype=torch.int64, device=d.device)
    t_floor, t_wall = _meet(spec, frame, camera)
    nearest = torch.full_like(t_floor, torch.inf)
    wall = (t_wall < t_floor).nonzero()[:, 0]
    floor = ((t_floor <= t_wall) & torch.isfinite(t_floor)).nonzero()[:, 0]
    if len(wall):
        hit = origin[wall] + d[wall] * t_wall[wall, None]
        shade, shines, keep = _wall(torch.stack([hit @ frame.side, hit[:, 1]], -1), spec)
        if not bool(keep.all()):
            wall, shade, shines = wall[keep], shade[keep], shines[keep]
        colour[wall], surface[wall], nearest[wall] = shade, 1 - shines.long(), t_wall[wall]
    if len(floor):
        hit = origin[floor] + d[floor] * t_floor[floor, None]
        colour[floor], surface[floor], nearest[floor] = _floor(hit, spec, hit @ frame.facing + spec.distance_m), 2, t_floor[floor]
    free = torch.isinf(nearest).nonzero()[:, 0]
    colour[free] = _sky(torch.nn.functional.normalize(d[free], dim=-1), spec)
    _draw_crates(place_crates(spec), spec, frame, camera, nearest, colour, surface)
    up = d.new_tensor([0.0, 1.0, 0.0])
    axes = torch.stack([frame.side, up, frame.facing])
    normals = torch.cat([torch.stack([torch.zeros_like(up), frame.facing, up]), axes, -axes])
    return Backdrop(colour.reshape(camera.height, camera.width, 3), surface.reshape(camera.height, camera.width), normals)
