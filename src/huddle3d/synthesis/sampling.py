"""Random scene files: builds, clothes, colours, cameras, lights, places."""

from __future__ import annotations

import colorsys
import hashlib
from dataclasses import replace
from typing import Any, Literal, TypeVar, get_args

import torch

from huddle3d.errors import InputError
from huddle3d.synthesis.assets.folder import Assets
from huddle3d.synthesis.clothes.outfits import draw_person
from huddle3d.synthesis.limits import MAX_PEOPLE, MAX_SEED
from huddle3d.synthesis.spec import (
    ALL_FAMILIES,
    FAMILIES,
    RGB,
    BackdropSpec,
    CameraSpec,
    Family,
    GarmentSpec,
    HairSpec,
    LensSpec,
    LightSpec,
    MotionSpec,
    PatternSpec,
    PersonSpec,
    SceneSpec,
    families_for,
)
from huddle3d.synthesis.wardrobe.draws import with_wardrobes

__all__ = ["DEMO_FAMILY", "DEMO_SEED", "ClothesRange", "sample_spec"]

DEMO_SEED = 1001
"""Scene of the demo: two dressed people, well lit. Chosen by eye among a few because it comes out well; the tables tell what is usual."""
DEMO_FAMILY: Family = "handshake"
"""Its interaction."""

ClothesRange = Literal["all", "tight"]
"""What people may wear: everything that ``draw_person`` knows (coats, dresses, hoods, loose cuts), or clothes that follow the body."""

_LEAST_VISIBLE = 0.65
"""Of each person and each head: a photographer does not take a person whose face is behind another's head."""

_WIDE: tuple[Family, ...] = ("handshake", "high_five", "pushing", "holding_hands", "conga_line", "solo", "motion", "dance_hold", "carry")
"""Families of two that need a picture wider than high."""

T = TypeVar("T")

Place = Literal["room", "street", "studio"]
_PLACES: tuple[Place, ...] = ("room", "street", "studio")

_SKIN: tuple[RGB, ...] = (
    (0.94, 0.78, 0.69), (0.90, 0.71, 0.60), (0.84, 0.64, 0.51), (0.76, 0.55, 0.42), (0.63, 0.44, 0.32), (0.48, 0.32, 0.23), (0.36, 0.24, 0.18),
)  # fmt: skip
_HAIR: tuple[RGB, ...] = (
    (0.06, 0.05, 0.05), (0.13, 0.08, 0.06), (0.22, 0.13, 0.08), (0.36, 0.22, 0.12), (0.62, 0.46, 0.26), (0.45, 0.2, 0.1), (0.55, 0.54, 0.53),
)  # fmt: skip
_EYES: tuple[RGB, ...] = ((0.25, 0.15, 0.08), (0.35, 0.24, 0.12), (0.28, 0.38, 0.48), (0.3, 0.38, 0.24))


class _Draw:
    """Random choices from one generator, in call order."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def between(self, low: float, high: float) -> float:
        return round(low + (high - low) * float(torch.rand((), generator=self._generator, dtype=torch.float64)), 4)

    def seed(self) -> int:
        return int(torch.randint(0, 1 << 20, (), generator=self._generator))

    def pick(self, items: tuple[T, ...]) -> T:
        return items[int(torch.randint(0, len(items), (), generator=self._generator))]

    def chance(self, p: float) -> bool:
        return self.between(0, 1) < p

    def colour(self, saturation: tuple[float, float], value: tuple[float, float]) -> RGB:
        rgb = colorsys.hsv_to_rgb(self.between(0, 1), self.between(*saturation), self.between(*value))
        return round(rgb[0], 3), round(rgb[1], 3), round(rgb[2], 3)

    def jitter(self, colour: RGB, amount: float) -> RGB:
        k = self.between(1 - amount, 1 + amount)
        return tuple(round(min(1.0, max(0.0, c * k)), 3) for c in colour)  # type: ignore[return-value]


def _pattern(d: _Draw, kinds: tuple[Any, ...], *, sober: bool) -> PatternSpec:
    ground = d.colour((0.0, 0.35) if sober else (0.1, 0.8), (0.15, 0.6) if sober else (0.25, 0.95))
    second = d.colour((0.0, 0.6), (0.6, 0.97)) if max(ground) < 0.6 else d.colour((0.2, 0.8), (0.1, 0.5))
    return PatternSpec(
        d.pick(kinds), (ground, second, d.colour((0.3, 0.9), (0.4, 0.95))), d.between(0.05, 0.13), d.pick((0.0, 0.0, 90.0, 45.0)), d.seed()
    )


def _garments(d: _Draw, woman: bool) -> tuple[GarmentSpec, ...]:
    tops = ("plain", "plain", "stripes", "checks", "gradient", "dots", "print")
    sleeve = d.pick((0.12, 0.2, 0.55, 0.98, 1.0))
    shirt = GarmentSpec("shirt", sleeve, d.between(0.006, 0.011), d.between(0.003, 0.008), _pattern(d, tops, sober=False), d.seed())
    if woman and d.chance(0.35):
        kinds = ("plain", "plain", "checks", "print", "dots")
        lower = GarmentSpec("skirt", d.between(0.3, 0.9), 0.006, d.between(0.002, 0.006), _pattern(d, kinds, sober=False), d.seed())
    else:
        length = d.pick((0.35, 0.97, 1.0, 1.0, 1.0))
        lower = GarmentSpec(
            "trousers",
            length,
            d.between(0.005, 0.009),
            d.between(0.003, 0.007),
            _pattern(d, ("plain", "plain", "plain", "checks"), sober=True),
            d.seed(),
        )
    shoes = GarmentSpec("shoes", d.between(0.0, 1.0), d.between(0.005, 0.008), 0.0, _pattern(d, ("plain",), sober=True), d.seed())
    return shoes, lower, shirt


def _person(d: _Draw, index: int) -> PersonSpec:
    woman = d.chance(0.5)
    gender = d.between(0.8, 1.0) if woman else d.between(0.0, 0.2)
    shape = (gender, d.between(0.62, 0.85), d.between(0.3, 0.7), d.between(0.25, 0.7), d.between(0.35, 0.65), d.between(0.3, 0.8))
    kinds = ("bob", "long", "long", "short") if woman else ("short", "short", "short", "none")
    hair = HairSpec(d.pick(kinds), d.jitter(d.pick(_HAIR), 0.2), d.between(0.008, 0.016), d.seed())
    skin, eyes = d.jitter(d.pick(_SKIN), 0.06), d.pick(_EYES)
    return PersonSpec(f"person_{index}", shape, skin, eyes, _garments(d, woman), hair)


def _camera(d: _Draw, family: Family, people: int) -> CameraSpec:
    elevation = d.between(-20, 45) if d.chance(0.4) else d.between(-5, 20)
    azimuth = d.between(-40, 40)
    if family == "hug":  # nearer to straight aside than the others: from behind one person hides the other
        azimuth = round(0.6 * azimuth, 4)
    wide = family in _WIDE or people > 2
    width, height = (1024, 768) if wide else d.pick(((768, 1024), (896, 896), (1024, 768)))
    return CameraSpec(azimuth, elevation, d.between(-3, 3), d.between(35, 58), d.between(0.78, 0.92), width, height, _LEAST_VISIBLE)


def _light(d: _Draw, outdoors: bool) -> LightSpec:
    k = d.between(1.0, 1.4) if outdoors else d.between(0.8, 1.15)
    warm = d.between(-0.06, 0.1)
    a = d.between(0.5, 0.7)
    key = (round(k * (1 + warm), 3), round(k, 3), round(k * (1 - warm), 3))
    return LightSpec(
        d.between(-70, 70),
        d.between(25, 60),
        key,
        (a, a, round(a * 1.06, 3)),
        (round(0.45 * a, 3), round(0.45 * a, 3), round(0.45 * a, 3)),
        d.between(0.03, 0.12),
    )


def sample_spec(
    seed: int,
    *,
    people: int = 2,
    family: Family | None = None,
    motion: MotionSpec | None = None,
    assets: Assets | None = None,
    clothes: ClothesRange = "tight",
) -> SceneSpec:
    """A random scene; the same seed, number, family, assets and clothes give the same file.

    Args:
        seed: 0 … ``MAX_SEED`` (2⁵³ − 1).
        people: number of people; ``families_for`` lists what they can do.
        family: the interaction; None draws one of ``FAMILIES`` that fits the number of people, never a newer one: old seeds keep their scenes.
        motion: the recorded frame, for the family ``motion``.
        assets: draw clothes from this folder; None for clothes made here. Everything else of the scene stays the same.
        clothes: ``tight`` keeps the people of old seeds (the demo, ``huddle3d eval`` without a suite); ``all`` draws others, in the full range of
            clothes. Family, camera, light and place of the scene are the same in both.

    Raises:
        InputError: a number of people, a seed, a family or clothes that do not exist, or that do not go together.

    Example:
        >>> spec = sample_spec(7, people=3)
        >>> len(spec.people), SceneSpec.from_json(spec.to_json()) == spec
        (3, True)
    """
    if not 1 <= people <= MAX_PEOPLE:
        raise InputError(f"A scene holds 1 to {MAX_PEOPLE} people, not {people}.")
    if not 0 <= seed <= MAX_SEED:
        raise InputError(f"The seed {seed} is out of range.", next_step=f"Seeds: 0 to {MAX_SEED}.")
    if clothes not in get_args(ClothesRange):
        raise InputError(f"Unknown clothes {clothes!r}.", next_step=f"Clothes: {', '.join(get_args(ClothesRange))}.")
    if family is not None and family not in ALL_FAMILIES:
        raise InputError(f"Unknown family {family!r}.", next_step=f"Families: {', '.join(ALL_FAMILIES)}.")
    if (family == "motion") != (motion is not None) or (motion is not None and people != 2):
        raise InputError(
            "The family 'motion' replays a recorded couple.", next_step="Give it two people and a motion (clip and frame); no other takes one."
        )
    rows: tuple[Family, ...] = ("arm_over_shoulder", "side_by_side")
    d = _Draw(seed)
    drawn: Family = d.pick(FAMILIES if people == 2 else rows)
    chosen: Family = family or drawn
    if people > 1 and chosen != "motion" and chosen not in families_for(people):
        others = ", ".join(families_for(people))
        raise InputError(f"The family '{chosen}' is not for {people} people.", next_step=f"Families for {people}: {others}.")
    kind: Place = d.pick(_PLACES)
    floor = d.jitter(d.pick(((0.55, 0.42, 0.3), (0.45, 0.42, 0.4), (0.6, 0.57, 0.52), (0.35, 0.26, 0.2))), 0.15)
    wall = d.colour((0.02, 0.2), (0.55, 0.9)) if kind != "street" else d.pick(((0.55, 0.33, 0.26), (0.62, 0.55, 0.46), (0.5, 0.48, 0.46)))
    backdrop = BackdropSpec(
        kind, floor, wall, d.colour((0.1, 0.6), (0.3, 0.8)), d.between(1.2, 2.5) if kind == "room" else d.between(4.0, 9.0), d.seed()
    )
    lens = LensSpec(d.between(0.004, 0.014), d.between(0.35, 0.8), d.between(0.0, 0.2), int(d.between(80, 95)))
    spec = SceneSpec(
        seed=seed,
        family=chosen,
        people=tuple(_person(d, k) for k in range(people)),
        camera=_camera(d, chosen, people),
        light=_light(d, kind == "street"),
        backdrop=backdrop,
        lens=lens,
        motion=motion,
    )
    if clothes == "all":
        spec = replace(spec, people=tuple(_fully_dressed(seed, k) for k in range(people)))
    return spec if assets is None else with_wardrobes(spec, assets)


def _fully_dressed(seed: int, index: int) -> PersonSpec:
    key = int.from_bytes(hashlib.sha256(f"{seed} {index}".encode()).digest()[:6], "big")
    return draw_person(torch.Generator().manual_seed(key), f"person_{index}")
