"""Textures with transparency."""

from __future__ import annotations

import io
import os

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from huddle3d.io.images import decode_image
from huddle3d.io.limits import MAX_IMAGE_BYTES, MAX_TEXTURE_PIXELS, read_regular_file

__all__ = ["read_rgba"]


def read_rgba(path: str | os.PathLike[str]) -> NDArray[np.float32]:
    """(height, width, 4) sRGB and opacity in [0, 1] of a JPEG or PNG file; opacity 1 where the file has none.

    Colours are those of the file, not laid over any ground; fully transparent texels may have any colour. Errors as for
    :func:`huddle3d.io.read_image`.
    """
    data = read_regular_file(path, MAX_IMAGE_BYTES)
    colour = decode_image(data, path, max_pixels=MAX_TEXTURE_PIXELS, kinds=("JPEG", "PNG")).image  # all checks happen here
    with Image.open(io.BytesIO(data), formats=["JPEG", "PNG"]) as picture:
        if picture.mode not in ("RGBA", "LA", "PA", "P") and "transparency" not in picture.info:
            return np.concatenate([colour, np.ones_like(colour[..., :1])], -1)
        return np.asarray(picture.convert("RGBA"), dtype=np.float32) / np.float32(255)
