"""Shaded pictures: direct lights with soft shadows, ambient light with occlusion, highlights, a ground plane, any background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.compute import kernel_backend
from huddle3d.errors import InputError, ShapeError
from huddle3d.geometry import Camera, sample_image
from huddle3d.render._colour import linear_from_srgb, srgb_from_linear
from huddle3d.render._corners import corners
from huddle3d.render._lamps import Lamps
from huddle3d.render._sky import SkyView
from huddle3d.render._surface import Merged, Samples, merge, view_directions, visible_samples
from huddle3d.render._visibility import ShadowMaps
from huddle3d.render.lights import RenderMesh, ShadeConfig
from huddle3d.render.raster import rasterize

__all__ = ["LitScene", "shade"]


@dataclass(frozen=True)
class LitScene:
    """Meshes whose view of the sky is known, so that many cameras and lights can be rendered at the cost of the direct lights alone."""

    merged: Merged
    config: ShadeConfig
    sky: SkyView
    """What the vertices see of the sky."""
    ambient: Float[Tensor, "v 3"]
    """Ambient light that arrives at each vertex, as a fraction of display white."""
    cast: dict[tuple[float, ...], ShadowMaps] = field(default_factory=dict, compare=False, repr=False)
    """Shadow maps of the last lights."""

    @staticmethod
    @torch.no_grad()
    def prepare(meshes: Sequence[RenderMesh], config: ShadeConfig) -> LitScene:
        """Merge the meshes and measure how much of the sky each vertex sees."""
        merged = merge(meshes)
        sky = SkyView.of(merged, config.ambient_directions)
        return LitScene(merged, config, sky, sky.vertices @ sky.colours(config))

    @torch.no_grad()
    def relit(self, config: ShadeConfig, *, specular: float | Float[Tensor, "v"] | None = None) -> LitScene:
        """The same meshes under other lights; the number of ambient directions stays.

        Args:
            config: lights and quality.
            specular: strength of the highlights of all vertices, instead of the meshes' own.
        """
        if config.ambient_directions != self.config.ambient_directions:
            raise InputError("A scene that is lit anew keeps its number of ambient directions.", next_step="Prepare it again for another number.")
        merged = self.merged
        if specular is not None:
            gloss = merged.gloss.clone()
            gloss[:, 0] = specular
            merged = replace(merged, gloss=gloss)
        return LitScene(merged, config, self.sky, self.sky.vertices @ self.sky.colours(config), self.cast)

    def render(self, camera: Camera, background: Float[Tensor, "height width 3"] | None = None) -> Float[Tensor, "height width 3"]:
        """The picture of one camera, sRGB in [0, 1]; arguments as for :func:`shade`."""
        camera = self._single(camera)
        return srgb_from_linear(self.render_linear(camera, _background(self.config, background, camera)))

    @torch.no_grad()
    def render_linear(self, camera: Camera, background: Float[Tensor, "height width 3"]) -> Float[Tensor, "height width 3"]:
        """The picture in linear light, over a background in linear light; surfaces stay below 1."""
        camera, step = self._single(camera), self.config.supersample
        canvas = background.to(self.merged.vertices).clone(memory_format=torch.contiguous_format)
        if canvas.shape != (camera.height, camera.width, 3):
            raise ShapeError("background", canvas.shape, (camera.height, camera.width, 3))
        if len(self.merged.faces) == 0:
            return canvas
        fine = camera.resized(camera.width * step, camera.height * step)
        lamps = Lamps.of(self.config.lights, camera, self.merged, self.config.shadow_size, self.cast)
        if kernel_backend() == "warp":
            self._draw_warp(canvas, camera, fine, lamps)
            return canvas
        raster = rasterize(self.merged.vertices, self.merged.faces, fine)
        if self.config.ground is not None:
            self._draw_ground(canvas, camera, raster.face_id[0], lamps)
        self._draw_surfaces(canvas, fine, raster.face_id[0], raster.bary[0], lamps)
        return canvas

    def _draw_warp(self, canvas: Tensor, camera: Camera, fine: Camera, lamps: Lamps) -> None:
        from huddle3d.render._raster_warp import scan_warp
        from huddle3d.render._shading_warp import ground_warp, surfaces_warp

        corner = corners(self.merged.vertices, fine).contiguous()
        key = scan_warp(corner, self.merged.faces32, fine.width, fine.height)[0]
        if self.config.ground is not None:
            place, ambient, albedo = self._ground()
            ground_warp(canvas, key, camera.ray_maps(), place, ambient, lamps, albedo, self.config.exposure)
        surfaces_warp(canvas, key, corner[0], self.merged, self.ambient, lamps, fine, wrap=self.config.wrap, exposure=self.config.exposure)

    def _ground(self) -> tuple[tuple[float, Tensor, float], tuple[Tensor, Tensor, float], Tensor | None]:
        """Height of the ground, centre and radius of the scene; ambient light on it; its albedo."""
        config, v = self.config, self.merged.vertices
        assert config.ground is not None
        centre = (v.amin(0) + v.amax(0)) / 2
        place = config.ground, centre, max(float((v - centre).norm(dim=-1).max()), 1e-6)
        ambient = self.sky.open_ground(config), *self.sky.ground(config.ground, config)
        return place, ambient, None if config.ground_albedo is None else linear_from_srgb(v.new_tensor(config.ground_albedo))

    def _single(self, camera: Camera) -> Camera:
        camera = camera.batched()
        if len(camera.K) != 1:
            raise ShapeError("camera.K", camera.K.shape, (1, 3, 3))
        return camera[0].to(torch.float32).to(self.merged.vertices.device)

    def _draw_surfaces(self, canvas: Tensor, fine: Camera, face_id: Tensor, bary: Tensor, lamps: Lamps) -> None:
        samples, step = visible_samples(self.merged, face_id, bary, fine), self.config.supersample
        light = torch.zeros(fine.height * fine.width, 3).to(canvas)
        light[samples.pixel] = _shoulder(self._radiance(samples, fine, lamps) * self.config.exposure)
        height, width = canvas.shape[:2]
        covered = (face_id >= 0).reshape(height, step, width, step).sum((1, 3))[..., None] / step**2
        canvas.copy_(canvas * (1 - covered) + light.reshape(height, step, width, step, 3).mean((1, 3)))

    def _radiance(self, s: Samples, camera: Camera, lamps: Lamps) -> Tensor:
        """Light that leaves the samples towards the viewer (linear): the kernel's plain twin."""
        toward, turn = view_directions(camera, s.position), _turns(s.pixel, camera.width)
        facing = (s.normal * toward).sum(-1).clamp(0, 1)
        ambient = s.of_vertices(self.ambient)
        # the sky's own reflection: stronger at grazing angles (Schlick's Fresnel term), dimmed where the ambient light is
        mirror = 0.04 + 0.96 * (1 - facing) ** 5
        out = s.albedo * ambient + (0.35 * s.specular * mirror)[:, None] * ambient
        for index, (direction, colour) in enumerate(zip(lamps.direction, lamps.colour)):
            cosine = (s.normal * direction).sum(-1)
            diffuse = ((cosine + self.config.wrap) / (1 + self.config.wrap)).clamp_min(0)
            half = torch.nn.functional.normalize(toward + direction, dim=-1)
            fresnel = 0.04 + 0.96 * (1 - (half * toward).sum(-1).clamp(0, 1)) ** 5
            lobe = (s.shininess + 8) / 8 * (s.normal * half).sum(-1).clamp_min(0) ** s.shininess
            highlight = s.specular * fresnel * lobe * cosine.clamp_min(0)
            seen = lamps.seen(index, s.position, s.normal, turn)
            out = out + (s.albedo * diffuse[:, None] + highlight[:, None]) * seen[:, None] * colour
        return out

    def _draw_ground(self, canvas: Tensor, camera: Camera, face_id: Int[Tensor, "fine_h fine_w"], lamps: Lamps) -> None:
        """Shadows on the ground plane, and its colour if it has one, where a pixel is not all surface (in place)."""
        config, v = self.config, self.merged.vertices
        place, ambient, albedo = self._ground()
        height, centre, radius = place
        step, flat = config.supersample, canvas.reshape(-1, 3)
        covered = (face_id >= 0).reshape(len(canvas), step, -1, step).all(3).all(1).flatten()
        start, ahead = camera.ray_maps()
        uv = torch.cat([camera.pixel_centres().reshape(-1, 2), torch.ones(len(flat), 1).to(v)], -1)
        a, d = uv @ start.T, uv @ ahead.T
        slope = torch.where(d[:, 1].abs() < 1e-9, torch.full_like(d[:, 1], 1e-9), d[:, 1])
        z = 1 + (height - a[:, 1]) / slope
        pixel = ((z > 1e-3) & (z < 1e4) & ~covered).nonzero()[:, 0]
        points = a[pixel] + (z[pixel, None] - 1) * d[pixel]
        distance = (points - centre).norm(dim=-1) / radius
        full, got = self._ground_light(points, distance, ambient, lamps, _turns(pixel, camera.width))
        if albedo is None:
            flat[pixel] = flat[pixel] * (got / full.clamp_min(1e-6))
            return
        fade = ((distance - 2.5) / 6).clamp(0, 1)[:, None]
        fade = fade * fade * (3 - 2 * fade)
        flat[pixel] = torch.lerp(_shoulder(albedo * got * config.exposure), flat[pixel], fade)

    def _ground_light(
        self, points: Tensor, distance: Tensor, ambient: tuple[Tensor, Tensor, float], lamps: Lamps, turn: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Light that arrives at ground points without and with the bodies in the way; shadows end at six times the scene's radius."""
        open_sky, grid, half = ambient
        index = (distance < 6).nonzero()[:, 0]
        near, up = points[index], points.new_tensor([0.0, 1, 0])
        full = open_sky.expand_as(points)
        v = self.merged.vertices
        centre = (v.amin(0) + v.amax(0)) / 2
        got = full.clone()
        got[index] = sample_image(grid, ((near - centre)[:, [0, 2]] / half + 1) * (grid.shape[0] / 2))
        for k, (direction, colour) in enumerate(zip(lamps.direction, lamps.colour)):
            arriving = colour * direction[1].clamp_min(0)
            shadow = torch.ones_like(distance)
            shadow[index] = lamps.seen(k, near, up.expand_as(near), turn[index])
            full, got = full + arriving, got + arriving * shadow[:, None]
        return full, got


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


def _turns(pixel: Int[Tensor, "n"], width: int) -> Float[Tensor, "n"]:
    """Angles [rad] that differ between neighbouring pixels as much as can be (interleaved gradient noise, Jimenez 2014)."""
    a = 0.06711056 * (pixel % width).float() + 0.00583715 * (pixel // width).float()
    b = 52.9829189 * (a - a.floor())
    return 6.2831855 * (b - b.floor())


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
