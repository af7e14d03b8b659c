"""Whose body is seen where in the photo: the fitted bodies' instance ids, and what of each would be seen if it stood alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.render import instance_ids, merge_meshes, rasterize
from huddle3d.scene import Bodies

__all__ = ["RenderedIds", "grown", "looked_up", "render_ids"]


@dataclass(frozen=True)
class RenderedIds:
    """Renderings of K bodies in the photo's camera, at a smaller size."""

    ids: Int[Tensor, "h w"]
    """The body nearest to the camera; -1 = none."""
    alone: Bool[Tensor, "K h w"]
    """Where each body is, whether or not another hides it."""
    scale: float
    """Pixels of these pictures per pixel of the photo."""
    joints: Float[Tensor, "K L 2"]
    """The bodies' landmarks in the photo [px]."""
    in_front: Bool[Tensor, "K L"]
    """Landmarks at whose pixel no other body is seen."""
    bones: Float[Tensor, "K L L"]
    """Distances between landmarks of one body [m]."""
    px_per_m: Float[Tensor, "K"]
    """Pixels of the photo per metre at each body."""

    def reach(self, metres: float, person: int) -> int:
        """Whole pixels of these pictures, at least one."""
        return max(1, round(metres * float(self.px_per_m[person]) * self.scale))


def render_ids(bodies: Bodies, faces: Int[Tensor, "F 3"], size: int) -> RenderedIds:
    """Render all bodies together (z-buffered) and each alone.

    Args:
        bodies: K fitted bodies with their camera.
        faces: of one body.
        size: longer side of the pictures [px], at most the photo's.
    """
    camera = bodies.camera
    scale = min(1.0, size / max(camera.width, camera.height))
    small = camera.resized(max(1, round(camera.width * scale)), max(1, round(camera.height * scale)))
    count = len(bodies.names)
    with torch.no_grad():
        vertices, all_faces, owner = merge_meshes([(v, faces) for v in bodies.vertices])
        ids = instance_ids(rasterize(vertices, all_faces, small), owner)[0].long()
        each = replace(small, K=small.K.expand(count, 3, 3), T_cam_world=small.T_cam_world.expand(count, 4, 4))
        alone = rasterize(bodies.vertices, faces, each).face_id >= 0
        joints, depth = camera.project(bodies.landmarks.reshape(-1, 3))
        joints, depth = joints.reshape(count, -1, 2), depth.reshape(count, -1)
        own = torch.stack([looked_up((ids == k) | (ids < 0), joints[k] * scale) for k in range(count)])
        bones = torch.cdist(bodies.landmarks, bodies.landmarks)
        px_per_m = float(camera.K[0, 0]) / depth.mean(-1).clamp_min(0.1)
    return RenderedIds(ids, alone, scale, joints, own & (depth > 0), bones, px_per_m)


def looked_up(mask: Bool[Tensor, "h w"], uv: Float[Tensor, "*n 2"]) -> Bool[Tensor, "*n"]:
    """The mask at points [px of the mask]; false outside."""
    height, width = mask.shape
    inside = (uv >= 0).all(-1) & (uv[..., 0] < width) & (uv[..., 1] < height)
    cell = uv.nan_to_num(0.0).long()
    return mask[cell[..., 1].clamp(0, height - 1), cell[..., 0].clamp(0, width - 1)] & inside


def grown(mask: Bool[Tensor, "*n h w"], radius: int) -> Bool[Tensor, "*n h w"]:
    """The mask and what lies within a square of half side ``radius`` [px] of it."""
    flat = mask.reshape(-1, 1, *mask.shape[-2:]).float()
    return (torch.nn.functional.max_pool2d(flat, 2 * radius + 1, 1, radius) > 0.5).reshape(mask.shape)
