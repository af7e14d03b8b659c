"""Which points see a light: shadow maps of many directions, used for shadows and for ambient occlusion."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.compute import kernel_backend, launch_rows, warp
from huddle3d.geometry import Camera, look_at
from huddle3d.render._corners import corners
from huddle3d.render.raster import depth_buffer

__all__ = ["ShadowMaps", "disc", "sphere_directions"]


def sphere_directions(count: int) -> Float[Tensor, "count 3"]:
    """Evenly spread unit vectors (Fibonacci spiral)."""
    k = torch.arange(count, dtype=torch.float64) + 0.5
    y = 1 - 2 * k / count
    r, angle = (1 - y * y).sqrt(), k * math.pi * (3 - math.sqrt(5))
    return torch.stack([r * torch.cos(angle), y, r * torch.sin(angle)], -1).float()


def disc(taps: int) -> Float[Tensor, "taps 2"]:
    """Evenly spread places in the unit disc; one tap is its centre."""
    k = torch.arange(taps, dtype=torch.float32)
    radius = ((k + 0.5) / taps).sqrt() if taps > 1 else torch.zeros(1)
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
        return ShadowMaps(camera, depth_buffer(vertices, faces, camera), centre, radius)

    def lit(
        self,
        light: int,
        points: Float[Tensor, "n 3"],
        normals: Float[Tensor, "n 3"],
        *,
        softness: float = 0.0,
        taps: int = 1,
        size_deg: float = 0.0,
        turn: Float[Tensor, "n"] | None = None,
    ) -> Float[Tensor, "n"]:
        """Visible fraction of a light at surface points: depth comparisons over a disc of ``softness`` times the radius.

        Points outside the map are lit. Points are lifted along their normals by 1.5 texels so that surfaces do not shade themselves.

        Args:
            light: which map.
            points: world.
            normals: unit.
            softness: radius of the shadow's edge, as a fraction of :attr:`radius`.
            taps: depth comparisons.
            size_deg: angle under which the light is seen [deg]; more than 0: the edge grows with the distance from what blocks (and ``softness``
                is not used).
            turn: angle [rad] by which the disc of each point is turned, which trades bands for noise; used with ``size_deg``.
        """
        soft = self.soft(softness, size_deg)
        places, turn = disc(taps).to(points), torch.zeros(1).to(points) if turn is None else turn
        if kernel_backend() == "torch":
            return self._lit_torch(light, points + self.lift * normals, normals, places, soft, turn)
        from huddle3d.render._visibility_kernels import CHUNK, lit_fraction

        wp = warp()
        out = torch.zeros(len(points), dtype=torch.float32, device=points.device)
        inputs = [wp.from_torch(t.contiguous(), dtype=wp.vec3f) for t in (points, normals)]
        inputs += [wp.from_torch(self.rows, dtype=wp.vec4f), light, wp.from_torch(self.depth), wp.from_torch(places, dtype=wp.vec2f)]
        inputs += [*soft, wp.from_torch(turn.contiguous()), self.lift, self.fade, wp.from_torch(out)]
        launch_rows(lit_fraction, -(-len(points) // CHUNK), CHUNK, inputs, points.device)
        return out

    @property
    def texel(self) -> float:
        """Side of a map's pixel [world units]."""
        return 2.04 * self.radius / self.depth.shape[-1]

    @property
    def lift(self) -> float:
        """Points are moved off their surface by this before they are looked up [world units]."""
        return 1.5 * self.texel

    @property
    def fade(self) -> float:
        """Difference of depth from nothing to full shadow [world units]."""
        return 2 * self.texel

    def soft(self, softness: float, size_deg: float) -> tuple[float, float, float]:
        """Disc of a light in pixels: its radius, or its growth per unit of depth and the radius in which blockers are looked for."""
        spread = math.tan(math.radians(size_deg) / 2) / self.texel
        return softness * self.radius / self.texel, spread, min(max(spread * self.radius, 1.5), 0.12 * self.depth.shape[-1])

    def weights(
        self, points: Float[Tensor, "n 3"], normals: Float[Tensor, "n 3"], directions: Float[Tensor, "lights 3"]
    ) -> Float[Tensor, "n lights"]:
        """``max(0, normal · direction) * lit`` for each map; one depth comparison each."""
        if kernel_backend() == "torch":
            lifted = points + self.lift * normals
            single = torch.zeros(1, 2).to(points), (0.0, 0.0, 0.0), torch.zeros(1).to(points)
            return torch.stack([(normals @ d).clamp_min(0) * self._lit_torch(k, lifted, normals, *single) for k, d in enumerate(directions)], -1)
        from huddle3d.render._visibility_kernels import CHUNK, sky_weights

        wp = warp()
        out = torch.zeros(len(points), len(directions), dtype=torch.float32, device=points.device)
        inputs = [wp.from_torch(t.contiguous(), dtype=wp.vec3f) for t in (points, normals)]
        inputs += [wp.from_torch(self.rows, dtype=wp.vec4f), wp.from_torch(self.depth), wp.from_torch(directions.contiguous(), dtype=wp.vec3f)]
        launch_rows(sky_weights, -(-len(points) // CHUNK), CHUNK, [*inputs, self.lift, self.fade, wp.from_torch(out)], points.device)
        return out

    def gather(
        self, points: Float[Tensor, "n 3"], normals: Float[Tensor, "n 3"], directions: Float[Tensor, "lights 3"], colours: Float[Tensor, "lights 3"]
    ) -> Float[Tensor, "n 3"]:
        """Sum over the lights of ``colour * max(0, normal · direction) * lit``; one depth comparison per light."""
        return self.weights(points, normals, directions) @ colours

    @functools.cached_property
    def rows(self) -> Float[Tensor, "lights 3 4"]:
        """The projections ``(x, y, z, 1) -> (u, v, depth)``."""
        eye = torch.eye(3, dtype=self.depth.dtype, device=self.depth.device)
        image = corners(torch.cat([eye, torch.zeros_like(eye[:1])]), self.camera)[..., [0, 1, 3]]
        return torch.cat([image[:, :3] - image[:, 3:], image[:, 3:]], 1).transpose(1, 2).contiguous()

    def _lit_torch(
        self, light: int, points: Tensor, normals: Tensor, places: Float[Tensor, "taps 2"], soft: tuple[float, float, float], turn: Tensor
    ) -> Float[Tensor, "n"]:
        """The kernel's plain twin."""
        u, v, z = (points @ self.rows[light, :, :3].T + self.rows[light, :, 3]).unbind(-1)
        flat, (reach, spread, search) = self.depth[light].flatten(), soft
        size = self.depth.shape[-1]

        def depth_at(x: Tensor, y: Tensor) -> Tensor:
            x, y = x.floor(), y.floor()
            inside = (x >= 0) & (y >= 0) & (x < size) & (y < size)
            return torch.where(inside, flat[(y * size + x).where(inside, 0).long()], torch.inf)

        def blocked(x: Tensor, y: Tensor, at: Tensor) -> Tensor:
            return ((at - depth_at(x, y)) / self.fade).clamp(0, 1)

        if spread <= 0:
            return 1 - torch.stack([blocked(u + reach * d[0], v + reach * d[1], z) for d in places]).mean(0)
        steep = (normals @ self.rows[light, 2, :3]).clamp_max(-0.25)
        gu, gv = (-(normals @ self.rows[light, k, :3]) / steep * self.texel**2 for k in (0, 1))
        c, s = torch.cos(turn), torch.sin(turn)
        turned = [(c * d[0] - s * d[1], s * d[0] + c * d[1]) for d in places]
        found, total = torch.zeros_like(z), torch.zeros_like(z)
        for du, dv in turned:
            d = depth_at(u + search * du, v + search * dv) - search * (gu * du + gv * dv)
            nearer = d < z - self.fade
            found, total = found + nearer, total + d.where(nearer, 0)
        wide = (spread * (z - total / found.clamp_min(1))).clamp(0.7, search)
        taps = [blocked(u + wide * du, v + wide * dv, z + wide * (gu * du + gv * dv)) for du, dv in turned]
        mixed = torch.where(found > 0, torch.stack(taps).mean(0), blocked(u, v, z))
        return 1 - torch.where(found == len(places), 1.0, mixed)
