"""Point clouds to images: every point is a flat disc of constant depth, the nearest one wins."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.compute import kernel_backend, launch_rows, warp
from huddle3d.errors import ShapeError
from huddle3d.geometry import Camera
from huddle3d.render._corners import NEAR
from huddle3d.render._raster_torch import EMPTY

__all__ = ["splat_points"]


def _scan_torch(uvz: Float[Tensor, "views p 3"], radius: Float[Tensor, "p"], key: Int[Tensor, "views h w"]) -> None:
    """The plain twin of the kernel: one scatter per offset inside the largest disc."""
    _, height, width = key.shape
    reach = int(radius.clamp_min(0.5).max().ceil()) if len(radius) else 0
    for view, points in enumerate(uvz):
        index = ((points[:, 2] > NEAR) & torch.isfinite(points).all(-1)).nonzero()[:, 0]
        uv, r = points[index, :2], radius[index]
        word = (points[index, 2].view(torch.int32).long() << 32) | index
        cell = uv.clamp(-reach - 2, max(height, width) + reach + 2).floor()
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                at = cell + torch.tensor([dx, dy], device=uv.device)
                near = (at + 0.5 - uv).square().sum(-1) <= r * r
                hit = (near | (dx == 0 and dy == 0)) & (at >= 0).all(-1) & (at[:, 0] < width) & (at[:, 1] < height)
                pixel = (at[:, 1] * width + at[:, 0]).long()
                key[view].view(-1).scatter_reduce_(0, pixel[hit], word[hit], "amin")


@torch.no_grad()
def splat_points(
    points: Float[Tensor, "p 3"], values: Float[Tensor, "p c"], camera: Camera, radius_px: float | Float[Tensor, "p"] = 1.0
) -> tuple[Float[Tensor, "batch height width c"], Float[Tensor, "batch height width"], Bool[Tensor, "batch height width"]]:
    """Draw world points as z-buffered discs; returns the image, camera depth and which pixels were hit (0 elsewhere). Not differentiable.

    A disc covers the pixels whose centres lie within ``radius_px`` and always the pixel that holds the point, so a radius of 0 draws one pixel.
    At equal depth the smaller index wins. Points nearer than 1e-3 world units, behind the camera or not finite are left out.

    Args:
        points: world positions.
        values: one row per point.
        camera: unbatched (then B = 1) or batched.
        radius_px: one radius for all points or one per point [px].
    """
    if points.ndim != 2 or points.shape[-1] != 3:
        raise ShapeError("points", points.shape, ("P", 3))
    if values.ndim != 2 or len(values) != len(points):
        raise ShapeError("values", values.shape, (len(points), "C"))
    views = camera.batched().to(torch.float32).to(points.device)
    uv, z = views.project(points.float())
    uvz = torch.cat([uv, z[..., None]], -1).contiguous()
    radius = torch.as_tensor(radius_px, dtype=torch.float32, device=points.device).expand(len(points)).contiguous()
    key = torch.full((len(uvz), camera.height, camera.width), EMPTY, dtype=torch.int64, device=points.device)
    if len(points) and kernel_backend() == "warp":
        from huddle3d.render._points_kernels import scan_points
        from huddle3d.render._raster_warp import bands_of

        wp = warp()
        bands = bands_of(len(uvz), camera.height, points.device)
        inputs = [wp.from_torch(uvz, dtype=wp.vec3f), wp.from_torch(radius), NEAR, bands, wp.from_torch(key)]
        launch_rows(scan_points, len(uvz) * bands, len(points), inputs, points.device)
    elif len(points):
        _scan_torch(uvz, radius, key)
    hit = key != EMPTY
    image = torch.zeros(*key.shape, values.shape[-1], dtype=values.dtype, device=values.device)
    image[hit] = values[key[hit] & 0x7FFFFFFF]
    depth = torch.where(hit, (key >> 32).int().view(torch.float32), 0.0)
    return image, depth.to(points.dtype), hit
