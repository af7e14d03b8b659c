"""From a picture file to a :class:`Photo`."""

from __future__ import annotations

import math
import os
from pathlib import Path

import torch

from huddle3d.errors import InputError
from huddle3d.io import display_name, read_image, safe_name
from huddle3d.scene.types import Photo

__all__ = ["load_photo"]

_MIN_SIDE = 32


def load_photo(path: str | os.PathLike[str], *, focal_px: float | None = None, max_side: int | None = None) -> Photo:
    """Read a photo (JPEG, PNG, WebP, TIFF, HEIC): upright, with its focal length if EXIF or the user knows it.

    Args:
        path: the file.
        focal_px: focal length in pixels of the full-size picture, instead of EXIF's.
        max_side: scale the picture down so that its longer side has at most this many pixels [px].

    Returns:
        The photo; ``focal_px`` is in pixels of its (perhaps scaled) image, ``name`` is safe to name outputs with.

    Raises:
        InputError: no readable picture, too small to show a person (a side under 32 px), or an impossible focal length.
        ResourceLimitError: over the byte or pixel budget.
    """
    if focal_px is not None and not (math.isfinite(focal_px) and focal_px > 0):
        raise InputError(f"A focal length of {focal_px} px is impossible.", next_step="Give a positive number, or leave it out.")
    decoded = read_image(path, max_side=max_side)
    if min(decoded.full_size) < _MIN_SIDE:
        size = " × ".join(map(str, decoded.full_size))
        raise InputError(f"{display_name(path)}: the picture is too small to show a person.", why=f"It has {size} pixels.")
    height, width = decoded.image.shape[:2]
    if focal_px is not None:
        focal, source = focal_px * max(width, height) / max(decoded.full_size), "user"
    else:
        focal, source = decoded.focal_px, "default" if decoded.focal_px is None else "exif"
    full_size = None if decoded.full_size == (width, height) else decoded.full_size
    return Photo(torch.from_numpy(decoded.image), safe_name(Path(path).stem), decoded.sha256, focal, source, full_size, decoded.notes)
