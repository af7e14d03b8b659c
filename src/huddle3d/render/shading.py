"""Shaded pictures: direct lights with soft shadows, ambient light with occlusion, highlights, a ground plane, any background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.errors import ShapeError
from huddle3d.geometry import Camera, sample_image
from huddle3d.render._colour import linear_from_srgb, srgb_from_linear
from huddle3d.render._surface import Merged, Samples, merge, view_directions, visible_samples
from huddle3d.render._visibility import ShadowMaps, sphere_directions
from huddle3d.render.lights import Light, RenderMesh, ShadeConfig
from huddle3d.render.raster import rasterize

__all__ = ["LitScene", "shade"]

AMBIENT_SIZE = 192
"""Side of the shadow maps that measure ambient occlusion [px]."""
SHADOW_TAPS = 12
"""Depth comparisons per shadow test."""
GROUND_GRID = 128
"""Side of the grid on which the ground's ambient light is measured."""


@dataclass(frozen=True)
class LitScene:
    """Meshes whose ambient light is known, so that many cameras can be rendered at the cost of the direct lights alone."""

    merged: Merged
    config: ShadeConfig
    sky: ShadowMaps | None
    """One map per ambient direction."""
    ambient: Float[Tensor, "v 3"]
    """Ambient light that arrives at each vertex, as a fraction of display white."""

    @staticmethod
    @torch.no_grad()
    def prepare(meshes: Sequence[RenderMesh], config: ShadeConfig) -> LitScene:
        """Merge the meshes and measure how much of the sky each vertex sees."""
        merged = merge(meshes)
        count = config.ambient_directions
        sky = ShadowMaps.render(merged.vertices, merged.faces, sphere_directions(count), AMBIENT_SIZE) if count and len(merged.faces) else None
        return LitScene(merged, config, sky, _ambient(sky, merged.vertices, merged.normals, config))

    @torch.no_grad()
    def render(self, camera: Camera, background: Float[Tensor, "height width 3"] | None = None) -> Float[Tensor, "height width 3"]:
        """The picture of one camera, sRGB in [0, 1]; arguments as for :func:`shade`."""
        camera = camera.batched()
        if len(camera.K) != 1:
            raise ShapeError("camera.K", camera.K.shape, (1, 3, 3))
        camera = camera[0].to(torch.float32).to(self.merged.vertices.device)
        step = self.config.supersample
        fine = camera.resized(camera.width * step, camera.height * step)
        base = _background(self.config, background, camera)
        canvas = base.repeat_interleave(step, 0).repeat_interleave(step, 1).reshape(-1, 3)
        if len(self.merged.faces) == 0:
            return srgb_from_linear(base)
        raster = rasterize(self.merged.vertices, self.merged.faces, fine)
        lights = [(light, _world_direction(light, camera)) for light in self.config.lights]
        maps = ShadowMaps.render(
            self.merged.vertices, self.merged.faces, torch.stack([d for _, d in lights] or [torch.zeros(3)]), self.config.shadow_size
        )
        if self.config.ground is not None:
            self._draw_ground(canvas, fine, raster.depth[0].flatten(), lights, maps)
        samples = visible_samples(self.merged, raster, fine)
        canvas[samples.pixel] = _shoulder(self._radiance(samples, fine, lights, maps) * self.config.exposure)
        return srgb_from_linear(canvas.reshape(camera.height, step, camera.width, step, 3).mean((1, 3)))

    def _radiance(self, s: Samples, camera: Camera, lights: list[tuple[Light, Tensor]], maps: ShadowMaps) -> Tensor:
        """Light that leaves the samples towards the viewer (linear)."""
        toward = view_directions(camera, s.position)
        facing = (s.normal * toward).sum(-1).clamp(0, 1)
        ambient = s.of_vertices(self.ambient)
        # the sky's own reflection: stronger at grazing angles (Schlick's Fresnel term), dimmed where the ambient light is
        mirror = 0.04 + 0.96 * (1 - facing) ** 5
        out = s.albedo * ambient + (0.35 * s.specular * mirror)[:, None] * ambient
        for index, (light, direction) in enumerate(lights):
            cosine = (s.normal * direction).sum(-1)
            diffuse = ((cosine + self.config.wrap) / (1 + self.config.wrap)).clamp_min(0)
            half = torch.nn.functional.normalize(toward + direction, dim=-1)
            fresnel = 0.04 + 0.96 * (1 - (half * toward).sum(-1).clamp(0, 1)) ** 5
            lobe = (s.shininess + 8) / 8 * (s.normal * half).sum(-1).clamp_min(0) ** s.shininess
            highlight = s.specular * fresnel * lobe * cosine.clamp_min(0)
            seen = maps.lit(index, s.position, s.normal, softness=light.softness, taps=SHADOW_TAPS) if light.shadow else torch.ones_like(cosine)
            colour = torch.tensor(light.colour, dtype=torch.float32, device=seen.device) * light.intensity
            out = out + (s.albedo * diffuse[:, None] + highlight[:, None]) * seen[:, None] * colour
        return out

    def _draw_ground(self, canvas: Tensor, camera: Camera, depth: Tensor, lights: list[tuple[Light, Tensor]], maps: ShadowMaps) -> None:
        """Shadows on the ground plane, and its colour if it has one, over the background (in place)."""
        assert self.config.ground is not None
        uv = camera.pixel_centres().reshape(-1, 2)
        start, ahead = camera.unproject(uv, torch.ones_like(uv[:, 0])), camera.unproject(uv, torch.full_like(uv[:, 0], 2.0))
        slope = (ahead - start)[:, 1]
        z = 1 + (self.config.ground - start[:, 1]) / torch.where(slope.abs() < 1e-9, torch.full_like(slope, 1e-9), slope)
        seen = (z > 1e-3) & (z < 1e4) & ((depth == 0) | (z < depth))
        pixel = seen.nonzero()[:, 0]
        points = start[pixel] + (z[pixel, None] - 1) * (ahead - start)[pixel]
        distance = (points - maps.centre).norm(dim=-1) / maps.radius
        full, got = self._ground_light(points, distance, lights, maps)
        if self.config.ground_albedo is None:
            canvas[pixel] = canvas[pixel] * (got / full.clamp_min(1e-6))
            return
        albedo = linear_from_srgb(torch.tensor(self.config.ground_albedo, dtype=torch.float32, device=points.device))
        fade = ((distance - 2.5) / 6).clamp(0, 1)[:, None]
        fade = fade * fade * (3 - 2 * fade)
        canvas[pixel] = torch.lerp(_shoulder(albedo * got * self.config.exposure), canvas[pixel], fade)

    def _ground_light(self, points: Tensor, distance: Tensor, lights: list[tuple[Light, Tensor]], maps: ShadowMaps) -> tuple[Tensor, Tensor]:
        """Light that arrives at ground points without and with the bodies in the way; shadows end at six times the scene's radius."""
        up = torch.tensor([0.0, 1, 0], device=points.device)
        index = (distance < 6).nonzero()[:, 0]
        near = points[index]
        full = _ambient(None, points[:1], up[None], self.config).expand_as(points)
        got = full.clone()
        if self.sky is not None:
            got[index] = self._ground_ambient(near, maps)
        for k, (light, direction) in enumerate(lights):
            arriving = torch.tensor(light.colour, dtype=torch.float32, device=points.device) * light.intensity * direction[1].clamp_min(0)
            shadow = torch.ones_like(distance)
            if light.shadow:
                shadow[index] = maps.lit(k, near, up.expand_as(near), softness=light.softness, taps=SHADOW_TAPS)
            full, got = full + arriving, got + arriving * shadow[:, None]
        return full, got

    def _ground_ambient(self, points: Tensor, maps: ShadowMaps) -> Tensor:
        """Ambient light at ground points, measured on a grid around the scene (it is smooth) and interpolated."""
        side, half = GROUND_GRID, 4 * maps.radius
        axis = ((torch.arange(side, device=points.device) + 0.5) / side * 2 - 1) * half
        z, x = torch.meshgrid(axis + maps.centre[2], axis + maps.centre[0], indexing="ij")
        grid = torch.stack([x, torch.full_like(x, float(points[0, 1]) if len(points) else 0.0), z], -1).reshape(-1, 3)
        light = _ambient(self.sky, grid, torch.tensor([0.0, 1, 0], device=points.device).expand_as(grid), self.config)
        uv = ((points - maps.centre)[:, [0, 2]] / half + 1) * (side / 2)
        return sample_image(light.reshape(side, side, 3), uv)


def shade(
    meshes: Sequence[RenderMesh],
    camera: Camera,
    config: ShadeConfig | None = None,
    *,
    background: Float[Tensor, "height width 3"] | None = None,
) -> Float[Tensor, "height width 3"]:
    """Render meshes as a picture, sRGB in [0, 1]. Not differentiable; the same inputs give the same bytes on the CPU.

    Pixels that no mesh and no ground shadow touch are the background, unchanged.

    Args:
        meshes: what to draw; an empty list gives the background.
        camera: one camera (unbatched, or a batch of one).
        config: lights, ambient light, ground and quality.
        background: sRGB image of the camera's size to draw over, instead of the config's gradient.
    """
    return LitScene.prepare(meshes, ShadeConfig() if config is None else config).render(camera, background)


def _ambient(sky: ShadowMaps | None, points: Tensor, normals: Tensor, config: ShadeConfig) -> Tensor:
    """Cosine-weighted mean of the sky over the directions that are not blocked; 1 = a white sky seen whole.

    Without maps nothing blocks the sky.
    """
    count = config.ambient_directions or 40
    directions = sphere_directions(count).to(points)
    above = (directions[:, 1:2] * 1.5 + 0.5).clamp(0, 1)
    colours = torch.lerp(torch.tensor(config.bounce).to(points), torch.tensor(config.sky).to(points), above) * config.ambient
    if sky is not None:
        return sky.gather(points, normals, directions, 4 / count * colours)
    return (normals @ directions.T).clamp_min(0) @ (4 / count * colours)


def _world_direction(light: Light, camera: Camera) -> Tensor:
    """Unit vector towards the light in the world."""
    direction = torch.nn.functional.normalize(torch.tensor(light.direction, dtype=torch.float32, device=camera.K.device), dim=0)
    if light.frame == "world":
        return direction
    return camera.T_cam_world[:3, :3].T @ (direction * torch.tensor([1.0, -1.0, -1.0], device=camera.K.device))


def _background(config: ShadeConfig, image: Tensor | None, camera: Camera) -> Tensor:
    """Linear background of the camera's size."""
    if image is None:
        top, bottom = (torch.tensor(c, dtype=torch.float32, device=camera.K.device) for c in config.background)
        image = torch.lerp(top, bottom, torch.linspace(0, 1, camera.height, device=camera.K.device)[:, None, None]).expand(-1, camera.width, -1)
    if image.shape != (camera.height, camera.width, 3):
        raise ShapeError("background", image.shape, (camera.height, camera.width, 3))
    return linear_from_srgb(image.to(camera.K).clamp(0, 1))


def _shoulder(light: Tensor, knee: float = 0.7) -> Tensor:
    """Keeps values up to the knee and bends brighter ones smoothly towards 1, as film does."""
    return torch.where(light <= knee, light, knee + (1 - knee) * (1 - torch.exp(-(light - knee).clamp_min(0) / (1 - knee))))
