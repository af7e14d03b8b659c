"""The far lights of one picture with their shadow maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.geometry import Camera
from huddle3d.render._surface import Merged
from huddle3d.render._visibility import ShadowMaps, disc
from huddle3d.render.lights import Light

__all__ = ["SHADOW_TAPS", "Lamps", "world_direction"]

SHADOW_TAPS = 12
"""Depth comparisons per shadow test; with lights whose shadows widen, 16."""


@dataclass(frozen=True)
class Lamps:
    """Lights in world axes."""

    direction: Float[Tensor, "lights 3"]
    """Unit, towards the light."""
    colour: Float[Tensor, "lights 3"]
    """Colour times intensity."""
    shadow: tuple[int, ...]
    """Map of each light; -1 without a shadow."""
    soft: tuple[tuple[float, float, float], ...]
    """See :meth:`ShadowMaps.soft`."""
    softness: tuple[tuple[float, float], ...]
    """The lights' ``softness`` and ``size_deg``."""
    maps: ShadowMaps | None
    """Of the lights with a shadow."""
    places: Float[Tensor, "taps 2"]
    """Where a shadow test looks, unit disc."""

    @staticmethod
    def of(lights: Sequence[Light], camera: Camera, merged: Merged, size: int, known: dict[tuple[float, ...], ShadowMaps]) -> Lamps:
        """Lights as one camera has them; ``known`` keeps the maps of the last lights, for the next camera."""
        like = merged.vertices
        directions = [world_direction(light, camera).to(like) for light in lights]
        casting = [k for k, light in enumerate(lights) if light.shadow]
        maps = None
        if casting:
            towards = torch.stack([directions[k] for k in casting])
            key = tuple(towards.flatten().tolist())
            maps = known.get(key)
            if maps is None:
                maps = ShadowMaps.render(merged.vertices, merged.faces, towards, size)
                known.clear()
                known[key] = maps
        soft = tuple((0.0, 0.0, 0.0) if maps is None or not light.shadow else maps.soft(light.softness, light.size_deg) for light in lights)
        taps = 16 if any(light.size_deg > 0 for light in lights) else SHADOW_TAPS
        return Lamps(
            direction=torch.stack(directions) if lights else like.new_zeros(0, 3),
            colour=torch.stack([like.new_tensor(light.colour) * light.intensity for light in lights]) if lights else like.new_zeros(0, 3),
            shadow=tuple(casting.index(k) if light.shadow else -1 for k, light in enumerate(lights)),
            soft=soft,
            softness=tuple((light.softness, light.size_deg) for light in lights),
            maps=maps,
            places=disc(taps).to(like),
        )

    def seen(self, index: int, points: Float[Tensor, "n 3"], normals: Float[Tensor, "n 3"], turn: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        """Visible fraction of a light at surface points."""
        if self.maps is None or self.shadow[index] < 0:
            return torch.ones_like(points[:, 0])
        softness, size = self.softness[index]
        return self.maps.lit(self.shadow[index], points, normals, softness=softness, size_deg=size, taps=len(self.places), turn=turn)


def world_direction(light: Light, camera: Camera) -> Float[Tensor, "3"]:
    """Unit vector towards the light in the world."""
    direction = torch.nn.functional.normalize(torch.tensor(light.direction, dtype=torch.float32, device=camera.K.device), dim=0)
    if light.frame == "world":
        return direction
    return camera.T_cam_world[:3, :3].T @ (direction * torch.tensor([1.0, -1.0, -1.0], device=camera.K.device))
