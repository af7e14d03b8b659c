"""From a file to a Photo: size, focal length and name."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from huddle3d.errors import InputError
from huddle3d.scene import load_photo


def picture(path: Path, width: int = 640, height: int = 480, f35: int | None = None, orientation: int = 1) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    if f35:
        exif.get_ifd(0x8769)[0xA405] = f35
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2] = (200, 100, 50)
    Image.fromarray(pixels).save(path, exif=exif, quality=95)
    return path


def test_full_size(tmp_path: Path) -> None:
    photo = load_photo(picture(tmp_path / "Two people.jpg"))
    assert photo.image.dtype == torch.float32 and photo.image.shape == (480, 640, 3) and (photo.width, photo.height) == (640, 480)
    assert photo.name == "Two people" and len(photo.sha256) == 64
    assert photo.focal_px is None and photo.focal_source == "default" and photo.full_size is None


def test_scaled_focal_lengths(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.jpg", f35=28)
    diagonal = math.hypot(640, 480)
    exif, small = load_photo(path), load_photo(path, max_side=320)
    assert exif.focal_source == "exif" and exif.focal_px == pytest.approx(28 * diagonal / math.hypot(36, 24))
    assert small.focal_px == pytest.approx(exif.focal_px / 2) and small.full_size == (640, 480) and small.width == 320
    user = load_photo(path, focal_px=1000.0, max_side=320)  # the user speaks of the file's pixels
    assert user.focal_px == pytest.approx(500) and user.focal_source == "user"
    assert load_photo(path, max_side=10_000).full_size is None


def test_rotated(tmp_path: Path) -> None:
    photo = load_photo(picture(tmp_path / "a.jpg", orientation=6, f35=28), max_side=320)
    assert (photo.width, photo.height) == (240, 320) and photo.full_size == (480, 640)
    assert photo.image[:100].mean() > 0.4 and photo.image[-100:].mean() < 0.05  # the bright left half is on top when upright


@pytest.mark.parametrize("focal", [0.0, -3.0, math.nan, math.inf])
def test_impossible_focal_length(tmp_path: Path, focal: float) -> None:
    with pytest.raises(InputError, match="focal length"):
        load_photo(picture(tmp_path / "a.jpg"), focal_px=focal)


@pytest.mark.parametrize("size", [(1, 1), (20_000, 1), (31, 400)])
def test_too_small_for_a_person(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png.*too small"):
        load_photo(tmp_path / "a.png", max_side=512)


@pytest.mark.parametrize(("file", "name"), [("-rf.png", "rf"), ("a\nb.png", "a_b"), ("x.tar.png", "x.tar"), (".png", "png")])
def test_names_are_safe(tmp_path: Path, file: str, name: str) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / file, "PNG")
    assert load_photo(tmp_path / file).name == name


def test_the_same_file_gives_the_same_photo(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.jpg")
    assert load_photo(path, max_side=200).digest() == load_photo(path, max_side=200).digest()


@pytest.mark.shared
def test_all_photos_of_the_development_data(shared: Path) -> None:
    for path in sorted((shared / "data" / "photos").glob("*.jpg")):
        photo = load_photo(path, max_side=512)
        assert max(photo.width, photo.height) <= 512 and photo.image.isfinite().all()
