"""Pictures: every honest kind is read right, every dishonest one is refused by name, before it costs anything."""

import io
import math
import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from huddle3d.errors import InputError, ResourceLimitError
from huddle3d.io import encode_image, read_image, write_image


def marker(width: int = 48, height: int = 32) -> np.ndarray:
    """Red in the upper left quarter, green in the upper right, blue below: no symmetry hides a flip. Blocks of 16 survive JPEG."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2, 0] = 255
    pixels[: height // 2, width // 2 :, 1] = 255
    pixels[height // 2 :, :, 2] = 255
    return pixels


def save(path: Path, picture: Image.Image, **options: object) -> Path:
    picture.save(path, **options)
    return path


@pytest.mark.parametrize(
    ("suffix", "options", "tolerance"),
    [
        (".png", {}, 0),
        (".tiff", {}, 0),
        (".webp", {"lossless": True}, 0),
        (".jpg", {"quality": 95, "subsampling": 0}, 4),  # two DCT blocks per colour: rounding of the YCbCr conversion only
    ],
)
def test_reads_each_format(tmp_path: Path, suffix: str, options: dict, tolerance: int) -> None:
    decoded = read_image(save(tmp_path / f"a{suffix}", Image.fromarray(marker()), **options))
    assert decoded.image.dtype == np.float32 and decoded.full_size == (48, 32) and decoded.focal_px is None
    assert np.abs(decoded.image * 255 - marker()).max() <= tolerance


def test_heic_and_its_rotation(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(marker(96, 64)).transpose(Image.Transpose.ROTATE_90)  # undone by orientation 6
    path = tmp_path / "a.heic"
    heif.from_pillow(stored).save(path, quality=95, exif=exif.tobytes())
    decoded = read_image(path)
    assert decoded.full_size == (96, 64)
    assert np.abs(decoded.image * 255 - marker(96, 64)).mean() < 8  # lossy codec at colour edges


def test_heic_without_the_extra_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.heic"
    path.write_bytes(b"\x00\x00\x00\x18ftypheic" + bytes(64))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(InputError, match=r"a\.heic.*pip install"):
        read_image(path)


_STORED = {  # how a camera held in each of the eight ways stores an upright picture: the inverse of what a reader must do
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tiff"])
def test_exif_orientation(tmp_path: Path, orientation: int, suffix: str) -> None:
    upright = Image.fromarray(marker())
    stored = upright if _STORED[orientation] is None else upright.transpose(_STORED[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95, "subsampling": 0} if suffix == ".jpg" else {"lossless": True} if suffix == ".webp" else {}
    decoded = read_image(save(tmp_path / f"a{suffix}", stored, exif=exif, **options))
    assert decoded.full_size == (48, 32)
    assert np.abs(decoded.image * 255 - marker()).max() <= 4


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_impossible_orientation_is_ignored_with_a_note(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = read_image(save(tmp_path / "a.png", Image.fromarray(marker()), exif=exif))
    assert np.array_equal(decoded.image * 255, marker()) and "orientation" in decoded.notes[0]


@pytest.mark.parametrize(
    "block", [b"Exif\x00\x00garbage", b"Exif\x00\x00II*\x00\xff\xff\xff\xff", b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff" + b"\xaa" * 40]
)
def test_malformed_exif_does_not_stop_a_picture(tmp_path: Path, block: bytes) -> None:
    buffer = io.BytesIO()
    Image.fromarray(marker()).save(buffer, "JPEG", quality=95)
    data = buffer.getvalue()
    (tmp_path / "a.jpg").write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:])
    assert read_image(tmp_path / "a.jpg").image.shape == (32, 48, 3)


def camera_exif(**tags: float) -> Image.Exif:
    names = {"f35": 0xA405, "f_mm": 0x920A, "res": 0xA20E, "unit": 0xA210, "width": 0xA002, "height": 0xA003}
    exif = Image.Exif()
    exif[0x0112] = 1
    for name, value in tags.items():
        exif.get_ifd(0x8769)[names[name]] = value
    return exif


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"f35": 28}, 28 * math.hypot(480, 320) / math.hypot(36, 24)),
        # a sensor 24 mm wide, 480 px: 20 px/mm = 508 px/inch; 25 mm · 20 px/mm
        ({"f_mm": 25.0, "res": 508.0, "unit": 2}, 500.0),
        ({"f_mm": 25.0, "res": 200.0, "unit": 3}, 500.0),
        ({"f_mm": 25.0, "res": 508.0}, 500.0),
        # shot at twice the size and scaled down since
        ({"f_mm": 25.0, "res": 1016.0, "unit": 2, "width": 960, "height": 640}, 500.0),
        ({"f35": 0}, None),
        ({"f35": 65535}, None),
        ({"f_mm": 25.0}, None),
        ({"f35": 28, "width": 480, "height": 480}, None),  # cropped since
    ],
)
def test_focal_length(tmp_path: Path, tags: dict, expected: float | None) -> None:
    path = save(tmp_path / "a.jpg", Image.fromarray(marker(480, 320)), exif=camera_exif(**tags))
    focal = read_image(path).focal_px
    assert focal is None if expected is None else focal == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_scaling_down_scales_the_focal_length_and_keeps_positions(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a{suffix}", Image.fromarray(marker(960, 640)), exif=camera_exif(f35=28))
    full, half = read_image(path), read_image(path, max_side=480)
    assert half.image.shape == (320, 480, 3) and half.full_size == (960, 640)
    assert half.focal_px == pytest.approx(full.focal_px / 2)
    # The colour edge is at the same place: box averages of the full picture agree away from ringing at the edges.
    box = full.image.reshape(320, 2, 480, 2, 3).mean((1, 3))
    assert np.abs(box - half.image).mean() < 0.01


def test_max_side_with_a_rotated_odd_size(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    decoded = read_image(save(tmp_path / "a.jpg", Image.fromarray(marker(333, 101)), exif=exif), max_side=64)
    assert decoded.full_size == (101, 333) and decoded.image.shape == (64, 19, 3)


@pytest.mark.parametrize(
    ("mode", "suffix"), [("1", ".png"), ("L", ".png"), ("LA", ".png"), ("P", ".png"), ("RGBA", ".png"), ("RGBA", ".webp"), ("CMYK", ".jpg"), ("CMYK", ".tiff"), ("L", ".jpg"), ("I;16", ".png"), ("I;16", ".tiff")]
)  # fmt: skip
@pytest.mark.parametrize("max_side", [None, 24])
def test_every_mode_becomes_three_channels(tmp_path: Path, mode: str, suffix: str, max_side: int | None) -> None:
    grey = np.full((32, 48), 128, np.uint8)
    if mode == "I;16":
        picture = Image.fromarray(grey.astype(np.uint16) * 257)
    else:
        picture = Image.fromarray(grey).convert("RGB").convert(mode, dither=Image.Dither.NONE) if mode != "1" else Image.new("1", (48, 32), 1)
    decoded = read_image(save(tmp_path / f"a{suffix}", picture), max_side=max_side)
    assert decoded.image.shape == ((32, 48, 3) if max_side is None else (16, 24, 3))
    expected = 1.0 if mode == "1" else 128 / 255
    # The web palette's nearest grey is 102 or 153; JPEG and CMYK round once or twice.
    tolerance = 0.11 if mode == "P" else 0.02
    assert np.abs(decoded.image - expected).max() <= tolerance


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    pixels = np.zeros((40, 40, 4), np.uint8)
    pixels[:, :20] = (255, 0, 0, 255)
    for name, picture in {"rgba": Image.fromarray(pixels), "palette": Image.fromarray(pixels).quantize()}.items():
        decoded = read_image(save(tmp_path / f"{name}.png", picture))
        assert np.allclose(decoded.image[:, :20], [1, 0, 0], atol=0.02) and np.allclose(decoded.image[:, 20:], 1), name
        assert any("Transparent" in note for note in decoded.notes)


def test_a_colour_profile_is_converted_and_a_broken_one_ignored(tmp_path: Path) -> None:
    linear = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ"))
    good = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = Image.fromarray(marker())
    same = read_image(save(tmp_path / "a.png", picture, icc_profile=good))
    assert np.abs(same.image * 255 - marker()).max() <= 1 and not same.notes
    for k, profile in enumerate((b"no profile", linear.tobytes()[:60])):
        broken = read_image(save(tmp_path / f"b{k}.png", picture, icc_profile=profile))
        assert np.array_equal(broken.image * 255, marker()) and "profile" in broken.notes[0]


def test_deep_float_pictures_out_of_range_are_refused(tmp_path: Path) -> None:
    values = np.full((32, 32), 7.5, np.float32)
    with pytest.raises(InputError, match=r"a\.tiff.*outside"):
        read_image(save(tmp_path / "a.tiff", Image.fromarray(values)))
    values[:] = np.nan
    with pytest.raises(InputError, match=r"b\.tiff"):
        read_image(save(tmp_path / "b.tiff", Image.fromarray(values)))
    values[:] = 0.25
    assert np.allclose(read_image(save(tmp_path / "c.tiff", Image.fromarray(values))).image, 0.25, atol=1 / 255)


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\x00" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (10_000, 9_000), (2_000_000_000, 1)])
def test_a_bomb_is_refused_by_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int, height: int) -> None:
    (tmp_path / "bomb.png").write_bytes(png_header(width, height))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("pixels were decoded"))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("pixels were decoded"))
    with pytest.raises(ResourceLimitError, match=r"bomb\.png"):
        read_image(tmp_path / "bomb.png", max_side=512)


def test_a_webp_bomb_is_refused_before_its_decoder_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"VP8X" + struct.pack("<I", 10) + b"\x02\x00\x00\x00" + (16383 - 1).to_bytes(3, "little") + (16383 - 1).to_bytes(3, "little")
    (tmp_path / "bomb.webp").write_bytes(b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body)
    monkeypatch.setattr(Image, "open", lambda *a, **k: pytest.fail("the decoder was built"))
    with pytest.raises(ResourceLimitError, match=r"268,402,689 pixels"):
        read_image(tmp_path / "bomb.webp")


def test_webp_header_sizes(tmp_path: Path) -> None:
    from huddle3d.io._sniff import webp_size

    for options in ({"lossless": True}, {"quality": 50}, {"lossless": True, "exif": camera_exif(f35=30)}):
        path = save(tmp_path / "a.webp", Image.fromarray(marker(130, 70)), **options)
        assert webp_size(path.read_bytes()) == (130, 70)


def test_the_pixel_budget_is_the_callers(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(marker()))
    with pytest.raises(ResourceLimitError, match="1,536 pixels, the limit is 1,535"):
        read_image(path, max_pixels=1535)
    assert read_image(path, max_pixels=1536).full_size == (48, 32)


_HOSTILE = {
    "empty.jpg": b"",
    "text.jpg": b"I am a picture, honest.\n" * 10,
    "noise.png": bytes(range(256)) * 4,
    "magic_only.jpg": b"\xff\xd8\xff\xe0",
    "magic_only.png": b"\x89PNG\r\n\x1a\n",
    "magic_only.webp": b"RIFF\x00\x00\x00\x00WEBP",
    "magic_only.tiff": b"II*\x00\xff\xff\xff\xff",
    "magic_only.heic": b"\x00\x00\x00\x18ftypheic" + bytes(20),
    "fits.jpg": b"SIMPLE  =                    T" + b" " * 2880,
    "pdf.png": b"%PDF-1.7\n1 0 obj\n",
    "eps.tiff": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    "dos_eps.jpg": b"\xc5\xd0\xd3\xc6" + bytes(40),
    "zip.jpg": b"PK\x03\x04" + bytes(40),
    "video.jpg": b"\x00\x00\x00\x18ftypisom" + bytes(40),
    "avif.jpg": b"\x00\x00\x00\x18ftypavif" + bytes(40),
}


@pytest.mark.parametrize("name", _HOSTILE)
def test_not_a_picture(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(_HOSTILE[name])
    with pytest.raises(InputError, match=name.replace(".", r"\.")) as error:
        read_image(tmp_path / name)
    assert error.value.why or error.value.next_step


@pytest.mark.parametrize(("suffix", "kind"), [(".jpg", "JPEG"), (".png", "PNG"), (".webp", "WEBP"), (".tiff", "TIFF")])
@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.9])
def test_truncated(tmp_path: Path, suffix: str, kind: str, fraction: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = save(tmp_path / f"a{suffix}", Image.fromarray(noise))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * fraction)])
    with pytest.raises(InputError, match=rf"a\{suffix}.*{kind}"):
        read_image(path)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_animated_pictures_are_refused(tmp_path: Path, kind: str) -> None:
    frames = [Image.fromarray(marker()), Image.fromarray(marker()[::-1].copy())]
    frames[0].save(tmp_path / "a.png", kind, save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="animated" if kind != "GIF" else "GIF"):
        read_image(tmp_path / "a.png")


def test_the_first_page_of_a_tiff_and_a_note(tmp_path: Path) -> None:
    frames = [Image.fromarray(marker()), Image.fromarray(marker()[::-1].copy())]
    frames[0].save(tmp_path / "a.tiff", save_all=True, append_images=frames[1:])
    decoded = read_image(tmp_path / "a.tiff")
    assert np.array_equal(decoded.image * 255, marker()) and "2 pictures" in decoded.notes[0]


def test_the_first_picture_of_a_stereo_jpeg(tmp_path: Path) -> None:
    """Telephones write MPO files (a JPEG with a second picture behind it) under the name .jpg."""
    first, second = Image.fromarray(marker(96, 64)), Image.fromarray(marker(96, 64)[::-1].copy())
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second], quality=95)
    for max_side, side in ((None, 96), (48, 48)):
        decoded = read_image(tmp_path / "a.jpg", max_side=max_side)
        assert decoded.image.shape[1] == side and decoded.image[2, 2, 0] > 0.9 and "2 pictures" in decoded.notes[0]


def test_compressed_text_bombs_are_refused(tmp_path: Path) -> None:
    """A PNG whose text chunk inflates to 256 MB; Pillow's cap must hold and be told as ours."""
    bomb = zlib.compress(bytes(2**28), 9)
    chunk = b"zTXt" + b"Comment\x00\x00" + bomb
    buffer = io.BytesIO()
    Image.fromarray(marker()).save(buffer, "PNG")
    data = buffer.getvalue()
    (tmp_path / "a.png").write_bytes(data[:33] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:])
    with pytest.raises(InputError, match=r"a\.png"):
        read_image(tmp_path / "a.png")


def test_a_png_named_jpg_is_read(tmp_path: Path) -> None:
    save(tmp_path / "a.jpg", Image.fromarray(marker()), format="PNG")
    assert np.array_equal(read_image(tmp_path / "a.jpg").image * 255, marker())


@pytest.mark.skipif(os.name == "nt", reason="POSIX special files")
def test_special_files_do_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for path, word in ((tmp_path / "pipe.jpg", "pipe"), (Path("/dev/zero"), "device"), (tmp_path, "folder")):
        with pytest.raises(InputError, match=word):
            read_image(path)


@pytest.mark.parametrize("name", ["a b.png", "Ünïcødé 東京.png", "new\nline.png", "-rf.png", "\x1b[31mred.png"])
def test_strange_names_work_and_are_shown_safely(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, Image.fromarray(marker()), format="PNG")
    assert read_image(path).full_size == (48, 32)
    path.write_bytes(b"broken")
    with pytest.raises(InputError) as error:
        read_image(path)
    assert "\n" not in str(error.value) and "\x1b" not in str(error.value)


@pytest.mark.parametrize("path", ["missing.png", "missing/../../x.png", "nul\x00byte.png", "x" * 300])
def test_unreachable_paths(tmp_path: Path, path: str) -> None:
    with pytest.raises(InputError):
        read_image(f"{tmp_path}/{path}")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(marker()))
    path.chmod(0)
    with pytest.raises(InputError, match="Permission"):
        read_image(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.bool_])
def test_writing_round_trips(tmp_path: Path, dtype: type) -> None:
    pixels = marker() if dtype == np.uint8 else marker() > 0 if dtype == np.bool_ else marker().astype(dtype) / 255
    write_image(tmp_path / "a.png", pixels)
    assert np.array_equal(read_image(tmp_path / "a.png").image * 255, marker())
    write_image(tmp_path / "b.jpg", pixels[..., 0])
    assert encode_image(pixels) == encode_image(pixels)


def test_what_cannot_be_written(tmp_path: Path) -> None:
    for array in (np.full((4, 4, 3), np.nan), np.zeros((4, 4, 2)), np.zeros((0, 4, 3)), np.zeros((4, 4), np.int64)):
        with pytest.raises(InputError):
            write_image(tmp_path / "a.png", array)
    with pytest.raises(InputError, match="suffix"):
        write_image(tmp_path / "a.exe", marker())
    assert not list(tmp_path.iterdir())
