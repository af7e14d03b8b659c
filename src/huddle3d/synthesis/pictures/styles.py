"""Random looks of a photograph: light, place and lens drawn together, so that sun goes with the street and a window with the room.

Two sets never meet. Drawn with ``held_out=False`` a style has no light from the side (:data:`HELD_OUT_AZIMUTHS_DEG`), none of the warmest or
coldest colours, and none of the places :data:`HELD_OUT_BACKDROPS`; with ``held_out=True`` it has all three. Scenes of
:func:`~huddle3d.synthesis.sample_spec` keep to the first set as well.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from typing import Literal, TypeVar

import torch

from huddle3d.synthesis.spec import RGB, BackdropSpec, LensSpec, LightSpec

__all__ = ["HELD_OUT_AZIMUTHS_DEG", "HELD_OUT_BACKDROPS", "HELD_OUT_WARMTH", "Style", "is_held_out", "sample_style"]

Style = tuple[LightSpec, BackdropSpec, LensSpec]
Place = Literal["room", "street", "studio", "furnished", "park", "gradient", "texture", "loft", "beach"]
T = TypeVar("T")

HELD_OUT_AZIMUTHS_DEG = (75.0, 105.0)
"""Azimuths of the far light, on either side, that no training style has [deg]."""
HELD_OUT_WARMTH = 0.45
"""Training lights keep ``|log2(red / blue)|`` of the far light below this; held-out lights exceed it."""
HELD_OUT_BACKDROPS: frozenset[str] = frozenset({"loft", "beach"})
"""Places that no training style has."""

_OUTDOORS = frozenset({"street", "park", "beach"})
_INDOORS = frozenset({"room", "furnished", "loft"})
_TRAINING: tuple[Place, ...] = ("room", "furnished", "furnished", "street", "street", "park", "park", "studio", "gradient", "texture")
_HELD_OUT: tuple[Place, ...] = ("loft", "beach")


class _Draw:
    """Random choices from one generator, in call order."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def between(self, low: float, high: float) -> float:
        return round(low + (high - low) * float(torch.rand((), generator=self._generator, dtype=torch.float64)), 4)

    def pick(self, items: Sequence[T]) -> T:
        return items[int(torch.randint(0, len(items), (), generator=self._generator))]

    def chance(self, p: float) -> bool:
        return self.between(0, 1) < p

    def seed(self) -> int:
        return int(torch.randint(0, 1 << 20, (), generator=self._generator))

    def colour(self, hue: tuple[float, float], saturation: tuple[float, float], value: tuple[float, float]) -> RGB:
        return _rounded(colorsys.hsv_to_rgb(self.between(*hue) % 1, self.between(*saturation), self.between(*value)))


def _rounded(colour: Sequence[float]) -> RGB:
    return round(colour[0], 3), round(colour[1], 3), round(colour[2], 3)


def _tinted(strength: float, warmth: float) -> RGB:
    """Light of a colour whose red is ``2**warmth`` times its blue."""
    return _rounded((strength * 2 ** (warmth / 2), strength, strength * 2 ** (-warmth / 2)))


def is_held_out(light: LightSpec, backdrop: BackdropSpec) -> bool:
    """Whether a style could only be drawn with ``held_out=True``: the far light, its colour or the place belongs to the held-out set."""
    side = abs((light.azimuth_deg + 180) % 360 - 180)
    warmth = abs(math.log2(max(light.key[0], 1e-6) / max(light.key[2], 1e-6)))
    return HELD_OUT_AZIMUTHS_DEG[0] <= side <= HELD_OUT_AZIMUTHS_DEG[1] or warmth > HELD_OUT_WARMTH or backdrop.kind in HELD_OUT_BACKDROPS


def _azimuth(d: _Draw, held_out: bool) -> float:
    """Mostly from the front; sometimes from behind."""
    sign = d.pick((-1.0, 1.0))
    low, high = HELD_OUT_AZIMUTHS_DEG
    if held_out:
        return sign * d.between(low, high)
    return sign * (d.between(high + 3, 180) if d.chance(0.15) else d.between(0, low - 3))


def _warmth(d: _Draw, held_out: bool, low: float, high: float) -> float:
    """``low … high`` in training; beyond the limit, on the side that is more usual, when held out."""
    if held_out:
        return d.between(HELD_OUT_WARMTH + 0.05, 0.85) * (1.0 if high >= -low else -1.0)
    return d.between(low, high)


def _outdoor_light(d: _Draw, held_out: bool) -> LightSpec:
    """Sun under a blue sky, or an overcast sky with a faint broad sun."""
    azimuth = _azimuth(d, held_out)
    if d.chance(0.35):
        elevation, key = d.between(35, 75), _tinted(d.between(0.15, 0.35), _warmth(d, held_out, -0.1, 0.25))
        sky = d.between(0.78, 0.98)
        return LightSpec(
            azimuth, elevation, key, _tinted(sky, d.between(-0.15, 0.05)), _tinted(0.12, 0.1), 0.08,
            size_deg=d.between(15, 35), fill=0.02, bounce=d.between(0.3, 0.6), gloss=d.between(0.5, 1.0),
        )  # fmt: skip
    elevation, key = d.between(22, 68), _tinted(d.between(0.85, 1.25), _warmth(d, held_out, 0.0, 0.4))
    glow = _tinted(d.between(0.1, 0.25), -0.1)
    return LightSpec(
        azimuth, elevation, key, _tinted(d.between(0.38, 0.6), d.between(-0.45, -0.1)), _tinted(0.1, 0.1), 0.01,
        size_deg=d.between(0.5, 2.0), fill=0.03, glow=glow, glow_azimuth_deg=round(azimuth + 180, 4), glow_elevation_deg=d.between(10, 50),
        bounce=d.between(0.3, 0.7), gloss=d.between(0.6, 1.2),
    )  # fmt: skip


def _indoor_light(d: _Draw, held_out: bool) -> LightSpec:
    """A window (broad, cool) and a lamp (warmer, smaller); walls return light from all around."""
    azimuth = _azimuth(d, held_out)
    around = d.between(0.32, 0.55)
    return LightSpec(
        azimuth, d.between(25, 70), _tinted(d.between(0.3, 0.75), _warmth(d, held_out, -0.1, 0.4)),
        _tinted(around, d.between(-0.05, 0.2)), _tinted(0.55 * around, d.between(0.0, 0.25)), 0.05,
        size_deg=d.between(5, 16), fill=d.between(0.03, 0.1), glow=_tinted(d.between(0.15, 0.6), d.between(-0.35, 0.0)),
        glow_azimuth_deg=round(azimuth + d.between(60, 200), 4), glow_elevation_deg=d.between(0, 30),
        bounce=d.between(0.2, 0.5), gloss=d.between(0.6, 1.2),
    )  # fmt: skip


def _studio_light(d: _Draw, held_out: bool) -> LightSpec:
    """A softbox, a broad fill from the other side."""
    azimuth = _azimuth(d, held_out)
    around = d.between(0.3, 0.5)
    return LightSpec(
        azimuth, d.between(25, 55), _tinted(d.between(0.55, 0.95), _warmth(d, held_out, -0.1, 0.15)),
        _tinted(around, 0.0), _tinted(0.6 * around, 0.0), 0.05,
        size_deg=d.between(8, 24), fill=d.between(0.05, 0.12), glow=_tinted(d.between(0.1, 0.35), 0.0),
        glow_azimuth_deg=round(-azimuth + d.between(-30, 30), 4), glow_elevation_deg=d.between(0, 25),
        bounce=d.between(0.2, 0.4), gloss=d.between(0.6, 1.3),
    )  # fmt: skip


def _backdrop(d: _Draw, kind: Place) -> BackdropSpec:
    woods, stones = ((0.04, 0.11), (0.25, 0.6), (0.25, 0.75)), ((0.05, 0.65), (0.0, 0.12), (0.35, 0.75))
    floor, wall, accent = d.colour(*d.pick((woods, stones))), d.colour((0, 1), (0.02, 0.3), (0.45, 0.92)), d.colour((0, 1), (0.1, 0.65), (0.25, 0.8))
    distance = d.between(4.0, 9.0) if kind in _OUTDOORS else d.between(1.2, 3.0)
    if kind == "street":
        floor, wall = d.colour(*stones), d.pick((d.colour((0.0, 0.06), (0.3, 0.6), (0.4, 0.7)), d.colour((0.05, 0.15), (0.05, 0.3), (0.5, 0.8))))
    elif kind == "park":
        floor, wall = d.colour((0.2, 0.33), (0.35, 0.6), (0.3, 0.55)), d.colour((0.22, 0.36), (0.35, 0.65), (0.2, 0.45))
        distance = d.between(6.0, 16.0)
    elif kind == "beach":
        floor, wall = d.colour((0.08, 0.13), (0.2, 0.4), (0.7, 0.9)), d.colour((0.48, 0.6), (0.3, 0.6), (0.4, 0.65))
        distance = d.between(12.0, 30.0)
    elif kind == "loft":
        wall = d.colour((0.0, 0.05), (0.25, 0.55), (0.35, 0.65))
    elif kind in ("gradient", "texture"):
        wall = d.colour((0, 1), (0.0, 0.6), (0.3, 0.9))
    return BackdropSpec(kind, floor, wall, accent, distance, d.seed())


def _lens(d: _Draw) -> LensSpec:
    moving = d.chance(0.15)
    return LensSpec(
        d.between(0.003, 0.016), d.between(0.35, 0.9), d.between(0.0, 0.25), int(d.between(70, 96)),
        exposure_ev=d.between(-0.35, 0.3), warmth=d.between(-0.22, 0.22), tint=d.between(-0.08, 0.08), contrast=d.between(-0.1, 0.35),
        motion_px=d.between(1.0, 4.0) if moving else 0.0, motion_deg=d.between(0, 180) if moving else 0.0,
        chroma_noise=d.between(0.0, 0.012),
    )  # fmt: skip


def sample_style(seed: int | torch.Generator, *, held_out: bool) -> Style:
    """Light, backdrop and lens of one photograph; the same seed gives the same style.

    Args:
        seed: an integer ≥ 0, or a CPU generator that is drawn from.
        held_out: draw from the set that is kept for evaluation, or from the training set; the two share no style.
    """
    d = _Draw(torch.Generator().manual_seed(seed) if isinstance(seed, int) else seed)
    kind = d.pick(_HELD_OUT if held_out else _TRAINING)
    draw = _outdoor_light if kind in _OUTDOORS else _indoor_light if kind in _INDOORS else _studio_light
    light = draw(d, held_out)
    return light, _backdrop(d, kind), _lens(d)
