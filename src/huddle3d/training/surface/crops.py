"""Windows of synthetic photographs: what the surface network is given of each person, and what is true there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from huddle3d.geometry import Camera
from huddle3d.people import RELIEF_M, SurfaceWindows, surface_windows
from huddle3d.synthesis import PreparedScene, Shot, SyntheticSample, photographs, sample_style, view_cameras
from huddle3d.training.views.disturb import DisturbConfig, disturbed_bodies, disturbed_masks

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["CHANNELS", "CropConfig", "SurfaceTarget", "crops_of_photo", "decode", "encode"]

CHANNELS = 15
"""Of a stored window: ten inputs, normals, relief, mask."""
_STORED_RELIEF = 2.5
"""Largest relief that is stored, in units of :data:`RELIEF_M`."""


@dataclass(frozen=True)
class CropConfig:
    """Sizes and errors."""

    size: int = 160
    """Side of the windows [px]."""
    photo: int = 512
    """Side of the photographs [px]."""
    least_px: int = 200
    """Windows in which fewer pixels show the person are left out."""
    disturb: DisturbConfig = DisturbConfig(bodies=0.75, masks=0.6)
    """Errors of bodies and masks: at inference both are estimates."""


@dataclass(frozen=True)
class SurfaceTarget:
    """What is true of the pixels of each window."""

    normals: Float[Tensor, "K S S 3"]
    """Of the visible dressed person, camera axes: x right, y up, z towards the camera; 0 where the window does not show that person."""
    relief: Float[Tensor, "K S S"]
    """How far the dressed surface lies in front of the fitted body, in units of :data:`RELIEF_M`, less its median over the pixels that show both: the
    body's own error in depth cannot be seen. 0 where the window does not show that person."""
    mask: Bool[Tensor, "K S S"]
    """Where it does."""


def _nearest(image: Tensor, window: tuple[int, int, int], size: int, empty: float) -> Tensor:
    """The pixels of an ``(H, W, …)`` image under the middles of a window's pixels: depths and normals of two surfaces must not be mixed."""
    x0, y0, side = window
    at = ((torch.arange(size) + 0.5) * side / size).floor().long()
    y, x = torch.meshgrid(at + y0, at + x0, indexing="ij")
    inside = (y >= 0) & (y < image.shape[0]) & (x >= 0) & (x < image.shape[1])
    found = image[y.clamp(0, image.shape[0] - 1), x.clamp(0, image.shape[1] - 1)]
    return torch.where(inside.reshape(*inside.shape, *[1] * (image.ndim - 2)), found, torch.tensor(empty, dtype=image.dtype))


def _target(sample: SyntheticSample, given: SurfaceWindows, size: int) -> SurfaceTarget:
    turn = sample.scene.bodies.camera.T_cam_world[:3, :3].float() * torch.tensor([1.0, -1.0, -1.0])[:, None]
    normals, reliefs, masks = [], [], []
    for k, window in enumerate(given.windows):
        own = _nearest(sample.ids, window, size, -1) == k
        depth = _nearest(sample.depth, window, size, 0.0)
        relief = (given.depth[k] - depth) / RELIEF_M
        both = own & (given.inputs[k, 8] > 0.5)
        relief = relief - (relief[both].median() if bool(both.any()) else 0.0)
        normals.append(torch.where(own[..., None], _nearest(sample.normals, window, size, 0.0) @ turn.T, 0.0))
        reliefs.append(torch.where(own, relief, 0.0))
        masks.append(own)
    return SurfaceTarget(torch.stack(normals), torch.stack(reliefs), torch.stack(masks))


def crops_of_photo(
    scene: PreparedScene, body: BodyModel, seed: int, config: CropConfig | None = None, *, held: bool = False
) -> tuple[SurfaceWindows, SurfaceTarget, Bool[Tensor, "K"]]:
    """Photograph a scene once and cut out its people.

    Args:
        scene: dressed people.
        body: their model.
        seed: of camera, light and errors.
        config: sizes and errors.
        held: light and place from the evaluation's half of the synthetic world.

    Returns:
        Inputs and truth of all people, and of whom enough is seen.
    """
    config = config or CropConfig()
    generator = torch.Generator().manual_seed(seed)
    camera = _camera(scene, config.photo, generator)
    light, backdrop, lens = sample_style(seed, held_out=held)
    sample = next(iter(photographs(scene, [Shot(camera, light, backdrop, lens, seed)])))
    bodies, masks = sample.scene.bodies, sample.people2d.masks
    if float(torch.rand((), generator=generator)) < config.disturb.bodies:
        bodies = disturbed_bodies(bodies, body, generator, config.disturb)
    if float(torch.rand((), generator=generator)) < config.disturb.masks:
        masks = disturbed_masks(masks, generator, config.disturb)
    given = surface_windows(sample.photo, masks, camera, bodies.vertices, body.faces.long(), config.size)
    target = _target(sample, given, config.size)
    return given, target, target.mask.sum((-2, -1)) >= config.least_px


def _camera(scene: PreparedScene, size: int, generator: torch.Generator) -> Camera:
    points = torch.cat([m.vertices for m in scene.scene.meshes])
    _, perspective = view_cameras(points, size=size, generator=generator)
    return perspective[int(torch.randint(0, 8, (), generator=generator))]


def encode(given: SurfaceWindows, target: SurfaceTarget) -> UInt8[Tensor, "K S S 15"]:
    """Inputs and truth as bytes."""
    maps = given.inputs.permute(0, 2, 3, 1)
    relief = (target.relief / _STORED_RELIEF).clamp(-1, 1)[..., None]
    parts = [maps[..., :3] + 0.5, maps[..., 3:5], (maps[..., 5:8] + 1) / 2, maps[..., 8:9], (maps[..., 9:] + 1) / 2]
    parts += [(target.normals + 1) / 2, (relief + 1) / 2, target.mask[..., None].float()]
    return (torch.cat(parts, -1) * 255).round().clamp(0, 255).to(torch.uint8)


def _signed(stored: Tensor) -> Tensor:
    """Bytes that stand for [-1, 1]; 127 and 128 are both 0."""
    return torch.where((stored - 127.5).abs() < 0.6, 0.0, stored / 127.5 - 1)


def decode(stored: UInt8[Tensor, "B S S 15"]) -> tuple[Float[Tensor, "B 10 S S"], SurfaceTarget]:
    """What :func:`encode` wrote: inputs and truth."""
    s = stored.float()
    inputs = torch.cat([s[..., :3] / 255 - 0.5, s[..., 3:5] / 255, _signed(s[..., 5:8]), s[..., 8:9] / 255, _signed(s[..., 9:10])], -1)
    mask = s[..., 14] > 127
    normals = torch.nn.functional.normalize(_signed(s[..., 10:13]), dim=-1) * mask[..., None]
    return inputs.permute(0, 3, 1, 2), SurfaceTarget(normals, _signed(s[..., 13]) * _STORED_RELIEF * mask, mask)
