"""COCO files: what users and other tools write is read right; mistakes are named by their place in the document."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from huddle3d.errors import InputError, ResourceLimitError
from huddle3d.io import CocoImage, CocoPerson, read_coco, write_coco
from huddle3d.io.rle import decode_rle, encode_rle, pack_counts, polygon_mask, unpack_counts


def document() -> dict[str, Any]:
    points = [[10.0 + k, 20.0 + k, 2] for k in range(17)]
    points[3] = [0, 0, 0]
    points[4] = [14, 24, 1]
    return {
        "info": {"anything": "goes"},
        "images": [{"id": 7, "file_name": "photos/two people.jpg", "width": 100, "height": 80}],
        "categories": [{"id": 3, "name": "person"}, {"id": 9, "name": "dog"}],
        "annotations": [
            {
                "id": 1,
                "image_id": 7,
                "category_id": 3,
                "bbox": [10, 20, 30, 40],
                "keypoints": [x for p in points for x in p],
                "num_keypoints": 16,
                "segmentation": [[10, 20, 40, 20, 40, 60, 10, 60]],
            },
            {"id": 2, "image_id": 7, "category_id": 3, "bbox": [60, 10, 20, 30], "score": 0.25},
            {"id": 3, "image_id": 7, "category_id": 9, "bbox": [0, 0, 5, 5]},
            {"id": 4, "image_id": 7, "category_id": 3, "iscrowd": 1, "bbox": [0, 0, 5, 5], "segmentation": {"size": [80, 100], "counts": [8000]}},
        ],
    }


def write(path: Path, tree: Any) -> Path:
    path.write_text(json.dumps(tree), encoding="utf-8")
    return path


def test_people_are_read_and_dogs_and_crowds_are_not(tmp_path: Path) -> None:
    image = read_coco(write(tmp_path / "c.json", document())).select("two people", 100, 80)
    first, second = image.people
    assert first.box.tolist() == [10, 20, 40, 60] and first.score == 1 and second.score == 0.25
    assert first.keypoints.shape == (17, 3) and first.keypoints[0].tolist() == [10, 20, 1]
    assert first.keypoints[3, 2] == 0 and first.keypoints[4, 2] == 0.5
    expected = np.zeros((80, 100), bool)
    expected[20:60, 10:40] = True
    assert np.array_equal(first.mask, expected)
    assert second.keypoints is None and second.mask is None


def test_select_scales_to_the_picture(tmp_path: Path) -> None:
    file = read_coco(write(tmp_path / "c.json", document()))
    image = file.select("two people.jpg", 50, 40)
    person = image.people[0]
    assert person.box.tolist() == [5, 10, 20, 30] and person.keypoints[0].tolist() == [5, 10, 1]
    assert person.mask.shape == (40, 50) and person.mask.sum() == 300 and person.mask[10:30, 5:20].all()
    with pytest.raises(InputError, match="do not fit"):
        file.select("two people", 80, 100)


def test_select_by_name(tmp_path: Path) -> None:
    tree = document()
    assert read_coco(write(tmp_path / "a.json", tree)).select("other name", 100, 80).people  # a single image needs no name
    tree["images"].append({"id": 8, "file_name": "b.jpg", "width": 100, "height": 80})
    file = read_coco(write(tmp_path / "b.json", tree))
    assert file.select("two people", 100, 80).file_name == "photos/two people.jpg"
    with pytest.raises(InputError, match="which annotations"):
        file.select("other name", 100, 80)
    with pytest.raises(InputError, match="no people"):
        file.select("b", 100, 80)


def test_results_list_without_images(tmp_path: Path) -> None:
    results = [{"image_id": 1, "category_id": 1, "keypoints": [1.5, 2.5, 0.75] * 17, "score": 0.9}]
    person = read_coco(write(tmp_path / "r.json", results)).select("x", 100, 80).people[0]
    assert person.keypoints[0].tolist() == [1.5, 2.5, 0.75] and person.score == 0.9


def test_whole_body_points_in_both_forms(tmp_path: Path) -> None:
    numbers = [[float(k), float(2 * k), 2.0] for k in range(133)]
    flat = [x for p in numbers for x in p]
    together, apart = document(), document()
    together["annotations"][0]["keypoints"] = flat
    bounds = {"keypoints": (0, 17), "foot_kpts": (17, 23), "face_kpts": (23, 91), "lefthand_kpts": (91, 112), "righthand_kpts": (112, 133)}
    apart["annotations"][0].update({name: flat[3 * a : 3 * b] for name, (a, b) in bounds.items()})
    a, b = (read_coco(write(tmp_path / f"{k}.json", t)).select("two people", 100, 80).people[0].keypoints for k, t in enumerate((together, apart)))
    assert a.shape == (133, 3) and np.array_equal(a, b) and a[132].tolist() == [132, 264, 1]
    del apart["annotations"][0]["face_kpts"]
    c = read_coco(write(tmp_path / "c.json", apart)).select("two people", 100, 80).people[0].keypoints
    assert (c[23:91, 2] == 0).all() and np.array_equal(c[91:], a[91:])


def test_masks_in_all_three_forms_agree(tmp_path: Path) -> None:
    mask = np.zeros((80, 100), bool)
    mask[20:60, 10:40] = True
    trees = [document() for _ in range(3)]
    trees[1]["annotations"][0]["segmentation"] = {"size": [80, 100], "counts": encode_rle(mask)}
    trees[2]["annotations"][0]["segmentation"] = {"size": [80, 100], "counts": pack_counts(encode_rle(mask))}
    for k, tree in enumerate(trees):
        read = read_coco(write(tmp_path / f"{k}.json", tree)).select("two people", 100, 80)
        assert np.array_equal(read.people[0].mask, mask)


def test_write_and_read_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    keypoints = rng.random((17, 3)).astype(np.float32)
    mask = rng.random((80, 100)) > 0.5
    people = (CocoPerson(np.array([1, 2, 30, 40], np.float32), 0.5, keypoints, mask), CocoPerson(np.array([5, 5, 9, 9], np.float32)))
    write_coco(tmp_path / "c.json", [CocoImage("ü.jpg", 100, 80, people)])
    back = read_coco(tmp_path / "c.json").select("ü", 100, 80).people
    assert back[0].box.tolist() == [1, 2, 30, 40] and back[0].score == 0.5
    assert np.allclose(back[0].keypoints, keypoints) and np.array_equal(back[0].mask, mask) and back[1].keypoints is None
    with pytest.raises(InputError, match="NaN"):
        write_coco(tmp_path / "d.json", [CocoImage("x", 9, 9, (CocoPerson(score=float("nan")),))])


def change(tree: Any, path: tuple[str | int, ...], value: Any) -> Any:
    tree = copy.deepcopy(tree)
    node = tree
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return tree


_NAN, _INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("annotations", 0, "keypoints", 7), _NAN, r"annotations\[0\]\.keypoints\[7\]"),
        (("annotations", 0, "keypoints", 7), _INF, r"annotations\[0\]\.keypoints\[7\]"),
        (("annotations", 0, "keypoints", 7), "3", r"annotations\[0\]\.keypoints\[7\]"),
        (("annotations", 0, "keypoints", 7), None, r"annotations\[0\]\.keypoints\[7\]"),
        (("annotations", 0, "keypoints", 7), 10**400, r"annotations\[0\]\.keypoints\[7\]"),
        (("annotations", 0, "keypoints", 8), 5, r"annotations\[0\]\.keypoints\[8\]"),
        (("annotations", 0, "keypoints", 8), -1, r"annotations\[0\]\.keypoints\[8\]"),
        (("annotations", 0, "keypoints"), [1, 2, 2] * 16, r"annotations\[0\].*17 points"),
        (("annotations", 1, "bbox"), [1, 2, 3], r"annotations\[1\]\.bbox"),
        (("annotations", 1, "bbox", 2), _NAN, r"annotations\[1\]\.bbox\[2\]"),
        (("annotations", 1, "bbox"), [10, 10, 0, 5], r"annotations\[1\]\.bbox.*no area"),
        (("annotations", 1, "bbox"), [10, 10, -4, 5], r"annotations\[1\]\.bbox.*no area"),
        (("annotations", 1, "bbox"), [100, 10, 4, 5], r"annotations\[1\]\.bbox.*outside the image of 100 × 80"),
        (("annotations", 1, "bbox"), [-50, 10, 40, 5], r"annotations\[1\]\.bbox.*outside"),
        (("annotations", 1, "score"), 7, r"annotations\[1\]\.score"),
        (("annotations", 1, "image_id"), 99, r"annotations\[1\]\.image_id.*no image 99"),
        (("annotations", 0, "segmentation"), [[1, 2, 3, 4]], r"annotations\[0\]\.segmentation"),
        (("annotations", 0, "segmentation"), [[1, 2, 3, 4, 5, 6, 7]], r"annotations\[0\]\.segmentation\[0\].*odd"),
        (("annotations", 0, "segmentation", 0, 3), _NAN, r"annotations\[0\]\.segmentation"),
        (("annotations", 0, "segmentation"), {"size": [80, 100], "counts": [1, 2]}, r"annotations\[0\]\.segmentation\.counts.*add up to 3"),
        (("annotations", 0, "segmentation"), {"size": [80, 100], "counts": [-1, 8001]}, r"annotations\[0\]\.segmentation"),
        (("annotations", 0, "segmentation"), {"size": [80, 100], "counts": "\x01"}, r"annotations\[0\]\.segmentation\.counts.*damaged"),
        (("annotations", 0, "segmentation"), {"size": [80, 100], "counts": "o" * 50}, r"annotations\[0\]\.segmentation\.counts"),
        (("annotations", 0, "segmentation"), {"size": [100, 80], "counts": [8000]}, r"annotations\[0\]\.segmentation\.size"),
        (("images", 0, "width"), 0, r"images\[0\]\.width"),
        (("images", 0, "width"), None, r"images\[0\].*together"),
        (("images",), [{"id": 7}, {"id": 7}], r"images\[1\]\.id.*twice"),
        (("annotations",), {}, r"annotations"),
        (("annotations", 1), {"image_id": 7, "category_id": 3}, r"annotations\[1\]: a person needs"),
    ],
)
def test_mistakes_are_named_by_place(tmp_path: Path, path: tuple[str | int, ...], value: Any, place: str) -> None:
    with pytest.raises(InputError, match=place) as error:
        read_coco(write(tmp_path / "c.json", change(document(), path, value)))
    assert "c.json" in str(error.value)


def test_a_box_that_reaches_outside_is_clipped_with_a_note(tmp_path: Path) -> None:
    image = read_coco(write(tmp_path / "c.json", change(document(), ("annotations", 1, "bbox"), [80, 60, 50, 50]))).select("two people", 100, 80)
    assert image.people[1].box.tolist() == [80, 60, 100, 80] and "annotations[1].bbox" in image.notes[0]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"nope", b"3", b'"x"', b"null", b"{}", b"[1]", b'{"annotations": [' + b"[" * 200 + b"]" * 200 + b"]}", b"[" + b"9" * 5000 + b"]"])  # fmt: skip
def test_not_a_coco_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c.json").write_bytes(content)
    with pytest.raises(InputError, match=r"c\.json"):
        read_coco(tmp_path / "c.json")


def test_budgets(tmp_path: Path) -> None:
    tree = change(document(), ("images", 0), {"id": 7, "width": 100_000, "height": 100_000})
    with pytest.raises(ResourceLimitError, match="pixels"):
        read_coco(write(tmp_path / "c.json", tree))
    tree = {"annotations": [{"image_id": 1, "segmentation": {"size": [100_000, 100_000], "counts": [10**10]}}]}
    with pytest.raises(ResourceLimitError, match="pixels"):
        read_coco(write(tmp_path / "c.json", tree))


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)))
@settings(max_examples=60, deadline=None)
def test_run_lengths_round_trip(mask: np.ndarray) -> None:
    counts = encode_rle(mask)
    assert sum(counts) == mask.size and min(counts[1:], default=1) > 0
    assert unpack_counts(pack_counts(counts)) == counts
    assert np.array_equal(decode_rle(counts, *mask.shape), mask)


@given(st.lists(st.integers(0, 2**31), max_size=20))
@settings(deadline=None)
def test_packing_round_trips(counts: list[int]) -> None:
    assert unpack_counts(pack_counts(counts)) == counts


def test_packed_run_lengths_by_hand() -> None:
    # 6 → one group 6: chr(54); 1 → chr(49); 40 = 01000 + 1·32 → groups 8 with more, 1: chr(48 + 8 + 32), chr(49);
    # the fourth is stored as a difference to the second: 4 − 1 = 3 → chr(51); the fifth: 40 − 40 = 0; a negative one: 2 − 4 = −2 → 30.
    assert pack_counts([6, 1, 40, 4, 40, 2]) == "61" + "X1" + "3" + "0" + "N"
    assert unpack_counts("61X130N") == [6, 1, 40, 4, 40, 2]


def test_columns_come_first() -> None:
    mask = np.zeros((3, 4), bool)
    mask[:, 1] = True
    assert encode_rle(mask) == [3, 3, 6] and encode_rle(~mask) == [0, 3, 3, 6]


def test_polygons_use_pixel_centres() -> None:
    assert polygon_mask([[1, 1, 3, 1, 3, 2, 1, 2]], 4, 5).nonzero()[1].tolist() == [1, 2]
    assert not polygon_mask([[0.6, 0.6, 1.4, 0.6, 1.4, 1.4, 0.6, 1.4]], 3, 3).any()  # between the centres
    for left, right, columns in ((0.6, 2.4, [1]), (0.4, 2.6, [0, 1, 2]), (0.6, 2.6, [1, 2])):
        row = polygon_mask([[left, 0, right, 0, right, 1, left, 1]], 1, 4)[0]
        assert row.nonzero()[0].tolist() == columns
    assert polygon_mask([[-10, -10, 20, -10, 20, 20, -10, 20]], 3, 3).all()  # reaches outside on all sides
    ring = [0, 0, 9, 0, 9, 9, 0, 9, 0, 0, 3, 3, 3, 6, 6, 6, 6, 3, 3, 3]
    assert polygon_mask([ring], 9, 9).sum() == 81 - 9  # even-odd: the inner square is a hole
    star = polygon_mask([[0, 0, 4, 0, 4, 4, 0, 4], [2, 2, 6, 2, 6, 6, 2, 6]], 6, 6)
    assert star.sum() == 16 + 16 - 4  # union


def test_a_disc_has_its_area() -> None:
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    polygon = np.stack([50.3 + 30 * np.cos(angle), 40.7 + 30 * np.sin(angle)], -1).reshape(-1).tolist()
    assert polygon_mask([polygon], 80, 100).sum() == pytest.approx(np.pi * 900, rel=0.01)  # boundary pixels are ~190 of 2827


@pytest.mark.shared
def test_real_coco_annotations(shared: Path) -> None:
    file = read_coco(shared / "data" / "photos" / "annotations.json")
    people = [p for image in file.images for p in image.people]
    assert len(file.images) > 10 and len(people) > 40
    for person in people:
        if person.mask is not None and person.box is not None:
            ys, xs = np.nonzero(person.mask)
            # polygons and boxes of COCO agree to about a pixel
            assert np.abs(np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]) - person.box).max() < 4


@pytest.mark.parametrize("counts", [[2**70], [2**62, 2**62, 2**62, 2**62 + 100 * 80], [-(2**70), 2**70 + 100 * 80]])
def test_run_lengths_beyond_64_bits_are_refused(tmp_path: Path, counts: list[int]) -> None:
    # the sum of the second one is right modulo 2**64: numpy.repeat would write beyond its memory
    tree = document()
    tree["annotations"][0]["segmentation"] = {"size": [80, 100], "counts": counts}
    with pytest.raises(InputError, match=r"annotations\[0\]\.segmentation"):
        read_coco(write(tmp_path / "c.json", tree))
    if min(counts) >= 0:
        with pytest.raises(ValueError, match="add up"):
            decode_rle(counts, 80, 100)


def test_a_mask_tells_the_size_of_an_image_that_the_file_does_not_tell(tmp_path: Path) -> None:
    mask = np.zeros((80, 100), bool)
    mask[20:60, 10:40] = True
    result = {"image_id": 1, "category_id": 1, "bbox": [10, 20, 30, 40], "segmentation": {"size": [80, 100], "counts": encode_rle(mask)}}
    person = read_coco(write(tmp_path / "r.json", [result])).select("x", 50, 40).people[0]
    assert person.mask.shape == (40, 50) and person.box.tolist() == [5, 10, 20, 30]


@pytest.mark.parametrize("part", [{"bbox": [600, 100, 200, 500]}, {"keypoints": [700.0, 300.0, 0.9] * 17}])
def test_annotations_without_a_size_must_lie_in_the_picture(tmp_path: Path, part: dict[str, Any]) -> None:
    file = read_coco(write(tmp_path / "r.json", [{"image_id": 1, "category_id": 1, **part}]))
    assert file.select("x", 1280, 960).people
    with pytest.raises(InputError, match="how large") as error:
        file.select("x", 640, 480)
    assert "width and height" in error.value.next_step
