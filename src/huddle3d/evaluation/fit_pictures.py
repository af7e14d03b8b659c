"""Fitted bodies for eyes: over the photo, and from four sides, each beside the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from huddle3d.evaluation.fit_metrics import match_in_picture
from huddle3d.evaluation.sample import EvaluationSample
from huddle3d.evaluation.views import evaluation_cameras
from huddle3d.geometry import Camera
from huddle3d.scene import Bodies

__all__ = ["FitPictures", "draw_fit"]

_HEIGHT = 300
_VIEW = 240
_COLOURS = ((0.95, 0.55, 0.35), (0.40, 0.66, 0.95), (0.55, 0.82, 0.45), (0.93, 0.80, 0.35), (0.75, 0.55, 0.90), (0.45, 0.82, 0.80))
"""One for each true person; bodies that belong to nobody are grey."""
_NOBODY = (0.6, 0.6, 0.6)

_People = Sequence[tuple[Float[Tensor, "V 3"], Int[Tensor, "F 3"], tuple[float, float, float]]]


@dataclass(frozen=True)
class FitPictures:
    """Pictures of one scene, (H, W, 3) uint8. A person has the same colour in all of them."""

    photo: np.ndarray
    """The input."""
    truth: np.ndarray
    """True bodies over the photo (the dressed people, where a data set has no bodies); only the photo if it has neither."""
    fitted: np.ndarray
    """Fitted bodies over the photo, through the camera that the fit found; only the photo if there are none."""
    around: np.ndarray
    """Four columns: 0, 90, 180, 270° from the photo's camera, each in its own world; rows: truth, fit."""


def _merged(people: _People) -> tuple[Tensor, Tensor, Tensor]:
    from huddle3d.render import merge_meshes

    vertices, faces, _ = merge_meshes([(v, f) for v, f, _ in people])
    return vertices, faces, torch.cat([torch.tensor(colour).expand(len(v), 3) for v, _, colour in people])


def _bytes(image: Tensor) -> np.ndarray:
    return (image.clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def _over(photo: np.ndarray, people: _People, camera: Camera) -> np.ndarray:
    from huddle3d.render import clay

    if not people:
        return photo
    vertices, faces, colours = _merged(people)
    base = torch.from_numpy(photo.copy()).float() / 255
    small = camera.resized(photo.shape[1], photo.shape[0])
    return _bytes(clay(vertices, faces, small, colours=colours, background=base, opacity=0.75)[0])


def _turned(people: _People, camera: Camera) -> np.ndarray:
    from huddle3d.render import clay

    if not people:
        return np.full((_VIEW, 4 * _VIEW, 3), 255, np.uint8)
    vertices, faces, colours = _merged(people)
    views = clay(vertices, faces, evaluation_cameras(vertices, camera, size=_VIEW), colours=colours)
    return np.concatenate([_bytes(v) for v in views], 1)


def _colour(row: int) -> tuple[float, float, float]:
    return _COLOURS[row % len(_COLOURS)]


def draw_fit(sample: EvaluationSample, fitted: Bodies | None, faces: Int[Tensor, "F 3"]) -> FitPictures:
    """Draw one scene.

    Args:
        sample: photo and truth.
        fitted: bodies with their camera; None for a failed fit, whose places stay empty.
        faces: of one body of the model that was fitted.
    """
    size = (max(1, round(sample.photo.width * _HEIGHT / sample.photo.height)), _HEIGHT)
    photo = np.asarray(Image.fromarray(_bytes(sample.photo.image)).resize(size, Image.Resampling.LANCZOS))
    if sample.bodies is not None:
        shapes = [(v.float(), faces) for v in sample.bodies.vertices]
    else:
        shapes = [(m.vertices.float(), m.faces) for m in sample.meshes]
    truth = [(v, f, _colour(k)) for k, (v, f) in enumerate(shapes)]
    rows = [_turned(truth, sample.camera)]
    if fitted is None:
        rows.append(np.full_like(rows[0], 255))
        return FitPictures(photo, _over(photo, truth, sample.camera), photo, np.concatenate(rows, 0))
    owner: Mapping[int, int] = dict(match_in_picture(fitted, sample))
    people = [(v.float(), faces, _colour(owner[k]) if k in owner else _NOBODY) for k, v in enumerate(fitted.vertices)]
    rows.append(_turned(people, fitted.camera))
    return FitPictures(photo, _over(photo, truth, sample.camera), _over(photo, people, fitted.camera), np.concatenate(rows, 0))
