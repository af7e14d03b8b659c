"""Random people in clothes of the assets folder: who wears what, cut how, in which colours."""

from __future__ import annotations

import colorsys
from dataclasses import replace
from typing import Literal, TypeVar

import torch

from huddle3d.errors import InputError
from huddle3d.synthesis.assets.folder import Assets
from huddle3d.synthesis.spec import RGB, PatternSpec, PersonSpec, PieceSpec, SceneSpec, WardrobeSpec

__all__ = ["draw_wardrobe", "with_wardrobes"]

T = TypeVar("T")

_Kind = Literal["plain", "stripes", "checks", "gradient", "dots", "print"]
_KINDS: tuple[_Kind, ...] = ("plain", "plain", "plain", "stripes", "stripes", "checks", "dots", "print", "gradient")
_SOBER: tuple[_Kind, ...] = ("plain", "plain", "plain", "checks", "stripes")
_NATURAL: tuple[RGB, ...] = (
    (0.07, 0.06, 0.06), (0.12, 0.08, 0.06), (0.19, 0.12, 0.08), (0.3, 0.19, 0.11), (0.42, 0.28, 0.15), (0.62, 0.47, 0.28), (0.44, 0.2, 0.1),
    (0.5, 0.48, 0.46), (0.72, 0.6, 0.4),
)  # fmt: skip
_LONG = ("bob", "braid", "long")
"""Beginnings of the names of hair that women alone are given here."""


class _Dice:
    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def between(self, low: float, high: float) -> float:
        return round(low + (high - low) * float(torch.rand((), generator=self._generator, dtype=torch.float64)), 4)

    def below(self, count: int) -> int:
        return int(torch.randint(0, count, (), generator=self._generator))

    def pick(self, items: tuple[T, ...]) -> T:
        return items[self.below(len(items))]

    def chance(self, p: float) -> bool:
        return self.between(0, 1) < p

    def colour(self, saturation: tuple[float, float], value: tuple[float, float]) -> RGB:
        r, g, b = colorsys.hsv_to_rgb(self.between(0, 1), self.between(*saturation), self.between(*value))
        return round(r, 3), round(g, 3), round(b, 3)


def _dye(d: _Dice, *, sober: bool) -> PatternSpec:
    kinds = _SOBER if sober else _KINDS
    ground = d.colour((0.05, 0.45), (0.12, 0.7)) if sober else d.colour((0.05, 0.8), (0.2, 0.95))
    second = d.colour((0.0, 0.5), (0.65, 0.97)) if max(ground) < 0.55 else d.colour((0.2, 0.8), (0.1, 0.45))
    kind: _Kind = d.pick(kinds)
    period = d.between(0.015, 0.05) if sober else d.between(0.025, 0.11)
    return PatternSpec(kind, (ground, second, d.colour((0.3, 0.9), (0.4, 0.95))), period, d.pick((0.0, 0.0, 90.0, 45.0)), d.below(1 << 20))


def _piece(d: _Dice, asset: str, part: Literal["top", "lower", "shoes"]) -> PieceSpec:
    worn = d.chance(0.75) if part == "top" else d.chance(0.5)
    pattern = _dye(d, sober=part == "lower" or asset.startswith("male_elegant")) if worn and part != "shoes" else None
    if part == "top":
        length = 1.0 if d.chance(0.6) or asset.startswith("male_elegant") else d.between(0.15, 0.95)
    else:
        length = 1.0 if d.chance(0.7) else d.pick((0.3, 0.36, 0.75, 0.85, 0.93))
    jeans = part == "lower"
    hue = d.between(-25, 25) if jeans or part == "shoes" else d.between(-180, 180)
    value = d.between(0.5, 1.2) if jeans else d.between(0.75, 1.15)
    logo = 1 + d.below(1 << 20) if part == "top" and "elegant" not in asset and d.chance(0.35) else 0
    loosen = d.between(0.0, 0.008) if part != "shoes" else 0.0
    return PieceSpec(asset, part, length, loosen, d.between(0.003, 0.009), hue, value, pattern, logo, d.below(1 << 20))


def _fitting(names: tuple[str, ...], woman: bool) -> tuple[str, ...]:
    """Names for this person: those that say neither ``female`` nor ``male`` suit everybody."""
    other = "male_" if woman else "female_"
    return tuple(n for n in names if not n.startswith(other)) or names


def _usable_skins(assets: Assets, woman: bool) -> tuple[str, ...]:
    """Bare skins for this person. Dark skins are photographs of men; they serve women too (the young ones first), or all women would be pale."""
    bare = tuple(n for n in assets.skins() if "suit" not in n)
    dark = tuple(n for n in bare if "young_dark" in n) or tuple(n for n in bare if "dark" in n)
    return tuple(n for n in bare if (("female" in n) == woman) or (woman and n in dark)) or bare


def draw_wardrobe(assets: Assets, seed: int, *, woman: bool) -> WardrobeSpec:
    """A random wardrobe; the same folder, seed and sex give the same one.

    Args:
        assets: the folder.
        seed: any integer ≥ 0.
        woman: chooses among assets made for women or for men.

    Raises:
        InputError: the folder lacks clothes, shoes, skins, eyes, brows or lashes.
    """
    d = _Dice(seed)
    clothes = assets.names("clothes")
    shoes, suits = tuple(n for n in clothes if n.startswith("shoes")), tuple(n for n in clothes if not n.startswith("shoes"))
    skins, brows, lashes, hairs = _usable_skins(assets, woman), assets.names("eyebrows"), assets.names("eyelashes"), assets.names("hair")
    for what, names in (
        ("clothes", suits),
        ("shoes", shoes),
        ("skins", skins),
        ("eyebrows", brows),
        ("eyelashes", lashes),
        ("eyes", assets.irises()),
    ):
        if not names:
            raise InputError(f"The assets folder {assets.folder} has no {what}.", next_step="Copy MakeHuman's assets there, or name another folder.")
    top = d.pick(_fitting(suits, woman))
    elegant = "elegant" in top
    lower = top if elegant and d.chance(0.7) else d.pick(_fitting(suits, woman))
    skin = d.pick(skins)
    dark = "dark" in skin
    k, warm = d.between(0.78, 1.05) if not dark else d.between(0.9, 1.15), d.between(-0.04, 0.04)
    if not dark and d.chance(0.3):
        k *= d.between(0.68, 0.85)
    tone = (round(k, 3), round(k * (0.97 + warm / 2), 3), round(k * (0.95 + warm), 3))
    natural = _NATURAL[:3] if dark else _NATURAL
    shade = d.between(0.85, 1.15)
    r, g, b = (round(c * shade, 3) for c in d.pick(natural))
    cuts = (
        tuple(n for n in hairs if woman != n.startswith("short")) or hairs if woman else tuple(n for n in hairs if not n.startswith(_LONG)) or hairs
    )
    hair = "" if not hairs or (not woman and d.chance(0.08)) else d.pick(hairs if woman and d.chance(0.2) else cuts)
    pieces = (_piece(d, d.pick(shoes), "shoes"), _piece(d, lower, "lower"), _piece(d, top, "top"))
    brown = tuple(n for n in assets.irises() if n.startswith("brown")) or assets.irises()
    iris = d.pick(brown if dark or d.chance(0.45) else assets.irises())
    return WardrobeSpec(skin, tone, iris, d.pick(brows), d.pick(lashes), hair, (r, g, b), pieces)


def with_wardrobes(spec: SceneSpec, assets: Assets) -> SceneSpec:
    """The same scene with wardrobes for all people; their shapes, the lights and the camera stay."""
    people: list[PersonSpec] = []
    for k, person in enumerate(spec.people):
        people.append(replace(person, wardrobe=draw_wardrobe(assets, 1009 * (spec.seed + 1) + k, woman=person.shape[0] > 0.5)))
    return replace(spec, people=tuple(people))
