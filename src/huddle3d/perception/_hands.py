"""Hands (Zhang et al. 2020): palms around each wrist, 21 points each, and whose hand it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from huddle3d.perception._anchors import PALM_GRID, anchor_centres, decode, suppress
from huddle3d.perception._pose import Pose
from huddle3d.perception._roi import Picture, Roi, roi_from_axis
from huddle3d.perception._runner import Networks
from huddle3d.perception._similarity import body_scale

__all__ = ["WRISTS", "Hand", "find_hands", "hands_of_people"]

WRISTS = {"left": 15, "right": 16}
"""BlazePose rows."""
_WINDOW = 1.6
"""Side of the window around a wrist, in body scales."""
_REACH = 0.45
"""A hand whose root is farther than this from a wrist [body scales] is somebody else's."""
_CORE = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)
"""Points whose extent gives the region of the next look."""


@dataclass(frozen=True)
class Hand:
    """One hand; the order of points is that of the landmark table (root, then thumb to little finger, each from palm to tip)."""

    points: Float[np.ndarray, "21 2"]
    """[px]."""
    world: Float[np.ndarray, "21 3"]
    """Metric, picture axes, about the hand's own centre [m]."""
    presence: float
    """Probability that the region holds a hand."""
    leftness: float
    """Probability that it is the subject's left hand."""


def find_hands(picture: Picture, poses: Sequence[Pose], networks: Networks, threshold: float = 0.4) -> list[Hand]:
    """All hands near the wrists of some people."""
    net = networks.palm_detection
    palms = []
    for pose in poses:
        side = _WINDOW * body_scale(pose)
        for row in WRISTS.values():
            x, y = pose.points[row]
            if pose.confidence[row] < 0.1 or not (0 <= x <= picture.width and 0 <= y <= picture.height):
                continue
            for scale in (1.0, 0.6):
                window = Roi(float(x), float(y), scale * side)
                raw, logits = net(picture.crop(window, net.size))
                palms += decode(raw, logits, anchor_centres(PALM_GRID), net.size, threshold, window)
    hands = []
    for palm in suppress(palms, 0.3):
        # The palm's box, 2.6 times as large, half its old side towards the fingers (points 0 wrist, 2 knuckle of the middle finger).
        axis = roi_from_axis(palm.points[0], palm.points[2], 1.0)
        middle = (palm.box[:2] + palm.box[2:]) / 2
        palm_roi = Roi(float(middle[0]), float(middle[1]), float(max(palm.box[2:] - palm.box[:2])), axis.angle)
        hands.append(_estimate(picture, palm_roi.shifted(0, -0.5, 2.6), networks))
    return _distinct([h for h in hands if h.presence >= 0.5])


def hands_of_people(hands: Sequence[Hand], poses: Sequence[Pose]) -> list[dict[str, tuple[Hand, float]]]:
    """For each person ``"left"`` and ``"right"`` → hand and confidence, as far as found; each hand belongs to one wrist at most.

    The sum of distances is minimised over all people at once, so that two hands which touch are not given to one person. The networks'
    own left and right only breaks near-ties: it is unsure for hands seen edge-on.
    """
    from scipy.optimize import linear_sum_assignment

    owners = [(k, side) for k in range(len(poses)) for side in WRISTS]
    result: list[dict[str, tuple[Hand, float]]] = [{} for _ in poses]
    if not hands or not owners:
        return result
    distance = np.zeros((len(hands), len(owners)))
    cost = np.zeros_like(distance)
    for i, hand in enumerate(hands):
        for j, (k, side) in enumerate(owners):
            pose, row = poses[k], WRISTS[side]
            distance[i, j] = np.linalg.norm(hand.points[0] - pose.points[row]) / body_scale(pose)
            wrong = 1 - hand.leftness if side == "left" else hand.leftness
            unseen = 1 - pose.confidence[row]
            cost[i, j] = distance[i, j] + 0.15 * wrong + 0.1 * unseen if distance[i, j] < _REACH else 10.0
    for i, j in zip(*linear_sum_assignment(cost), strict=True):
        if cost[i, j] < 10:
            k, side = owners[j]
            result[k][side] = (hands[i], hands[i].presence * float(np.exp(-((distance[i, j] / 0.3) ** 2))))
    return result


def _estimate(picture: Picture, roi: Roi, networks: Networks) -> Hand:
    first, following = _look(picture, roi, networks)
    if first.presence < 0.5:
        return first
    second, _ = _look(picture, following, networks)
    return second if second.presence >= 0.5 else first


def _look(picture: Picture, roi: Roi, networks: Networks) -> tuple[Hand, Roi]:
    net = networks.hand_landmark
    screen, presence, handedness, world = net(picture.crop(roi, net.size))
    points = roi.to_picture(screen.reshape(21, 3)[:, :2].astype(np.float64) / net.size)
    xyz = world.reshape(21, 3).astype(np.float64)
    xyz[:, :2] = xyz[:, :2] @ roi.rotation().T
    hand = Hand(points, xyz, float(presence.reshape(-1)[0]), 1 - float(handedness.reshape(-1)[0]))
    knuckles = (points[6] + points[14]) / 2 * 0.5 + points[10] * 0.5
    turned = Roi(roi.x, roi.y, roi.side, roi_from_axis(points[0], knuckles, 1.0).angle)
    core = turned.from_picture(points[list(_CORE)])
    lo, hi = core.min(axis=0), core.max(axis=0)
    centre = (lo + hi) / 2 - 0.5
    following = turned.shifted(float(centre[0]), float(centre[1]), float((hi - lo).max()))
    return hand, following.shifted(0, -0.1, 2.0)


def _distinct(hands: Sequence[Hand]) -> list[Hand]:
    kept: list[Hand] = []
    for hand in sorted(hands, key=lambda h: -h.presence):
        size = float(np.ptp(hand.points, axis=0).max())
        if all(np.linalg.norm(hand.points - other.points, axis=1).mean() > 0.25 * size for other in kept):
            kept.append(hand)
    return kept
