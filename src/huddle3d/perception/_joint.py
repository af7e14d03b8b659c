"""Looks again at people whose skeletons, taken together, do not explain the picture.

In an embrace a region of interest holds two bodies, and a look may give a head the legs of the partner, or fit a whole body into its visible
half. Each such skeleton looks fine by itself. Seen together they leave a body without a skeleton, or put two skeletons' limbs on one limb.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from jaxtyping import Bool, Float

from huddle3d.perception._anchors import Detection
from huddle3d.perception._consensus import settle
from huddle3d.perception._erase import paint_over, person_region
from huddle3d.perception._evidence import EXPLAINED_REACH, box_of
from huddle3d.perception._judgement import face_of, quality
from huddle3d.perception._pose import HEAD, Pose, estimate_pose
from huddle3d.perception._roi import Picture, roi_of_window
from huddle3d.perception._runner import Networks
from huddle3d.perception._similarity import body_scale

__all__ = ["reconsider", "shared_limbs"]

_SUSPECT = 0.06
"""Unexplained plus shared parts from which a person is looked at again."""
_WEIGHT = 2.0
"""Weight of the unexplained share, and of the share of limbs that lie on another's, against the logarithm of the quality."""
_LIMBS = ((11, 13), (13, 15), (12, 14), (14, 16), (23, 25), (25, 27), (24, 26), (26, 28))
"""BlazePose rows of upper arms, forearms, thighs and shins; left and right alternate in pairs."""


def reconsider(
    picture: Picture, poses: Sequence[Pose], faces: Sequence[Detection], networks: Networks, evidence: Float[np.ndarray, "height width"]
) -> list[Pose]:
    """The poses, some of them replaced by others with the same head that explain more of the picture.

    For each person in question, the least sure one first, looks are taken at several regions, also with all others painted over. Among those
    at least as sure as the old one, that with the largest ``ln(quality) - 2 (unexplained + shared)`` is kept. Unexplained: the share of person
    pixels around them that lie on nobody's limbs. Shared: the share of their limbs that lie on limbs of others.
    """
    poses = list(poses)
    size = (picture.height, picture.width)
    regions = [person_region(p, *size, reach=EXPLAINED_REACH) for p in poses]
    for i in sorted(range(len(poses)), key=lambda k: quality(poses[k])):
        rivals = [p for k, p in enumerate(poses) if k != i]
        taken = np.logical_or.reduce([np.zeros(size, bool), *(r for k, r in enumerate(regions) if k != i)])
        own = (evidence > 0.5) & _window(poses[i], size)
        total = max(int(own.sum()), 1)
        own &= ~taken
        losses = partial(_loss, own=own, total=total, others=rivals)
        if losses(poses[i]) < _SUSPECT:
            continue
        looks = _looks(picture, poses[i], rivals, own, faces, networks)
        candidates = [p for p in looks if quality(p) >= quality(poses[i])]
        poses[i] = max([poses[i], *candidates], key=lambda p, losses=losses: math.log(max(quality(p), 1e-3)) - _WEIGHT * losses(p))
        regions[i] = person_region(poses[i], *size, reach=EXPLAINED_REACH)
    return poses


def _loss(pose: Pose, own: Bool[np.ndarray, "height width"], total: int, others: Sequence[Pose]) -> float:
    """Share of unexplained pixels (of ``own``, those on nobody else's limbs, per ``total``) and of limbs that lie on others' limbs."""
    return float((own & ~person_region(pose, *own.shape, reach=EXPLAINED_REACH)).sum()) / total + shared_limbs(pose, others)


def shared_limbs(pose: Pose, others: Sequence[Pose]) -> float:
    """Share of a pose's sure limbs that lie, end on end, on limbs of another; sides do not matter."""
    if not others:
        return 0.0
    scale = body_scale(pose)
    sure, shared = 0, 0
    for a, b in _LIMBS:
        if min(pose.confidence[a], pose.confidence[b]) < 0.3:
            continue
        sure += 1
        shared += any(
            min(o.confidence[c], o.confidence[d]) >= 0.3
            and float(np.linalg.norm(pose.points[a] - o.points[c])) < 0.2 * scale
            and float(np.linalg.norm(pose.points[b] - o.points[d])) < 0.2 * scale
            for o in others
            for c, d in _LIMBS
        )
    return shared / max(sure, 4)


def _window(pose: Pose, size: tuple[int, int]) -> Bool[np.ndarray, "height width"]:
    """Where a person's pixels can be: the region and what is around and below it."""
    x0, y0, x1, y1 = pose.roi.shifted(0, 0.2, 1.4).box()
    inside = np.zeros(size, bool)
    inside[max(0, int(y0)) : max(0, int(y1)), max(0, int(x0)) : max(0, int(x1))] = True
    return inside


def _looks(
    picture: Picture, pose: Pose, others: Sequence[Pose], own: Bool[np.ndarray, "height width"], faces: Sequence[Detection], networks: Networks
) -> list[Pose]:
    """Consensus poses with the same head: in the picture without the others, at the old region, larger ones, and one around the own pixels."""
    size = (picture.height, picture.width)
    face = face_of(pose, faces)
    head = pose.points[list(HEAD)].mean(axis=0)
    scale = body_scale(pose)
    regions = [pose.roi, pose.roi.grown_about(head, 1.3), pose.roi.grown_about(head, 1.7)]
    from_head = np.hypot(*(np.indices(size)[::-1] - head[:, None, None]))
    seen = own | (from_head < 0.5 * scale) & person_region(pose, *size)
    if seen.sum() > 16:
        regions.append(roi_of_window(box_of(seen)).shifted(0, 0, 1.25))
    # What is near this head stays, so that the own head is never painted over.
    keep = from_head < 0.45 * scale
    blanked = Picture(paint_over(picture.image, [person_region(o, *size) & ~keep for o in others])) if others else picture
    best = networks.landmark_variants()[0]
    found = []
    for view in (picture, blanked) if others else (picture,):
        for region in regions:
            look = settle(view, estimate_pose(view, region, best, pose.score), best)
            moved = float(np.linalg.norm(look.points[list(HEAD)].mean(axis=0) - head))
            if look.flag >= 0.5 and moved < 0.2 * scale and (face is None or face_of(look, [face]) is not None):
                found.append(look)
    return found
