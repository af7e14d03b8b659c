"""From a picture to the pixels that a network wants, and the way back for points and maps.

The networks' own image processors partly need torchvision. What they do is little: resize, pad, scale, normalise. It is done here with Pillow and numpy,
by the numbers in each folder's ``preprocessor_config.json``; tests compare it with the processors that run without torchvision.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from huddle3d.errors import WeightsMissingError

__all__ = ["Placement", "Recipe", "place", "prepare", "read_recipe"]

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_MAX_SIDE = 4096


@dataclass(frozen=True)
class Recipe:
    """How a network wants its pixels."""

    height: int
    """Rows [px]."""
    width: int
    """Columns [px]."""
    mode: Literal["stretch", "corner", "centre", "multiple"] = "stretch"
    """To that size: stretched; scaled and padded at the right and bottom (``corner``) or at all sides (``centre``); or scaled to about that size, in
    ``multiple``s, and not padded."""
    multiple: int = 1
    """Sides are multiples of this (only ``multiple``)."""
    resample: int = int(Image.Resampling.BILINEAR)
    """Pillow's code of the filter."""
    scale: float = 1 / 255
    """Factor of the bytes."""
    mean: tuple[float, ...] = _MEAN
    std: tuple[float, ...] = _STD


DEFAULTS: dict[str, Recipe] = {
    "rt_detr_v2": Recipe(640, 640, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    "d_fine": Recipe(640, 640, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    "vitpose": Recipe(256, 192),
    "sapiens2": Recipe(1024, 768, "centre"),
    "sam": Recipe(1024, 1024, "corner"),
    "sam2": Recipe(1024, 1024),
    "sam2_video": Recipe(1024, 1024),
    "depth_anything": Recipe(518, 518, "multiple", 14, resample=int(Image.Resampling.BICUBIC)),
}
"""What each family does if its folder says nothing."""


@dataclass(frozen=True)
class Placement:
    """Where a picture lies in a network's input."""

    scale: tuple[float, float]
    """Network pixels per picture pixel, in x and y."""
    offset: tuple[float, float]
    """Where the picture's corner lies in the input [network px]."""
    inner: tuple[int, int]
    """Rows and columns of the input that the picture covers."""
    size: tuple[int, int]
    """Rows and columns of the input."""
    picture: tuple[int, int]
    """Rows and columns of the picture."""

    def to_network(self, points: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
        """Picture pixels → network pixels."""
        return np.asarray(points, float) * self.scale + self.offset

    def to_picture(self, points: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
        """Network pixels → picture pixels."""
        return (np.asarray(points, float) - self.offset) / self.scale

    def map_to_picture(self, maps: Float[Tensor, "*n h w"]) -> Float[Tensor, "*n height width"]:
        """Maps over the whole input, at any resolution → maps over the picture; the padding is cut off."""
        lead, flat = tuple(maps.shape[:-2]), maps.reshape(1, -1, *maps.shape[-2:]).float()
        if tuple(flat.shape[-2:]) != self.size:
            flat = torch.nn.functional.interpolate(flat, size=self.size, mode="bilinear", align_corners=False)
        left, top = int(self.offset[0]), int(self.offset[1])
        flat = flat[..., top : top + self.inner[0], left : left + self.inner[1]]
        if self.inner != self.picture:
            flat = torch.nn.functional.interpolate(flat, size=self.picture, mode="bilinear", align_corners=False)
        return flat.reshape(lead + self.picture)


def place(height: int, width: int, recipe: Recipe) -> Placement:
    """Where a picture of this size lies in the input that ``recipe`` asks for."""
    H, W = recipe.height, recipe.width
    if recipe.mode == "stretch":
        inner = (H, W)
    elif recipe.mode == "multiple":
        inner = _multiples(height, width, recipe)
    else:
        factor = min(H / height, W / width)
        rounding = 0.5 if recipe.mode == "corner" else 0.0
        inner = (max(1, min(H, int(height * factor + rounding))), max(1, min(W, int(width * factor + rounding))))
    size = inner if recipe.mode == "multiple" else (H, W)
    offset = (float((W - inner[1]) // 2), float((H - inner[0]) // 2)) if recipe.mode == "centre" else (0.0, 0.0)
    return Placement((inner[1] / width, inner[0] / height), offset, inner, size, (height, width))


def prepare(image: UInt8[np.ndarray, "height width 3"], recipe: Recipe) -> tuple[Float[Tensor, "3 h w"], Placement]:
    """The picture as the network wants it, and where it lies there."""
    placement = place(image.shape[0], image.shape[1], recipe)
    rows, columns = placement.inner
    small = np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize((columns, rows), recipe.resample), np.float32)
    left, top = int(placement.offset[0]), int(placement.offset[1])
    if recipe.mode == "centre":  # padded before it is normalised: black; the other way about at the corner: grey
        canvas = np.zeros((*placement.size, 3), np.float32)
        canvas[top : top + rows, left : left + columns] = small
        return normalise(canvas, recipe), placement
    pixels = normalise(small, recipe)
    if placement.inner != placement.size:
        pixels = torch.nn.functional.pad(pixels, (0, placement.size[1] - columns, 0, placement.size[0] - rows))
    return pixels, placement


def normalise(image: Float[np.ndarray, "h w 3"], recipe: Recipe) -> Float[Tensor, "3 h w"]:
    """Bytes (as floats) → the network's values, channels first."""
    values = (image * np.float32(recipe.scale) - np.asarray(recipe.mean, np.float32)) / np.asarray(recipe.std, np.float32)
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))


def _multiples(height: int, width: int, recipe: Recipe) -> tuple[int, int]:
    """About the wanted size at the picture's own shape: the side that changes less decides."""
    sy, sx = recipe.height / height, recipe.width / width
    factor = sx if abs(1 - sx) < abs(1 - sy) else sy
    # A panorama must not become an input of any length.
    factor = min(factor, _MAX_SIDE / max(height, width))
    return tuple(max(recipe.multiple, round(factor * n / recipe.multiple) * recipe.multiple) for n in (height, width))  # type: ignore[return-value]


def read_recipe(folder: Path, family: str) -> Recipe:
    """The recipe of a folder: its ``preprocessor_config.json`` (or the picture part of ``processor_config.json``) over the family's defaults.

    Raises:
        WeightsMissingError: the file is damaged or asks for something absurd.
    """
    recipe = DEFAULTS[family]
    for name, inner in (("preprocessor_config.json", None), ("processor_config.json", "image_processor")):
        path = folder / name
        if not path.is_file():
            continue
        try:
            document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            settings: dict[str, Any] | None = document.get(inner) if inner else document
            return recipe if settings is None else _with_settings(recipe, settings)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as e:
            why = str(e) or type(e).__name__
            raise WeightsMissingError(f"{path}: the settings of the pictures cannot be read.", why=why, next_step="Fetch the network again.") from e
    return recipe


def _with_settings(recipe: Recipe, settings: dict[str, Any]) -> Recipe:
    size: Any = settings.get("pad_size") if recipe.mode == "corner" and settings.get("pad_size") else settings.get("size", {})
    size = {"height": size, "width": size} if isinstance(size, int) else size
    longest = size.get("longest_edge")
    height, width = (int(size.get(k) or longest or getattr(recipe, k)) for k in ("height", "width"))
    mode = recipe.mode
    if mode == "multiple" and not settings.get("keep_aspect_ratio", True):
        mode = "stretch"
    if mode == "centre" and not settings.get("do_pad", False):
        mode = "stretch"
    mean, std = ((0.0,) * 3, (1.0,) * 3)
    if settings.get("do_normalize", recipe.std != (1.0, 1.0, 1.0)):
        mean, std = (tuple(float(v) for v in settings.get(k, d)) for k, d in (("image_mean", recipe.mean), ("image_std", recipe.std)))
    scale = float(settings.get("rescale_factor", recipe.scale)) if settings.get("do_rescale", True) else 1.0
    made = replace(
        recipe,
        height=height,
        width=width,
        mode=mode,
        multiple=int(settings.get("ensure_multiple_of") or recipe.multiple),
        resample=int(settings.get("resample", recipe.resample)),
        scale=scale,
        mean=mean,
        std=std,
    )
    if not (16 <= min(height, width) <= max(height, width) <= _MAX_SIDE and 1 <= made.multiple <= 256 and 0 <= made.resample <= 5):
        raise ValueError(f"a size of {width} × {height} px, multiples of {made.multiple} or filter {made.resample} is out of range")
    if len(mean) != 3 or len(std) != 3 or not all(math.isfinite(v) for v in (*mean, *std, scale)) or min(std) <= 0:
        raise ValueError("the mean or the spread of the colours is out of range")
    return made
