"""What several looks at one person agree on.

The landmark network answers with a skeleton for anything. Looks at slightly other scales and at the mirror image tell people from
imaginings: on a person they agree to a few percent of the body, on a leg, a cake or a pair of half-visible people they do not.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from huddle3d.perception._pose import Pose, estimate_pose
from huddle3d.perception._roi import Picture
from huddle3d.perception._runner import Networks
from huddle3d.perception._similarity import body_scale

__all__ = ["settle", "steadiness", "with_more_masks"]

_VIEWS = ((1.0, False), (1.0, True), (0.82, False), (0.82, True), (1.22, False), (1.22, True))
"""Scale of the region and whether it is mirrored."""
_HOPELESS = 0.8
"""Wobble of three looks beyond which more looks do not help."""


def settle(picture: Picture, first: Pose, networks: Networks) -> Pose:
    """The consensus of six looks around a first one.

    Each point is the mean of the looks that lie near their median; its confidence is their mean confidence, reduced by their spread.
    A look whose mirror image shows something else entirely ends the matter: the result then has a large wobble.
    """
    poses = [first]
    for scale, mirrored in _VIEWS[1:]:
        poses.append(estimate_pose(picture, first.roi.shifted(0, 0, scale), networks, first.score, mirrored=mirrored))
        if len(poses) == 3 and _merge(poses).wobble > _HOPELESS:
            break
    return _merge(poses)


def with_more_masks(picture: Picture, pose: Pose, networks: Networks) -> Pose:
    """The pose with two more masks: of its own region in this picture, and of one 1.7 times as large that reaches down.

    Regions of people who are seen from the waist up end at the hips, but their skirts and legs may be in the picture all the same. Give the
    picture with everybody in it: where neighbours were painted over, a mask lacks what was painted over by mistake.
    """
    more = []
    for roi, weight in ((pose.roi, 1.0), (pose.roi.shifted(0, 0.2, 1.7), 0.3)):
        looks = [estimate_pose(picture, roi, networks, pose.score, mirrored=m) for m in (False, True)]
        if min(p.flag for p in looks) >= 0.3:
            more.append((roi, (looks[0].mask_logits + looks[1].mask_logits) / 2, weight))
    return replace(pose, more_masks=(*pose.more_masks, *more))


def _merge(poses: list[Pose]) -> Pose:
    base = poses[0]
    points = np.stack([p.points for p in poses])
    confidence = np.stack([p.confidence for p in poses])
    flags = np.array([p.flag for p in poses])
    middle = np.median(points, axis=0)
    scale = body_scale(replace(base, points=middle))
    distance = np.linalg.norm(points - middle, axis=-1) / scale
    near = (distance <= np.maximum(0.15, np.median(distance, axis=0))) * (confidence + 1e-3)
    weights = near / near.sum(axis=0)
    merged = (points * weights[..., None]).sum(axis=0)
    spread = np.sqrt((np.linalg.norm(points - merged, axis=-1) ** 2).mean(axis=0)) / scale
    sure = confidence.mean(axis=0)
    wobble = float((np.linalg.norm(points - merged, axis=-1) / scale * sure).sum() / (sure.sum() * len(poses)))
    world = (np.stack([p.world for p in poses]) * weights[..., None]).sum(axis=0)
    logits = (base.mask_logits + poses[1].mask_logits) / 2
    wide = tuple((a.roi, (a.mask_logits + b.mask_logits) / 2, 0.3) for a, b in zip(poses[4:5], poses[5:6], strict=True))
    # A point whose looks scatter by 0.3 body scales (half a forearm) is worth little more than a guess.
    honest = sure * np.exp(-((spread / 0.3) ** 2))
    return replace(base, points=merged, confidence=honest, world=world, mask_logits=logits, more_masks=wide, flag=float(flags.mean()), wobble=wobble)


def steadiness(pose: Pose) -> float:
    """1 for looks that agree, 0.37 for a mean disagreement of 0.4 body scales, falling fast beyond."""
    return float(np.exp(-((pose.wobble / 0.4) ** 2)))
