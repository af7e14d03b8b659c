"""Ambient light: how much of each direction of the sky a mesh's vertices and the ground about it see, measured once for all colours of sky."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.render._surface import Merged
from huddle3d.render._visibility import ShadowMaps, sphere_directions
from huddle3d.render.lights import ShadeConfig

__all__ = ["SkyView"]

AMBIENT_SIZE = 192
"""Side of the shadow maps that measure ambient occlusion [px]."""
GROUND_GRID = 192
"""Side of the grid on which the ground's ambient light is measured."""


@dataclass(frozen=True)
class SkyView:
    """Cosine-weighted visibility of the sky's directions."""

    directions: Float[Tensor, "d 3"]
    maps: ShadowMaps | None
    """One map per direction; none: nothing blocks."""
    vertices: Float[Tensor, "v d"]
    """Of the mesh's vertices."""
    grids: dict[float, Tensor] = field(default_factory=dict, compare=False, repr=False)
    """Of the ground, by its height; filled as needed."""

    @staticmethod
    def of(merged: Merged, count: int) -> SkyView:
        """Measure ``count`` directions; 0 turns occlusion off."""
        directions = sphere_directions(count or 40).to(merged.vertices)
        if not count or not len(merged.faces):
            return SkyView(directions, None, (merged.normals @ directions.T).clamp_min(0))
        maps = ShadowMaps.render(merged.vertices, merged.faces, directions, AMBIENT_SIZE)
        return SkyView(directions, maps, maps.weights(merged.vertices, merged.normals, directions))

    def colours(self, config: ShadeConfig) -> Float[Tensor, "d 3"]:
        """Light of each direction, such that weights times colours is 1 where a white sky is seen whole."""
        d = self.directions
        above = (d[:, 1:2] * 1.5 + 0.5).clamp(0, 1)
        light = torch.lerp(d.new_tensor(config.bounce), d.new_tensor(config.sky), above) * config.ambient
        if config.glow is not None:
            towards = torch.nn.functional.normalize(d.new_tensor(config.glow.direction), dim=0)
            lobe = (d @ towards).clamp_min(0) ** 3
            facing = (4 / len(d)) * (lobe * (d @ towards).clamp_min(0)).sum()  # what a surface gets that faces the middle of the lobe
            light = light + lobe[:, None] / facing * d.new_tensor(config.glow.colour) * config.glow.intensity
        return 4 / len(d) * light

    def open_ground(self, config: ShadeConfig) -> Float[Tensor, "3"]:
        """Ambient light of level ground that sees the whole sky."""
        return self.directions[:, 1].clamp_min(0) @ self.colours(config)

    def ground(self, height: float, config: ShadeConfig) -> tuple[Float[Tensor, "grid grid 3"], float]:
        """Ambient light on a square of ground about the scene (rows along z, columns along x), and half of its side.

        A cell is about 2 cm wide, for the shadow under a shoe; towards the border the ground sees the whole sky.
        """
        if self.maps is None:
            return self.open_ground(config)[None, None], 1.0
        half = 2 * self.maps.radius
        if height not in self.grids:
            axis = ((torch.arange(GROUND_GRID, device=self.directions.device) + 0.5) / GROUND_GRID * 2 - 1) * half
            z, x = torch.meshgrid(axis + self.maps.centre[2], axis + self.maps.centre[0], indexing="ij")
            points = torch.stack([x, torch.full_like(x, height), z], -1).reshape(-1, 3)
            up = points.new_tensor([0.0, 1, 0]).expand_as(points)
            # the ground is in no map, so its points need no lift off themselves
            weights, free = self.maps.weights(points - self.maps.lift * up, up, self.directions), self.directions[:, 1].clamp_min(0)
            far = (torch.stack([x - self.maps.centre[0], z - self.maps.centre[2]], -1).norm(dim=-1) / half).reshape(-1, 1)
            fade = ((far - 0.6) / 0.38).clamp(0, 1)  # the border sees the whole sky: beyond it nothing is known
            self.grids[height] = torch.lerp(weights, free.expand_as(weights), fade * fade * (3 - 2 * fade))
        return (self.grids[height] @ self.colours(config)).reshape(GROUND_GRID, GROUND_GRID, 3), half
