"""What people wear, in a few words of a small vocabulary: ``woman, long brown hair, red striped t-shirt, blue jeans, black shoes``."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Sequence

from huddle3d.synthesis.spec import RGB, GarmentSpec, PatternSpec, PersonSpec, PieceSpec

__all__ = ["CAPTION_WORDS", "caption_group", "caption_person", "colour_name"]

_HUES: tuple[tuple[float, str], ...] = (
    (15, "red"), (42, "orange"), (66, "yellow"), (165, "green"), (195, "teal"), (255, "blue"), (290, "purple"), (342, "pink"), (361, "red"),
)  # fmt: skip
"""Upper ends of hues [deg]."""
_PATTERNS = {"plain": "", "stripes": "striped", "checks": "checked", "gradient": "gradient", "dots": "dotted", "print": "printed"}
_TOPS = "t-shirt shirt hoodie jacket coat dress suit".split()
_LOWERS = "trousers jeans shorts skirt".split()

CAPTION_WORDS: tuple[str, ...] = (
    *"black grey white brown beige navy red orange yellow green teal blue purple pink".split(),
    *"striped checked gradient dotted printed".split(),
    *"sleeveless short long".split(), *_TOPS, *_LOWERS, *"shoes boots hair bald man woman and".split(),
)  # fmt: skip
"""All words that a caption may hold, in a fixed order; new ones are added at the end."""


def colour_name(colour: RGB) -> str:
    """One of fourteen names for an sRGB colour in [0, 1].

    Example:
        >>> colour_name((0.9, 0.1, 0.1)), colour_name((0.1, 0.12, 0.3)), colour_name((0.5, 0.5, 0.5))
        ('red', 'navy', 'grey')
    """
    hue, saturation, value = colorsys.rgb_to_hsv(*colour)
    if value < 0.16 or (value < 0.25 and saturation < 0.3):
        return "black"
    if saturation < 0.14:
        return "white" if value > 0.78 else "grey"
    degrees = 360 * hue
    if 8 <= degrees < 66 and (saturation < 0.5 or value < 0.6):
        return "beige" if value > 0.55 and saturation < 0.5 else "brown" if degrees < 50 else "green"
    name = next(n for end, n in _HUES if degrees < end)
    return "navy" if name == "blue" and value < 0.35 else name


def _looks(pattern: PatternSpec) -> list[str]:
    return [colour_name(pattern.colours[0]), *filter(None, [_PATTERNS[pattern.kind]])]


def _denim(colour: RGB) -> bool:
    return colour_name(colour) in ("blue", "navy")


def _garment(garment: GarmentSpec) -> str:
    """A garment made here."""
    words = _looks(garment.pattern)
    if garment.kind == "shoes":
        return " ".join([*words, "boots" if garment.length > 0.8 else "shoes"])
    if garment.kind == "trousers":
        noun = "shorts" if garment.length < 0.55 else "jeans" if _denim(garment.pattern.colours[0]) else "trousers"
        return " ".join([*words, noun])
    if garment.kind == "skirt":
        return " ".join(["short" if garment.length < 0.55 else "long", *words, "skirt"])
    if garment.kind == "coat":
        return " ".join([*words, "jacket" if garment.length < 0.22 else "coat"])
    noun = "hoodie" if garment.hood != "none" else "t-shirt" if garment.length < 0.45 else "shirt"
    return " ".join([*(["sleeveless"] if garment.length < 0.06 else []), *words, noun])


def _garments(garments: Sequence[GarmentSpec]) -> list[str]:
    words = {g.kind: _garment(g) for g in garments}
    if "coat" in words and not {"trousers", "skirt"} & set(words):
        coat = next(g for g in garments if g.kind == "coat")
        words["coat"] = " ".join(["short" if coat.length < 0.5 else "long", *_looks(coat.pattern), "dress"])
    return [words[k] for k in ("coat", "shirt", "skirt", "trousers", "shoes") if k in words]


def _piece(piece: PieceSpec) -> str:
    """A piece of the assets folder; its own colours have no name."""
    words = _looks(piece.pattern) if piece.pattern is not None else []
    woman = piece.asset.startswith("female")
    if piece.part == "shoes":
        noun = "shoes"
    elif piece.part == "lower":
        skirt = piece.asset in ("female_elegantsuit01",)
        noun = (
            "skirt"
            if skirt
            else "shorts"
            if piece.length < 0.55
            else "jeans"
            if piece.pattern is None and "elegant" not in piece.asset
            else "trousers"
        )
    else:
        noun = "jacket" if "elegant" in piece.asset and not woman else "t-shirt" if piece.length < 0.6 else "shirt"
    return " ".join([*words, noun])


def caption_person(person: PersonSpec) -> str:
    """One person's clothes and hair, from the scene file alone; a rigged person has an empty caption."""
    if person.avatar is not None:
        return ""
    parts = ["woman" if person.shape[0] > 0.5 else "man"]
    if person.wardrobe is not None:
        hair, colour = person.wardrobe.hair, person.wardrobe.hair_colour
        cut = "bald" if not hair else f"{'long' if re.match('bob|braid|long', hair) else 'short'} {colour_name(colour)} hair"
        order = {"top": 0, "lower": 1, "shoes": 2}
        worn = [_piece(p) for p in sorted(person.wardrobe.pieces, key=lambda p: order[p.part])]
    else:
        hair, colour = person.hair.kind, person.hair.colour
        cut = "bald" if hair == "none" else f"{'short' if hair == 'short' else 'long'} {colour_name(colour)} hair"
        worn = _garments(person.garments)
    return ", ".join([*parts, cut, *worn])


def caption_group(people: Sequence[PersonSpec]) -> str:
    """All people's captions, one after the other; ``and`` begins the next person's."""
    return ", and ".join(filter(None, map(caption_person, people)))
