"""The fetched networks on real and on empty photos."""

from pathlib import Path

import numpy as np
import pytest
import torch

from huddle3d.errors import StageError
from huddle3d.io import read_coco
from huddle3d.perception import Networks, perceive_with
from huddle3d.scene import Photo, load_photo
from huddle3d.scene.landmarks import BODY, LANDMARK_INDEX, NUM_LANDMARKS

pytestmark = [pytest.mark.weights, pytest.mark.slow]


@pytest.mark.parametrize("value", [0.0, 1.0, None])
def test_nobody_is_a_typed_error(networks: Networks, value: float | None) -> None:
    noise = torch.rand((120, 160, 3), generator=torch.Generator().manual_seed(1))
    image = noise if value is None else torch.full((120, 160, 3), value)
    with pytest.raises(StageError, match="COCO JSON") as e:
        perceive_with(Photo(image, "empty", ""), networks)
    assert e.value.exit_code == 7 and "empty" in str(e.value)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["coco_000000409475", "coco_000000234607"])
def test_two_people_with_keypoints(networks: Networks, shared: Path, name: str) -> None:
    folder = shared / "data" / "photos"
    photo = load_photo(folder / f"{name}.jpg")
    found = perceive_with(photo, networks)
    assert len(found.names) == 2 and found.source == "blazepose"
    people = sorted(read_coco(folder / "annotations.json").select(f"{name}.jpg", photo.width, photo.height).people, key=lambda p: p.box[0])
    for k, person in enumerate(people):
        weights = (person.keypoints[:17, 2] > 0) * found.keypoints[k, BODY, 2].numpy()
        distance = np.linalg.norm(found.keypoints[k, BODY, :2].numpy() - person.keypoints[:17, :2], axis=1)
        # Clicks scatter by 1 to 2 % of the box height; points that perception calls unsure (the skier's knees, cut by the frame) count less.
        assert (distance * weights).sum() / weights.sum() < 0.05 * (person.box[3] - person.box[1])
        assert weights.sum() > 6
        mask = found.masks[k].numpy()
        assert (mask & person.mask).sum() / (mask | person.mask).sum() > 0.75
    check_contract(found.masks, found.keypoints, found.landmarks3d, photo)


@pytest.mark.shared
def test_people_cut_at_the_waist_and_an_embrace(networks: Networks, shared: Path) -> None:
    """Three men posed close, cut by the frame: three people, no legs claimed."""
    photo = load_photo(shared / "data" / "photos" / "apache_tfjs_three_people.jpg", max_side=640)
    found = perceive_with(photo, networks)
    assert len(found.names) == 3
    ankles = [LANDMARK_INDEX["left_ankle"], LANDMARK_INDEX["right_ankle"]]
    assert (found.keypoints[:, ankles, 2] < 0.05).all()
    assert any("cut by" in w for w in found.warnings)
    check_contract(found.masks, found.keypoints, found.landmarks3d, photo)


@pytest.mark.shared
def test_cheek_to_cheek(networks: Networks, shared: Path) -> None:
    """A couple cut below the shoulders, her face on his chest: painting him over takes her face away."""
    whole = load_photo(shared / "data" / "photos" / "coco_000000263969.jpg", max_side=1280)
    rows, left = round(0.5 * whole.height), round(0.35 * whole.width)
    photo = Photo(whole.image[:rows, left:].contiguous(), "cheeks", "0" * 64)
    found = perceive_with(photo, networks)
    assert len(found.names) == 2 and not any("belongs to none" in w for w in found.warnings)
    nose = found.keypoints[:, LANDMARK_INDEX["nose"], :2]
    assert (nose[0] - nose[1]).norm() > 0.1 * photo.width
    assert found.masks.sum((1, 2)).min() > 0.03 * photo.height * photo.width
    check_contract(found.masks, found.keypoints, found.landmarks3d, photo)


def check_contract(masks: torch.Tensor, keypoints: torch.Tensor, landmarks3d: torch.Tensor, photo: Photo) -> None:
    """What every later stage relies on."""
    assert masks.sum(dim=0).max() <= 1, "disjoint"
    assert masks.shape[1:] == (photo.height, photo.width)
    assert keypoints.shape[1:] == (NUM_LANDMARKS, 3) and torch.isfinite(keypoints).all()
    assert (keypoints[..., 2] >= 0).all() and (keypoints[..., 2] <= 1).all()
    outside = (keypoints[..., 0] < 0) | (keypoints[..., 0] > photo.width) | (keypoints[..., 1] < 0) | (keypoints[..., 1] > photo.height)
    assert (keypoints[..., 2][outside] == 0).all()
    # Subject's left hand side of the figure: people who face the camera have their left shoulder on the right of the picture.
    hips = landmarks3d[:, [LANDMARK_INDEX["left_hip"], LANDMARK_INDEX["right_hip"]], :3]
    assert hips.mean(dim=1).norm(dim=-1).max() < 0.15, "hip-centred [m]"
    upright = landmarks3d[:, LANDMARK_INDEX["nose"], 1]
    assert (upright < -0.3).all(), "y down: heads are above the hips"
