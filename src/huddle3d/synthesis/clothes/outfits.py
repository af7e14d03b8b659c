"""Random people in clothes made here, of all cuts: fitted and loose, short and long, skirts, dresses, coats, hoods.

Later than :func:`huddle3d.synthesis.sample_spec`'s own draw, whose seeds keep their scenes; splits and suites draw from here.
"""

from __future__ import annotations

import colorsys
import math
from typing import Any, Literal, TypeVar, get_args

import torch

from huddle3d.errors import InputError
from huddle3d.synthesis.spec import RGB, GarmentSpec, HairSpec, PatternSpec, PersonSpec

__all__ = ["OUTFIT_STYLES", "OutfitStyle", "draw_outfit", "draw_person", "draw_shape"]

T = TypeVar("T")

OutfitStyle = Literal["any", "summer", "casual", "formal", "winter"]
OUTFIT_STYLES: tuple[OutfitStyle, ...] = get_args(OutfitStyle)
"""Ways to dress; ``any`` draws one of the others."""

_SKIN: tuple[RGB, ...] = (
    (0.95, 0.80, 0.71), (0.91, 0.73, 0.62), (0.86, 0.67, 0.54), (0.79, 0.58, 0.45), (0.70, 0.50, 0.37), (0.58, 0.40, 0.29), (0.46, 0.31, 0.22),
    (0.35, 0.23, 0.17),
)  # fmt: skip
_HAIR: tuple[RGB, ...] = (
    (0.06, 0.05, 0.05), (0.10, 0.07, 0.06), (0.17, 0.11, 0.08), (0.28, 0.18, 0.11), (0.40, 0.27, 0.15), (0.62, 0.47, 0.28), (0.42, 0.2, 0.1),
)  # fmt: skip
_GREY: tuple[RGB, ...] = ((0.5, 0.48, 0.46), (0.72, 0.71, 0.69), (0.35, 0.33, 0.32))
_EYES: tuple[RGB, ...] = ((0.2, 0.12, 0.07), (0.26, 0.16, 0.09), (0.35, 0.24, 0.12), (0.28, 0.38, 0.48), (0.3, 0.38, 0.24))
_DENIM: tuple[RGB, ...] = ((0.16, 0.22, 0.36), (0.25, 0.33, 0.48), (0.42, 0.52, 0.66), (0.11, 0.12, 0.16))
_SOBER: tuple[RGB, ...] = (
    (0.09, 0.09, 0.1), (0.16, 0.16, 0.18), (0.12, 0.14, 0.22), (0.3, 0.3, 0.31), (0.33, 0.26, 0.2), (0.48, 0.4, 0.3), (0.62, 0.56, 0.46), (0.25, 0.28, 0.22),
    (0.75, 0.72, 0.66), (0.36, 0.15, 0.17),
)  # fmt: skip
_SHOES: tuple[RGB, ...] = ((0.08, 0.08, 0.08), (0.22, 0.14, 0.09), (0.85, 0.84, 0.82), (0.3, 0.2, 0.13), (0.15, 0.17, 0.28), (0.5, 0.12, 0.12))

_Kind = Literal["plain", "stripes", "checks", "gradient", "dots", "print"]


class _Dice:
    """Random choices from a generator, in call order."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def between(self, low: float, high: float) -> float:
        return round(low + (high - low) * float(torch.rand((), generator=self._generator, dtype=torch.float64)), 4)

    def normal(self, mean: float, spread: float, low: float, high: float) -> float:
        return round(min(high, max(low, mean + spread * float(torch.randn((), generator=self._generator, dtype=torch.float64)))), 4)

    def seed(self) -> int:
        return int(torch.randint(0, 1 << 20, (), generator=self._generator))

    def pick(self, items: tuple[T, ...]) -> T:
        return items[int(torch.randint(0, len(items), (), generator=self._generator))]

    def chance(self, p: float) -> bool:
        return float(torch.rand((), generator=self._generator, dtype=torch.float64)) < p

    def tinted(self, colour: RGB, amount: float) -> RGB:
        k = self.between(1 - amount, 1 + amount)
        r, g, b = (round(min(1.0, max(0.0, c * k * self.between(0.96, 1.04))), 3) for c in colour)
        return r, g, b

    def colour(self, saturation: tuple[float, float], value: tuple[float, float]) -> RGB:
        r, g, b = colorsys.hsv_to_rgb(self.between(0, 1), self.between(*saturation), self.between(*value))
        return round(r, 3), round(g, 3), round(b, 3)


def _pattern(d: _Dice, kinds: tuple[_Kind, ...], ground: RGB, *, fine: bool = False) -> PatternSpec:
    dark = max(ground) < 0.5
    second = d.colour((0.0, 0.45), (0.6, 0.97)) if dark else d.colour((0.2, 0.8), (0.1, 0.5))
    kind: _Kind = d.pick(kinds)
    period = d.between(0.012, 0.03) if fine else d.between(0.02, 0.09) if kind != "print" else d.between(0.05, 0.14)
    return PatternSpec(kind, (ground, second, d.colour((0.3, 0.9), (0.4, 0.95))), period, d.pick((0.0, 0.0, 90.0, 45.0)), d.seed())


def _bright(d: _Dice) -> RGB:
    if d.chance(0.3):
        return d.tinted(d.pick(_SOBER), 0.15)
    if d.chance(0.2):
        return d.tinted((0.9, 0.89, 0.86), 0.06)
    value = d.between(0.25, 0.9)
    return d.colour((0.12, 0.75 if value < 0.6 else 0.5), (value, value))  # light and saturated cloth looks like plastic


def _shoes(d: _Dice, style: OutfitStyle) -> GarmentSpec:
    high = d.between(0.5, 2.2) if style in ("winter",) else d.between(0.0, 0.9)
    return GarmentSpec("shoes", high, d.between(0.005, 0.008), 0.0, _pattern(d, ("plain",), d.tinted(d.pick(_SHOES), 0.2)), d.seed())


def _lower(d: _Dice, style: OutfitStyle, woman: bool) -> GarmentSpec:
    """Trousers, shorts, or a skirt."""
    if woman and style != "winter" and d.chance(0.4):
        short = d.between(0.3, 0.5) if style == "summer" else d.between(0.4, 0.95)
        ground = _bright(d) if style != "formal" else d.tinted(d.pick(_SOBER), 0.2)
        kinds: tuple[_Kind, ...] = ("plain", "plain", "checks", "print", "dots", "stripes") if style != "formal" else ("plain", "plain", "checks")
        loose = d.between(0.012, 0.03) if style == "formal" else d.between(0.015, 0.085)
        return GarmentSpec("skirt", short, d.between(0.006, 0.009), d.between(0.004, 0.01), _pattern(d, kinds, ground), d.seed(), loose_m=loose)
    shorts = style == "summer" and d.chance(0.6)
    length = d.between(0.22, 0.5) if shorts else d.pick((0.85, 0.93, 0.96, 0.98))
    ground = d.tinted(d.pick(_DENIM), 0.15) if style != "formal" and d.chance(0.5) else d.tinted(d.pick(_SOBER), 0.2)
    wide = d.between(0.03, 0.07) if d.chance(0.3) else d.between(0.004, 0.03)
    pattern = _pattern(d, ("plain", "plain", "plain", "plain", "checks", "stripes"), ground, fine=True)
    return GarmentSpec("trousers", length, d.between(0.005, 0.008), d.between(0.004, 0.009), pattern, d.seed(), loose_m=wide)


def _top(d: _Dice, style: OutfitStyle, *, under: bool) -> GarmentSpec:
    """A shirt; a slim one with no hood if a coat goes over it."""
    kinds: tuple[_Kind, ...] = ("plain", "plain", "plain", "stripes", "stripes", "checks", "dots", "print", "gradient")
    sleeve = d.between(0.0, 0.35) if style == "summer" else d.pick((d.between(0.1, 0.6), 0.97, 1.0, 1.0))
    if style == "formal":
        kinds = ("plain", "plain", "stripes", "checks")
        sleeve = 1.0
    ground = (
        d.tinted(d.pick(((0.93, 0.93, 0.92), (0.75, 0.82, 0.9), (0.85, 0.78, 0.8), (0.15, 0.16, 0.2))), 0.05) if style == "formal" else _bright(d)
    )
    loose = 0.006 if under else d.between(0.03, 0.065) if d.chance(0.3) else d.between(0.005, 0.03)
    hooded = not under and style in ("casual", "winter") and sleeve > 0.9 and d.chance(0.4)
    hood: Literal["none", "down", "up"] = "none" if not hooded else "up" if d.chance(0.3) else "down"
    offset = d.between(0.005, 0.007) if under else d.between(0.006, 0.01)
    return GarmentSpec("shirt", sleeve, offset, d.between(0.004, 0.009), _pattern(d, kinds, ground), d.seed(), loose_m=loose, hood=hood)


def _coat(d: _Dice, style: OutfitStyle) -> GarmentSpec:
    """A coat or jacket, open or closed, to the hip, thigh or knee."""
    length = d.pick((d.between(0.1, 0.2), d.between(0.25, 0.4), d.between(0.42, 0.62)))
    gap = d.between(0.06, 0.16) if d.chance(0.5) else 0.0
    hood: Literal["none", "down", "up"] = "none" if style == "formal" or d.chance(0.6) else "up" if d.chance(0.25) else "down"
    pattern = _pattern(d, ("plain", "plain", "plain", "checks", "stripes"), d.tinted(d.pick(_SOBER), 0.3), fine=True)
    loose = d.between(0.012, 0.045)
    return GarmentSpec(
        "coat", length, d.between(0.011, 0.015), d.between(0.004, 0.008), pattern, d.seed(), loose_m=loose, sleeve=0.98, open_m=gap, hood=hood
    )


def _dress(d: _Dice, style: OutfitStyle) -> GarmentSpec:
    kinds: tuple[_Kind, ...] = ("plain", "plain", "print", "print", "dots", "stripes", "checks", "gradient")
    length = d.between(0.3, 0.55) if style == "summer" else d.between(0.4, 0.92)
    sleeve = d.between(0.0, 0.3) if style == "summer" else d.pick((d.between(0.05, 0.5), 0.98))
    ground = _bright(d)
    return GarmentSpec(
        "coat", length, d.between(0.006, 0.008), d.between(0.005, 0.01), _pattern(d, kinds, ground), d.seed(),
        loose_m=d.between(0.015, 0.06), sleeve=sleeve,
    )  # fmt: skip


def draw_outfit(generator: torch.Generator, *, woman: bool, style: OutfitStyle = "any") -> tuple[GarmentSpec, ...]:
    """Clothes of one person, from inside to outside; everybody wears shoes, something below and something above.

    Args:
        generator: seeded; the same state gives the same clothes.
        woman: allows skirts and dresses.
        style: how warm and how sober.

    Raises:
        InputError: an unknown style.
    """
    if style not in OUTFIT_STYLES:
        raise InputError(f"Unknown style {style!r}.", next_step=f"Styles: {', '.join(OUTFIT_STYLES)}.")
    d = _Dice(generator)
    chosen: OutfitStyle = style if style != "any" else d.pick(("summer", "casual", "casual", "formal", "winter"))
    shoes = _shoes(d, chosen)
    if woman and chosen != "winter" and d.chance(0.3):
        return shoes, _dress(d, chosen)
    coated = {"summer": 0.0, "casual": 0.2, "formal": 0.45, "winter": 0.75}[chosen]
    over = d.chance(coated)
    lower, top = _lower(d, chosen, woman), _top(d, chosen, under=over)
    return (shoes, lower, top, _coat(d, chosen)) if over else (shoes, lower, top)


def draw_shape(generator: torch.Generator, *, woman: bool) -> tuple[float, ...]:
    """Shape of a body (gender, age, muscle, weight, height, proportions): adults of 18 to about 85, one in twelve a teenager from about 16.

    Statures follow those of adults: 1.77 ± 0.07 m and 1.64 ± 0.065 m before age and build have their say.
    """
    d = _Dice(generator)
    teenager = d.chance(1 / 12)
    age = d.between(0.6, 0.64) if teenager else d.between(0.65, 0.95) if d.chance(0.35) else d.between(0.64, 0.8)
    gender = d.between(0.85, 1.0) if woman else d.between(0.0, 0.15)
    height = d.normal(0.38, 0.062, 0.22, 0.55)
    return gender, age, d.normal(0.5, 0.16, 0.15, 0.9), d.normal(0.5, 0.16, 0.12, 0.85), height, d.normal(0.55, 0.16, 0.2, 0.9)


def _hair(d: _Dice, woman: bool, age: float, garments: tuple[GarmentSpec, ...]) -> HairSpec:
    hooded, rolled = any(g.hood == "up" for g in garments), any(g.hood == "down" for g in garments)
    kinds: tuple[Any, ...] = ("bob", "long", "long", "bob", "short") if woman else ("short", "short", "short", "short", "bob", "none")
    kind = "short" if hooded or rolled else d.pick(kinds)
    old = max(0.0, age - 0.72) / 0.2
    colour = d.tinted(d.pick(_GREY), 0.15) if d.chance(min(0.9, old)) else d.tinted(d.pick(_HAIR), 0.2)
    thickness = 0.006 if hooded else d.between(0.006, 0.012) if kind == "short" else d.between(0.009, 0.017)
    return HairSpec(kind, colour, thickness, d.seed())


def draw_person(generator: torch.Generator, name: str, *, style: OutfitStyle = "any") -> PersonSpec:
    """A random person in clothes made here.

    Args:
        generator: seeded; the same state gives the same person.
        name: of the person.
        style: see :func:`draw_outfit`.
    """
    d = _Dice(generator)
    woman = d.chance(0.5)
    shape = draw_shape(generator, woman=woman)
    garments = draw_outfit(generator, woman=woman, style=style)
    hair = _hair(d, woman, shape[1], garments)
    tone = d.between(0, len(_SKIN) - 1)
    low = min(len(_SKIN) - 2, math.floor(tone))
    r, g, b = (a + (tone - low) * (c - a) for a, c in zip(_SKIN[low], _SKIN[low + 1]))
    dark = tone > 3.5
    eyes = d.pick(_EYES[:2] if dark else _EYES)
    if dark and hair.colour not in _GREY and max(hair.colour) > 0.3 and min(hair.colour) < 0.3:
        hair = HairSpec(hair.kind, d.tinted(_HAIR[d.pick((0, 1, 2))], 0.1), hair.thickness_m, hair.seed)
    return PersonSpec(name, shape, d.tinted((r, g, b), 0.05), eyes, garments, hair)
