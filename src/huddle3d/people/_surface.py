"""What a surface network is given of each person, and what its answer means: normals and depth in the person's window of the photo."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.geometry import Camera, vertex_normals
from huddle3d.people._filters import fill_background
from huddle3d.people._frame import person_crops
from huddle3d.people._targets import cut, mask_points
from huddle3d.people._views import smooth_normals
from huddle3d.render import rasterize
from huddle3d.scene import Photo

__all__ = ["RELIEF_M", "SurfaceWindows", "WindowSurface", "mask_logits", "predicted_normals", "surface_windows", "understand"]

RELIEF_M = 0.1
"""Unit of the relief in front of the body [m]."""
_DEPTH_M = 0.3
"""Unit of the body's own relief [m]."""
_TO_OPENCV = (1.0, -1.0, -1.0)


@dataclass(frozen=True)
class SurfaceWindows:
    """The inputs of the network, one window per person."""

    inputs: Float[Tensor, "K 10 S S"]
    """Maps in the order of :data:`huddle3d.networks.SURFACE_INPUTS`."""
    depth: Float[Tensor, "K S S"]
    """Camera z of the fitted body [m], continued outside of it by the nearest value; 0 where a window shows no body."""
    cameras: Camera
    """Of the windows, batch K."""
    windows: tuple[tuple[int, int, int], ...]
    """``(x0, y0, side)`` of each window in the photo [px]."""


@dataclass(frozen=True)
class WindowSurface:
    """What the network saw of each person."""

    normals: Float[Tensor, "K S S 3"]
    """Unit vectors, camera axes (OpenCV: x right, y down, z forward)."""
    depth: Float[Tensor, "K S S"]
    """Camera z [m]; relative to the body's, so its scale is the body's."""
    mask: Float[Tensor, "K S S"]
    """Probability that the pixel shows this person."""


def surface_windows(
    photo: Photo, masks: Bool[Tensor, "K H W"], camera: Camera, vertices: Float[Tensor, "K V 3"], faces: Int[Tensor, "F 3"], size: int
) -> SurfaceWindows:
    """Cut out each person and render the fitted body into the same window.

    Args:
        photo: the picture.
        masks: visible pixels of each person; disjoint.
        camera: the input camera in the frame of ``vertices``; its depths metric.
        vertices: fitted bodies.
        faces: of one body.
        size: side of the windows [px].
    """
    cameras, windows = person_crops(camera, torch.stack([mask_points(m, camera, v) for m, v in zip(masks, vertices)]), size)
    raster = rasterize(vertices, faces, cameras)
    normals = smooth_normals(raster, faces, vertex_normals(vertices, faces))
    # the camera's frame may be scaled against that of the vertices (canonical units): only the direction counts
    turn = torch.nn.functional.normalize(camera.T_cam_world[:3, :3], dim=-1).to(normals) * normals.new_tensor(_TO_OPENCV)[:, None]
    image, everybody = photo.image.permute(2, 0, 1).to(vertices), masks.any(0)
    rows, depths = [], []
    for k, mask in enumerate(masks):
        stack = torch.cat([image, mask[None].float(), (everybody & ~mask)[None].float()])
        seen = cut(stack, windows[k], size)
        body = raster.face_id[k] >= 0
        depth = raster.depth[k].detach()
        middle = depth[body].median() if bool(body.any()) else depth.new_zeros(())
        relief = torch.where(body, ((depth - middle) / _DEPTH_M).clamp(-1, 1), 0.0)
        facing = torch.where(body[..., None], normals[k] @ turn.T, 0.0).permute(2, 0, 1)
        rows.append(torch.cat([seen[:3] - 0.5, seen[3:], facing, body[None].float(), relief[None]]))
        depths.append(fill_background(depth * body))
    return SurfaceWindows(torch.stack(rows), torch.stack(depths), cameras, tuple(windows))


def predicted_normals(outputs: Float[Tensor, "K 5 S S"], inputs: Float[Tensor, "K 10 S S"]) -> Float[Tensor, "K S S 3"]:
    """Unit normals (x right, y up, z towards the camera): the body's plus the network's difference.

    Beside the body the sum starts from a tenth of the camera's direction: there the network decides.
    """
    towards = outputs.new_tensor([0.0, 0.0, 0.1])[:, None, None]
    base = torch.where(inputs[:, 8:9] > 0.5, inputs[:, 5:8], towards)
    return torch.nn.functional.normalize(base + outputs[:, :3], dim=1).permute(0, 2, 3, 1)


def mask_logits(outputs: Float[Tensor, "K 5 S S"], inputs: Float[Tensor, "K 10 S S"]) -> Float[Tensor, "K S S"]:
    """Log odds that a pixel shows the person: of the given mask (at most 49 : 1) plus the network's."""
    return torch.logit(inputs[:, 3].clamp(0.02, 0.98)) + outputs[:, 4]


def understand(outputs: Float[Tensor, "K 5 S S"], windows: SurfaceWindows) -> WindowSurface:
    """Raw outputs as normals, depth and mask."""
    normals = predicted_normals(outputs, windows.inputs) * outputs.new_tensor(_TO_OPENCV)
    depth = windows.depth - RELIEF_M * outputs[:, 3]
    return WindowSurface(normals, depth, torch.sigmoid(mask_logits(outputs, windows.inputs)))
