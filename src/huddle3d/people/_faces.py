"""Faces in the completed views: which views show them best, and what the photo did not show of them restored (HUG3D A.5)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.geometry import Camera, apply
from huddle3d.io import display_name
from huddle3d.scene import Bodies, CompletedViews, ViewSet
from huddle3d.scene.landmarks import LANDMARK_INDEX

__all__ = ["FaceRestorer", "FaceView", "codeformer_restorer", "face_views", "restore_faces", "restorer_digest"]

_TEMPLATE = ((192.98, 239.95), (318.90, 240.19), (256.63, 314.02), (201.26, 371.41), (313.09, 371.15))
"""Eyes, nose and corners of the mouth in an aligned crop of 512 px (the FFHQ alignment), image left first."""
_CROP = 512
_LEAST_FRONTAL = 0.5
"""Cosine between where a face looks and where the camera stands; a face is not restored from further aside."""


@dataclass(frozen=True)
class FaceView:
    """One canonical view of one face."""

    view: int
    frontal: float
    """Cosine between the face's direction and the direction to the camera."""
    points: Float[Tensor, "5 2"]
    """Right eye, left eye, tip of the nose, right and left corner of the mouth (the subject's) [px]."""


class FaceRestorer(Protocol):
    """A network that fills holes in aligned faces."""

    @property
    def size(self) -> int:
        """Side of its crops [px]."""
        ...

    def __call__(self, face: Float[Tensor, "3 S S"], hole: Bool[Tensor, "S S"]) -> Float[Tensor, "3 S S"]:
        """The whole face, [0, 1]; only the hole is used."""
        ...


def _five(landmarks: Float[Tensor, "L 3"]) -> Float[Tensor, "5 3"]:
    def mean(*names: str) -> Tensor:
        return landmarks[[LANDMARK_INDEX[f"face_{n}"] for n in names]].mean(0)

    right, left = mean("right_eye_outer", "right_eye_inner"), mean("left_eye_outer", "left_eye_inner")
    return torch.stack([right, left, mean("nose_tip"), mean("mouth_right"), mean("mouth_left")])


def face_views(landmarks: Float[Tensor, "L 3"], cameras: Camera, *, most: int = 2) -> list[FaceView]:
    """The views that see a face most frontally, best first; empty if it looks up or down, or its landmarks are not finite.

    Args:
        landmarks: of one person, in the frame of the cameras.
        cameras: orthographic views.
        most: how many.
    """
    points = _five(landmarks)
    if not bool(torch.isfinite(points).all()):
        return []
    across, down = points[1] - points[0], points[3:].mean(0) - points[:2].mean(0)
    ahead = torch.nn.functional.normalize(torch.linalg.cross(down, across), dim=0)
    found = []
    for i in range(len(cameras.K)):
        towards = -torch.nn.functional.normalize(cameras[i].T_world_cam[:3, 2], dim=0)
        frontal = float(ahead @ towards)
        if frontal >= _LEAST_FRONTAL:
            found.append(FaceView(i, frontal, cameras[i].project(points)[0]))
    return sorted(found, key=lambda f: -f.frontal)[:most]


def _alignment(points: Float[Tensor, "5 2"], size: int) -> np.ndarray | None:
    """The similarity from pixels of the view to pixels of the crop, (2, 3); None if the points do not fix one."""
    import cv2

    wanted = np.array(_TEMPLATE, np.float32) * (size / _CROP)
    matrix, _ = cv2.estimateAffinePartial2D(points.numpy().astype(np.float32), wanted, method=cv2.LMEDS)
    return None if matrix is None or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:, :2])) < 1e-6 else matrix


def _disc(size: int) -> Float[Tensor, "S S"]:
    """A soft circle around the face: 1 inside, falling to 0 over an eighth of the crop."""
    at = (torch.arange(size) + 0.5) / size - 0.5
    radius = (at[None] ** 2 + (at[:, None] - 0.09) ** 2).sqrt()
    return ((0.40 - radius) / 0.125).clamp(0, 1)


def _warp(image: Float[Tensor, "H W c"], matrix: np.ndarray, size: tuple[int, int], *, inverse: bool = False) -> Float[Tensor, "h w c"]:
    import cv2

    flags = cv2.INTER_LINEAR | (cv2.WARP_INVERSE_MAP if inverse else 0)
    out = cv2.warpAffine(image.numpy(), matrix, (size[1], size[0]), flags=flags)
    return torch.from_numpy(out.reshape(*size, image.shape[2]))


def restore_faces(
    views: ViewSet, completed: CompletedViews, bodies: Bodies, restorer: FaceRestorer, *, enough: float = 0.75
) -> tuple[CompletedViews, tuple[str, ...]]:
    """Fill what the photo did not show of each face in its most frontal view of that person alone; seen pixels stay.

    The paper asks for the two most frontal views and restores one of them unless the source shows the face. Here the photo itself is a source of
    the texture (``paint.photo``), so only the completed view is touched.

    Args:
        views: canonical frame, cameras, and what the photo showed.
        completed: colours of each person.
        bodies: landmarks.
        restorer: the network.
        enough: share of the face that the photo must show for it to be left as it is.

    Returns:
        The views with restored faces, and the names of the people to whom that was done.
    """
    rgb, done = completed.rgb_inst.clone(), []
    disc = _disc(restorer.size)
    for k, name in enumerate(bodies.names):
        found = face_views(apply(views.T_canon_world, bodies.landmarks[k]).cpu(), views.cameras.to("cpu"), most=1)
        matrix = _alignment(found[0].points, restorer.size) if found else None
        if matrix is None:
            continue
        i = found[0].view
        size = (restorer.size, restorer.size)
        seen = _warp(views.seen_inst[k, i].cpu().float()[..., None], matrix, size)[..., 0] > 0.5
        inside = disc > 0.5
        if float((seen & inside).sum()) >= enough * float(inside.sum()):
            continue
        face = _warp(completed.rgb_inst[k, i].cpu(), matrix, size)
        restored = restorer(face.permute(2, 0, 1), ~seen & (disc > 0)).permute(1, 2, 0).clamp(0, 1)
        weight = (disc * (~seen).float())[..., None]
        back = _warp(torch.cat([restored, weight], -1), matrix, (rgb.shape[2], rgb.shape[3]), inverse=True).to(rgb)
        weight = back[..., 3:] * (completed.alpha_inst[k, i] > 0.5)[..., None] * (~views.seen_inst[k, i])[..., None]
        rgb[k, i] = torch.lerp(rgb[k, i], back[..., :3], weight)
        done.append(name)
    return replace(completed, rgb_inst=rgb), tuple(done)


@dataclass(frozen=True)
class _CodeFormerRestorer:
    network: torch.nn.Module
    size: int

    @torch.no_grad()
    def __call__(self, face: Float[Tensor, "3 S S"], hole: Bool[Tensor, "S S"]) -> Float[Tensor, "3 S S"]:
        given = torch.where(hole, 1.0, 2 * face - 1)
        return (self.network(given[None], weight=1.0)[0] + 1) / 2


@lru_cache(maxsize=1)
def _read(path: str, digest: str) -> _CodeFormerRestorer:
    from safetensors import SafetensorError, safe_open

    from huddle3d.networks import CodeFormer, CodeFormerConfig, codeformer_config

    try:
        with safe_open(path, framework="pt") as file:
            shapes = {k: tuple(file.get_slice(k).get_shape()) for k in file.keys()}
            config: CodeFormerConfig = codeformer_config(shapes)
            network = CodeFormer(config)
            network.load_state_dict({k: file.get_tensor(k).float() for k in shapes})
    except (OSError, SafetensorError, ValueError, KeyError, RuntimeError) as e:
        why = " ".join(str(e).split())[:300]
        raise InputError(
            f"{display_name(path)}: not a CodeFormer network.", why=f"{why}.", next_step="Make it with `huddle3d models convert codeformer FILE`."
        ) from e
    return _CodeFormerRestorer(network.eval().requires_grad_(False), config.size)


def restorer_digest(source: str) -> str:
    """sha256 of the file that ``paint.faces`` names; empty for ``none``.

    Raises:
        InputError: no such file.
    """
    if source == "none":
        return ""
    if not Path(source).is_file():
        raise InputError(
            f"{display_name(source)}: no such file.", next_step="paint.faces is none, or a file of `huddle3d models convert codeformer`."
        )
    return hashlib.sha256(Path(source).read_bytes()).hexdigest()


def codeformer_restorer(source: str) -> FaceRestorer:
    """The user's CodeFormer network, read once.

    Raises:
        InputError: no such file, or another one.
    """
    return _read(source, restorer_digest(source))
