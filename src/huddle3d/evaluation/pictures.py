"""One scene for eyes: the input, the truth and the result side by side, from the same camera and from four azimuths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from huddle3d.evaluation.views import evaluation_cameras, render_people
from huddle3d.geometry import Camera
from huddle3d.scene import PersonMesh, Photo

__all__ = ["ScenePictures", "draw_scene"]

_HEIGHT = 270  # three landscape pictures fit beside each other on the page
_VIEW = 240


@dataclass(frozen=True)
class ScenePictures:
    """Pictures of one scene, (H, W, 3) uint8."""

    photo: np.ndarray
    """The input."""
    truth: np.ndarray
    """The true meshes from the photo's camera, unlit."""
    result: np.ndarray
    """The result from its own estimate of that camera, unlit."""
    around: np.ndarray
    """Four columns: azimuths 0, 90, 180, 270° from the photo's camera; four rows: colours of truth and result, normals of truth and result."""


def _bytes(image: torch.Tensor) -> np.ndarray:
    return (image.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def _from_photo(people: Sequence[PersonMesh], camera: Camera) -> np.ndarray:
    small = camera.resized(max(1, round(camera.width * _HEIGHT / camera.height)), _HEIGHT)
    return _bytes(render_people(people, small.batched())[0][0])


def _turned(people: Sequence[PersonMesh], camera: Camera) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Colours and normals at the four azimuths; normals as colours in the first view's axes, grey where nobody is."""
    cameras = evaluation_cameras(torch.cat([m.vertices for m in people]), camera, size=_VIEW)
    colours, normals = render_people(people, cameras)
    axes = cameras.T_cam_world[0, :3, :3] * torch.tensor([[1.0], [-1.0], [-1.0]])  # x right, y up, z towards the first camera
    return [_bytes(c) for c in colours], [_bytes((n @ axes.T.to(n) + 1) / 2) for n in normals]


def draw_scene(
    photo: Photo, truth: Sequence[PersonMesh], true_camera: Camera, result: Sequence[PersonMesh] | None, result_camera: Camera | None
) -> ScenePictures:
    """Draw one scene; a failed reconstruction (``result`` None) leaves its places white.

    The result is drawn in its own world from its own camera: what is compared is the picture from where the photo was taken, not the alignment.
    """
    image = Image.fromarray(_bytes(photo.image)).resize((max(1, round(photo.width * _HEIGHT / photo.height)), _HEIGHT), Image.Resampling.LANCZOS)
    picture_t = _from_photo(truth, true_camera)
    colours_t, normals_t = _turned(truth, true_camera)
    if result is None or result_camera is None:
        picture_r, blank = np.full_like(picture_t, 255), [np.full_like(c, 255) for c in colours_t]
        colours_r = normals_r = blank
    else:
        picture_r = _from_photo(result, result_camera)
        colours_r, normals_r = _turned(result, result_camera)
    rows = [np.concatenate(r, 1) for r in (colours_t, colours_r, normals_t, normals_r)]
    return ScenePictures(np.asarray(image), picture_t, picture_r, np.concatenate(rows, 0))
