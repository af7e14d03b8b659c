"""One observed person, whatever the source, and the step from observations to :class:`People2D`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8

from huddle3d.perception._config import PerceiveConfig
from huddle3d.perception._face import Face
from huddle3d.perception._hands import Hand
from huddle3d.perception._judgement import quality
from huddle3d.perception._limbs import keypoint_scale
from huddle3d.perception._masks import MaskPrior, person_masks
from huddle3d.perception._pose import Pose, soft_mask
from huddle3d.perception._table import keypoints_of, landmarks3d_of
from huddle3d.perception._warnings import people_warnings
from huddle3d.scene import People2D, Photo

__all__ = ["Observation", "WorkingPhoto", "assemble", "observe"]


@dataclass(frozen=True)
class WorkingPhoto:
    """A photo at the resolution that the networks and GrabCut work at."""

    photo: Photo
    """The photo itself."""
    image: UInt8[np.ndarray, "height width 3"]
    """sRGB, shrunk."""
    factor: float
    """Working pixels per photo pixel, at most 1."""

    @staticmethod
    def of(photo: Photo, max_side: int) -> WorkingPhoto:
        """Shrink so that the longer side has ``max_side`` pixels at most."""
        image = np.ascontiguousarray((photo.image.detach().cpu().numpy().clip(0, 1) * 255 + 0.5).astype(np.uint8))
        factor = min(1.0, max_side / max(photo.width, photo.height))
        if factor < 1:
            size = (max(1, round(photo.width * factor)), max(1, round(photo.height * factor)))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        return WorkingPhoto(photo, image, factor)


@dataclass(frozen=True)
class Observation:
    """One person in working pixels."""

    keypoints: Float[np.ndarray, "L 3"]
    """u, v [px] and confidence."""
    landmarks3d: Float[np.ndarray, "L 4"]
    """Hip-centred, camera axes [m], and confidence."""
    probability: Float[np.ndarray, "height width"]
    """Soft mask; may cover neighbours."""
    score: float
    """Confidence in [0, 1]."""
    mask: Bool[np.ndarray, "height width"] | None = None
    """A mask that is given and must not be changed, except where people overlap."""
    box: Float[np.ndarray, "4"] | None = None
    """A box xyxy that is given [px]."""


def observe(pose: Pose, hands: dict[str, tuple[Hand, float]], face: Face | None, working: WorkingPhoto) -> Observation:
    """A person that the networks found."""
    height, width = working.image.shape[:2]
    return Observation(keypoints_of(pose, hands, face, width, height), landmarks3d_of(pose, hands), soft_mask(pose, height, width), quality(pose))


def assemble(
    working: WorkingPhoto, people: Sequence[Observation], config: PerceiveConfig, source: str, extra_warnings: Sequence[str] = ()
) -> People2D:
    """Masks, boxes, order from left to right, warnings; everything in the photo's own pixels."""
    photo, factor = working.photo, working.factor
    priors = [MaskPrior(p.probability, p.keypoints, keypoint_scale(p.keypoints), p.mask) for p in people]
    masks = person_masks(working.image, priors, config)
    rows = []
    for person, mask in zip(people, masks, strict=True):
        full = mask if factor == 1 else cv2.resize(mask.astype(np.uint8), (photo.width, photo.height), interpolation=cv2.INTER_NEAREST) > 0
        table = person.keypoints.copy()
        table[:, :2] /= factor
        box = _box(table, full, photo) if person.box is None else person.box / factor
        rows.append((box, person, table, full))
    rows.sort(key=lambda r: float(r[0][0] + r[0][2]))
    names = tuple(f"person_{k}" for k in range(len(rows)))
    boxes, tables, full_masks = (np.stack([r[i] for r in rows]) for i in (0, 2, 3))
    scores = [r[1].score for r in rows]
    return People2D(
        names=names,
        boxes=torch.from_numpy(boxes).float(),
        scores=torch.tensor(scores, dtype=torch.float32),
        keypoints=torch.from_numpy(tables).float(),
        landmarks3d=torch.from_numpy(np.stack([r[1].landmarks3d for r in rows])).float(),
        masks=torch.from_numpy(full_masks),
        source=source,
        warnings=(*people_warnings(names, boxes, tables, full_masks, scores), *extra_warnings),
    )


def _box(table: Float[np.ndarray, "L 3"], mask: Bool[np.ndarray, "height width"], photo: Photo) -> Float[np.ndarray, "4"]:
    """Box around the mask and the sure key points, inside the photo."""
    ys, xs = np.nonzero(mask)
    sure = table[table[:, 2] > 0.3, :2]
    corners = [sure] if len(sure) else []
    if len(xs):
        corners.append(np.array([[xs.min(), ys.min()], [xs.max() + 1, ys.max() + 1]], float))
    points = np.concatenate(corners) if corners else table[:, :2]
    return np.clip(np.concatenate([points.min(axis=0), points.max(axis=0)]), 0, [photo.width, photo.height] * 2)
