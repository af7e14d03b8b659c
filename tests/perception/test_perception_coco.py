"""People given as COCO JSON, without any network."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from perception_poses import standing_points

from huddle3d.errors import InputError, WeightsMissingError
from huddle3d.perception import PerceiveConfig, perceive
from huddle3d.perception._coco import table_of_coco
from huddle3d.perception._similarity import BLAZE_OF_COCO
from huddle3d.scene import Photo
from huddle3d.scene.landmarks import BODY, FACE, LEFT_HAND, RIGHT_HAND

HEIGHT, WIDTH = 260, 400


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HUDDLE3D_CACHE", str(tmp_path / "empty"))


def photo() -> Photo:
    image = torch.full((HEIGHT, WIDTH, 3), 0.7)
    image += 0.02 * torch.rand(image.shape, generator=torch.Generator().manual_seed(0))
    for x, colour in ((300, (0.2, 0.3, 0.7)), (120, (0.7, 0.2, 0.2))):
        image[70:220, x - 18 : x + 18] = torch.tensor(colour)
    return Photo(image.clamp(0, 1), "pair", "0" * 64)


def person(x: float, **members: object) -> dict[str, object]:
    points = np.concatenate([standing_points(x, 140, 45)[list(BLAZE_OF_COCO)], np.full((17, 1), 2.0)], axis=1)
    return {"image_id": 1, "category_id": 1, "keypoints": points.reshape(-1).tolist(), **members}


def write(path: Path, *people: dict[str, object]) -> Path:
    entries = [{"id": k + 1, "iscrowd": 0, **p} for k, p in enumerate(people)]
    image = {"id": 1, "file_name": "pair.jpg", "width": WIDTH, "height": HEIGHT}
    path.write_text(json.dumps({"images": [image], "annotations": entries, "categories": [{"id": 1, "name": "person"}]}))
    return path


def test_keypoints_alone_are_enough(tmp_path: Path) -> None:
    found = perceive(photo(), coco=write(tmp_path / "p.json", person(300), person(120)))
    assert found.source == "coco-json" and found.names == ("person_0", "person_1")
    assert found.boxes[0, 0] < found.boxes[1, 0], "left to right"
    assert np.allclose(found.keypoints[0, BODY, :2], standing_points(120, 140, 45)[list(BLAZE_OF_COCO)], atol=1e-3)
    assert (found.keypoints[:, BODY, 2] == 1).all() and (found.keypoints[:, LEFT_HAND, 2] == 0).all()
    assert (found.landmarks3d[..., 3] == 0).all(), "nothing metric is invented"
    assert not (found.masks[0] & found.masks[1]).any()
    assert found.masks[0, 100:180, 110:130].float().mean() > 0.9
    assert found.masks[0, :, 200:].sum() == 0


def test_boxes_and_masks_are_kept(tmp_path: Path) -> None:
    square = [[100, 60, 140, 60, 140, 230, 100, 230]]
    found = perceive(photo(), coco=write(tmp_path / "p.json", person(120, bbox=[90, 50, 70, 190], segmentation=square), person(300)))
    assert found.boxes[0].tolist() == [90, 50, 160, 240]
    assert found.masks[0].sum() == pytest.approx(40 * 170, rel=0.05)
    assert found.masks[0, 150, 120] and not found.masks[0, 150, 160]


def test_same_file_same_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "p.json", person(300), person(120))
    assert perceive(photo(), coco=path).digest() == perceive(photo(), coco=path).digest()


def test_large_photos_are_answered_in_their_own_pixels(tmp_path: Path) -> None:
    path = write(tmp_path / "p.json", person(300), person(120))
    small = perceive(photo(), PerceiveConfig(max_side=200), coco=path)
    assert small.masks.shape == (2, HEIGHT, WIDTH)
    assert np.allclose(small.keypoints[0, BODY, :2], standing_points(120, 140, 45)[list(BLAZE_OF_COCO)], atol=1e-3)


def test_a_box_alone_needs_networks(tmp_path: Path) -> None:
    path = write(tmp_path / "p.json", {"image_id": 1, "category_id": 1, "bbox": [90, 50, 70, 190]})
    with pytest.raises(WeightsMissingError, match="models fetch blazepose") as e:
        perceive(photo(), coco=path)
    assert str(path) in str(e.value)


def test_without_file_and_networks_the_next_step_is_named() -> None:
    with pytest.raises(WeightsMissingError, match="models fetch blazepose"):
        perceive(photo())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"images": [], "annotations": []}', '{"annotations": [{"image_id": 1, "bbox": [NaN, 0, 1, 1]}]}'])
def test_damaged_files_name_themselves(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(InputError, match="bad.json"):
        perceive(photo(), coco=path)


def test_wholebody_rows() -> None:
    points = np.arange(133 * 3, dtype=float).reshape(133, 3)
    table = table_of_coco(points)
    assert (table[:23] == points[:23]).all() and (table[LEFT_HAND] == points[91:112]).all() and (table[RIGHT_HAND] == points[112:]).all()
    assert (table[FACE][-1] == points[23 + 8]).all(), "the chin is point 8 of the jaw line"


def test_key_points_that_show_nobody_are_refused(tmp_path: Path) -> None:
    for points, words in (([[5000.0, 20, 2]] * 17, "no key point lies in the picture"), ([[60.0, 60, 2]] * 17, "all key points lie in one place")):
        wrong = {"image_id": 1, "category_id": 1, "keypoints": np.array(points).reshape(-1).tolist()}
        with pytest.raises(InputError, match=words):
            perceive(photo(), coco=write(tmp_path / "p.json", wrong))


def test_annotations_of_another_picture_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "p.json", person(300))
    assert not any("were used for" in w for w in perceive(photo(), coco=path).warnings)
    path.write_text(path.read_text().replace("pair.jpg", "other.jpg"))
    assert any("'other.jpg' were used for 'pair'" in w for w in perceive(photo(), coco=path).warnings)


@pytest.mark.parametrize("setting", [{"max_people": 0}, {"tile_levels": (0,)}, {"tile_levels": ()}, {"max_side": 0}, {"threads": -1}])
def test_settings_out_of_range_are_typed_errors(setting: dict[str, object]) -> None:
    with pytest.raises(InputError, match="out of range"):
        PerceiveConfig(**setting)  # type: ignore[arg-type]
