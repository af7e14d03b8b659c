"""Bodies that another system saw in a photo, as far as they start our own fit: landmarks in space and in the picture, and the camera."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.io import BodyResults, read_body_results
from huddle3d.scene.artefact import Artefact
from huddle3d.scene.landmarks import FEET, LEFT_HAND, NUM_LANDMARKS, RIGHT_HAND
from huddle3d.scene.mhr70 import table_of_mhr70
from huddle3d.scene.types import Photo

__all__ = ["BodyGuess", "read_body_guess"]

_CONFIDENCE, _CONFIDENCE_FEET, _CONFIDENCE_HANDS = 0.8, 0.6, 0.4
"""The files have no confidences: body points count nearly as seen ones, the small ones that such systems guess more often count less."""


@dataclass(frozen=True)
class BodyGuess(Artefact):
    """K people; the photo's own pixels."""

    landmarks: Float[Tensor, "K L 4"]
    """From the camera, its axes (x right, y down, z away) [m], and confidence."""
    keypoints: Float[Tensor, "K L 3"]
    """u, v [px] and confidence."""
    boxes: Float[Tensor, "K 4"]
    """xyxy [px], inside the photo."""
    focal_px: float
    """Focal length [px]."""


def read_body_guess(path: str | os.PathLike[str], photo: Photo) -> BodyGuess:
    """Read a SAM 3D Body result file (:func:`huddle3d.io.read_body_results`) for this photo.

    Assumed: camera axes x right, y down, z away and metres; the principal point in the picture's middle; pixels of the upright photo at the
    size that the file names, else at the photo's own. Only points are used, not the body model's parameters.

    Raises:
        InputError: damaged, of a picture of another shape, or nobody inside the photo.
    """
    results = read_body_results(path)
    full = photo.full_size or (photo.width, photo.height)
    width, height = results.image_size or full
    factor = photo.width / width
    if abs(factor * height / photo.height - 1) > 0.02:
        why = f"It is for {width} × {height} pixels, the photo has {full[0]} × {full[1]}."
        raise InputError(f"{path}: the bodies are of a picture of another shape.", why=why, next_step="Use the result for this photo, upright.")
    points = results.points2d if results.points2d is not None else _projected(results, width, height)
    weights = np.zeros((NUM_LANDMARKS, 1))
    weights[table_of_mhr70(np.ones((70, 1)))[:, 0] > 0] = _CONFIDENCE
    weights[FEET] *= _CONFIDENCE_FEET / _CONFIDENCE
    for rows in (LEFT_HAND, RIGHT_HAND):
        weights[rows] *= _CONFIDENCE_HANDS / _CONFIDENCE
    landmarks = np.stack([np.concatenate([table_of_mhr70(p), weights], -1) for p in results.points3d])
    keypoints = np.stack([np.concatenate([table_of_mhr70(p * factor), weights], -1) for p in points])
    inside = ((keypoints[..., :2] >= 0) & (keypoints[..., :2] <= (photo.width, photo.height))).all(-1)
    keypoints[..., 2] *= inside
    if not (keypoints[:, :17, 2] > 0).any(-1).all():
        raise InputError(f"{path}: a person lies outside the photo.", next_step="Use the result for this photo.")
    boxes = _boxes(keypoints, photo) if results.boxes is None else np.clip(results.boxes * factor, 0, [photo.width, photo.height] * 2)
    if ((boxes[:, 2:] - boxes[:, :2]) < 2).any():
        raise InputError(f"{path}: a person's box has no area inside the photo.", next_step="Leave bbox out, or use the result for this photo.")
    space, picture, around = (torch.from_numpy(np.ascontiguousarray(a)).float() for a in (landmarks, keypoints, boxes))
    return BodyGuess(space, picture, around, results.focal_px * factor)


def _projected(results: BodyResults, width: int, height: int) -> Float[np.ndarray, "K 70 2"]:
    return results.focal_px * results.points3d[..., :2] / results.points3d[..., 2:] + (width / 2, height / 2)


def _boxes(keypoints: Float[np.ndarray, "K L 3"], photo: Photo) -> Float[np.ndarray, "K 4"]:
    out = []
    for table in keypoints:
        seen = table[table[:, 2] > 0, :2]
        lo, hi = seen.min(0), seen.max(0)
        margin = 0.1 * float((hi - lo).max())
        out.append(np.concatenate([lo - margin, hi + margin]))
    return np.clip(np.array(out), 0, [photo.width, photo.height] * 2)
