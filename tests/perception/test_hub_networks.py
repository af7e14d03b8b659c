"""The hub's families, each from a folder that the test writes: pixels in, pixels out, in the right places."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hub_networks import d_fine, depth_anything, picture, rt_detr_v2, sam, sam2, sapiens2, vitpose
from PIL import Image

pytest.importorskip("transformers", reason="the extra `transformers` is not installed")

from huddle3d.errors import DeviceError, InputError, WeightsMissingError
from huddle3d.perception import PerceiveConfig
from huddle3d.perception.hub import Loaded, PersonPrompt, find_boxes, find_depth, find_keypoints, find_normals, load_network, segment_people
from huddle3d.perception.hub._keypoints import _crop, _window
from huddle3d.perception.hub._masks import _Segmenter
from huddle3d.perception.hub._pixels import Recipe, place, prepare, read_recipe
from huddle3d.perception.hub._surface import axis_signs

CPU = torch.device("cpu")


def table(points: dict[int, tuple[float, float]]) -> np.ndarray:
    out = np.zeros((75, 3))
    for row, (x, y) in points.items():
        out[row] = x, y, 0.9
    return out


# --- pixels -----------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(120, 160), (161, 90), (64, 64)])
def test_our_pixels_are_those_of_the_families_own_processors(tmp_path: Path, shape: tuple[int, int]) -> None:
    from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil
    from transformers.models.rt_detr.image_processing_pil_rt_detr import RTDetrImageProcessorPil
    from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

    image = picture(*shape)
    for family, processor in (
        ("rt_detr_v2", RTDetrImageProcessorPil(size={"height": 96, "width": 96}, do_normalize=False)),
        ("sam", SamImageProcessorPil(size={"longest_edge": 128}, pad_size={"height": 128, "width": 128})),
        ("depth_anything", DPTImageProcessorPil(size={"height": 112, "width": 112}, keep_aspect_ratio=True, ensure_multiple_of=14)),
    ):
        folder = tmp_path / f"{family}{shape[0]}"
        processor.save_pretrained(folder)
        ours, _ = prepare(image, read_recipe(folder, family))
        theirs = torch.as_tensor(np.asarray(processor(Image.fromarray(image), return_tensors="np")["pixel_values"][0]))
        assert ours.shape == theirs.shape, family
        torch.testing.assert_close(ours, theirs.float(), atol=1e-4, rtol=0, msg=lambda m, f=family: f"{f}: {m}")


def test_our_crops_are_those_of_vitpose() -> None:
    from transformers.models.vitpose.image_processing_pil_vitpose import VitPoseImageProcessorPil

    image, recipe = cv2.GaussianBlur(picture(200, 300), (0, 0), 2), Recipe(256, 192)
    boxes = np.array([[20.0, 30, 90, 190], [150, 60, 290, 120]])
    theirs = VitPoseImageProcessorPil()(
        Image.fromarray(image), boxes=[[[x0 - 0.5, y0 - 0.5, x1 - x0, y1 - y0] for x0, y0, x1, y1 in boxes.tolist()]], return_tensors="np"
    )["pixel_values"]
    for box, expected in zip(boxes, theirs, strict=True):
        # Theirs is exact at every place; ours has OpenCV's 1/32 px, and so a byte or two of difference.
        assert np.abs(_crop(image, _window(box, recipe), recipe) - expected).mean() < 0.02


@pytest.mark.parametrize("mode", ["stretch", "corner", "centre", "multiple"])
def test_points_and_maps_find_the_way_back(mode: str) -> None:
    image = np.zeros((90, 150, 3), np.uint8)
    image[40:50, 100:120] = 255
    recipe = Recipe(112, 84, mode, multiple=14, mean=(0, 0, 0), std=(1, 1, 1))  # type: ignore[arg-type]
    pixels, placement = prepare(image, recipe)
    assert tuple(pixels.shape[1:]) == placement.size
    ys, xs = torch.meshgrid(torch.arange(placement.size[0]) + 0.5, torch.arange(placement.size[1]) + 0.5, indexing="ij")
    weight = pixels[0] / pixels[0].sum()
    middle = np.array([float((xs * weight).sum()), float((ys * weight).sum())])
    np.testing.assert_allclose(placement.to_picture(middle), (110, 45), atol=0.3)
    np.testing.assert_allclose(placement.to_picture(placement.to_network(np.array([[3.0, 7.0]]))), [[3, 7]], atol=1e-9)
    back = placement.map_to_picture(pixels)
    assert back.shape == (3, 90, 150)
    assert ((back[0].numpy() > 0.5) != (image[..., 0] > 0)).sum() <= 80, "the square comes back within about a pixel"


def test_a_panorama_does_not_become_an_input_of_any_length() -> None:
    placement = place(20, 8000, Recipe(518, 518, "multiple", 14))
    assert max(placement.size) <= 4200 and min(placement.size) >= 14


def test_absurd_settings_are_refused(tmp_path: Path) -> None:
    for text in ("{", "[]", '{"size": {"height": 100000, "width": 4}}', '{"image_std": [0, 1, 1]}', '{"image_mean": ["a", 1, 2]}', '{"size": "big"}'):
        (tmp_path / "preprocessor_config.json").write_text(text)
        with pytest.raises(WeightsMissingError, match="settings of the pictures"):
            read_recipe(tmp_path, "sam")


# --- opening ----------------------------------------------------------------------------------------------------------------------------------------


def test_a_network_is_gone_after_its_block(tmp_path: Path) -> None:
    folder = vitpose(tmp_path / "v")
    with load_network("vitpose-base-simple", given={"vitpose-base-simple": folder}) as network:
        assert network.dtype == torch.float32 and next(network.model.parameters()).device == CPU
    assert all(p.is_meta for p in network.model.parameters()), "whoever keeps the handle does not keep the weights"


def test_folders_that_are_not_the_network_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    def failing(name: str, folder: Path, match: str) -> None:
        with pytest.raises(WeightsMissingError, match=match) as e, load_network(name, given={name: folder}):
            pass
        assert str(folder) in str(e.value) and e.value.next_step

    good = vitpose(tmp_path / "good")
    failing("sam-vit-base", good, "of a 'vitpose' network")
    failing("vitpose-base-simple", tmp_path / "absent", "no such folder")
    tensors = load_file(good / "model.safetensors")
    for k, (change, match) in enumerate(
        (
            (lambda t: t.pop("head.conv.weight"), "absent or of another shape"),
            (lambda t: t.update({"head.conv.weight": torch.zeros(3, 3)}), "another shape|size mismatch|mismatched"),
        )
    ):
        folder, other = vitpose(tmp_path / f"bad{k}"), dict(tensors)
        change(other)
        save_file(other, folder / "model.safetensors", metadata={"format": "pt"})
        failing("vitpose-base-simple", folder, match)
    folder = vitpose(tmp_path / "cut")
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:1000])
    failing("vitpose-base-simple", folder, "cannot be loaded")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    failing("vitpose-base-simple", folder, "only pickled weights")


def test_a_device_that_is_not_there_is_typed(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    folder = vitpose(tmp_path / "v")
    with pytest.raises(DeviceError, match="cuda"), load_network("vitpose-base-simple", given={"vitpose-base-simple": folder}, device="cuda"):
        pass


def test_without_the_package_the_next_step_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huddle3d.perception.hub._load.has_transformers", lambda: False)
    with pytest.raises(WeightsMissingError, match=r"huddle3d\[transformers\]"), load_network("sam-vit-base"):
        pass


def test_names_are_checked_before_anything_is_opened() -> None:
    with pytest.raises(InputError, match="sam2.1-large"):
        PerceiveConfig(masks="vitpose-base-simple")
    with pytest.raises(InputError, match="NAME=FOLDER"):
        PerceiveConfig(weights=("sam-vit-base",))
    with pytest.raises(InputError, match="embedded"):
        PerceiveConfig(depth="embedded")


# --- boxes ------------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "make"), [("rtdetr-v2-r50", rt_detr_v2), ("dfine-xlarge", d_fine)])
def test_boxes_are_those_of_the_families_own_post_processing(tmp_path: Path, name: str, make) -> None:
    from transformers.models.rt_detr.image_processing_pil_rt_detr import RTDetrImageProcessorPil

    folder, image = make(tmp_path / "net"), picture(120, 200)
    processor = RTDetrImageProcessorPil.from_pretrained(folder)
    with load_network(name, given={name: folder}) as network:
        boxes, scores = find_boxes(image, network, threshold=0.0)
        with torch.inference_mode():
            out = network.model(torch.as_tensor(np.asarray(processor(Image.fromarray(image), return_tensors="np")["pixel_values"])))
    # Theirs lists the best pairs of query and class; a person of ours is a query whose best class is the person.
    theirs = processor.post_process_object_detection(out, threshold=0.0, target_sizes=[(120, 200)])[0]
    best = out.logits[0].argmax(-1) == 0
    expected = out.logits[0, best, 0].sigmoid().sort(descending=True).values
    np.testing.assert_allclose(scores, expected.numpy(), atol=1e-5)
    compared = 0
    for score, label, box in zip(theirs["scores"].tolist(), theirs["labels"].tolist(), theirs["boxes"].numpy(), strict=True):
        if label == 0 and np.abs(scores - score).min(initial=1) < 1e-6:
            clipped = box.clip(0, [200, 120, 200, 120])
            assert np.abs(boxes[np.abs(scores - score) < 1e-6] - clipped).max(-1).min() < 0.01
            compared += 1
    assert compared or not len(boxes) or theirs["scores"].min() > scores.max()


def test_a_box_lands_where_the_network_put_it() -> None:
    class Fixed(torch.nn.Module):
        config = type("C", (), {"id2label": {0: "cat", 1: "person"}})()

        def forward(self, pixel_values: torch.Tensor) -> object:
            logits = torch.tensor([[[-9.0, 2.0], [3.0, 1.0], [-9.0, -9.0]]])
            boxes = torch.tensor([[[0.5, 0.25, 0.2, 0.3], [0.5, 0.5, 0.9, 0.9], [0.1, 0.1, 0.1, 0.1]]])
            return type("O", (), {"logits": logits, "pred_boxes": boxes})()

    network = Loaded("x", "rt_detr_v2", Fixed(), Recipe(96, 96), CPU, torch.float32)
    boxes, scores = find_boxes(picture(100, 300), network, threshold=0.5)
    np.testing.assert_allclose(boxes, [[120, 10, 180, 40]], atol=1e-4)  # the second is a cat, the third too unsure
    np.testing.assert_allclose(scores, [1 / (1 + np.exp(-2))], atol=1e-6)


# --- key points -------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place_px", [(60.5, 100.5), (101.0, 44.0), (83.0, 151.5)])
def test_a_bright_spot_in_the_photo_is_found_at_its_pixel(tmp_path: Path, place_px: tuple[float, float]) -> None:
    ys, xs = np.mgrid[0:240, 0:200] + 0.5
    spot = np.exp(-((xs - place_px[0]) ** 2 + (ys - place_px[1]) ** 2) / (2 * 14**2))
    image = np.repeat((20 + 220 * spot).astype(np.uint8)[..., None], 3, -1)
    folder = vitpose(tmp_path / "v", bright=True)
    with load_network("vitpose-base-simple", given={"vitpose-base-simple": folder}) as network:
        points = find_keypoints(image, np.array([[30.0, 20, 130, 190]]), network)
    assert points.shape == (1, 17, 3)
    # One patch is 16 px of the crop, about 13 px of the photo; what the parabola finds between patches is good to a fraction of it.
    assert np.abs(points[0, :, :2] - place_px).max() < 3.0


def test_heat_maps_are_decoded_as_vitpose_does_it(tmp_path: Path) -> None:
    from transformers.models.vitpose.image_processing_pil_vitpose import VitPoseImageProcessorPil

    rng = np.random.default_rng(3)
    boxes = np.array([[20.0, 30, 90, 190], [150, 60, 290, 120]])
    cells = rng.uniform((6, 6), (41, 57), (2, 17, 2))
    ys, xs = np.mgrid[0:64, 0:48]
    maps = 0.9 * np.exp(-((xs - cells[..., 0, None, None]) ** 2 + (ys - cells[..., 1, None, None]) ** 2) / 8)

    class Fixed(torch.nn.Module):
        config = type("C", (), {"num_labels": 17})()

        def forward(self, pixel_values: torch.Tensor) -> object:
            return type("O", (), {"heatmaps": torch.from_numpy(maps[: len(pixel_values)]).float()})()

    network = Loaded("x", "vitpose", Fixed(), Recipe(256, 192), CPU, torch.float32)
    ours = find_keypoints(picture(200, 300), boxes, network)
    coco = [[[x0 - 0.5, y0 - 0.5, x1 - x0, y1 - y0] for x0, y0, x1, y1 in boxes.tolist()]]
    theirs = VitPoseImageProcessorPil().post_process_pose_estimation(type("O", (), {"heatmaps": torch.from_numpy(maps).float()})(), boxes=coco)[0]
    for mine, them in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine[:, :2], them["keypoints"].numpy() + 0.5, atol=0.02)
        np.testing.assert_allclose(mine[:, 2], them["scores"].numpy(), atol=1e-5)
    for k, box in enumerate(boxes):  # and analytically: the cell's place in the window
        window = _window(box, network.recipe)
        truth = window[:2] - window[2:] / 2 + cells[k] / (47, 63) * window[2:] + 0.5
        assert np.abs(ours[k, :, :2] - truth).max() < 0.25


def test_batches_do_not_change_key_points_and_experts_do(tmp_path: Path) -> None:
    name = "vitpose-plus-base"
    folder, image = vitpose(tmp_path / "v", experts=6), picture(200, 300)
    boxes = np.array([[20.0, 30, 90, 190], [150, 60, 290, 120], [10, 10, 60, 60]])
    with load_network(name, given={name: folder}) as network:
        together, single = (find_keypoints(image, boxes, network, batch=b) for b in (3, 1))
        other = find_keypoints(image, boxes, network, expert=5)
        assert find_keypoints(image, np.zeros((0, 4)), network).shape == (0, 17, 3)
    np.testing.assert_allclose(together, single, atol=1e-4)
    assert np.abs(other - together).max() > 1e-3


def test_bfloat16_gives_nearly_the_same_heat_maps(tmp_path: Path) -> None:
    name, image, boxes = "vitpose-base-simple", picture(200, 300), np.array([[20.0, 30, 90, 190]])
    folder = vitpose(tmp_path / "v")
    scores = []
    for precision in ("float32", "bfloat16"):
        with load_network(name, given={name: folder}, precision=precision) as network:
            assert network.dtype == getattr(torch, precision)
            scores.append(find_keypoints(image, boxes, network)[..., 2])
    np.testing.assert_allclose(scores[0], scores[1], atol=0.03)


# --- masks ------------------------------------------------------------------------------------------------------------------------------------------


def test_a_mask_covers_the_pixels_that_the_network_means(tmp_path: Path) -> None:
    image = np.full((90, 150, 3), 30, np.uint8)
    image[24:64, 72:128] = 230
    folder = sam(tmp_path / "s", bright=True)
    person = PersonPrompt(np.array([70.0, 20, 130, 66]), table({0: (100, 30), 5: (90, 40), 6: (110, 40), 11: (95, 60), 12: (105, 60)}))
    with load_network("sam-vit-base", given={"sam-vit-base": folder}) as network:
        (mask,) = segment_people(image, [person], network, passes=0).masks
    truth = image[..., 0] > 128
    assert mask is not None and mask.shape == truth.shape
    assert (mask & truth).sum() / (mask | truth).sum() > 0.75, "the network's own grid is 9 px of the photo"
    ys, xs = np.nonzero(mask)
    assert abs(xs.mean() - 99.5) < 3 and abs(ys.mean() - 43.5) < 3, "no shift beyond a third of the grid"


@pytest.mark.parametrize("shape", [(90, 150), (150, 90)])
def test_prompts_and_masks_are_those_of_sams_own_processor(tmp_path: Path, shape: tuple[int, int]) -> None:
    from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil
    from transformers.models.sam.processing_sam import SamProcessor

    image, folder = picture(*shape), sam(tmp_path / "s")
    processor = SamProcessor(SamImageProcessorPil.from_pretrained(folder))
    points, box = [[40.0, 30.0], [60.0, 70.0]], [20.0, 10.0, 80.0, 85.0]
    given = processor(Image.fromarray(image), input_points=[[points]], input_labels=[[[1, 0]]], input_boxes=[[box]], return_tensors="pt")
    with load_network("sam-vit-base", given={"sam-vit-base": folder}) as network:
        with torch.inference_mode():
            sizes = given.pop("original_sizes"), given.pop("reshaped_input_sizes")
            out = network.model(**{k: v.float() if v.is_floating_point() else v for k, v in given.items()})
        expected = processor.image_processor.post_process_masks(out.pred_masks, *sizes, binarize=False)[0][0]
        from huddle3d.perception.hub._prompts import Points

        segmenter = _Segmenter(image, network, 4)
        # Their points are pixel indices, ours continuous: half a pixel of the network apart.
        half = 0.5 / np.array(segmenter.placement.scale)
        low, iou = segmenter(
            boxes=(np.array(box).reshape(2, 2) + half).reshape(1, 4), points=[Points(np.array(points) + half, np.array([1, 0], np.int32))]
        )
    torch.testing.assert_close(iou[0], out.iou_scores[0, 0].float(), atol=1e-4, rtol=0)
    torch.testing.assert_close(segmenter.placement.map_to_picture(low[0]), expected.float(), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("name", "make"), [("sam-vit-base", sam), ("sam2.1-tiny", sam2)])
def test_masks_are_disjoint_and_independent_of_batches(tmp_path: Path, name: str, make) -> None:
    folder, image = make(tmp_path / "net"), picture()
    people = [
        PersonPrompt(
            np.array([10.0, 5, 70, 115]), table({0: (40, 12), 5: (30, 30), 6: (50, 30), 11: (33, 60), 12: (47, 60), 9: (20, 50), 15: (34, 110)})
        ),
        PersonPrompt(np.array([60.0, 5, 150, 118]), table({0: (110, 12), 5: (95, 30), 6: (120, 30), 11: (98, 60), 12: (115, 60), 10: (62, 60)})),
    ]
    with load_network(name, given={name: folder}) as network:
        one, two = (segment_people(image, people, network, passes=2, batch=b) for b in (1, 8))
        assert segment_people(image, [], network).masks == []
    assert sum((m if m is not None else np.zeros(image.shape[:2], bool)).astype(int) for m in one.masks).max() <= 1
    for a, b in zip(one.masks, two.masks, strict=True):
        assert (a is None) == (b is None)
        assert a is None or b is None or (a != b).mean() < 0.01
    assert len(one.notes) == sum(m is None for m in one.masks)


def test_the_published_sam2_folders_open_as_the_model_for_pictures(tmp_path: Path) -> None:
    import json

    folder = sam2(tmp_path / "net")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "sam2_video", "architectures": ["Sam2VideoModel"]}))
    with load_network("sam2.1-tiny", given={"sam2.1-tiny": folder}) as network:
        assert type(network.model).__name__ == "Sam2Model"


# --- normals and depth ------------------------------------------------------------------------------------------------------------------------------


class _Echo(torch.nn.Module):
    """Gives its input's channels back as whatever is asked for."""

    config = type("C", (), {"depth_estimation_type": "metric"})()

    def forward(self, pixel_values: torch.Tensor) -> object:
        return type("O", (), {"normals": pixel_values, "pointmaps": pixel_values, "predicted_depth": pixel_values[:, 0]})()


def test_maps_come_back_to_their_pixels_through_window_and_padding() -> None:
    ys, xs = np.mgrid[0:120, 0:200]
    image = np.stack([xs, ys, np.full_like(xs, 128)], -1).astype(np.uint8)
    network = Loaded("x", "sapiens2", _Echo(), Recipe(128, 96, "centre", scale=1.0, mean=(0, 0, 0), std=(1, 1, 1)), CPU, torch.float32)
    boxes = np.array([[50.0, 20, 90, 100], [80, 25, 120, 95]])
    found = find_depth(image, boxes, network)
    assert found.kind == "relative" and not found.valid[0, 0] and bool(found.valid[60, 80])
    raw = find_normals(image, boxes, network)
    rows, columns = slice(30, 90), slice(60, 110)
    ratio = (raw.values[rows, columns, 0] / raw.values[rows, columns, 1]).numpy()
    # Bytes are rounded in the input: half a unit of 30 and more.
    np.testing.assert_allclose(ratio, xs[rows, columns] / ys[rows, columns], rtol=0.03)
    assert float((raw.values[raw.valid].norm(dim=-1) - 1).abs().max()) < 1e-5


@pytest.mark.parametrize("signs", [(1, 1, 1), (1, -1, -1), (-1, 1, 1)])
def test_axes_of_normals_are_told_by_the_outline(signs: tuple[int, int, int]) -> None:
    ys, xs = np.mgrid[0:200, 0:200] + 0.5
    nx, ny = (xs - 100) / 70, -(ys - 100) / 70
    inside = nx**2 + ny**2 < 1
    ball = np.stack([nx, ny, np.sqrt(np.clip(1 - nx**2 - ny**2, 0, 1))], -1) * inside[..., None]
    found, notes = axis_signs(ball * signs, inside, [inside])
    assert found == signs and len(notes) == sum(s < 0 for s in signs)
    assert axis_signs(ball, inside, [])[0] == (1, 1, 1)


def test_depth_grows_away_from_the_camera(tmp_path: Path) -> None:
    ys, xs = np.mgrid[0:120, 0:160]
    image = np.repeat((40 + xs)[..., None], 3, -1).astype(np.uint8)
    boxes = np.array([[10.0, 10, 150, 110]])
    recipe = Recipe(112, 112, "multiple", 14, mean=(0, 0, 0), std=(1, 1, 1))
    metric = find_depth(image, boxes, Loaded("x", "depth_anything", _Echo(), recipe, CPU, torch.float32))
    relative = _Echo()
    relative.config = type("C", (), {"depth_estimation_type": "relative"})()
    inverse = find_depth(image, boxes, Loaded("x", "depth_anything", relative, recipe, CPU, torch.float32))
    assert metric.kind == "metric" and inverse.kind == "inverse"
    assert metric.values[60, 120] > metric.values[60, 40], "metres are kept"
    assert inverse.values[60, 120] < inverse.values[60, 40], "larger inverse depth is nearer"


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("depth-anything-v2-small", depth_anything),
        ("depth-anything-v2-metric-indoor-small", lambda f: depth_anything(f, metric=True)),
        ("sapiens2-pointmap", lambda f: sapiens2(f, "pointmap")),
        ("sapiens2-normal", lambda f: sapiens2(f, "normals")),
    ],
)
def test_surface_networks_end_to_end(tmp_path: Path, name: str, make) -> None:
    folder, image = make(tmp_path / "net"), picture()
    boxes = np.array([[20.0, 10, 70, 110], [60, 20, 130, 115]])
    find = find_normals if "normal" in name else find_depth
    results = []
    for precision in ("float32", "bfloat16"):
        with load_network(name, given={name: folder}, precision=precision) as network:
            results.append(find(image, boxes, network))
    assert results[0].values.shape[:2] == (120, 160) and torch.isfinite(results[0].values).all()
    both = results[0].valid & results[1].valid
    spread = float(results[0].values[both].std()) if both.any() else 0.0
    assert not both.any() or float((results[0].values - results[1].values)[both].abs().mean()) < max(0.05, 0.5 * spread)


def test_sapiens2_pose_gives_hands(tmp_path: Path) -> None:
    from huddle3d.perception._by_hub import table_of_network
    from huddle3d.scene.landmarks import FACE, LANDMARK_INDEX

    folder = sapiens2(tmp_path / "net", "pose")
    with load_network("sapiens2-pose", given={"sapiens2-pose": folder}) as network:
        points = find_keypoints(picture(), np.array([[20.0, 10, 70, 110]]), network)[0]
    assert points.shape == (308, 3)
    marked = np.arange(308.0)[:, None].repeat(3, 1)
    row = table_of_network(marked, "sapiens2-pose")[:, 0]
    want = {
        "nose": 0,
        "left_hip": 9,
        "right_ankle": 14,
        "right_heel": 20,
        "right_thumb4": 21,
        "right_index1": 28,
        "left_pinky4": 58,
        "left_wrist": 62,
    }
    assert {n: row[LANDMARK_INDEX[n]] for n in want} == want and row[LANDMARK_INDEX["left_hand_root"]] == 62
    assert (row[FACE] == 0).all(), "the face is not among the points that are taken"
    with pytest.raises(WeightsMissingError, match="21 points"):
        table_of_network(np.zeros((21, 3)), "x")
