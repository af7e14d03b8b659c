"""The whole stage with networks of the hub: every task, mixtures with the embedded ones, people from another system's file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hub_networks import depth_anything, picture, rt_detr_v2, sam, sapiens2, vitpose

from huddle3d.errors import InputError, StageError, WeightsMissingError
from huddle3d.perception import PerceiveConfig, perceive, weights_digest
from huddle3d.scene import BodyGuess, People2D, Photo
from huddle3d.scene.landmarks import LANDMARK_INDEX


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HUDDLE3D_CACHE", str(tmp_path / "cache"))


def photo(height: int = 120, width: int = 160) -> Photo:
    return Photo(torch.from_numpy(picture(height, width)).float() / 255, "noise", "0" * 64, 200.0, "user")


def sure_of_people(folder: Path) -> Path:
    """Every query is a person."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    for name, value in tensors.items():
        if "class_embed" in name and name.endswith("bias"):
            value.copy_(torch.tensor([6.0, -6, -6]))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def all_hub(tmp_path: Path) -> PerceiveConfig:
    pytest.importorskip("transformers", reason="the extra `transformers` is not installed")
    folders = {
        "rtdetr-v2-r50": sure_of_people(rt_detr_v2(tmp_path / "b")),
        "vitpose-base-simple": vitpose(tmp_path / "k", bright=True),
        "sam-vit-base": sam(tmp_path / "m", bright=True),
        "sapiens2-normal": sapiens2(tmp_path / "n", "normals"),
        "depth-anything-v2-metric-indoor-small": depth_anything(tmp_path / "d", metric=True),
    }
    return PerceiveConfig(
        boxes="rtdetr-v2-r50", keypoints="vitpose-base-simple", masks="sam-vit-base", normals="sapiens2-normal",
        depth="depth-anything-v2-metric-indoor-small", weights=tuple(f"{k}={v}" for k, v in folders.items()), max_people=2, min_height=0.0,
    )  # fmt: skip


def test_every_task_by_the_hub_without_the_embedded_networks(tmp_path: Path) -> None:
    config = all_hub(tmp_path)
    seen: list[str] = []
    people = perceive(photo(), config, progress=lambda fraction, note="": seen.append(note))
    K = len(people.names)
    assert 1 <= K <= 2 and people.source.startswith("rtdetr-v2-r50 + vitpose-base-simple + sam-vit-base")
    assert people.masks.shape == (K, 120, 160) and people.masks.int().sum(0).max() <= 1
    assert (people.landmarks3d[..., 3] == 0).all(), "no embedded network, no 3D landmarks"
    assert people.normals is not None and people.depth is not None
    lengths = people.normals.norm(dim=-1)
    assert ((lengths - 1).abs().lt(1e-4) | lengths.eq(0)).all() and people.depth.shape == (120, 160)
    assert any("normals" in n for n in seen) and any("depth" in n for n in seen)
    again = perceive(photo(), config)
    assert again.digest() == people.digest(), "same input, same result"
    people.save(tmp_path / "people")
    assert People2D.load(tmp_path / "people").digest() == people.digest()


def test_photos_are_shrunk_for_networks_and_results_are_not(tmp_path: Path) -> None:
    config = replace(all_hub(tmp_path), max_side=80)
    people = perceive(photo(), config)
    assert people.masks.shape[1:] == (120, 160) and people.depth is not None and people.depth.shape == (120, 160)
    assert people.boxes[:, [0, 2]].max() <= 160 and people.boxes[:, [0, 2]].max() > 80


def test_digests_follow_the_weights(tmp_path: Path) -> None:
    config = all_hub(tmp_path)
    before = weights_digest(config)
    assert "boxes rtdetr-v2-r50" in before and "depth depth-anything" in before
    other = rt_detr_v2(tmp_path / "b2", seed=1)
    assert weights_digest(replace(config, weights=(f"rtdetr-v2-r50={other}", *config.weights[1:]))) != before


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissingError, match="blazepose"):
        perceive(photo(), PerceiveConfig(masks="sam-vit-base"))
    config = all_hub(tmp_path)
    with pytest.raises(WeightsMissingError, match="models fetch rtdetr-v2-r50"):
        perceive(photo(), replace(config, weights=config.weights[1:]))
    with pytest.raises(StageError, match="found nobody"):
        perceive(photo(), replace(config, box_threshold=1.0))


def guess_of(centre: float = 80.0) -> BodyGuess:
    """A person 3 m away, and 17 points that look like one."""
    names = {
        "nose": (0, -0.7), "left_shoulder": (0.2, -0.5), "right_shoulder": (-0.2, -0.5), "left_hip": (0.12, 0), "right_hip": (-0.12, 0),
        "left_elbow": (0.3, -0.25), "right_elbow": (-0.3, -0.25), "left_knee": (0.12, 0.42), "right_knee": (-0.12, 0.42), "left_wrist": (0.3, 0.0),
        "left_ankle": (0.12, 0.8), "right_ankle": (-0.12, 0.8),
    }  # fmt: skip
    landmarks, keypoints = torch.zeros(1, 75, 4), torch.zeros(1, 75, 3)
    x0 = (centre - 80) / 200 * 3
    for name, (x, y) in names.items():
        row = LANDMARK_INDEX[name]
        landmarks[0, row] = torch.tensor([x0 + x, y, 3.0, 0.8])
        keypoints[0, row] = torch.tensor([80 + 200 * (x0 + x) / 3, 60 + 200 * y / 3, 0.8])
    seen = keypoints[0, keypoints[0, :, 2] > 0, :2]
    return BodyGuess(landmarks, keypoints, torch.cat([seen.amin(0) - 5, seen.amax(0) + 5]).clamp(min=0)[None], 200.0)


@pytest.mark.parametrize("centre", [80.0, 125.0])
def test_people_of_another_system_come_through_with_their_landmarks(centre: float) -> None:
    guess = guess_of(centre)
    people = perceive(photo(), guess=guess)
    assert people.source == "sam-3d-body" and people.names == ("person_0",) and bool(people.masks.any())
    torch.testing.assert_close(people.keypoints[0, :17], guess.keypoints[0, :17], atol=1e-3, rtol=0)
    # The fit turns landmarks from the crop's axes into the camera's: there they must be what the file says.
    from huddle3d.fitting import FitConfig
    from huddle3d.fitting._observations import observe

    observed = observe(photo(), people, 200.0, FitConfig(), torch.ones(75, dtype=torch.bool))
    hips = guess.landmarks[0, [11, 12], :3].mean(0)
    expected = (guess.landmarks[0, :17, :3] - hips) * torch.tensor([1.0, -1, -1])
    rows = guess.landmarks[0, :17, 3] > 0
    torch.testing.assert_close(observed.points3d[0, :17][rows], expected[rows], atol=1e-4, rtol=0)


def test_masks_of_given_people_by_the_hub(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the extra `transformers` is not installed")
    config = PerceiveConfig(masks="sam-vit-base", weights=(f"sam-vit-base={sam(tmp_path / 'm', bright=True)}",), mask_passes=0)
    image = np.full((120, 160, 3), 30, np.uint8)
    image[10:115, 60:100] = 220
    given = replace(photo(), image=torch.from_numpy(image).float() / 255)
    people = perceive(given, config, guess=guess_of())
    truth = torch.from_numpy(image[..., 0] > 128)
    assert people.source == "sam-3d-body + sam-vit-base"
    assert float((people.masks[0] & truth).sum() / (people.masks[0] | truth).sum()) > 0.75


def test_coco_people_keep_what_is_given(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the extra `transformers` is not installed")
    from huddle3d.io import CocoImage, CocoPerson, write_coco

    keypoints = guess_of().keypoints[0, :17].numpy().astype(np.float32)
    keypoints[:, 2] = keypoints[:, 2] > 0
    given = (CocoPerson(keypoints=keypoints), CocoPerson(box=np.array([5.0, 5, 50, 110], np.float32)))
    write_coco(tmp_path / "c.json", [CocoImage("noise.png", 160, 120, given)])
    config = replace(all_hub(tmp_path), boxes="embedded", normals="none", depth="none")
    people = perceive(photo(), config, coco=tmp_path / "c.json")
    assert people.source == "coco-json + vitpose-base-simple + sam-vit-base" and len(people.names) == 2
    right = int(people.boxes[:, 0].argmax())
    seen = torch.from_numpy(keypoints[:, 2] > 0)
    torch.testing.assert_close(people.keypoints[right, :17][seen][:, :2], torch.from_numpy(keypoints)[seen][:, :2], atol=1e-3, rtol=0)
    (tmp_path / "c.json").write_text("{")
    with pytest.raises(InputError):
        perceive(photo(), config, coco=tmp_path / "c.json")
