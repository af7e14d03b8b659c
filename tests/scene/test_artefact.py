"""Artefacts save themselves, load what they saved, and tell damage from absence."""

import json
import os
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from scene_samples import bodies, people2d, person, photo, scene

from huddle3d.errors import InputError
from huddle3d.geometry import Camera
from huddle3d.scene import Artefact, Bodies, People2D, Photo, Provenance


@dataclass(frozen=True)
class Everything(Artefact):
    """All kinds of values that an artefact may hold."""

    tensor: torch.Tensor
    flags: torch.Tensor
    empty: torch.Tensor
    scalar: torch.Tensor
    text: str
    number: float
    count: int
    yes: bool
    nothing: None
    names: tuple[str, ...]
    nested: tuple[Artefact, ...]
    camera: Camera
    maybe: torch.Tensor | None = None


def everything() -> Everything:
    view = torch.arange(12.0).reshape(3, 4).T  # not contiguous
    return Everything(
        view, view > 3, torch.zeros(0, 3), torch.tensor(2, dtype=torch.int64), "Zoë\n", 0.1, 7, True, None, ("a", "b"), (person("x"), person("y")), bodies().camera
    )  # fmt: skip


def same(a: object, b: object) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, Artefact | Camera):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    return a == b and type(a) is type(b)


@pytest.mark.parametrize("value", [everything(), photo((320, 240)), people2d(), bodies(), scene()], ids=lambda v: type(v).__name__)
def test_round_trip(tmp_path: Path, value: Artefact) -> None:
    provenance = Provenance("stage", "i", "c", "w", "0.1.0")
    value.save(tmp_path / "a.b", provenance)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.b.json", "a.b.safetensors"]
    back, told = type(value).load_with_provenance(tmp_path / "a.b")
    assert same(value, back) and told == provenance
    assert back.digest() == value.digest()
    value.save(tmp_path / "bare")
    assert type(value).load_with_provenance(tmp_path / "bare")[1] is None


def test_digest_sees_every_change() -> None:
    base = photo()
    changed = [
        Photo(base.image + 1e-7 * torch.eye(60, 80)[..., None], base.name, base.sha256, 70.0, "exif", None, base.notes),
        Photo(base.image, base.name, base.sha256, 70.1, "exif", None, base.notes),
        Photo(base.image.double(), base.name, base.sha256, 70.0, "exif", None, base.notes),
        Photo(base.image.transpose(0, 1), base.name, base.sha256, 70.0, "exif", None, base.notes),
        Photo(base.image, base.name, base.sha256, None, "exif", None, base.notes),
    ]
    digests = {base.digest(), *(c.digest() for c in changed)}
    assert len(digests) == 6 and photo().digest() == base.digest()


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        scene().save(tmp_path / name)
    for suffix in (".json", ".safetensors"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    people2d().save(tmp_path / "p", Provenance("perceive"))
    return tmp_path / "p"


def test_absent(saved: Path) -> None:
    with pytest.raises(InputError, match="no such artefact"):
        People2D.load(saved.with_name("q"))
    saved.with_suffix(".safetensors").unlink()
    with pytest.raises(InputError, match="no such artefact"):
        People2D.load(saved)


def test_another_type(saved: Path) -> None:
    with pytest.raises(InputError, match="holds People2D, expected Bodies"):
        Bodies.load(saved)
    assert isinstance(Artefact.load(saved), People2D)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"3", b"null", b"\xff\xfe", b'{"value": 3}', b'{"value": {"type": "People2D"}, "provenance": null}', b"[" * 100_000,
     b'{"value": {"type": "os", "schema": 1, "fields": {}}, "provenance": null}', b'{"value": {"tensor": "nope"}, "provenance": null}',
     b'{"value": {"type": "People2D", "schema": 1, "fields": []}, "provenance": null}', b'{"value": {"type": "People2D", "schema": 1, "fields": {"x": 1}}, "provenance": null}'],
)  # fmt: skip
def test_damaged_json(saved: Path, content: bytes) -> None:
    saved.with_suffix(".json").write_bytes(content)
    with pytest.raises(InputError, match=r"p\.json"):
        People2D.load(saved)


def change(path: Path, edit: object) -> None:
    document = json.loads(path.read_text())
    edit(document)  # type: ignore[operator]
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("edit", "word"),
    [
        (lambda d: d["value"].update(schema=2), "schema 2 of People2D .this version reads 1"),
        (lambda d: d["value"].update(type="Nobody"), "Nobody"),
        (lambda d: d.update(provenance={"unknown": 1}), "unknown"),
        (lambda d: d.update(provenance=[1]), "damaged"),
        (lambda d: d.pop("provenance"), "provenance"),
        (lambda d: d["value"]["fields"].pop("boxes"), "boxes"),
        (lambda d: d["value"]["fields"].update(extra=1), "extra"),
    ],
)
def test_wrong_schema_type_or_members(saved: Path, edit: object, word: str) -> None:
    change(saved.with_suffix(".json"), edit)
    with pytest.raises(InputError, match=word) as error:
        People2D.load(saved)
    assert "p.json" in str(error.value) and "run the stage again" in str(error.value)


@pytest.mark.parametrize("size", [0, 4, 8, 100, -1])
def test_truncated_tensors(saved: Path, size: int) -> None:
    path = saved.with_suffix(".safetensors")
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match="damaged"):
        People2D.load(saved)


def test_a_missing_tensor_and_a_wrong_camera(tmp_path: Path, saved: Path) -> None:
    path = saved.with_suffix(".safetensors")
    tensors = load_file(str(path))
    tensors.pop("boxes")
    save_file(tensors, str(path))
    with pytest.raises(InputError, match="boxes"):
        People2D.load(saved)
    bodies().save(tmp_path / "b")
    tensors = load_file(str(tmp_path / "b.safetensors"))
    tensors["camera.K"] = torch.eye(4)
    save_file(tensors, str(tmp_path / "b.safetensors"))
    with pytest.raises(InputError, match=r"b\.json.*K has shape"):
        Bodies.load(tmp_path / "b")


def test_a_folder_in_the_way(saved: Path) -> None:
    saved.with_suffix(".json").unlink()
    saved.with_suffix(".json").mkdir()
    with pytest.raises(InputError, match=r"p\.json"):
        People2D.load(saved)


def test_a_kill_between_the_two_files_leaves_no_pair(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """New tensors must never be found beside the old description, whose hashes might match a later configuration."""
    replace = os.replace

    def dies_before_the_json(source: str | Path, target: str | Path) -> None:
        if str(target).endswith(".json"):
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", dies_before_the_json)
    with pytest.raises(KeyboardInterrupt):
        people2d(("person_0",)).save(saved)
    with pytest.raises(InputError, match="no such artefact"):
        People2D.load(saved)
    assert [p.name for p in saved.parent.iterdir()] == ["p.safetensors"]


def test_unwritable_places(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        photo().save(tmp_path / "missing" / "a")


def test_what_cannot_be_part_of_an_artefact(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Bad(Artefact):
        table: dict[str, int]

    with pytest.raises(TypeError, match="table"):
        Bad({"a": 1}).save(tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_to_moves_all_tensors() -> None:
    moved = scene().to("meta")
    assert (
        moved.people[0].vertices.device.type == "meta"
        and moved.camera.K.device.type == "meta"
        and moved.summaries[0].params.pose.device.type == "meta"
    )
    assert moved.photo_name == "party"


@dataclass(frozen=True)
class View(Artefact):
    """A picture with a background."""

    image: torch.Tensor


def with_background(dtype: torch.dtype, share: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    image = torch.zeros(128, 200, 3)
    rows = int(128 * share)
    image[:rows] = torch.rand(rows, 200, 3, generator=generator) * 100 + 1
    return image.to(dtype) if dtype != torch.bool else image > 50


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.int32, torch.int64, torch.uint8, torch.bool])
@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_backgrounds_take_little_room_and_come_back_bit_for_bit(tmp_path: Path, dtype: torch.dtype, share: float) -> None:
    image = with_background(dtype, share).flip(0)  # the first element is background
    View(image).save(tmp_path / "v")
    back = View.load(tmp_path / "v").image
    assert same(back, image) and View(back).digest() == View(image).digest()
    size, plain = (tmp_path / "v.safetensors").stat().st_size, image.numel() * image.element_size()
    if plain > 1 << 16 and image.element_size() > 1:
        assert size < (0.3 if share < 0.5 else 1.01) * plain + 1000


def test_zeros_of_both_signs_and_nan_come_back(tmp_path: Path) -> None:
    image = torch.zeros(300, 300)
    image[10, :100], image[20, :100], image[30, :100] = -0.0, torch.nan, torch.inf
    View(image).save(tmp_path / "v")
    back = View.load(tmp_path / "v").image
    assert torch.equal(back.view(torch.int32), image.view(torch.int32)) and (tmp_path / "v.safetensors").stat().st_size < 0.1 * 4 * image.numel()


@pytest.mark.parametrize("shape", [[300, 299], [-300, -300], [300, 300, 10**9]])
def test_a_wrong_shape_of_a_sparse_tensor_is_damage(tmp_path: Path, shape: list[int]) -> None:
    View(torch.zeros(300, 300)).save(tmp_path / "v")
    document = json.loads((tmp_path / "v.json").read_text())
    document["value"]["fields"]["image"]["sparse"] = shape
    (tmp_path / "v.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match="damaged"):
        View.load(tmp_path / "v")


@pytest.mark.parametrize("place", ["at", "values"])
def test_damaged_places_of_a_sparse_tensor_are_told(place: str, tmp_path: Path) -> None:
    masks = torch.zeros(2, 600, 600, dtype=torch.bool)
    masks[:, 100:200, 100:200] = True
    replace(people2d(), masks=masks).save(tmp_path / "p")
    tensors = load_file(tmp_path / "p.safetensors")
    key = f"masks:{place}"
    tensors[key] = tensors[key][1:] if place == "values" else tensors[key] ^ torch.tensor([1] + [0] * (len(tensors[key]) - 1), dtype=torch.uint8)
    save_file(tensors, tmp_path / "p.safetensors")
    with pytest.raises(InputError, match="damaged artefact"):
        People2D.load(tmp_path / "p")
