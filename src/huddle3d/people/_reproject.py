"""The photo as a coloured point cloud in the canonical frame, splatted into orthographic views (HUG3D section 3.1, eq. 2, A.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.geometry import Camera, sample_image
from huddle3d.people._filters import EdgeFilter, depth_edges, erode, visible_depth
from huddle3d.people._views import group_mesh
from huddle3d.render import instance_ids, rasterize, splat_points

__all__ = ["PointCloud", "paste_photo", "photo_points", "splat_views"]


@dataclass(frozen=True)
class PointCloud:
    """Pixels of the photo on the partial mesh."""

    points: Float[Tensor, "P 3"]
    """Canonical."""
    colours: Float[Tensor, "P 3"]
    """sRGB in [0, 1]."""
    owner: Int[Tensor, "P"]
    """Person of each point."""
    spacing: float
    """Median distance of neighbouring pixels on the surface, canonical units."""


def photo_points(
    image: Float[Tensor, "H W 3"],
    masks: Bool[Tensor, "K H W"],
    camera: Camera,
    vertices: Float[Tensor, "K V 3"],
    faces: Int[Tensor, "F 3"],
    edge_filter: EdgeFilter,
    *,
    max_side: int,
) -> PointCloud:
    """Unproject the pixels that a person's mask and the rendered surface of the same person share, without those near depth edges (filter A).

    The masks are eroded as the rendered foreground is: along an outline a pixel of the photo mixes person and background.

    Args:
        image: the photo.
        masks: visible pixels of each person.
        camera: the input camera for canonical points (metric depth, see ``camera_in_frame``).
        vertices: partial meshes, canonical.
        faces: faces of one body.
        edge_filter: filter A.
        max_side: the photo is sampled at this size at most [px].
    """
    shrink = min(1.0, max_side / max(camera.width, camera.height))
    small = camera.resized(max(1, round(camera.width * shrink)), max(1, round(camera.height * shrink)))
    merged, merged_faces, owner_of_face = group_mesh(vertices, faces)
    raster = rasterize(merged, merged_faces, small)
    ids, depth = instance_ids(raster, owner_of_face)[0], raster.depth[0]
    at_photo = small.pixel_centres() * torch.tensor([camera.width / small.width, camera.height / small.height]).to(image)
    column, row = at_photo[..., 0].long().clamp_max(camera.width - 1), at_photo[..., 1].long().clamp_max(camera.height - 1)
    owned = torch.stack([erode(m, edge_filter.erosion_px) for m in masks[:, row, column]])
    keep = torch.gather(owned, 0, ids.clamp_min(0).long()[None])[0] & (ids >= 0) & ~depth_edges(depth, edge_filter)
    uv = small.pixel_centres()[keep]
    points = small.unproject(uv, depth[keep])
    scale = torch.linalg.det(camera.T_cam_world[:3, :3]).abs().pow(1 / 3)
    footprint = (depth[keep] / small.K[0, 0] if small.is_perspective else torch.ones_like(depth[keep]) / small.K[0, 0]) / scale
    spacing = float(footprint.median()) if len(footprint) else 0.0
    return PointCloud(points, sample_image(image, at_photo[keep]), ids[keep].long(), spacing)


def splat_views(
    cloud: PointCloud,
    select: Bool[Tensor, "P"],
    cameras: Camera,
    views: tuple[int, ...],
    mesh_depth: Float[Tensor, "N H W"],
    tau: float,
) -> tuple[Float[Tensor, "N H W 3"], Bool[Tensor, "N H W"]]:
    """Colours of some of the points in some of the views; z-buffered discs, kept only on the surface that the view sees (filter B).

    Args:
        cloud: the points.
        select: which of them.
        cameras: the canonical cameras.
        views: indices of the views that receive points (the paper: 0°, 45° and 315°); the others stay empty.
        mesh_depth: depth of the mesh in each view, canonical units, 0 = background.
        tau: filter B's threshold, canonical units (S11: 0.02).
    """
    n, height, width = mesh_depth.shape
    rgb, seen = mesh_depth.new_zeros(n, height, width, 3), torch.zeros(n, height, width, dtype=torch.bool, device=mesh_depth.device)
    points, colours = cloud.points[select], cloud.colours[select]
    # a disc must reach its neighbours also where the surface turns away from the photo and its pixels lie √2 apart
    radius = max(0.75, 0.75 * 2**0.5 * cloud.spacing * float(cameras.K[0, 0, 0]))
    for view in views:
        camera = cameras[view]
        uv, z = camera.project(points)
        inside = (uv >= 0).all(-1) & (uv[:, 0] < width) & (uv[:, 1] < height)
        at = uv.long().clamp_min(0)
        surface = mesh_depth[view, at[:, 1].clamp_max(height - 1), at[:, 0].clamp_max(width - 1)]
        keep = inside & visible_depth(surface, z, tau)
        if keep.any():
            image, depth, hit = (out[0] for out in splat_points(points[keep], colours[keep], camera, radius))
            # a disc is wider than its point: filter B once more, for the pixels that it covers
            hit = hit & visible_depth(mesh_depth[view], depth, tau)
            rgb[view], seen[view] = image * hit[..., None], hit
    return rgb, seen


def paste_photo(
    image: Float[Tensor, "H W 3"],
    masks: Bool[Tensor, "K H W"],
    camera: Camera,
    vertices: Float[Tensor, "K V 3"],
    cameras: Camera,
) -> tuple[Float[Tensor, "S N h w 3"], Bool[Tensor, "S N h w"]]:
    """The photo taken for an orthographic picture: shifted and scaled into view 0, all other views empty. What Pers2Ortho replaces.

    One scale for everybody: that of the depth of the people's mean vertex, whose pixel falls on its place in view 0. Neither perspective, nor the
    camera's pitch, nor how far one person stands behind the other is undone.

    Args:
        image: the photo.
        masks: visible pixels of each person.
        camera: the input camera for canonical points (metric depth, see ``camera_in_frame``).
        vertices: bodies, canonical.
        cameras: the canonical cameras, the front one first.

    Returns:
        Colours of the group and of each person (S = 1 + K), and where there are any.
    """
    front, K = cameras[0], len(masks)
    middle = vertices.reshape(-1, 3).mean(0, keepdim=True)
    (at_photo, depth), (at_front, _) = camera.project(middle), front.project(middle)
    metres = torch.linalg.det(camera.T_cam_world[:3, :3]).abs().pow(1 / 3)  # of a canonical unit
    pixels_per_unit = camera.K[0, 0] / (depth if camera.is_perspective else 1) * metres
    uv = at_photo + (front.pixel_centres() - at_front) * (pixels_per_unit / front.K[0, 0])
    inside = (uv >= 0).all(-1) & (uv[..., 0] < camera.width) & (uv[..., 1] < camera.height)
    column, row = uv[..., 0].long().clamp(0, camera.width - 1), uv[..., 1].long().clamp(0, camera.height - 1)
    owned = masks[:, row, column] & inside
    seen = torch.zeros(1 + K, *cameras.batch_shape, front.height, front.width, dtype=torch.bool, device=image.device)
    seen[:, 0] = torch.cat([owned.any(0, keepdim=True), owned])
    return sample_image(image, uv) * seen[..., None], seen
