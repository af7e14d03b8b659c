"""What EXIF tells about the camera: which way is up, and the focal length in pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from PIL import Image

__all__ = ["CameraFacts", "read_exif"]

_ORIENTATION, _EXIF_IFD = 0x0112, 0x8769
_FOCAL_35MM, _FOCAL_MM, _PLANE_X, _PLANE_UNIT = 0xA405, 0x920A, 0xA20E, 0xA210
_EXIF_WIDTH, _EXIF_HEIGHT = 0xA002, 0xA003
_UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
_DIAGONAL_35MM = math.hypot(36.0, 24.0)
_ERRORS = (ArithmeticError, AttributeError, EOFError, LookupError, OSError, SyntaxError, TypeError, ValueError)


@dataclass(frozen=True)
class CameraFacts:
    """What could be believed."""

    orientation: int = 1
    """EXIF orientation, 1…8."""
    focal_px: float | None = None
    """Focal length in pixels of the stored (full-size) picture."""
    notes: tuple[str, ...] = ()
    """What could not be believed, in words."""


def read_exif(picture: Image.Image) -> CameraFacts:
    """Orientation and focal length of a picture that is opened but not scaled; EXIF never makes a picture unreadable."""
    notes: list[str] = []
    try:
        exif = picture.getexif()
        root, camera = dict(exif), dict(exif.get_ifd(_EXIF_IFD))
    except _ERRORS as e:
        return CameraFacts(notes=(f"The EXIF data is damaged and was ignored ({type(e).__name__}).",))
    orientation = root.get(_ORIENTATION, 1)
    if orientation not in range(1, 9):
        notes.append(f"The EXIF orientation {orientation!r} does not exist and was ignored.")
        orientation = 1
    focal = _focal_px(camera, picture.width, picture.height, notes)
    return CameraFacts(int(orientation), focal, tuple(notes))


def _focal_px(tags: dict[int, Any], width: int, height: int, notes: list[str]) -> float | None:
    """By the 35 mm equivalent (36 × 24 mm, same diagonal), else by focal length and sensor resolution."""
    shot_width, shot_height = _number(tags, _EXIF_WIDTH), _number(tags, _EXIF_HEIGHT)
    f35, f_mm, per_unit = _number(tags, _FOCAL_35MM), _number(tags, _FOCAL_MM), _number(tags, _PLANE_X)
    if f35:
        focal = f35 * math.hypot(width, height) / _DIAGONAL_35MM
    elif f_mm and per_unit:
        per_mm = per_unit / _UNIT_MM.get(int(_number(tags, _PLANE_UNIT) or 2), 25.4)  # EXIF 2.3: the default unit is the inch
        focal = f_mm * per_mm * (max(width, height) / max(shot_width, shot_height) if shot_width and shot_height else 1.0)
    else:
        return None
    if shot_width and shot_height and not _same_shape((width, height), (shot_width, shot_height)):
        notes.append("The picture was cropped after it was taken: the EXIF focal length does not fit it and was ignored.")
        return None
    # The field of view then lies between about 3° and 115° over the longer side: outside, the tag is a mistake, not a lens.
    if not 0.3 <= focal / max(width, height) <= 20:
        notes.append(f"The EXIF focal length ({focal:.0f} px) is implausible and was ignored.")
        return None
    return focal


def _same_shape(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return abs(max(a) / min(a) - max(b) / min(b)) < 0.02 * max(a) / min(a)


def _number(tags: dict[int, Any], tag: int) -> float | None:
    """A positive finite number, or None."""
    try:
        value = float(tags[tag])
    except _ERRORS:
        return None
    return value if math.isfinite(value) and value > 0 else None
