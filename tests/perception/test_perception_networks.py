"""Decoders on made-up network outputs: every number is known."""

from dataclasses import replace

import numpy as np
import pytest
from perception_poses import make_pose, standing_points

from huddle3d.perception import Networks
from huddle3d.perception._anchors import Detection
from huddle3d.perception._consensus import settle, steadiness
from huddle3d.perception._face import FACE_ROWS, estimate_face
from huddle3d.perception._hands import Hand, hands_of_people
from huddle3d.perception._pose import MIRRORED, estimate_pose
from huddle3d.perception._roi import Picture, Roi
from huddle3d.perception._table import keypoints_of, landmarks3d_of
from huddle3d.scene.landmarks import FACE, LANDMARK_INDEX, LEFT_HAND, RIGHT_HAND

GREY = Picture(np.full((300, 300, 3), 90, np.uint8))


class FakePose:
    """A landmark network that answers with one figure fixed in the crop, or, shown a mirror image, with its mirror image."""

    size = 256

    def __init__(self, drift: float = 0.0) -> None:
        self.looks = 0
        self.drift = drift

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, ...]:
        assert image.shape == (256, 256, 3) and 0 <= image.min() and image.max() <= 1
        points = standing_points(128, 140, 40) + self.drift * (self.looks % 2)
        self.looks += 1
        screen = np.zeros((39, 5), np.float32)
        screen[:33, :2], screen[:33, 3:] = points, 4.0
        screen[14, 3] = -4.0
        screen[33, :2], screen[34, :2] = (128, 140), (128, 60)
        world = np.zeros((39, 3), np.float32)
        world[:33, :2] = (points - (128, 140)) / 80
        world[:33, 2] = np.linspace(-0.2, 0.2, 33)
        mask = np.full((256, 256, 1), -6.0, np.float32)
        mask[60:200, 100:156] = 6
        return screen.reshape(-1), np.array([0.9]), mask, np.full((64, 64, 39), -9.0, np.float32), world.reshape(-1)


def nets(**kwargs: object) -> Networks:
    names = ("pose_detection", "pose_landmark", "palm_detection", "hand_landmark", "face_detection", "face_landmark")
    return Networks(**{n: kwargs.get(n) for n in names})  # type: ignore[arg-type]


def test_landmarks_return_to_the_picture_through_a_rotated_region() -> None:
    roi = Roi(150.0, 140.0, 128.0, 0.4)
    pose = estimate_pose(GREY, roi, nets(pose_landmark=FakePose()), 0.7)
    expected = roi.to_picture(standing_points(128, 140, 40) / 256)
    assert np.allclose(pose.points, expected, atol=1e-4)
    # Metric points turn with the region, so that they lie along the picture's axes.
    assert np.allclose(pose.world[:, :2], (expected - roi.to_picture(np.array([0.5, 140 / 256]))) / 40, atol=1e-5)
    assert np.allclose(pose.world[:, 2], np.linspace(-0.2, 0.2, 33))
    assert pose.confidence[0] == pytest.approx((1 / (1 + np.exp(-4))) ** 2)
    assert pose.confidence[14] < 0.02
    assert np.isclose(pose.next_roi.side, 2 * 1.25 * 80 / 256 * 128) and np.isclose(pose.next_roi.angle, 0.4)


def test_a_mirrored_look_is_undone() -> None:
    roi = Roi(150.0, 140.0, 256.0)
    plain = estimate_pose(GREY, roi, nets(pose_landmark=FakePose()), 1.0)
    mirrored = estimate_pose(GREY, roi, nets(pose_landmark=FakePose()), 1.0, mirrored=True)
    # The fake shows the same screen to the mirror, so undoing gives the reflected figure with its sides swapped: itself, as it is symmetric.
    assert np.allclose(mirrored.points[:, 0] - 150, (150 - plain.points[list(MIRRORED), 0]), atol=1e-4)
    assert np.allclose(mirrored.world[:, 0], -plain.world[list(MIRRORED), 0], atol=1e-6)
    assert mirrored.confidence[13] < 0.02 < plain.confidence[13]


def test_heatmaps_sharpen_points_where_they_are_sure() -> None:
    class WithHeatmap(FakePose):
        def __call__(self, image: np.ndarray) -> tuple[np.ndarray, ...]:
            screen, flag, mask, heatmap, world = super().__call__(image)
            x, y = screen.reshape(39, 5)[0, :2]
            heatmap[int(y / 4), int(x / 4) + 1, 0] = 9.0
            return screen, flag, mask, heatmap, world

    roi = Roi(128.0, 128.0, 256.0)
    plain = estimate_pose(GREY, roi, nets(pose_landmark=FakePose()), 1.0)
    sharp = estimate_pose(GREY, roi, nets(pose_landmark=WithHeatmap()), 1.0)
    assert np.allclose(sharp.points[1:], plain.points[1:])
    # Cells of 4 px; the peak is one cell to the right, the rest of the 7 × 7 window weighs exp(-9) each.
    assert sharp.points[0, 0] == pytest.approx(4 * (int(plain.points[0, 0] / 4) + 1), abs=0.1)


def test_consensus_of_looks_that_agree_and_of_looks_that_do_not() -> None:
    roi = Roi(150.0, 140.0, 256.0)

    # A figure fixed in the *crop* moves when the region grows, as imagined people do.
    net = nets(pose_landmark=FakePose())
    loose = settle(GREY, estimate_pose(GREY, roi, net, 1.0), net)
    drifting = nets(pose_landmark=FakePose(drift=60.0))
    lost = settle(GREY, estimate_pose(GREY, roi, drifting, 1.0), drifting)
    assert 0.02 < loose.wobble < lost.wobble
    assert steadiness(lost) < steadiness(loose) <= 1
    assert (lost.confidence < loose.confidence + 1e-9).all()


def test_table_of_hands_and_face() -> None:
    pose = make_pose(100, 120)
    hand = Hand(np.arange(42.0).reshape(21, 2), np.random.default_rng(0).normal(size=(21, 3)), 0.9, 0.8)
    table = keypoints_of(pose, {"left": (hand, 0.7)}, None, 200, 220)
    assert np.allclose(table[LEFT_HAND, :2], hand.points) and np.allclose(table[LEFT_HAND, 2], 0.7)
    assert (table[RIGHT_HAND, 2] > 0).sum() == 3, "wrist, index and little finger knuckles of the body network"
    xyz = landmarks3d_of(pose, {"left": (hand, 0.7)})
    assert np.allclose(xyz[LEFT_HAND.start, :3], xyz[LANDMARK_INDEX["left_wrist"], :3])
    assert np.allclose(xyz[LEFT_HAND, :3] - xyz[LEFT_HAND.start, :3], hand.world - hand.world[0])


def test_hands_that_touch_go_to_two_people() -> None:
    a, b = make_pose(100, 120), make_pose(145, 120)
    # a's left wrist and b's right wrist are 9 px apart; both hands lie nearer to a's wrist.
    left, right = a.points[15], b.points[16]
    hands = [Hand(np.tile(p, (21, 1)), np.zeros((21, 3)), 0.9, 0.5) for p in (left + (0, 1), left + (2, 0))]
    given = hands_of_people(hands, [a, b])
    assert list(given[0]) == ["left"] and list(given[1]) == ["right"]
    assert np.linalg.norm(left - right) < 10
    far = [replace(hands[0], points=hands[0].points + 100)]
    assert hands_of_people(far, [a, b]) == [{}, {}]


def test_face_mesh_rows() -> None:
    class FakeMesh:
        size = 192

        def __call__(self, image: np.ndarray) -> tuple[np.ndarray, ...]:
            mesh = np.zeros((468, 3), np.float32)
            mesh[:, 0], mesh[:, 1] = 96 + np.linspace(-40, 40, 468), 96 + np.linspace(40, -40, 468)
            return mesh.reshape(1, 1, -1), np.full((1, 1, 1), 3.0, np.float32)

    points = np.array([[90.0, 95.0], [110.0, 95.0], [100, 105], [100, 110], [85, 100], [115, 100]])
    face = estimate_face(GREY, Detection(np.array([80.0, 80, 120, 120]), points, 0.9), nets(face_landmark=FakeMesh()))
    assert face.score == pytest.approx(1 / (1 + np.exp(-3)), abs=1e-6)
    assert np.allclose(face.points.mean(axis=0), [100, 100], atol=1e-3)
    from huddle3d.perception._face import Face

    table = keypoints_of(make_pose(100, 120), {}, Face(face.points, 0.8), 200, 220)
    assert np.allclose(table[FACE, :2], face.points[list(FACE_ROWS)]) and np.allclose(table[FACE, 2], 0.8)
