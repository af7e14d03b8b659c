"""Pictures in and out. Everything a file claims is checked before its pixels are decoded."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import warnings
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from huddle3d.errors import InputError, ResourceLimitError
from huddle3d.io._exif import CameraFacts, read_exif
from huddle3d.io._sniff import foreign_kind, image_kind, webp_size
from huddle3d.io.files import write_bytes
from huddle3d.io.limits import MAX_IMAGE_BYTES, MAX_PIXELS, display_name, read_regular_file, require_budget

__all__ = ["DecodedImage", "decode_image", "encode_image", "read_image", "rgb_bytes", "write_image"]

_READABLE = "JPEG, PNG, WebP, TIFF, HEIC"
# What Pillow's decoders are known to raise on damaged data. MemoryError is not here: it is no fault of the file once the budget holds.
_DECODER_ERRORS = (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, OverflowError, RuntimeError, struct.error, zlib.error)
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class DecodedImage:
    """A picture as the rest of the package wants it."""

    image: NDArray[np.float32]
    """(height, width, 3) sRGB in [0, 1], upright."""
    focal_px: float | None
    """Focal length from EXIF, in pixels of ``image``; None if unknown."""
    sha256: str
    """Of the file's bytes."""
    full_size: tuple[int, int]
    """(width, height) of the upright picture before ``max_side`` scaled it down [px]."""
    notes: tuple[str, ...] = ()
    """What was assumed, converted or ignored, in words."""


def read_image(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS, max_side: int | None = None) -> DecodedImage:
    """Read a JPEG, PNG, WebP, TIFF or HEIC picture: upright, three channels, sRGB.

    Args:
        path: a regular file; its kind is taken from its bytes, not from its name.
        max_pixels: budget, compared with the header before anything is decoded.
        max_side: scale down so that the longer side has at most this many pixels [px]; JPEG decodes directly at a reduced size.

    Raises:
        InputError: not a picture, damaged, animated, or of a kind that is not read.
        ResourceLimitError: more bytes or pixels than the budget.
    """
    return decode_image(read_regular_file(path, MAX_IMAGE_BYTES), path, max_pixels=max_pixels, max_side=max_side)


def decode_image(
    data: bytes, source: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS, max_side: int | None = None, kinds: tuple[str, ...] | None = None
) -> DecodedImage:
    """:func:`read_image` for bytes in memory; ``source`` names them in messages, ``kinds`` narrows the accepted formats."""
    name = display_name(source)
    kind = image_kind(data)
    if kind is None or (kinds is not None and kind not in kinds):
        found = foreign_kind(data) if kind is None else f"a {kind} image"
        raise InputError(f"{name}: not a picture that can be read.", why=f"It is {found}.", next_step=f"Convert it to one of {_READABLE}.")
    notes: list[str] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about budgets and EXIF that are checked here with our own numbers
            with _open(data, kind, name, source, max_pixels) as picture:
                facts, full_size = _check(picture, kind, name, source, max_pixels, notes)
                pixels = _pixels(picture, facts, full_size, max_side, name, notes)
    except Image.DecompressionBombError as e:
        step = "Shrink the picture first."
        raise ResourceLimitError(f"{name}: too many pixels; the limit is {max_pixels:,}.", next_step=step, path=str(source)) from e
    except _DECODER_ERRORS as e:
        raise InputError(f"{name}: the {kind} data is damaged or truncated.", why=f"{e}.", next_step="Copy or export the picture again.") from e
    upright = (full_size[1], full_size[0]) if facts.orientation >= 5 else full_size
    focal = None if facts.focal_px is None else facts.focal_px * max(pixels.shape[:2]) / max(full_size)
    return DecodedImage(pixels, focal, hashlib.sha256(data).hexdigest(), upright, (*facts.notes, *notes))


def _open(data: bytes, kind: str, name: str, source: str | os.PathLike[str], max_pixels: int) -> Image.Image:
    if kind == "WEBP" and (size := webp_size(data)):
        require_budget(source, "pixels", size[0] * size[1], max_pixels)
    if kind != "HEIF":
        return Image.open(io.BytesIO(data), formats=[kind])
    try:
        from pillow_heif import HeifImageFile
    except ImportError as e:
        raise InputError(
            f"{name}: HEIC pictures need an optional package.", why="pillow-heif is not installed.", next_step='Run: pip install "huddle3d[heic]"'
        ) from e
    return HeifImageFile(io.BytesIO(data))


def _check(
    picture: Image.Image, kind: str, name: str, source: str | os.PathLike[str], max_pixels: int, notes: list[str]
) -> tuple[CameraFacts, tuple[int, int]]:
    """Budget and frames by the header; then EXIF. No pixel is decoded here."""
    width, height = picture.size
    require_budget(source, "pixels", width * height, max_pixels)
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and kind in ("PNG", "WEBP"):
        raise InputError(
            f"{name}: the picture is animated ({frames} frames).", why="One photo is one instant.", next_step="Save the frame you want as PNG."
        )
    if frames > 1:
        notes.append(f"The file holds {frames} pictures; the first was used.")
    facts = read_exif(picture)
    # Pillow's TIFF reader alone turns its pictures upright by itself, and tells the upright size.
    return (replace(facts, orientation=1) if kind == "TIFF" else facts), (width, height)


def _pixels(
    picture: Image.Image, facts: CameraFacts, full_size: tuple[int, int], max_side: int | None, name: str, notes: list[str]
) -> NDArray[np.float32]:
    """Decode, scale, convert and turn upright."""
    target = full_size
    if max_side is not None and max(full_size) > max_side:
        target = (max(1, round(full_size[0] * max_side / max(full_size))), max(1, round(full_size[1] * max_side / max(full_size))))
        picture.draft(None, target)  # type: ignore[arg-type]  # JPEG skips DCT coefficients; others ignore it
    picture.load()
    if picture.mode.startswith("I") or picture.mode == "F":
        picture = _from_deep(picture, name, notes)
    if picture.mode == "P" or "transparency" in picture.info:
        picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
    picture = _resized(picture, target)
    picture = _to_rgb(picture, notes)
    if facts.orientation in _UPRIGHT:
        picture = picture.transpose(_UPRIGHT[facts.orientation])
    return np.asarray(picture, dtype=np.float32) / np.float32(255)


def _resized(picture: Image.Image, target: tuple[int, int]) -> Image.Image:
    if picture.size == target:
        return picture
    if picture.mode == "1":  # Pillow would resize bits by nearest neighbour
        picture = picture.convert("L")
    return picture.resize(target, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _from_deep(picture: Image.Image, name: str, notes: list[str]) -> Image.Image:
    """16-bit, 32-bit and float grey pictures, as 8 bits."""
    values = np.asarray(picture, dtype=np.float64)
    top = 1.0 if picture.mode == "F" else 65535.0
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= top):
        raise InputError(f"{name}: pixel values outside [0, {top:g}].", why=f"The picture is of mode {picture.mode}.", next_step="Save it as 8-bit.")
    notes.append("Deep grey values were reduced to 8 bits.")
    return Image.fromarray((values / top * 255 + 0.5).astype(np.uint8))


def _to_rgb(picture: Image.Image, notes: list[str]) -> Image.Image:
    """Any 8-bit mode to sRGB: transparency over white, then the embedded colour profile if there is one."""
    profile = picture.info.get("icc_profile")
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        rgba = picture.convert("RGBA")
        if np.asarray(rgba.getchannel("A")).min() < 255:
            notes.append("Transparent pixels were laid over white.")
        flat = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        flat.alpha_composite(rgba)
        picture = flat.convert("RGB")
    if profile and picture.mode in ("RGB", "CMYK", "L"):
        converted = _by_profile(picture, profile)
        if converted is not None:
            return converted
        notes.append("The embedded colour profile is damaged or does not fit, and was ignored.")
    if picture.mode == "CMYK":
        notes.append("CMYK colours were converted without a profile; they are approximate.")
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _by_profile(picture: Image.Image, profile: bytes) -> Image.Image | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None


def encode_image(array: Any, format: Literal["png", "jpeg", "webp"] = "png", *, quality: int = 92) -> bytes:
    """Bytes of a picture file; the same array gives the same bytes.

    Args:
        array: numpy or torch, (height, width), (height, width, 1), 3 or 4 channels; float sRGB in [0, 1] (clipped), uint8, or bool.
        format: kind of file; JPEG drops an alpha channel.
        quality: of JPEG and WebP, 1…100.
    """
    picture = Image.fromarray(_bytes_of(array))
    buffer = io.BytesIO()
    if format == "png":
        picture.save(buffer, "PNG", compress_level=6)
    elif format == "jpeg":
        flat = picture if picture.mode in ("L", "RGB") else picture.convert("RGB")
        flat.save(buffer, "JPEG", quality=quality, subsampling=0)
    else:
        picture.save(buffer, "WEBP", quality=quality, method=4)
    return buffer.getvalue()


def write_image(path: str | os.PathLike[str], array: Any, *, overwrite: bool = False, quality: int = 92) -> None:
    """Write a PNG, JPEG or WebP file, by the path's suffix; arrays as in :func:`encode_image`."""
    formats: dict[str, Literal["png", "jpeg", "webp"]] = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
    suffix = Path(path).suffix.lower()
    if suffix not in formats:
        raise InputError(f"{display_name(path)}: unknown picture suffix {suffix!r}.", next_step=f"Use one of {', '.join(formats)}.")
    write_bytes(path, encode_image(array, formats[suffix], quality=quality), overwrite=overwrite)


def rgb_bytes(array: Any) -> NDArray[np.uint8]:
    """(height, width, 3) uint8 of an array as in :func:`encode_image`; grey is repeated, an alpha channel dropped."""
    values = _bytes_of(array)
    return np.repeat(values[..., None], 3, axis=2) if values.ndim == 2 else np.ascontiguousarray(values[..., :3])


def _bytes_of(array: Any) -> NDArray[np.uint8]:
    values = array.detach().cpu().numpy() if hasattr(array, "detach") else np.asarray(array)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] not in (3, 4)) or values.size == 0:
        raise InputError(f"A picture of shape {values.shape} cannot be written.", next_step="Use (height, width) or (height, width, 3 or 4).")
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if not np.issubdtype(values.dtype, np.floating):
        raise InputError(f"A picture of type {values.dtype} cannot be written.", next_step="Use uint8, bool or float in [0, 1].")
    if not np.isfinite(values).all():
        raise InputError("A picture with NaN or infinite values cannot be written.")
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)
