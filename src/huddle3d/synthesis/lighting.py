"""The scene file's lights in the renderer's terms, and the same lights on the backdrop."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.synthesis.backdrop import Backdrop
from huddle3d.synthesis.spec import LightSpec, SceneSpec

if TYPE_CHECKING:
    from huddle3d.render import ShadeConfig

__all__ = ["light_direction", "lit_backdrop", "shade_config"]


def light_direction(light: LightSpec) -> tuple[float, float, float]:
    """Unit vector from the scene towards the far light, world axes."""
    a, e = math.radians(light.azimuth_deg), math.radians(light.elevation_deg)
    return math.sin(a) * math.cos(e), math.sin(e), math.cos(a) * math.cos(e)


def shade_config(spec: SceneSpec, *, above_floor: bool) -> ShadeConfig:
    """Key light with a shadow, a weak fill from the camera, light from sky and ground; shadows on the floor if the camera sees it."""
    from huddle3d.render import Light, ShadeConfig

    light = spec.light
    lights = (
        Light(light_direction(light), light.key, 1.0, "world", shadow=True, softness=light.softness),
        Light((0.3, 0.2, 1.0), (1.0, 1.0, 1.0), 0.12, "camera"),
    )
    return ShadeConfig(lights=lights, ambient=1.0, sky=light.sky, bounce=light.ground, ground=0.0 if above_floor else None)


def lit_backdrop(backdrop: Backdrop, light: LightSpec) -> Float[Tensor, "height width 3"]:
    """Linear radiance of the backdrop under the scene's lights, without shadows; the sky keeps its own."""
    key, sky, ground = (torch.tensor(c) for c in (light.key, light.sky, light.ground))
    cosine = (backdrop.normals @ torch.tensor(light_direction(light))).clamp_min(0)[..., None]
    ambient = torch.lerp(ground, sky, 0.5 + 0.5 * backdrop.normals[..., 1:2])
    return torch.where(backdrop.emits[..., None], backdrop.albedo, backdrop.albedo * (cosine * key + ambient))
