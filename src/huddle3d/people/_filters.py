"""The two depth filters of Pers2Ortho and the confidence masks of the texture (HUG3D A.2 and A.5): where a picture can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["EdgeFilter", "confident", "depth_edges", "distance_to", "erode", "fill_background", "nearest_pixel", "visible_depth"]


@dataclass(frozen=True)
class EdgeFilter:
    """Thresholds of the depth-edge filter. The paper gives only the dilation; the others are ours."""

    low_step: float = 0.015
    """Canny's lower threshold as a depth step between neighbouring pixels [m]; such edges count only if they touch a strong one."""
    high_step: float = 0.03
    """Canny's upper threshold [m]: about the depth of a finger, more than the slope of any cloth fold at a usable resolution."""
    erosion_px: int = 3
    """Kernel that erodes the foreground before edges are taken [px]."""
    dilation_px: int = 5
    """Kernel that dilates the edges [px] (paper A.2: 5)."""


def _kernel(size: int) -> np.ndarray:
    import cv2

    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))


def erode(mask: Bool[Tensor, "height width"], kernel_px: int) -> Bool[Tensor, "height width"]:
    """Binary erosion by a disc of this diameter; outside the image counts as foreground, so people cut by the border keep their pixels there."""
    import cv2

    if kernel_px <= 1:
        return mask
    out = cv2.erode(mask.cpu().numpy().astype(np.uint8), _kernel(kernel_px))
    return torch.from_numpy(out > 0).to(mask.device)


def nearest_pixel(mask: Bool[Tensor, "height width"]) -> Int[Tensor, "height width"]:
    """Flat index of the true pixel nearest to each pixel (itself if it is true, or if none is)."""
    from scipy.ndimage import distance_transform_edt

    height, width = mask.shape
    if not bool(mask.any()):
        return torch.arange(height * width, device=mask.device).reshape(height, width)
    indices = np.zeros((2, height, width), dtype=np.int32)
    distance_transform_edt(~mask.cpu().numpy(), return_distances=False, return_indices=True, indices=indices)
    return torch.from_numpy(indices[0].astype(np.int64) * width + indices[1]).to(mask.device)


def distance_to(mask: Bool[Tensor, "height width"]) -> Float[Tensor, "height width"]:
    """Distance of each pixel to the nearest true one [px]; infinite if there is none."""
    from scipy.ndimage import distance_transform_edt

    if not bool(mask.any()):
        return torch.full(mask.shape, torch.inf, device=mask.device)
    distances = np.zeros(mask.shape)
    distance_transform_edt(~mask.cpu().numpy(), distances=distances)
    return torch.from_numpy(distances.astype(np.float32)).to(mask.device)


def fill_background(depth: Float[Tensor, "height width"]) -> Float[Tensor, "height width"]:
    """Depth map with each background pixel (0) given the value of the nearest foreground pixel; unchanged if there is no foreground."""
    return depth.detach().flatten()[nearest_pixel(depth > 0)]


def depth_edges(depth: Float[Tensor, "height width"], config: EdgeFilter) -> Bool[Tensor, "height width"]:
    """Dilated depth discontinuities inside the eroded foreground (filter A).

    Canny runs on Sobel gradients in millimetres and not on an 8-bit picture of the depth, so its thresholds mean the same step for
    two people and for a row of twelve.

    Args:
        depth: camera z [m], 0 = background.
        config: thresholds.
    """
    import cv2

    inside = erode(depth > 0, config.erosion_px)
    millimetres = fill_background(depth).detach().cpu().numpy().astype(np.float32) * 1000
    # a step of h between two pixel columns gives the 3×3 Sobel filter a response of 4 h
    dx, dy = (np.clip(cv2.Sobel(millimetres, cv2.CV_32F, i, 1 - i), -32767, 32767).astype(np.int16) for i in (1, 0))
    edges = cv2.Canny(dx, dy, 4000 * config.low_step, 4000 * config.high_step, L2gradient=True) > 0
    edges &= inside.cpu().numpy()
    edges = cv2.dilate(edges.astype(np.uint8), _kernel(config.dilation_px)) > 0
    return torch.from_numpy(edges).to(depth.device)


def confident(depth: Float[Tensor, "height width"], config: EdgeFilter) -> Bool[Tensor, "height width"]:
    """Foreground pixels away from depth edges and from the outline (``C_i`` of A.5, and the pixels that filter A keeps)."""
    return erode(depth > 0, config.erosion_px) & ~depth_edges(depth, config)


def visible_depth(mesh: Float[Tensor, "*n"], point: Float[Tensor, "*n"], tau: float) -> Bool[Tensor, "*n"]:
    """Filter B (HUG3D eq. S11): the point lies on the surface that the view sees: ``|z_mesh - z_point| < tau`` and ``z_mesh > 0``."""
    return ((mesh - point).abs() < tau) & (mesh > 0)
