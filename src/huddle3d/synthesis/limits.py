"""How far the numbers of a scene file may go: wide enough for deliberate extremes, narrow enough that whatever passes can be built."""

from __future__ import annotations

import dataclasses
from typing import Any

from huddle3d.errors import InputError

__all__ = ["MAX_PEOPLE", "MAX_SEED", "check_limits"]

MAX_PEOPLE = 12
MAX_SEED = 2**53 - 1
"""Exact in every program that reads JSON, and a seed for all generators used here."""

_SEED, _COLOUR, _TURN = (0, MAX_SEED), (0, 1), (-3600, 3600)
_LIMITS: dict[str, tuple[float, float]] = {
    "PatternSpec.colours": _COLOUR, "PatternSpec.scale_m": (0.001, 10), "PatternSpec.angle_deg": _TURN, "PatternSpec.seed": _SEED,
    "GarmentSpec.length": (0, 3), "GarmentSpec.offset_m": (0, 0.1), "GarmentSpec.folds_m": (0, 0.1), "GarmentSpec.seed": _SEED,
    "GarmentSpec.loose_m": (0, 0.5), "GarmentSpec.sleeve": (0, 1), "GarmentSpec.open_m": (0, 0.5),
    "HairSpec.colour": _COLOUR, "HairSpec.thickness_m": (0, 0.1), "HairSpec.seed": _SEED,
    "PieceSpec.length": (0, 1), "PieceSpec.loosen_m": (0, 0.1), "PieceSpec.folds_m": (0, 0.1), "PieceSpec.hue_deg": _TURN, "PieceSpec.value": (0, 10),
    "PieceSpec.logo": _SEED, "PieceSpec.seed": _SEED,
    "WardrobeSpec.tone": (0, 10), "WardrobeSpec.hair_colour": _COLOUR,
    "PersonSpec.shape": (-1, 2), "PersonSpec.skin": _COLOUR, "PersonSpec.eyes": _COLOUR,
    "CameraSpec.azimuth_deg": _TURN, "CameraSpec.elevation_deg": (-90, 90), "CameraSpec.roll_deg": _TURN, "CameraSpec.fov_deg": (5, 120),
    "CameraSpec.fill": (0.05, 5), "CameraSpec.width": (16, 4096), "CameraSpec.height": (16, 4096), "CameraSpec.least_visible": (0, 1),
    "CameraSpec.aim": (-1, 2),
    "LightSpec.azimuth_deg": _TURN, "LightSpec.elevation_deg": (-90, 90), "LightSpec.key": (0, 100), "LightSpec.sky": (0, 100),
    "LightSpec.ground": (0, 100), "LightSpec.softness": (0, 10), "LightSpec.size_deg": (0, 60), "LightSpec.fill": (0, 10), "LightSpec.glow": (0, 100),
    "LightSpec.glow_azimuth_deg": _TURN, "LightSpec.glow_elevation_deg": (-90, 90), "LightSpec.bounce": (0, 1), "LightSpec.gloss": (0, 4),
    "BackdropSpec.floor": _COLOUR, "BackdropSpec.wall": _COLOUR, "BackdropSpec.accent": _COLOUR, "BackdropSpec.distance_m": (0.1, 1000),
    "BackdropSpec.seed": _SEED,
    "LensSpec.noise": (0, 1), "LensSpec.blur_px": (0, 64), "LensSpec.vignette": (0, 1), "LensSpec.jpeg_quality": (1, 100),
    "LensSpec.exposure_ev": (-6, 6), "LensSpec.warmth": (-2, 2), "LensSpec.tint": (-2, 2), "LensSpec.contrast": (-1, 2), "LensSpec.motion_px": (0, 64),
    "LensSpec.motion_deg": _TURN, "LensSpec.chroma_noise": (0, 1),
    "MotionSpec.frame": (0, 10_000_000), "MotionSpec.yaw_deg": _TURN,
    "SceneSpec.seed": _SEED, "SceneSpec.version": (1, 1),
}  # fmt: skip
"""Lowest and highest value of each number (of each one in a tuple), by class and field."""


def check_limits(value: Any, where: str = "scene") -> None:
    """All numbers of a tree of scene dataclasses against their limits.

    Raises:
        InputError: one is out of range; the message says where and what is allowed.
    """
    for field in dataclasses.fields(value):
        _check(getattr(value, field.name), f"{type(value).__name__}.{field.name}", f"{where}.{field.name}")


def _check(value: Any, key: str, where: str) -> None:
    if dataclasses.is_dataclass(value):
        check_limits(value, where)
    elif isinstance(value, tuple):
        for i, item in enumerate(value):
            _check(item, key, f"{where}[{i}]")
    elif isinstance(value, int | float):
        low, high = _LIMITS[key]
        if not low <= value <= high:
            raise InputError(f"{where} is out of range: {value}.", next_step=f"Allowed: {low} to {high}.")
