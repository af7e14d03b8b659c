"""BlazeFace and the 468-point face mesh (Bazarevsky et al. 2019; Kartynnik et al. 2019)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from huddle3d.perception._anchors import FACE_GRID, Detection, anchor_centres, decode, suppress
from huddle3d.perception._roi import Picture, Roi
from huddle3d.perception._runner import Network, Networks

__all__ = ["FACE_ROWS", "Face", "body_regions", "detect_faces", "estimate_face", "verified"]

FACE_ROWS = (33, 133, 362, 263, 1, 61, 291, 0, 17, 152)
"""Rows of the face mesh for our ten face landmarks (eye corners, nose tip, mouth right, left, top, bottom, chin)."""


@dataclass(frozen=True)
class Face:
    """A face mesh in the picture."""

    points: Float[np.ndarray, "468 2"]
    """[px]."""
    score: float
    """Probability that the region holds a face."""


def detect_faces(picture: Picture, windows: Sequence[Roi], networks: Networks, threshold: float) -> list[Detection]:
    """Faces in some windows. Points: 0 right eye, 1 left eye, 2 nose tip, 3 mouth, 4 right ear, 5 left ear (the subject's right and left)."""
    net = networks.face_detection
    found: list[Detection] = []
    for window in windows:
        raw, logits = net(picture.crop(window, net.size, -1.0, 1.0))
        found += decode(raw, logits, anchor_centres(FACE_GRID), net.size, threshold, window)
    return suppress(found, 0.3)


def verified(picture: Picture, faces: Sequence[Detection], networks: Networks) -> list[Detection]:
    """The same faces with scores that the mesh network has had its say in, best first.

    It is nearly always right where it says yes. Where it says no, profiles remain possible if the detector is very sure: hands and knees,
    which pass for faces as well, rarely make it that sure.
    """
    judged = []
    for face in faces:
        mesh = estimate_face(picture, face, networks).score
        judged.append(replace(face, score=max(face.score, mesh) if mesh >= 0.9 else face.score - 0.15))
    return sorted(judged, key=lambda f: -f.score)


def body_regions(face: Detection) -> list[Roi]:
    """Regions in which the body below a face may lie: a standing figure, a seated or cut one, and both leaning to either side.

    A face box is about 0.115 of the stature and the hips are about 3.5 face boxes below it.
    """
    x, y = (face.box[:2] + face.box[2:]) / 2
    size = float(face.box[3] - face.box[1])
    tilt = _tilt(face)
    regions = []
    for drop, side in ((3.4, 11.0), (2.2, 6.5)):
        for lean in dict.fromkeys((0.0, tilt, 0.5 * tilt)):
            regions.append(Roi(float(x) - drop * size * math.sin(lean), float(y) + drop * size * math.cos(lean), side * size, lean))
    return regions


def estimate_face(picture: Picture, face: Detection, networks: Networks) -> Face:
    """The mesh of a detected face: one look at 1.5 times its box, and one at the box of the points found there."""
    net = networks.face_landmark
    x, y = (face.box[:2] + face.box[2:]) / 2
    roi = Roi(float(x), float(y), 1.5 * float(max(face.box[2:] - face.box[:2])), _tilt(face))
    points, score = _look(picture, roi, net)
    lo, hi = (f(roi.from_picture(points), axis=0) for f in (np.min, np.max))
    dx, dy = (lo + hi) / 2 - 0.5
    following = roi.shifted(float(dx), float(dy), 1.5 * float((hi - lo).max()))
    again, again_score = _look(picture, following, net)
    return Face(again, again_score) if again_score >= score else Face(points, score)


def _look(picture: Picture, roi: Roi, net: Network) -> tuple[Float[np.ndarray, "468 2"], float]:
    mesh, flag = net(picture.crop(roi, net.size))
    points = roi.to_picture(mesh.reshape(468, 3)[:, :2].astype(np.float64) / net.size)
    return points, float(1 / (1 + np.exp(-np.clip(flag.reshape(-1)[0], -60, 60))))


def _tilt(face: Detection) -> float:
    """Rotation of the line between the eyes from the horizontal [rad]."""
    dx, dy = face.points[1] - face.points[0]
    return math.atan2(dy, dx)
