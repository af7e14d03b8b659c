"""Key points of people in boxes by heat maps (ViTPose, ViTPose++, Sapiens2), with unbiased data processing (Huang et al., CVPR 2020).

A crop's first and last pixel centres lie on the window's borders, so that a heat map's cell and a picture's pixel are tied by one scale and shift.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from scipy.ndimage import gaussian_filter

from huddle3d.perception.hub._load import Loaded
from huddle3d.perception.hub._pixels import Recipe, normalise

__all__ = ["find_keypoints"]

_MARGIN = 1.25
"""Window of a person, in boxes (both networks were trained with it)."""
_BLUR = {"vitpose": 0.8, "sapiens2": 2.0}
"""Spread of the blur before the maximum is refined [cells], as in each network's own evaluation."""
_RADIUS = 5


def find_keypoints(
    image: UInt8[np.ndarray, "height width 3"], boxes: Float[np.ndarray, "K 4"], network: Loaded, *, batch: int = 8, expert: int = 0
) -> Float[np.ndarray, "K N 3"]:
    """Key points of each boxed person.

    Args:
        image: sRGB bytes.
        boxes: xyxy [px].
        network: for the task "keypoints".
        batch: people at once.
        expert: ViTPose++: the data set whose expert is asked.

    Returns:
        u, v [px] and confidence in [0, 1] of the network's N points, in its own order.
    """
    windows = [_window(b, network.recipe) for b in np.asarray(boxes, float)]
    found = []
    for start in range(0, len(windows), batch):
        part = windows[start : start + batch]
        maps = _heat_maps(np.stack([_crop(image, w, network.recipe) for w in part]), network, expert)
        found += [_decode(m, w, _BLUR[network.family]) for m, w in zip(maps, part, strict=True)]
    return np.stack(found) if found else np.zeros((0, int(network.model.config.num_labels), 3))


def _window(box: Float[np.ndarray, "4"], recipe: Recipe) -> Float[np.ndarray, "4"]:
    """Centre and size [px, pixel centres at whole numbers] of the window of the input's shape around a box."""
    width, height = np.maximum(box[2:] - box[:2], 1.0)
    aspect = recipe.width / recipe.height
    width, height = max(width, aspect * height), max(height, width / aspect)
    return np.array([*((box[:2] + box[2:]) / 2 - 0.5), width * _MARGIN, height * _MARGIN])


def _crop(image: UInt8[np.ndarray, "height width 3"], window: Float[np.ndarray, "4"], recipe: Recipe) -> Float[np.ndarray, "3 h w"]:
    (x, y), (width, height) = window[:2], window[2:]
    sx, sy = (recipe.width - 1) / width, (recipe.height - 1) / height
    matrix = np.array([[sx, 0, -sx * (x - width / 2)], [0, sy, -sy * (y - height / 2)]])
    # As it was trained: no smoothing when shrinking.
    flags = cv2.INTER_CUBIC if recipe.height >= 1024 and min(sx, sy) >= 1 else cv2.INTER_LINEAR
    crop = cv2.warpAffine(image, matrix, (recipe.width, recipe.height), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=(0, 0, 0))
    return normalise(crop.astype(np.float32), recipe).numpy()


def _heat_maps(crops: Float[np.ndarray, "k 3 h w"], network: Loaded, expert: int) -> Float[np.ndarray, "k N rows columns"]:
    extra = {}
    backbone = getattr(network.model.config, "backbone_config", None)
    if getattr(backbone, "num_experts", 1) > 1:
        expert = min(expert, backbone.num_experts - 1)  # type: ignore[union-attr]
        extra = {"dataset_index": torch.full((len(crops),), expert, dtype=torch.long, device=network.device)}
    with torch.inference_mode():
        return network.model(pixel_values=network.pixels(torch.from_numpy(crops)), **extra).heatmaps.float().cpu().numpy()


def _decode(maps: Float[np.ndarray, "N rows columns"], window: Float[np.ndarray, "4"], blur: float) -> Float[np.ndarray, "N 3"]:
    rows, columns = maps.shape[1:]
    best = maps.reshape(len(maps), -1).argmax(-1)
    cells = np.stack([best % columns, best // columns], -1).astype(float)
    confidence = maps.reshape(len(maps), -1).max(-1)
    cells += np.stack([_refinement(m, int(x), int(y), blur) for m, (x, y) in zip(maps, cells, strict=True)])
    low = window[:2] - window[2:] / 2
    points = low + cells / np.maximum([columns - 1, rows - 1], 1) * window[2:] + 0.5
    return np.concatenate([points, np.clip(confidence, 0, 1)[:, None]], -1)


def _refinement(heat: Float[np.ndarray, "rows columns"], x: int, y: int, blur: float) -> Float[np.ndarray, "2"]:
    """From the largest cell to the maximum of the parabola through the logarithm around it (DARK, Zhang et al., CVPR 2020); within one cell."""
    rows, columns = heat.shape
    y0, x0 = max(0, y - _RADIUS - 2), max(0, x - _RADIUS - 2)
    piece = heat[y0 : y + _RADIUS + 3, x0 : x + _RADIUS + 3]
    smooth = gaussian_filter(piece.astype(np.float64), sigma=blur, radius=_RADIUS)
    smooth *= max(piece.max(), 0) / smooth.max() if blur > 1 and smooth.max() > 0 else 1.0
    log = np.log(np.clip(smooth, 1e-3, 50))

    def at(dy: int, dx: int) -> float:
        return float(log[min(max(y + dy, 0), rows - 1) - y0, min(max(x + dx, 0), columns - 1) - x0])

    gradient = np.array([at(0, 1) - at(0, -1), at(1, 0) - at(-1, 0)]) / 2
    xx, yy = at(0, 1) - 2 * at(0, 0) + at(0, -1), at(1, 0) - 2 * at(0, 0) + at(-1, 0)
    xy = (at(1, 1) - at(0, 1) - at(1, 0) + 2 * at(0, 0) - at(0, -1) - at(-1, 0) + at(-1, -1)) / 2
    determinant = xx * yy - xy * xy
    if determinant <= 1e-12 or xx >= 0:  # no maximum here: a plateau, or the border
        return np.zeros(2)
    step = -np.array([yy * gradient[0] - xy * gradient[1], xx * gradient[1] - xy * gradient[0]]) / determinant
    return np.clip(step, -1, 1)
