"""Skeletons that do not explain the picture together."""

from dataclasses import replace

import numpy as np
import pytest
from perception_poses import make_pose

from huddle3d.perception import _joint
from huddle3d.perception._joint import reconsider, shared_limbs
from huddle3d.perception._pose import Pose
from huddle3d.perception._roi import Picture

SIZE = 400
EVERYWHERE = np.ones((SIZE, SIZE), np.float32)
PICTURE = Picture(np.full((SIZE, SIZE, 3), 120, np.uint8))


def with_legs_of(pose: Pose, other: Pose) -> Pose:
    points = pose.points.copy()
    points[23:] = other.points[23:]
    return replace(pose, points=points)


def test_shared_limbs_counts_limbs_that_lie_on_limbs() -> None:
    a, b = make_pose(120, 200, 60), make_pose(260, 200, 60)
    assert shared_limbs(a, []) == 0
    assert shared_limbs(a, [b]) == 0
    assert shared_limbs(with_legs_of(a, b), [b]) == pytest.approx(0.5)  # four of eight limbs
    assert shared_limbs(a, [b, a]) == 1
    unsure = replace(a, confidence=np.zeros(33))
    assert shared_limbs(unsure, [a]) == 0


@pytest.fixture
def embrace(monkeypatch: pytest.MonkeyPatch) -> dict[str, Pose]:
    """Two people side by side; the left one has been given the right one's legs. The looks are made up."""
    left, right = make_pose(120, 200, 60), make_pose(260, 200, 60)
    mixed = with_legs_of(left, right)
    answers: dict[str, Pose] = {"left": left, "right": right, "mixed": mixed}
    monkeypatch.setattr(_joint, "quality", lambda pose: pose.flag)
    return answers


def looks(monkeypatch: pytest.MonkeyPatch, *answers: Pose) -> list[Pose]:
    asked: list[Pose] = []

    def answer(picture: Picture, pose: Pose, *rest: object) -> list[Pose]:
        asked.append(pose)
        return list(answers)

    monkeypatch.setattr(_joint, "_looks", answer)
    return asked


def test_a_body_without_skeleton_gets_its_own_back(embrace: dict[str, Pose], monkeypatch: pytest.MonkeyPatch) -> None:
    mixed, right = replace(embrace["mixed"], flag=0.7), replace(embrace["right"], flag=0.9)
    asked = looks(monkeypatch, replace(embrace["left"], flag=0.8))
    result = reconsider(PICTURE, [right, mixed], [], None, EVERYWHERE)  # type: ignore[arg-type]
    assert asked[0] is mixed  # the least sure one first
    assert np.array_equal(result[1].points, embrace["left"].points)


def test_a_less_sure_look_is_not_taken(embrace: dict[str, Pose], monkeypatch: pytest.MonkeyPatch) -> None:
    mixed, right = replace(embrace["mixed"], flag=0.7), replace(embrace["right"], flag=0.9)
    looks(monkeypatch, replace(embrace["left"], flag=0.69))
    result = reconsider(PICTURE, [right, mixed], [], None, EVERYWHERE)  # type: ignore[arg-type]
    assert result[1] is mixed


def test_a_sure_look_that_explains_less_is_not_taken(embrace: dict[str, Pose], monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = replace(embrace["left"], flag=0.8), replace(embrace["right"], flag=0.9)
    looks(monkeypatch, replace(embrace["mixed"], flag=0.85))
    result = reconsider(PICTURE, [left, right], [], None, EVERYWHERE)  # type: ignore[arg-type]
    assert result[0] is left


def test_nobody_is_nobody() -> None:
    assert reconsider(PICTURE, [], [], None, EVERYWHERE) == []  # type: ignore[arg-type]
