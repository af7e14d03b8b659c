"""Paints people over, so that the networks look at somebody else."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from huddle3d.perception._limbs import limb_distance_map
from huddle3d.perception._pose import Pose, soft_mask
from huddle3d.perception._similarity import body_scale
from huddle3d.perception._table import keypoints_of

__all__ = ["paint_over", "person_region"]


def person_region(pose: Pose, height: int, width: int, *, reach: float = 1.0) -> Bool[np.ndarray, "height width"]:
    """Pixels that surely or probably show a person: the limbs, and what the soft mask adds near them.

    Args:
        pose: the person.
        height: rows of the picture.
        width: columns of the picture.
        reach: in half thicknesses of the body's parts; the soft mask counts up to 1.8 times as far.
    """
    table = keypoints_of(pose, {}, None, width, height)
    distance = limb_distance_map(table, body_scale(pose), height, width, min_confidence=0.05)
    return (distance < reach) | ((soft_mask(pose, height, width) > 0.5) & (distance < 1.8 * reach))


def paint_over(
    image: UInt8[np.ndarray, "height width 3"], regions: Sequence[Bool[np.ndarray, "height width"]]
) -> UInt8[np.ndarray, "height width 3"]:
    """A copy in which the regions hold the median colour of the picture around them."""
    out = image.copy()
    if not len(regions):
        return out
    union = np.logical_or.reduce(regions)
    if union.any():
        outside = ~union
        source = image[outside] if outside.any() else image.reshape(-1, 3)
        out[union] = np.median(source[:: max(1, len(source) // 20000)], axis=0).astype(np.uint8)
        soft = cv2.GaussianBlur(union.astype(np.float32), (0, 0), 1.5)[..., None]
        out = (out * soft + image * (1 - soft)).astype(np.uint8)
    return out
