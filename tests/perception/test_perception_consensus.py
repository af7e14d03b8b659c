"""The consensus of looks when some of them jump to a neighbour."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from perception_poses import make_pose

from huddle3d.perception import _consensus
from huddle3d.perception._consensus import settle
from huddle3d.perception._pose import Pose
from huddle3d.perception._roi import Picture

GREY = Picture(np.full((220, 200, 3), 128, np.uint8))
SCALES = (1.0, 1.0, 0.82, 0.82, 1.22, 1.22)


def looks_at(places: Sequence[float], flags: Sequence[float] = (1.0,) * 6) -> list[Pose]:
    """Six looks whose torso's middle has these x; the masks count the looks."""
    out = []
    for k, (x, flag, scale) in enumerate(zip(places, flags, SCALES, strict=True)):
        pose = make_pose(x, 120.0, 40.0, flag=flag)
        roi = make_pose(100.0).roi.shifted(0, 0, scale)
        out.append(replace(pose, roi=roi, mask_logits=np.full((256, 256), float(k), np.float32)))
    return out


def settled(monkeypatch: pytest.MonkeyPatch, looks: list[Pose]) -> Pose:
    rest = iter(looks[1:])
    monkeypatch.setattr(_consensus, "estimate_pose", lambda *_, **__: next(rest))
    return settle(GREY, looks[0], cast(Any, None))


def test_looks_at_a_neighbour_do_not_move_the_consensus(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = looks_at((100, 101, 99, 100, 130, 131), flags=(1.0, 1.0, 1.0, 0.8, 0.6, 0.2))
    alone = settled(monkeypatch, looks)
    assert np.allclose(alone.points[:, 0].mean(), looks[0].points[:, 0].mean(), atol=0.6)
    assert alone.wobble < 0.03, "four looks that agree are steady"
    assert alone.flag == pytest.approx(np.mean([1, 1, 1, 0.8, 0.6, 0.2])), "what the others saw still counts against it"
    assert float(alone.mask_logits[0, 0]) == 0.5 and alone.more_masks == (), "masks of the looks that agree"


def test_the_first_look_may_be_the_one_that_jumped(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = looks_at((130, 100, 101, 99, 100, 101))
    found = settled(monkeypatch, looks)
    assert np.allclose(found.points[:, 0].mean(), looks[1].points[:, 0].mean(), atol=0.6)
    assert found.roi == looks[1].roi
    (wide,) = found.more_masks
    assert wide[0] == looks[4].roi and float(wide[1][0, 0]) == 4.5


def test_three_against_three_is_no_consensus(monkeypatch: pytest.MonkeyPatch) -> None:
    split = settled(monkeypatch, looks_at((100, 100, 100, 130, 130, 130)))
    assert split.wobble > 0.2


def test_looks_that_agree_are_all_used(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = looks_at((100, 102, 98, 104, 96, 101))
    found = settled(monkeypatch, looks)
    assert np.allclose(found.points[:, 0].mean() - looks[0].points[:, 0].mean(), np.mean([0, 2, -2, 4, -4, 1]), atol=0.5)
    assert float(found.mask_logits[0, 0]) == 0.5 and len(found.more_masks) == 1
