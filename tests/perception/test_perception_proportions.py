"""More room below for people whose body is too small for their face."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from perception_poses import make_pose

from huddle3d.perception import _proportions
from huddle3d.perception._anchors import Detection
from huddle3d.perception._pose import Pose
from huddle3d.perception._proportions import with_room_below

SHOULDERS = [11, 12]


def face_at(pose: Pose, height: float) -> Detection:
    """An upright face box of this height [px] around the head of a pose."""
    x, y = pose.points[:11].mean(axis=0)
    box = np.array([x - height / 2, y - height / 2, x + height / 2, y + height / 2])
    # eyes, nose, mouth, ears
    points = np.array([[x - 3, y - 4], [x + 3, y - 4], [x, y], [x, y + 5], [x - 6, y], [x + 6, y]])
    return Detection(box, points, 0.9)


def longer(pose: Pose, torso: float) -> Pose:
    """The same head and shoulders over a longer torso: what the network sees when it has room."""
    points = pose.points.copy()
    points[23:] += (0, torso - 40.0)
    return replace(pose, points=points)


def run(monkeypatch: pytest.MonkeyPatch, face: float, answer: Any) -> tuple[Pose, Pose, int]:
    pose, looks = make_pose(), []

    def settle(picture: Any, first: Any, networks: Any) -> Pose:
        looks.append(first)
        return answer(pose, first)

    monkeypatch.setattr(_proportions, "estimate_pose", lambda picture, roi, networks, score: roi.side / pose.roi.side)
    monkeypatch.setattr(_proportions, "settle", settle)
    one_network = SimpleNamespace(landmark_variants=lambda: [None])
    return pose, with_room_below(None, pose, [face_at(pose, face)], one_network), len(looks)  # type: ignore[arg-type]


def test_a_usual_face_needs_no_further_look(monkeypatch: pytest.MonkeyPatch) -> None:
    pose, out, looks = run(monkeypatch, 14.0, lambda pose, scale: longer(pose, 80))
    assert out is pose and looks == 0


def test_a_small_body_under_a_large_face_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    # 28 px of face over a 40 px torso; with room the network sees 80 px.
    pose, out, looks = run(monkeypatch, 28.0, lambda pose, scale: longer(pose, 40 * scale))
    assert looks == 3
    assert out.points[23, 1] - pose.points[23, 1] == pytest.approx(40 * (2.0 - 1))
    assert np.allclose(out.points[SHOULDERS], pose.points[SHOULDERS])


def test_who_keeps_the_ratio_keeps_the_pose(monkeypatch: pytest.MonkeyPatch) -> None:
    # A child, or a torso that points at the camera: the same body in every region, only less sure.
    pose, out, _ = run(monkeypatch, 28.0, lambda pose, scale: replace(pose, wobble=0.05 * scale))
    assert out is pose


def test_a_look_that_moves_the_shoulders_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def moved(pose: Pose, scale: float) -> Pose:
        other = longer(pose, 40 * scale)
        other.points[SHOULDERS] += (0, -15)
        return other

    pose, out, _ = run(monkeypatch, 28.0, moved)
    assert out is pose


def test_a_much_less_sure_look_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pose, out, _ = run(monkeypatch, 20.0, lambda pose, scale: replace(longer(pose, 40 * scale), wobble=0.6))
    assert out is pose
