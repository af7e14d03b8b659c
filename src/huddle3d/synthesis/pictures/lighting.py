"""The scene file's lights in the renderer's terms, and the same lights on the backdrop."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.synthesis.pictures.backdrop import Backdrop
from huddle3d.synthesis.spec import RGB, BackdropSpec, LightSpec

if TYPE_CHECKING:
    from huddle3d.render import ShadeConfig

__all__ = ["glosses", "light_direction", "lit_backdrop", "shade_config"]

_SKIN_GLOSS = {"face": 0.85, "head": 0.6, "neck": 0.5, "left_hand": 0.5, "right_hand": 0.5}
"""Of the skin by region, in units of the light's ``gloss``; 0.42 elsewhere."""
_CLOTH_GLOSS = 0.12


def _towards(azimuth_deg: float, elevation_deg: float) -> tuple[float, float, float]:
    a, e = math.radians(azimuth_deg), math.radians(elevation_deg)
    return math.sin(a) * math.cos(e), math.sin(e), math.cos(a) * math.cos(e)


def light_direction(light: LightSpec) -> tuple[float, float, float]:
    """Unit vector from the scene towards the far light, world axes."""
    return _towards(light.azimuth_deg, light.elevation_deg)


def _times(colour: RGB, factor: RGB) -> RGB:
    return colour[0] * factor[0], colour[1] * factor[1], colour[2] * factor[2]


def _ground_light(light: LightSpec, backdrop: BackdropSpec) -> RGB:
    """Light from below: the file's own, and what the floor throws back of the light that falls on it."""
    up = max(math.sin(math.radians(light.elevation_deg)), 0.0)
    base = backdrop.wall if backdrop.kind == "studio" else backdrop.floor
    arriving = [k * up + 0.75 * s for k, s in zip(light.key, light.sky)]
    own = [g + light.bounce * c**2.2 * a for g, c, a in zip(light.ground, base, arriving)]
    return own[0], own[1], own[2]


def shade_config(light: LightSpec, backdrop: BackdropSpec, gain: RGB, *, above_floor: bool) -> ShadeConfig:
    """Key light with a shadow, a weak fill from the camera, light from sky and ground; shadows on the floor if the camera sees it.

    Args:
        light: of the scene file.
        backdrop: its floor colours the light from below.
        gain: factors of exposure and white balance on all light.
        above_floor: whether the camera looks at the floor from above.
    """
    from huddle3d.render import Light, ShadeConfig

    lights = (
        Light(light_direction(light), _times(light.key, gain), 1.0, "world", shadow=True, softness=light.softness, size_deg=light.size_deg),
        Light((0.3, 0.2, 1.0), gain, light.fill, "camera"),
    )
    glow = None
    if any(light.glow):
        glow = Light(_towards(light.glow_azimuth_deg, light.glow_elevation_deg), _times(light.glow, gain))
    below = _times(_ground_light(light, backdrop), gain)
    floor = 0.0 if above_floor else None
    return ShadeConfig(lights=lights, ambient=1.0, sky=_times(light.sky, gain), bounce=below, ground=floor, glow=glow)


def glosses(light: LightSpec, parts: Int[Tensor, "V"], skin: Bool[Tensor, "V"], part_names: tuple[str, ...]) -> Float[Tensor, "V"] | None:
    """Strength of the highlights by vertex: skin by region, cloth and hair little; None if the file does not say: the meshes keep their own."""
    if light.gloss is None:
        return None
    table = torch.tensor([_SKIN_GLOSS.get(name, 0.42) for name in part_names], device=parts.device)
    return light.gloss * torch.where(skin, table[parts], _CLOTH_GLOSS)


def lit_backdrop(backdrop: Backdrop, light: LightSpec, gain: RGB = (1.0, 1.0, 1.0)) -> Float[Tensor, "height width 3"]:
    """Linear radiance of the backdrop under the scene's lights, without shadows; the sky keeps its own. All times the gain."""
    new, normals = backdrop.albedo.new_tensor, backdrop.normals
    key, sky, ground = new(light.key), new(light.sky), new(light.ground)
    cosine = (normals @ new(light_direction(light))).clamp_min(0)[:, None]
    arriving = torch.lerp(ground, sky, 0.5 + 0.5 * normals[:, 1:2]) + cosine * key
    if any(light.glow):
        towards = new(_towards(light.glow_azimuth_deg, light.glow_elevation_deg))
        # a surface that is turned away from the middle of a broad light still sees part of it
        arriving = arriving + ((normals @ towards).clamp_min(-0.25)[:, None] + 0.25) / 1.25 * new(light.glow)
    arriving[0] = 1.0
    light_of_pixel = (arriving * new(gain)).index_select(0, backdrop.surface.reshape(-1))
    return backdrop.albedo * light_of_pixel.reshape(backdrop.albedo.shape)
