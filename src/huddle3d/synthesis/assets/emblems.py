"""MakeHuman's shirts carry MakeHuman's own emblem: it is painted over, or every other person would wear it."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

__all__ = ["without_emblem"]

_BOXES: dict[str, tuple[tuple[int, int, int, int], ...]] = {
    "male_casualsuit02": ((490, 95, 650, 250),),
    "male_casualsuit04": ((508, 90, 668, 250),),
    "male_casualsuit06": ((445, 115, 655, 215), (190, 108, 320, 182), (740, 145, 785, 190)),
    "female_casualsuit01": ((722, 158, 898, 334),),
}
"""Left, top, right, bottom of the emblems in pictures of 1024 px."""
_DIFFERENT = 0.05
_SPREAD_PX = 9


def without_emblem(name: str, picture: Float[NDArray[np.float32], "h w 4"]) -> Float[NDArray[np.float32], "h w 4"]:
    """The texture of the named asset with the cloth around its emblems drawn over them; other assets are returned as they are."""
    if name not in _BOXES:
        return picture
    scale = picture.shape[0] / 1024
    out = picture.copy()
    for box in _BOXES[name]:
        left, top, right, bottom = (round(v * scale) for v in box)
        patch = out[top:bottom, left:right, :3]
        rim = np.concatenate([patch[0], patch[-1], patch[:, 0], patch[:, -1]])
        calm = cv2.GaussianBlur(patch, (0, 0), 1.5)
        differs = (np.abs(calm - np.median(rim, 0)).max(-1) > _DIFFERENT).astype(np.uint8)
        differs = cv2.dilate(differs, np.ones((_SPREAD_PX, _SPREAD_PX), np.uint8))
        differs[0] = differs[-1] = differs[:, 0] = differs[:, -1] = 0
        whole = cv2.inpaint((255 * patch).astype(np.uint8), differs, 5, cv2.INPAINT_TELEA).astype(np.float32) / 255
        # the weave that inpainting leaves out
        grain = np.roll(rim.std(0).mean() * np.random.default_rng(1).standard_normal(differs.shape), 1).astype(np.float32)
        filled = whole + 0.6 * cv2.GaussianBlur(grain, (0, 0), 0.7)[..., None]
        out[top:bottom, left:right, :3] = np.where(differs[..., None] > 0, filled, patch).clip(0, 1)
    return out
