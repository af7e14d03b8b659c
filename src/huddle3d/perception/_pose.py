"""BlazePose (Bazarevsky et al. 2020): detector and landmark network with its own region tracking, for any number of people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from huddle3d.perception._anchors import POSE_GRID, Detection, anchor_centres, decode, suppress
from huddle3d.perception._roi import Picture, Roi, roi_from_axis
from huddle3d.perception._runner import Networks

__all__ = ["HEAD", "MIRRORED", "Pose", "detect_poses", "estimate_pose", "refine_pose", "roi_of_detection", "sigmoid", "soft_mask"]

_ROI_SCALE = 1.25
_NUM, _AUX_CENTRE, _AUX_TIP = 33, 33, 34
HEAD = tuple(range(11))
"""Rows of the nose, eyes, ears and mouth."""
MIRRORED = (0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9, *(i + 1 - 2 * (i % 2 == 0) for i in range(11, 33)))
"""Row of the left-right counterpart of each point."""


@dataclass(frozen=True)
class Pose:
    """One person as BlazePose sees them (33 points in its own order; left and right are the subject's)."""

    points: Float[np.ndarray, "33 2"]
    """[px]."""
    confidence: Float[np.ndarray, "33"]
    """In [0, 1]; visibility × presence of one look, or what several looks agree on. Not yet cut at the picture's border."""
    world: Float[np.ndarray, "33 3"]
    """Hip-centred, camera axes (x right, y down, z away) [m]."""
    mask_logits: Float[np.ndarray, "256 256"]
    """Person mask in crop coordinates of :attr:`roi`."""
    more_masks: tuple[tuple[Roi, Float[np.ndarray, "256 256"], float], ...]
    """Masks (logits) of further looks at other regions, and their weights; the first mask has weight 1."""
    roi: Roi
    """Region the landmarks come from."""
    next_roi: Roi
    """Region that the network proposes for another look."""
    flag: float
    """Probability that the region holds a person (mean over the looks)."""
    score: float
    """Score of the detection that the first look started from."""
    wobble: float = 0.0
    """How far the looks disagree: confidence-weighted mean distance to their consensus, in body scales."""


def detect_poses(picture: Picture, roi: Roi, networks: Networks, threshold: float, max_iou: float = 0.3) -> list[Detection]:
    """People in one window. Points: 0 mid-hip, 1 tip of the body's circle, 2 mid-shoulder, 3 upper body's circle; the box holds the face."""
    net = networks.pose_detection
    raw, logits = net(picture.crop(roi, net.size, -1.0, 1.0))
    return suppress(decode(raw, logits, anchor_centres(POSE_GRID), net.size, threshold, roi), max_iou)


def roi_of_detection(detection: Detection) -> Roi:
    """Landmark region of a detection."""
    return roi_from_axis(detection.points[0], detection.points[1], _ROI_SCALE)


def estimate_pose(picture: Picture, roi: Roi, networks: Networks, score: float, *, mirrored: bool = False) -> Pose:
    """One look of the landmark network at one region; ``mirrored`` shows it the mirror image and undoes that in the result."""
    net = networks.pose_landmark
    crop = picture.crop(roi, net.size)
    screen, flag, mask, heatmap, world = net(crop[:, ::-1] if mirrored else crop)
    rows = screen.astype(np.float64).reshape(39, 5)
    crop_points = _refine_by_heatmap(rows[:, :2] / net.size, heatmap)
    xyz = world.astype(np.float64).reshape(39, 3)[:_NUM].copy()
    confidence = sigmoid(rows[:_NUM, 3]) * sigmoid(rows[:_NUM, 4])
    logits = mask[..., 0].astype(np.float32)
    if mirrored:
        crop_points[:, 0] = 1 - crop_points[:, 0]
        crop_points[:_NUM] = crop_points[list(MIRRORED)]
        xyz, confidence, logits = xyz[list(MIRRORED)] * (-1, 1, 1), confidence[list(MIRRORED)], logits[:, ::-1]
    points = roi.to_picture(crop_points)
    xyz[:, :2] = xyz[:, :2] @ roi.rotation().T
    return Pose(
        points[:_NUM],
        confidence,
        xyz,
        logits,
        (),
        roi,
        roi_from_axis(points[_AUX_CENTRE], points[_AUX_TIP], _ROI_SCALE),
        float(flag.reshape(-1)[0]),
        score,
    )


def refine_pose(picture: Picture, roi: Roi, networks: Networks, score: float, looks: int = 3) -> Pose:
    """Several looks, each at the region that the last one proposes; an earlier pose is kept if a later one loses the person."""
    pose = estimate_pose(picture, roi, networks, score)
    for _ in range(looks - 1):
        if pose.flag < 0.1 or pose.next_roi.side < 8:
            break
        following = estimate_pose(picture, pose.next_roi, networks, score)
        if following.flag < 0.5 * pose.flag:
            break
        pose = following
    return pose


def soft_mask(pose: Pose, height: int, width: int) -> Float[np.ndarray, "height width"]:
    """The person mask in the picture, in [0, 1]: the mean of the looks that cover a pixel, 0 where none does.

    Larger regions add what the first one cuts off (skirts, legs, raised arms).
    """
    total = np.zeros((height, width), np.float32)
    weight = np.full((height, width), 1e-6, np.float32)
    for roi, logits, share in ((pose.roi, pose.mask_logits, 1.0), *pose.more_masks):
        inside = roi.paste(np.full(logits.shape, share, np.float32), width, height)
        total += inside * roi.paste(sigmoid(logits).astype(np.float32), width, height)
        weight += inside
    return total / weight


def _refine_by_heatmap(points: Float[np.ndarray, "39 2"], heatmap: Float[np.ndarray, "64 64 39"], radius: int = 3) -> Float[np.ndarray, "39 2"]:
    """Weighted mean of the heatmap in a small window around each regressed point, where the map is sure of itself.

    A cell's index times 4 is its place in the crop: the maps were trained so; adding half a cell shifts all points (measured on annotations).
    """
    size = heatmap.shape[0]
    refined = points.copy()
    for k, (x, y) in enumerate(points * size):
        col, row = int(x), int(y)
        if not (0 <= col < size and 0 <= row < size):
            continue
        x0, y0 = max(0, col - radius), max(0, row - radius)
        w = sigmoid(heatmap[y0 : row + radius + 1, x0 : col + radius + 1, k].astype(np.float64))
        if w.max() >= 0.5:
            rows, cols = np.mgrid[y0 : y0 + w.shape[0], x0 : x0 + w.shape[1]]
            refined[k] = (cols * w).sum() / w.sum() / size, (rows * w).sum() / w.sum() / size
    return refined


def sigmoid(x: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """``1 / (1 + exp(-x))`` without overflow."""
    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))
