"""Pictures without pixels: what a camera would see of the pairs of a pose bank, with hidden points found by rendering contact proxies."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.diffusion import Placement
from huddle3d.diffusion.pairs import pair_joints
from huddle3d.fitting.regressor import MAP, POINTS
from huddle3d.geometry import Camera, apply, look_at, rotation_z, se3
from huddle3d.training.augment import mirrored
from huddle3d.training.singles import SINGLES

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel
    from huddle3d.training.bank import PoseBank

__all__ = ["PairViews", "ViewConfig", "pair_views"]


@dataclass(frozen=True)
class ViewConfig:
    """How pairs are changed and seen."""

    cameras: int = 3
    """Cameras around each pair; posing costs more than looking."""
    limb_deg: float = 6.0
    """Standard deviation of the change of arm and leg angles [deg], in half of the pairs."""
    trunk_deg: float = 2.5
    """The same for spine, neck and head."""
    shift_m: float = 0.015
    """The same for places on the floor."""
    other_limb: float = 0.05
    """Probability that a limb is taken from somebody else of the bank: no interaction asks for it."""
    elevation_deg: tuple[float, float] = (-20.0, 45.0)
    """Heights of the camera; two thirds of the cameras are between -5 and 20 degrees."""
    roll_deg: float = 3.0
    """Standard deviation of the camera's roll."""
    fov_deg: tuple[float, float] = (28.0, 62.0)
    """Vertical fields of view."""
    fill: tuple[float, float] = (0.45, 1.15)
    """Share of the picture's shorter side that the pair takes; above 1 people are cut off."""
    close: float = 0.25
    """Share of the pictures, before some are dropped, that are taken from so near that legs, or all below the shoulders, are cut off."""
    close_fill: tuple[float, float] = (1.2, 2.6)
    """``fill`` of those."""
    close_up: tuple[float, float] = (0.1, 0.35)
    """How far above the pair's middle they aim, in shares of its extent."""
    aim: float = 0.06
    """Standard deviation of where the pair's middle lies, in shares of the picture."""
    least_visible: float = 0.25
    """Views that show less of a person are dropped (half of it among those without a second try)."""
    slack_m: float = 0.12
    """A point is seen if the nearest surface at its pixel is its own, at most this far in front of it (joints lie inside bodies)."""


@dataclass(frozen=True)
class PairViews:
    """V pictures of pairs; the camera is at the origin (OpenCV axes)."""

    points: Float[Tensor, "V 2 N 3"]
    """Landmarks :data:`~huddle3d.fitting.regressor.POINTS` [m]."""
    state: Int[Tensor, "V 2 N"]
    """2 = shown, 1 = hidden, 0 = out of the picture."""
    owner: Int[Tensor, "V s s"]
    """Person of each pixel of the window, 0 or 1; 2 = nobody."""
    window: Float[Tensor, "V 3"]
    """Middle (``x/z, y/z``) and half side of the square around both people."""
    R_cam_root: Float[Tensor, "V 2 3 3"]
    """Global orientations, in view axes (x right, y up, z towards the camera)."""
    root: Float[Tensor, "V 2 3"]
    """Root joints [m]."""
    pose: Float[Tensor, "V 2 n 3"]
    """Rotation vectors of the told joints [rad]."""
    shape: Float[Tensor, "V 2 S"]
    """Shape parameters."""
    apart: Bool[Tensor, "V"]
    """People who have nothing to do with each other."""

    def __len__(self) -> int:
        return len(self.points)

    def take(self, rows: Int[Tensor, "n"] | Bool[Tensor, "V"]) -> PairViews:
        """Some of the views."""
        return PairViews(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def reordered(self, turned: Bool[Tensor, "V"]) -> PairViews:
        """The views with person 1 first where ``turned``."""
        columns = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name == "owner":
                columns[f.name] = torch.where(turned[:, None, None] & (value < 2), 1 - value, value)
            elif f.name in ("window", "apart"):
                columns[f.name] = value
            else:
                columns[f.name] = torch.where(turned.reshape(-1, *[1] * (value.ndim - 1)), value.flip(1), value)
        return PairViews(**columns)

    @staticmethod
    def join(parts: list[PairViews]) -> PairViews:
        """All views of several sets."""
        return PairViews(**{f.name: torch.cat([getattr(p, f.name) for p in parts]) for f in fields(PairViews)})


_ARM, _LEG, _TRUNK = ("clavicle", "shoulder01", "upperarm01", "lowerarm01", "wrist"), ("upperleg01", "lowerleg01", "foot"), ("spine", "neck", "head")


def _varied(bodies: Placement, body: BodyModel, config: ViewConfig, generator: torch.Generator) -> Placement:
    """The pairs with other angles, here and there with somebody else's limb; half of the changed ones in a mirror."""
    count, names = len(bodies.root), body.joint_names
    pose, root = bodies.pose.clone(), bodies.root.clone()
    for parts, side in ((_ARM, ".L"), (_ARM, ".R"), (_LEG, ".L"), (_LEG, ".R")):
        rows = torch.tensor([j for j, n in enumerate(names) if n.startswith(parts) and n.endswith(side)])
        taken = (torch.rand(count, generator=generator) < config.other_limb).nonzero()[:, 0]
        other = torch.randint(0, count, (len(taken),), generator=generator)
        pose[taken[:, None], rows] = bodies.pose[other[:, None], rows]
    spread = torch.tensor([config.limb_deg if n.startswith(_ARM + _LEG) else config.trunk_deg / 2 if n.startswith(_TRUNK) else 0.0 for n in names])
    changed = (torch.rand(count, 1, 1, generator=generator) < 0.5).float()
    pose = pose + changed * torch.deg2rad(spread)[:, None] * torch.randn(pose.shape, generator=generator)
    root = root + changed[..., 0] * config.shift_m * torch.tensor([1.0, 0.0, 1.0]) * torch.randn(root.shape, generator=generator)
    varied = Placement(bodies.R_world_root, root, pose, bodies.shape)
    flip = (torch.rand(count // 2, generator=generator) < 0.5).repeat_interleave(2)
    twin = mirrored(varied, body)
    pick = [
        torch.where(flip.reshape(-1, *[1] * (a.ndim - 1)), b, a)
        for a, b in ((getattr(varied, f.name), getattr(twin, f.name)) for f in fields(Placement))
    ]
    return Placement(*pick)


def _cameras(
    middle: Float[Tensor, "B 3"], extent: Float[Tensor, "B"], config: ViewConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """``T_cam_world``, half the picture's width and height in ray units, of one camera for each pair."""
    count = len(middle)

    def between(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    azimuth = between(-math.pi, math.pi)
    wide = torch.rand(count, generator=generator) < 0.35
    elevation = torch.deg2rad(torch.where(wide, between(*config.elevation_deg), between(-5, 20)))
    half_high = torch.tan(torch.deg2rad(between(*config.fov_deg)) / 2)
    aspect = torch.tensor([0.75, 1.0, 1.333])[torch.randint(0, 3, (count,), generator=generator)]
    half = torch.stack([half_high * aspect, half_high], -1)
    fill, close = between(*config.fill), torch.rand(count, generator=generator) < config.close
    fill = torch.where(close, between(*config.close_fill), fill)
    distance = extent / (2 * half.amin(-1) * fill) + 0.3
    up = torch.where(close, between(*config.close_up) * extent, 0.0)
    middle = middle + up[:, None] * middle.new_tensor([0.0, 1.0, 0.0])
    back = torch.stack([azimuth.sin() * elevation.cos(), elevation.sin(), azimuth.cos() * elevation.cos()], -1)
    aim = middle + 2 * distance[:, None] * half.amin(-1, keepdim=True) * config.aim * torch.randn(count, 3, generator=generator)
    roll = rotation_z(torch.deg2rad(config.roll_deg * torch.randn(count, generator=generator)))
    return se3(roll, torch.zeros(count, 3)) @ look_at(aim + distance[:, None] * back, aim), half, distance


@torch.no_grad()
def pair_views(bank: PoseBank, rows: Int[Tensor, "n"], body: BodyModel, generator: torch.Generator, config: ViewConfig = ViewConfig()) -> PairViews:
    """Random views of the chosen pairs, each pair varied by itself; fewer come back than asked for, because some hide somebody.

    Args:
        bank: pairs.
        rows: of them, repeated as often as wanted.
        body: their model.
        generator: of the random numbers.
        config: how.
    """
    bodies = _varied(Placement.of(bank.params(rows)), body, config, generator)
    params = bodies.params()
    landmarks, proxies = body.landmarks(params), body.proxy_skinned(params)
    rows, pairs = rows.repeat_interleave(config.cameras), len(rows) * config.cameras
    landmarks, proxies = (t.reshape(len(t) // 2, 2, -1, 3).repeat_interleave(config.cameras, 0) for t in (landmarks, proxies))
    bodies = Placement(*(_again(getattr(bodies, f.name), config.cameras) for f in fields(Placement)))
    points = proxies.reshape(pairs, -1, 3)
    low, high = points.amin(1), points.amax(1)
    T, half, _ = _cameras((low + high) / 2, (high - low).amax(-1), config, generator)
    faces = torch.cat([body.proxy_faces, body.proxy_faces + proxies.shape[2]])
    cam_points = apply(T, points)
    good = (cam_points[..., 2].amin(1) > 0.25).nonzero()[:, 0]
    T, half, cam_points = T[good], half[good], cam_points[good]
    landmarks = apply(T, landmarks.reshape(pairs, -1, 3)[good]).reshape(len(good), 2, -1, 3)
    shown, owner, nearest, window = _window(cam_points, faces, half)
    state = _state(landmarks[:, :, list(POINTS)], owner, nearest, window, half, config)
    flip = torch.tensor([1.0, -1.0, -1.0])
    R = (flip[:, None] * T[:, None, :3, :3]) @ bodies.R_world_root.reshape(pairs, 2, 3, 3)[good]
    told = torch.tensor(pair_joints(body))
    apart = torch.tensor([n == SINGLES for n in bank.source_names])[bank.source[rows[good]].long()]
    views = PairViews(
        landmarks[:, :, list(POINTS)],
        state,
        owner[:, ::2, ::2].contiguous(),
        window,
        R,
        apply(T, bodies.root.reshape(pairs, 2, 3)[good]),
        bodies.pose[:, told].reshape(pairs, 2, -1, 3)[good],
        bodies.shape.reshape(pairs, 2, -1)[good],
        apart,
    )
    return views.take(shown.amin(-1) > config.least_visible)


def _again(value: Tensor, times: int) -> Tensor:
    """Each pair's two rows so many times."""
    return value.unflatten(0, (-1, 2)).repeat_interleave(times, 0).flatten(0, 1)


def _window(points: Float[Tensor, "B p 3"], faces: Int[Tensor, "F 3"], half: Float[Tensor, "B 2"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Share of each person that is seen, owner and depth of the pixels of the window (at twice its resolution), and the window."""
    from huddle3d.render import rasterize

    count, size = len(points), 2 * MAP
    rays = points[..., :2] / points[..., 2:]
    low, high = torch.maximum(rays.amin(1), -half), torch.minimum(rays.amax(1), half)
    side = ((high - low).amax(-1) / 2).clamp_min(1e-3) * 1.05
    middle = (low + high) / 2
    K = torch.zeros(count, 3, 3)
    K[:, 0, 0] = K[:, 1, 1] = size / 2 / side
    K[:, :2, 2] = size / 2 - middle * (size / 2 / side)[:, None]
    K[:, 2, 2] = 1
    camera = Camera("perspective", K, torch.eye(4).expand(count, 4, 4), size, size)
    together = rasterize(points, faces, camera)
    each = len(faces) // 2
    owner = torch.where(together.face_id < 0, 2, (together.face_id >= each).long())
    at = (torch.arange(size) + 0.5 - size / 2) / (size / 2)
    across, down = middle[:, :1] + at * side[:, None], middle[:, 1:] + at * side[:, None]
    inside = (across.abs() < half[:, :1])[:, None, :] & (down.abs() < half[:, 1:])[:, :, None]
    owner = torch.where(inside, owner, 2)
    shares = []
    for k in range(2):
        alone = rasterize(points, faces[k * each : (k + 1) * each], camera).face_id >= 0
        shares.append((owner == k).flatten(1).sum(-1) / (alone & inside).flatten(1).sum(-1).clamp_min(1))
    depth = torch.where(owner < 2, together.depth, torch.inf)
    return torch.stack(shares, -1), owner.to(torch.uint8), depth, torch.cat([middle, side[:, None]], -1)


def _state(points: Tensor, owner: Tensor, nearest: Tensor, window: Tensor, half: Tensor, config: ViewConfig) -> Int[Tensor, "B 2 N"]:
    size = owner.shape[-1]
    rays = points[..., :2] / points[..., 2:].clamp_min(0.05)
    at = ((rays - window[:, None, None, :2]) / window[:, None, None, 2:] + 1) * size / 2
    column, row = at.floor().long().clamp(0, size - 1).unbind(-1)
    batch = torch.arange(len(points))[:, None, None]
    here = owner[batch, row, column]
    own = here == torch.arange(2)[None, :, None]
    seen = (own & (points[..., 2] - nearest[batch, row, column] < config.slack_m)) | (here == 2)
    inside = (rays.abs() < half[:, None, None]).all(-1) & (points[..., 2] > 0)
    return (inside.long() * (1 + seen.long())).to(torch.uint8)
