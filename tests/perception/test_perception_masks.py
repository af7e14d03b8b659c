"""Masks are disjoint, follow the skeletons, and people can be painted over."""

import numpy as np
import pytest
from perception_poses import make_pose

from huddle3d.perception import PerceiveConfig
from huddle3d.perception._erase import paint_over, person_region
from huddle3d.perception._limbs import keypoint_scale, limb_distance
from huddle3d.perception._masks import MaskPrior, owners, person_masks
from huddle3d.perception._table import keypoints_of

HEIGHT, WIDTH = 220, 260


def scene(x_a: float, x_b: float) -> tuple[np.ndarray, list[MaskPrior], list[np.ndarray]]:
    """Two figures of two colours on a textured wall, soft masks that cover both, and the true regions (a in front)."""
    rng = np.random.default_rng(0)
    image = np.clip(rng.normal(170, 10, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)
    tables = [keypoints_of(make_pose(x, 120), {}, None, WIDTH, HEIGHT) for x in (x_a, x_b)]
    bodies = [limb_distance(t, keypoint_scale(t), HEIGHT, WIDTH) < 0.9 for t in tables]
    for body, colour in ((bodies[1], (40, 90, 160)), (bodies[0], (170, 50, 40))):
        image[body] = np.clip(rng.normal(colour, 8, (int(body.sum()), 3)), 0, 255)
    soft = np.where(bodies[0] | bodies[1], 0.95, 0.02).astype(np.float32)
    return image, [MaskPrior(soft, t, keypoint_scale(t)) for t in tables], [bodies[0], bodies[1] & ~bodies[0]]


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("grabcut", [False, True])
@pytest.mark.parametrize("x_b", [125.0, 150.0, 200.0])
def test_masks_are_disjoint_and_right(grabcut: bool, x_b: float) -> None:
    image, priors, truth = scene(90, x_b)
    masks = person_masks(image, priors, PerceiveConfig(grabcut=grabcut))
    assert not (masks[0] & masks[1]).any()
    # Where figures do not overlap the assignment is nearly exact; at 35 px distance (under one shoulder width) arms cross.
    least = 0.85 if x_b >= 150 else 0.6
    assert min(iou(m, t) for m, t in zip(masks, truth, strict=True)) > least


def test_masks_are_deterministic() -> None:
    image, priors, _ = scene(90, 130)
    first, second = (person_masks(image, priors, PerceiveConfig()) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, second, strict=True))


def test_a_given_mask_stands() -> None:
    image, priors, truth = scene(90, 125)
    given = MaskPrior(priors[0].probability, priors[0].keypoints, priors[0].scale, truth[0])
    masks = person_masks(image, [given, priors[1]], PerceiveConfig())
    assert (masks[0] == truth[0]).all()
    assert not (masks[0] & masks[1]).any() and masks[1].sum() > 300


def test_pixels_of_nobody() -> None:
    owner = owners([np.full((4, 4), 0.4), np.full((4, 4), 0.2)], [np.zeros((4, 4)), np.zeros((4, 4))])
    assert (owner == -1).all()


def test_painting_over_removes_the_figure_and_keeps_the_rest() -> None:
    image, _, truth = scene(70, 190)
    pose = make_pose(70, 120)
    region = person_region(pose, HEIGHT, WIDTH)
    assert region[truth[0]].mean() > 0.95 and not region[:, 130:].any()
    out = paint_over(image, [region])
    assert np.abs(out[truth[0]].astype(int) - 170).mean() < 12, "the background's median"
    assert (out[:, 140:] == image[:, 140:]).all()
    assert (paint_over(image, []) == image).all()


def test_painting_over_everything_does_not_fail() -> None:
    image = np.full((40, 40, 3), 7, np.uint8)
    assert (paint_over(image, [np.ones((40, 40), bool)]) == 7).all()
