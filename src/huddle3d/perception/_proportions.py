"""Looks again at people whose body is too small for their face.

A person seen from the chest up, or whose hips are behind something, gets a region that ends where the picture of the person does; the network
then fits a whole small body into it: hips at the waist, a child's torso under an adult's head. A larger region shows it the room below.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from huddle3d.perception._anchors import Detection
from huddle3d.perception._consensus import settle
from huddle3d.perception._judgement import face_of, quality
from huddle3d.perception._pose import HEAD, Pose, estimate_pose
from huddle3d.perception._roi import Picture
from huddle3d.perception._runner import Networks
from huddle3d.perception._similarity import body_scale

__all__ = ["with_room_below"]

_SHOULDERS = [11, 12]
"""BlazePose rows."""

_USUAL = (0.29, 0.40)
"""Height of a detected face over the body scale for people who stand before the camera."""
_SUSPECT = 0.45
"""From here on a larger region is tried. Children and torsos that point at the camera keep their ratio in it, and so keep their pose."""
_SCALES = (1.3, 1.6, 2.0)


def with_room_below(picture: Picture, pose: Pose, faces: Sequence[Detection], networks: Networks) -> Pose:
    """The pose, or what larger regions with the head at the same place show, if that body goes better with the face.

    Head and shoulders, which were seen well, have to stay where they were. Among such looks the one with the smallest
    ``2 |ln(ratio / nearest usual ratio)| - ln(quality)`` wins: a larger region gives a less sure look, but it must not be much less so.
    """
    face = face_of(pose, faces)
    if face is None or _ratio(face, pose) < _SUSPECT:
        return pose
    head = pose.points[list(HEAD)].mean(axis=0)
    candidates = [pose]
    for variant in networks.landmark_variants():
        for scale in _SCALES:
            look = settle(picture, estimate_pose(picture, pose.roi.grown_about(head, scale), variant, pose.score), variant)
            if look.flag >= 0.5 and face_of(look, [face]) is not None and _keeps_upper_body(pose, look):
                candidates.append(look)
    return min(candidates, key=lambda p: 2 * _unusual(_ratio(face, p)) - math.log(max(quality(p), 1e-3)))


def _keeps_upper_body(pose: Pose, look: Pose) -> bool:
    """Whether head and shoulders of a look are where they were, and not much less sure."""
    moved = np.linalg.norm(look.points - pose.points, axis=1) / body_scale(look)
    surer = look.confidence[_SHOULDERS] >= 0.6 * pose.confidence[_SHOULDERS]
    return bool(moved[list(HEAD)].mean() < 0.1 and moved[_SHOULDERS].max() < 0.12 and surer.all())


def _unusual(ratio: float) -> float:
    low, high = _USUAL
    return max(0.0, math.log(low / ratio), math.log(ratio / high))


def _ratio(face: Detection, pose: Pose) -> float:
    return float(face.box[3] - face.box[1]) / body_scale(pose)
