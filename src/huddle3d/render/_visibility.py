"""Which points see a light: shadow maps of many directions, used for shadows and for ambient occlusion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.compute import kernel_backend, launch_rows, warp
from huddle3d.geometry import Camera, look_at
from huddle3d.render._corners import corners
from huddle3d.render.raster import rasterize

__all__ = ["ShadowMaps", "sphere_directions"]


def sphere_directions(count: int) -> Float[Tensor, "count 3"]:
    """Evenly spread unit vectors (Fibonacci spiral)."""
    k = torch.arange(count, dtype=torch.float64) + 0.5
    y = 1 - 2 * k / count
    r, angle = (1 - y * y).sqrt(), k * math.pi * (3 - math.sqrt(5))
    return torch.stack([r * torch.cos(angle), y, r * torch.sin(angle)], -1).float()


def _disc(reach: float, taps: int) -> Float[Tensor, "taps 2"]:
    """Evenly spread offsets in a disc [px]; one tap is its centre."""
    k = torch.arange(taps, dtype=torch.float32)
    radius = reach * ((k + 0.5) / taps).sqrt() if taps > 1 else torch.zeros(1)
    angle = k * math.pi * (3 - math.sqrt(5))
    return radius[:, None] * torch.stack([torch.cos(angle), torch.sin(angle)], -1)


@dataclass(frozen=True)
class ShadowMaps:
    """Depth maps of a mesh from orthographic cameras, one per light direction."""

    camera: Camera
    depth: Float[Tensor, "lights size size"]
    """Camera depth, infinite where nothing is."""
    centre: Float[Tensor, "3"]
    """Of the mesh's bounding box."""
    radius: float
    """Of the sphere around the centre that holds the mesh."""

    @staticmethod
    def render(vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "f 3"], directions: Float[Tensor, "lights 3"], size: int) -> ShadowMaps:
        """Maps in the given directions (towards the light, unit length)."""
        centre = (vertices.amin(0) + vertices.amax(0)) / 2
        radius = max(float((vertices - centre).norm(dim=-1).max()), 1e-6)
        directions = directions.to(vertices)
        T = look_at(centre + 2 * radius * directions, centre.expand_as(directions))
        camera = Camera.orthographic(1.02 * radius, size, size, T)
        depth = rasterize(vertices, faces, camera).depth
        return ShadowMaps(camera, torch.where(depth > 0, depth, torch.inf), centre, radius)

    def lit(
        self, light: int, points: Float[Tensor, "n 3"], normals: Float[Tensor, "n 3"], *, softness: float = 0.0, taps: int = 1
    ) -> Float[Tensor, "n"]:
        """Visible fraction of a light at surface points: depth comparisons over a disc of ``softness`` times the radius.

        Points outside the map are lit. Points are lifted along their normals by 1.5 texels so that surfaces do not shade themselves.
        """
        texel = 2.04 * self.radius / self.depth.shape[-1]
        offsets = _disc(softness * self.radius / texel, taps).to(points)
        lift, fade = 1.5 * texel, 2 * texel
        if kernel_backend() == "torch":
            return self._lit_torch(light, points + lift * normals, offsets, fade)
        from huddle3d.render._visibility_kernels import CHUNK, lit_fraction

        wp = warp()
        out = torch.zeros(len(points), dtype=torch.float32, device=points.device)
        inputs = [wp.from_torch(t.contiguous(), dtype=wp.vec3f) for t in (points, normals)]
        inputs += [wp.from_torch(self._rows()[light], dtype=wp.vec4f), wp.from_torch(self.depth[light]), wp.from_torch(offsets, dtype=wp.vec2f)]
        launch_rows(lit_fraction, -(-len(points) // CHUNK), CHUNK, [*inputs, lift, fade, wp.from_torch(out)], points.device)
        return out

    def gather(
        self, points: Float[Tensor, "n 3"], normals: Float[Tensor, "n 3"], directions: Float[Tensor, "lights 3"], colours: Float[Tensor, "lights 3"]
    ) -> Float[Tensor, "n 3"]:
        """Sum over the lights of ``colour * max(0, normal · direction) * lit``; one depth comparison per light."""
        texel = 2.04 * self.radius / self.depth.shape[-1]
        lift, fade = 1.5 * texel, 2 * texel
        if kernel_backend() == "torch":
            lifted, centre = points + lift * normals, torch.zeros(1, 2).to(points)
            weights = [(normals @ d).clamp_min(0) * self._lit_torch(k, lifted, centre, fade) for k, d in enumerate(directions)]
            return torch.stack(weights, -1) @ colours
        from huddle3d.render._visibility_kernels import CHUNK, ambient_light

        wp = warp()
        out = torch.zeros_like(points)
        inputs = [wp.from_torch(t.contiguous(), dtype=wp.vec3f) for t in (points, normals)]
        inputs += [wp.from_torch(self._rows(), dtype=wp.vec4f), wp.from_torch(self.depth)]
        inputs += [wp.from_torch(t.contiguous(), dtype=wp.vec3f) for t in (directions, colours)]
        launch_rows(ambient_light, -(-len(points) // CHUNK), CHUNK, [*inputs, lift, fade, wp.from_torch(out, dtype=wp.vec3f)], points.device)
        return out

    def _rows(self) -> Float[Tensor, "lights 3 4"]:
        """The projections ``(x, y, z, 1) -> (u, v, depth)``."""
        eye = torch.eye(3, dtype=self.depth.dtype, device=self.depth.device)
        image = corners(torch.cat([eye, torch.zeros_like(eye[:1])]), self.camera)[..., [0, 1, 3]]
        return torch.cat([image[:, :3] - image[:, 3:], image[:, 3:]], 1).transpose(1, 2).contiguous()

    def _lit_torch(self, light: int, points: Float[Tensor, "n 3"], offsets: Float[Tensor, "taps 2"], fade: float) -> Float[Tensor, "n"]:
        """The kernel's plain twin."""
        uv, z = self.camera[light].project(points)
        size, flat, blocked = self.depth.shape[-1], self.depth[light].flatten(), torch.zeros_like(z)
        for offset in offsets:
            at = (uv + offset).floor()
            inside = ((at >= 0) & (at < size)).all(-1)
            index = (at[:, 1] * size + at[:, 0]).where(inside, 0).long()
            blocked += ((z - flat[index]) / fade).clamp(0, 1).where(inside, 0)
        return 1 - blocked / len(offsets)
