"""Regions of interest, anchors, limbs and likeness: exact cases."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from perception_poses import make_pose, standing_points

from huddle3d.perception._anchors import FACE_GRID, PALM_GRID, POSE_GRID, Detection, anchor_centres, decode, iou, suppress
from huddle3d.perception._limbs import keypoint_scale, limb_distance
from huddle3d.perception._pose import MIRRORED
from huddle3d.perception._roi import Picture, Roi, roi_from_axis, roi_of_window
from huddle3d.perception._similarity import BLAZE_OF_COCO, is_same_person, oks
from huddle3d.perception._table import BLAZE_ROWS, keypoints_of
from huddle3d.scene.landmarks import LANDMARKS, MIRROR

finite = st.floats(-500, 500)


@given(finite, finite, st.floats(1, 900), st.floats(-4, 4), st.floats(-1, 2), st.floats(-1, 2))
def test_roi_round_trip(x: float, y: float, side: float, angle: float, s: float, t: float) -> None:
    roi = Roi(x, y, side, angle)
    point = np.array([[s, t]])
    # Coordinates of some 1e3 px in double precision, divided by sides of 1 px and more.
    assert np.allclose(roi.from_picture(roi.to_picture(point)), point, atol=1e-8)


def test_axis_points_up_in_the_crop() -> None:
    for angle in np.linspace(-3, 3, 13):
        tip = np.array([50 + 30 * math.sin(angle), 60 - 30 * math.cos(angle)])
        roi = roi_from_axis(np.array([50.0, 60.0]), tip, 1.25)
        assert roi.side == pytest.approx(75)
        assert np.allclose(roi.from_picture(tip), [0.5, 0.5 - 30 / 75])


def test_crop_samples_pixel_centres() -> None:
    """A linear ramp is reproduced exactly by any bilinear crop inside it, rotated ones included."""
    v, u = np.mgrid[0:200, 0:256] + 0.5
    picture = Picture(np.stack([u, v, u], axis=-1).astype(np.uint8))
    roi = Roi(120.0, 100.0, 64.0, 0.5)
    crop = picture.crop(roi, 64) * 255
    s = (np.arange(64) + 0.5) / 64
    grid = roi.to_picture(np.stack(np.meshgrid(s, s), axis=-1).reshape(-1, 2)).reshape(64, 64, 2)
    # u + 0.5 is stored rounded down to 8 bits, so a pixel whose centre is at u holds u - 0.5; OpenCV interpolates at 1/32 px.
    assert np.abs(crop[..., :2] - (grid - 0.5)).max() < 0.6
    assert abs((crop[..., :2] - (grid - 0.5)).mean()) < 0.05


def test_strong_shrinking_does_not_alias_or_shift() -> None:
    image = np.zeros((512, 512, 3), np.uint8)
    image[::2] = 255
    image[:, 256:] = 0
    crop = Picture(image).crop(roi_of_window((0, 0, 512, 512)), 64)
    assert np.abs(crop[2:-2, 2:30, 0] - 0.5).max() < 0.05
    assert crop[:, 33:].max() < 0.05


def test_outside_of_the_picture_is_black_and_values_scale() -> None:
    crop = Picture(np.full((100, 100, 3), 255, np.uint8)).crop(Roi(0.0, 50.0, 100.0), 10, -1.0, 1.0)
    assert np.allclose(crop[:, :4], -1) and np.allclose(crop[:, 6:], 1)


def test_paste_inverts_crop() -> None:
    roi = Roi(40.0, 30.0, 32.0, 0.3)
    soft = np.zeros((64, 64), np.float32)
    soft[20:40, 10:50] = 1
    pasted = roi.paste(soft, 80, 60)
    for v, u in ((30, 40), (25, 38), (5, 5), (35, 50)):
        s, t = roi.from_picture(np.array([u + 0.5, v + 0.5]))
        inside = 10 / 64 + 0.03 < s < 50 / 64 - 0.03 and 20 / 64 + 0.03 < t < 40 / 64 - 0.03
        outside = not (10 / 64 - 0.03 < s < 50 / 64 + 0.03 and 20 / 64 - 0.03 < t < 40 / 64 + 0.03)
        assert pasted[v, u] == (1 if inside else 0) or not (inside or outside)


def test_anchor_counts_and_order() -> None:
    assert [len(anchor_centres(g)) for g in (POSE_GRID, PALM_GRID, FACE_GRID)] == [2254, 2016, 2304]
    centres = anchor_centres(POSE_GRID)
    assert np.allclose(centres[:3], [[0.5 / 28, 0.5 / 28]] * 2 + [[1.5 / 28, 0.5 / 28]])
    assert np.allclose(centres[-1], [6.5 / 7, 6.5 / 7])


def test_decode_of_a_golden_row() -> None:
    centres = anchor_centres(POSE_GRID)
    raw, logits = np.zeros((2254, 12), np.float32), np.full((2254, 1), -20.0, np.float32)
    raw[60] = [22.4, -22.4, 44.8, 67.2, 0, 0, 0, -112, 5, 5, 5, 5]
    logits[60] = math.log(0.8 / 0.2)
    (d,) = decode(raw, logits, centres, 224, 0.5, Roi(100.0, 50.0, 200.0))
    cx, cy = centres[60]
    assert d.score == pytest.approx(0.8, abs=1e-6)
    middle = np.array([cx + 0.1, cy - 0.1]) * 200 + (0, -50)
    assert np.allclose(d.box, [*(middle - (20, 30)), *(middle + (20, 30))], atol=1e-3)
    assert np.allclose(d.points[1] - d.points[0], [0, -100], atol=1e-3)


def test_iou_and_suppression() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [0, 0, 0, 0]], float)
    assert np.allclose(iou(boxes, boxes)[0], [1, 1 / 3, 0])
    make = [Detection(b, np.zeros((4, 2)), s) for b, s in zip(boxes[:2], (0.5, 0.9), strict=True)]
    assert [d.score for d in suppress(make, 0.3)] == [0.9]
    assert [d.score for d in suppress(make, 0.4)] == [0.9, 0.5]
    assert suppress([], 0.3) == []


def test_oks_is_cocos() -> None:
    a = np.zeros((17, 2))
    b = a.copy()
    b[0, 0] = 2 * 0.026 * math.sqrt(2 * 100.0)  # exp(-1) by definition for sigma 0.026 and area 100
    weights = np.zeros(17)
    assert oks(a, b, 100.0, weights) == 0.0
    weights[0] = 1
    assert oks(a, b, 100.0, weights) == pytest.approx(math.exp(-1))
    weights[1] = 1
    assert oks(a, b, 100.0, weights) == pytest.approx((math.exp(-1) + 1) / 2)


def test_same_person_rules() -> None:
    a = make_pose(100, 120)
    assert is_same_person(a, make_pose(103, 121), 0.45)
    assert not is_same_person(a, make_pose(140, 120), 0.45), "a neighbour shoulder to shoulder"
    assert not is_same_person(a, make_pose(125, 122), 0.45), "a partner half hidden"
    assert is_same_person(a, make_pose(100, 120 - 1.5 * 40 + 1.5 * 48, 48), 0.45), "same head, other size"


def test_limb_distance_is_below_one_on_the_body_only() -> None:
    table = keypoints_of(make_pose(100, 120), {}, None, 200, 220)
    scale = keypoint_scale(table)
    assert scale == pytest.approx(40)
    d = limb_distance(table, scale, 220, 200)
    for i in BLAZE_OF_COCO:
        u, v = standing_points(100, 120, 40)[i].astype(int)
        assert d[v, u] < 1
    assert d[100, 100] < 1 and d[60, 100] < 1, "torso and head"
    assert d[:, :40].min() > 3 and d[:, 160:].min() > 3
    assert d[160, 100] > 1, "between the legs"
    half = limb_distance(table, scale, 220, 200, step=2)
    assert half.shape == (110, 100) and np.abs(half - d[::2, ::2]).max() < 0.4


def test_limb_distance_without_points_is_infinite() -> None:
    assert np.isinf(limb_distance(np.zeros((75, 3)), 40.0, 10, 12)).all()


def test_table_rows_and_mirror_agree() -> None:
    assert len(BLAZE_ROWS) == len({row for row, _, _ in BLAZE_ROWS})
    source = {row: s for row, s, _ in BLAZE_ROWS}
    for row, s in source.items():
        assert source[MIRROR[row]] == MIRRORED[s], LANDMARKS[row]
    assert "left_small_toe" not in {LANDMARKS[row] for row in source}


def test_keypoints_outside_the_picture_have_no_confidence() -> None:
    table = keypoints_of(make_pose(100, 120), {}, None, 200, 150)
    below = table[:, 1] > 150
    assert below[[13, 14, 15, 16]].all() and (table[below, 2] == 0).all()
    assert (table[:13, 2] > 0.8).all()
    assert table[LANDMARKS.index("left_small_toe"), 2] == 0
