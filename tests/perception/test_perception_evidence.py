"""Person pixels that no skeleton explains."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from perception_poses import make_pose

from huddle3d.perception import PerceiveConfig, _evidence, _search
from huddle3d.perception._anchors import Detection
from huddle3d.perception._evidence import explained, own_share, person_evidence, unexplained_parts
from huddle3d.perception._pose import Pose
from huddle3d.perception._roi import Picture, Roi
from huddle3d.perception._warnings import missing_warnings

SIZE = 400
PICTURE = Picture(np.full((SIZE, SIZE, 3), 120, np.uint8))
LEFT, RIGHT = make_pose(100, 190, 60), make_pose(290, 190, 60)
ONE = SimpleNamespace(landmark_variants=lambda: [None])


def bodies(*poses: Pose) -> np.ndarray:
    return explained(poses, PICTURE).astype(np.float32)


def test_a_body_without_skeleton_is_one_part() -> None:
    (part,) = unexplained_parts(bodies(LEFT, RIGHT), [LEFT], PICTURE)
    own = bodies(RIGHT) > 0
    assert (part & own).sum() / (part | own).sum() > 0.8


def test_explained_pictures_rims_and_crumbs_are_no_parts() -> None:
    assert unexplained_parts(bodies(LEFT, RIGHT), [LEFT, RIGHT], PICTURE) == []
    rim = bodies(LEFT)
    rim[:, 1:] = np.maximum(rim[:, 1:], rim[:, :-1])
    rim[:40, 360:] = 1  # smaller than a fifth of a person
    assert unexplained_parts(rim, [LEFT], PICTURE) == []
    assert unexplained_parts(np.ones((SIZE, SIZE), np.float32), [], PICTURE) == []


def test_own_share() -> None:
    everybody = bodies(LEFT, RIGHT)
    assert own_share(everybody, RIGHT, [LEFT], PICTURE) > 0.9
    assert own_share(everybody, RIGHT, [LEFT, RIGHT], PICTURE) == 0
    assert own_share(bodies(LEFT), RIGHT, [LEFT], PICTURE) < 0.1


def test_evidence_is_the_largest_sure_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Roi] = []

    def look(picture: Picture, roi: Roi, networks: Any, score: float, *, mirrored: bool = False) -> Any:
        asked.append(roi)
        sure = roi.side < 500
        return SimpleNamespace(flag=0.9 if sure else 0.1, mask_logits=np.full((256, 256), 2.0 if mirrored else 4.0, np.float32))

    monkeypatch.setattr(_evidence, "estimate_pose", look)
    evidence = person_evidence(PICTURE, [LEFT], ONE)  # type: ignore[arg-type]
    assert evidence.max() == pytest.approx(1 / (1 + np.exp(-3.0)), abs=1e-3)  # mean of the two logits
    assert any(r.side >= 500 for r in asked)  # an unsure look covers the whole picture, and counts nothing
    assert evidence[200, 380] == 0


def test_overlapping_people_share_their_windows() -> None:
    near = make_pose(150, 190, 60)
    assert len(_evidence._groups([LEFT, near])) == 1
    assert len(_evidence._groups([LEFT, RIGHT])) == 2


@pytest.mark.parametrize(("quality", "found"), [(0.5, 1), (0.4, 0)])
def test_a_part_becomes_a_person_if_the_look_is_sure_enough(quality: float, found: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_search, "estimate_pose", lambda *a, **k: None)
    monkeypatch.setattr(_search, "settle", lambda picture, first, networks: RIGHT)
    monkeypatch.setattr(_search, "quality", lambda pose: quality)
    people = _search._from_evidence(PICTURE, [LEFT], bodies(LEFT, RIGHT), ONE, PerceiveConfig(), [])  # type: ignore[arg-type]
    assert len(people) == found


def test_a_look_at_somebody_known_explains_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_search, "estimate_pose", lambda *a, **k: None)
    monkeypatch.setattr(_search, "settle", lambda picture, first, networks: LEFT)
    assert _search._from_evidence(PICTURE, [LEFT], bodies(LEFT, RIGHT), ONE, PerceiveConfig(), []) == []  # type: ignore[arg-type]


def test_people_who_are_only_in_the_painted_picture_are_doubtful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_search, "estimate_pose", lambda picture, roi, networks, score: roi)
    monkeypatch.setattr(_search, "settle", lambda picture, roi, networks: SimpleNamespace(flag=0.9 if roi is LEFT.roi else 0.4))
    doubtful: list[Pose] = []
    kept = _search._confirmed([LEFT, RIGHT], [], PICTURE, ONE, PerceiveConfig(), doubtful)  # type: ignore[arg-type]
    assert kept == [LEFT] and doubtful == [RIGHT]


def test_each_kind_of_missing_person_has_its_warning() -> None:
    box = np.array([10.0, 10.0, 30.0, 30.0])
    face, owned = (Detection(box + 100 * k, np.zeros((6, 2)), 0.9) for k in (0, 1))
    notes = missing_warnings([face, owned], [owned], [RIGHT], [(200.0, 40.0, 300.0, 380.0)], 0.5)
    assert len(notes) == 3
    assert "(40, 40)" in notes[0]  # photo pixels are twice the working ones
    assert "another person" in notes[1]
    assert "x 400–600, y 80–760" in notes[2]
    assert all("COCO JSON" in note for note in notes)
    assert missing_warnings([owned], [owned], [], [], 0.5) == []
