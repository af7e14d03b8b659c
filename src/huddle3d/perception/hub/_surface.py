"""Normals and depth of the photo's people (Sapiens2, Depth Anything V2), seen in a window around all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from huddle3d.perception.hub._load import Loaded
from huddle3d.perception.hub._pixels import prepare

__all__ = ["SurfaceMaps", "find_depth", "find_normals"]

_MARGIN = 0.15


@dataclass(frozen=True)
class SurfaceMaps:
    """What a network says of the surface at each pixel of a picture."""

    values: Float[Tensor, "height width *c"]
    """Normals: unit vectors, camera axes x right, y up, z towards the camera. Depth: see :attr:`kind`. 0 outside :attr:`valid`."""
    valid: Bool[Tensor, "height width"]
    """Where the network looked and gave a finite number."""
    kind: Literal["normals", "metric", "relative", "inverse"]
    """Depth: ``metric`` [m]; ``relative``, camera z up to scale; ``inverse``, the negative of an inverse depth with unknown scale and shift. All grow away
    from the camera."""
    notes: tuple[str, ...] = ()
    """What was corrected or assumed, in words."""


def find_normals(
    image: UInt8[np.ndarray, "height width 3"],
    boxes: Float[np.ndarray, "K 4"],
    network: Loaded,
    masks: Sequence[Bool[np.ndarray, "height width"]] = (),
) -> SurfaceMaps:
    """Normals of the people in ``boxes`` (xyxy [px]).

    The published pages do not say which way the axes point. With ``masks``, that is measured: at a person's outline the surface turns
    away from the view, so its normal points outwards in the picture, and what is seen points towards the camera. An axis that disagrees is turned.
    """
    raw, valid = _run(image, boxes, network, "normals")
    length = raw.norm(dim=0)
    valid &= torch.isfinite(length) & (length > 1e-6)
    normals = torch.where(valid, raw / length.clamp_min(1e-6), 0).permute(1, 2, 0)
    signs, notes = axis_signs(normals.numpy(), valid.numpy(), masks)
    return SurfaceMaps(normals * torch.tensor(signs), valid, "normals", notes)


def find_depth(image: UInt8[np.ndarray, "height width 3"], boxes: Float[np.ndarray, "K 4"], network: Loaded) -> SurfaceMaps:
    """Depth of the people in ``boxes`` (xyxy [px])."""
    if network.family == "sapiens2":
        raw, valid = _run(image, boxes, network, "pointmaps")
        depth, kind = raw[2], "relative"
    else:
        raw, valid = _run(image, boxes, network, "predicted_depth")
        is_metric = getattr(network.model.config, "depth_estimation_type", "relative") == "metric"
        # Relative networks of this family give something like 1 / z: larger is nearer.
        depth, kind = (raw[0], "metric") if is_metric else (-raw[0], "inverse")
    valid &= torch.isfinite(depth)
    if kind != "inverse":
        valid &= depth > 0
    return SurfaceMaps(torch.where(valid, depth, 0), valid, kind)  # type: ignore[arg-type]


def _run(image: np.ndarray, boxes: np.ndarray, network: Loaded, field: str) -> tuple[Float[Tensor, "c height width"], Bool[Tensor, "height width"]]:
    x0, y0, x1, y1 = _window(boxes, image.shape[1], image.shape[0])
    pixels, placement = prepare(image[y0:y1, x0:x1], network.recipe)
    with torch.inference_mode():
        out = getattr(network.model(pixel_values=network.pixels(pixels[None])), field)[0].float().cpu()
    seen = placement.map_to_picture(out if out.ndim == 3 else out[None])
    full = torch.zeros(len(seen), *image.shape[:2])
    full[:, y0:y1, x0:x1] = seen
    valid = torch.zeros(image.shape[:2], dtype=torch.bool)
    valid[y0:y1, x0:x1] = True
    return full, valid


def _window(boxes: Float[np.ndarray, "K 4"], width: int, height: int) -> tuple[int, int, int, int]:
    """The union of the boxes with a margin, inside the picture: people fill the network's input, and their surroundings are seen."""
    lo, hi = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    margin = _MARGIN * float((hi - lo).max())
    x0, y0 = np.floor(np.maximum(lo - margin, 0)).astype(int)
    x1, y1 = np.ceil(np.minimum(hi + margin, [width, height])).astype(int)
    return (int(x0), int(y0), int(x1), int(y1)) if x1 - x0 >= 2 and y1 - y0 >= 2 else (0, 0, width, height)


def axis_signs(
    normals: Float[np.ndarray, "height width 3"], valid: Bool[np.ndarray, "height width"], masks: Sequence[Bool[np.ndarray, "height width"]]
) -> tuple[tuple[float, float, float], tuple[str, ...]]:
    """+1 or −1 for x, y and z, so that outlines face outwards and what is seen faces the camera; 1 where the masks say too little."""
    if not len(masks) or not any(m.any() for m in masks):
        return (1.0, 1.0, 1.0), ()
    everyone = np.logical_or.reduce(list(masks))  # where people touch, the outline is no horizon of the surface
    soft = cv2.GaussianBlur(everyone.astype(np.float32), (0, 0), 2.0)
    down, right = np.gradient(soft)
    rim = everyone & valid & (np.hypot(down, right) > 0.05)
    inside = everyone & valid
    if rim.sum() < 50:
        return (1.0, 1.0, 1.0), ()
    outward = -np.stack([right, -down], -1)[rim]  # x right, y up
    outward /= np.linalg.norm(outward, axis=-1, keepdims=True)
    agreement = (*(normals[rim][:, :2] * outward).mean(0), normals[inside][:, 2].mean())
    signs = tuple(-1.0 if a < -0.05 else 1.0 for a in agreement)
    notes = tuple(
        f"The {n} axis of the network's normals was turned: people's outlines show that it points the other way."
        for n, s in zip("xyz", signs)
        if s < 0
    )
    return signs, notes  # type: ignore[return-value]
