"""The canonical frame: one similarity for the whole group (HUG3D section 3.1, A.2)."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.geometry import Camera, inverse, rotation_y, similarity

__all__ = ["camera_in_frame", "canonical_frame", "person_crops"]


def canonical_frame(vertices: Float[Tensor, "K V 3"], camera: Camera, *, padding: float) -> Float[Tensor, "4 4"]:
    """``T_canon_world``: the group's centre to the origin, its size to [-1, 1]³, the input camera's heading to the front view.

    The world is upright already, so only a turn about y is left: view 0 keeps the input azimuth. The size is the larger of the height and
    the diameter of the upright cylinder around the group (not the largest side of its box, as the paper has it): only then do
    all six views, the oblique ones too, show everything.

    Args:
        vertices: all bodies, world [m].
        camera: the input camera (unbatched).
        padding: share of the size that is added for clothes and hair.

    Degenerate: if the camera looks straight up or down, its image-up direction gives the heading.
    """
    forward, up = camera.T_world_cam[:3, 2], -camera.T_world_cam[:3, 1]
    level = forward if forward[[0, 2]].norm() > 1e-3 * forward.norm() else up
    # the front camera looks along -z: turn the heading (x, z) onto (0, -1)
    R = rotation_y(torch.atan2(level[0], -level[2])).to(vertices)
    points = vertices.reshape(-1, 3) @ R.T
    low, high = points.amin(0), points.amax(0)
    centre = (low + high) / 2
    radius = (points - centre)[:, [0, 2]].norm(dim=-1).max()
    half = torch.maximum((high - low)[1] / 2, radius).clamp_min(1e-6) * (1 + padding)
    return similarity(1 / half, R, -centre / half)


def camera_in_frame(camera: Camera, T_canon_world: Float[Tensor, "4 4"]) -> Camera:
    """The input camera for canonical points; its depths stay metric, because the similarity is folded into ``T_cam_world``."""
    return replace(camera, T_cam_world=camera.T_cam_world @ inverse(T_canon_world))


def person_crops(camera: Camera, points: Float[Tensor, "K n 3"], size: int, *, margin: float = 0.1) -> tuple[Camera, list[tuple[int, int, int]]]:
    """One square window of the input camera around each person, all of one size.

    Args:
        camera: the input camera, in the frame of ``points``.
        points: what each window must show.
        size: side of the windows after scaling [px].
        margin: share of the side that is added all around.

    Returns:
        Camera of batch K, and each window's ``(x0, y0, side)`` in pixels of the photo (it may leave the photo).
    """
    windows, K = [], []
    for person in points:
        uv, depth = camera.project(person)
        uv = uv[depth > 1e-3]
        uv = torch.stack([uv[:, 0].clamp(-camera.width, 2 * camera.width), uv[:, 1].clamp(-camera.height, 2 * camera.height)], -1)
        low, high = uv.amin(0), uv.amax(0)
        side = max(8, int(torch.ceil((high - low).max() * (1 + 2 * margin))))
        x0, y0 = (int(c) - side // 2 for c in (low + high) / 2)
        windows.append((x0, y0, side))
        K.append(camera.cropped(x0, y0, side, side).resized(size, size).K)
    T = camera.T_cam_world.expand(len(points), 4, 4).contiguous()
    return Camera(camera.kind, torch.stack(K), T, size, size), windows
