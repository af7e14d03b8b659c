"""The scene file: a small tree of plain values that fixes a synthetic scene bit for bit."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from dataclasses import dataclass
from typing import Any, Literal

from huddle3d.errors import InputError
from huddle3d.io import parse_json, safe_name
from huddle3d.synthesis.limits import MAX_PEOPLE, check_limits

__all__ = [
    "ALL_FAMILIES", "FAMILIES", "AvatarSpec", "BackdropSpec", "CameraSpec", "Family", "GarmentSpec", "HairSpec", "LensSpec", "LightSpec", "MotionSpec", "PatternSpec",
    "PersonSpec", "PieceSpec", "RGB", "SceneSpec", "WardrobeSpec", "families_for",
]  # fmt: skip

RGB = tuple[float, float, float]
Family = Literal[
    "hug", "handshake", "arm_over_shoulder", "side_by_side", "high_five",
    "side_hug", "hug_from_behind", "hand_on_back", "back_to_back", "hands_on_shoulders", "holding_hands", "piggyback", "pushing",
    "whispering", "sitting_side_by_side", "linked_arms", "conga_line", "circle", "huddle", "solo", "motion",
    "dance_hold", "carry",
]  # fmt: skip
ALL_FAMILIES: tuple[Family, ...] = typing.get_args(Family)
FAMILIES: tuple[Family, ...] = ALL_FAMILIES[:5]
"""The families of draws that name none. Never lengthened: a seed in a file, a table or a test must keep its scene. All: ``ALL_FAMILIES``."""

_ROWS: tuple[Family, ...] = ("arm_over_shoulder", "side_by_side")
_FOR_SIX: dict[Family, int] = {"sitting_side_by_side": 2, "linked_arms": 2, "conga_line": 2, "circle": 3, "huddle": 3, "solo": 1}
"""Families for up to six people, and the least number of people of each."""


def families_for(people: int) -> tuple[Family, ...]:
    """The families that this many people can take; ``motion`` (recorded couples) is left out, it needs a clip beside its name.

    One person may have any of the first five names, and then just stands.

    Example:
        >>> "conga_line" in families_for(4), "handshake" in families_for(4)
        (True, False)
    """
    if people == 1:
        return (*FAMILIES, "solo")
    pairs = people == 2
    return tuple(
        f for f in ALL_FAMILIES if f != "motion" and (f in _ROWS or (f in _FOR_SIX and _FOR_SIX[f] <= people <= 6) or (pairs and f not in _FOR_SIX))
    )


@dataclass(frozen=True)
class PatternSpec:
    """Colours of a cloth as a function of the place on the body at rest."""

    kind: Literal["plain", "stripes", "checks", "gradient", "dots", "print"]
    """What the cloth shows."""
    colours: tuple[RGB, RGB, RGB]
    """sRGB in [0, 1]: ground, second, accent."""
    scale_m: float
    """Period of the pattern [m]."""
    angle_deg: float
    """Direction of the pattern [deg]; 0 = level stripes."""
    seed: int
    """Of prints and of the weave."""


@dataclass(frozen=True)
class GarmentSpec:
    """One piece of clothing."""

    kind: Literal["shirt", "trousers", "skirt", "shoes", "coat"]
    """What it is. A coat is a top whose lower part hangs as one panel across both legs; closed and with a flare it is a dress."""
    length: float
    """Sleeve, leg or skirt length in [0, 1]: 0 shortest, 1 to the wrist or ankle. Hanging panels (coats, loose skirts): from the hip to the ankle."""
    offset_m: float
    """Distance from the skin [m]."""
    folds_m: float
    """Height of the folds [m]."""
    pattern: PatternSpec
    """Colours."""
    seed: int
    """Of the folds."""
    loose_m: float = 0.0
    """How far the cut leaves the body at the ends of sleeves and legs, and twice as far at a hanging hem [m]. 0: the cloth follows the skin.
    Fields from here on are absent from the file where they have their defaults."""
    sleeve: float = 1.0
    """Of a coat, as ``length`` of a shirt."""
    open_m: float = 0.0
    """Gap at the front of a coat [m]; 0 for a closed one."""
    hood: Literal["none", "down", "up"] = "none"
    """Of a shirt or coat: lying on the back, or over the head."""


_CUT_DEFAULTS = {f.name: f.default for f in dataclasses.fields(GarmentSpec) if f.default is not dataclasses.MISSING}


@dataclass(frozen=True)
class HairSpec:
    """Hair on the head."""

    kind: Literal["none", "short", "bob", "long"]
    """Cut."""
    colour: RGB
    """sRGB in [0, 1]."""
    thickness_m: float
    """Height over the scalp [m]."""
    seed: int
    """Of the strands."""


@dataclass(frozen=True)
class PieceSpec:
    """One piece of a garment from the assets folder."""

    asset: str
    """Name of its folder below ``clothes``."""
    part: Literal["top", "lower", "shoes"]
    """Suits consist of a top and of trousers or a skirt, which may be worn apart."""
    length: float
    """Of sleeves, legs or skirt: 1 as it was made, 0 shortest; shoes ignore it."""
    loosen_m: float
    """Moved off the body by this [m]."""
    folds_m: float
    """Height of the folds where the cloth is pressed together [m]."""
    hue_deg: float
    """Turn of the hue of its own colours [deg]."""
    value: float
    """Its own colours become lighter or darker by this factor."""
    pattern: PatternSpec | None
    """Dyes the cloth anew, with the light and dark of its own texture; None keeps its colours."""
    logo: int
    """Seed of a print on the chest; 0 for none."""
    seed: int
    """Of the folds."""


@dataclass(frozen=True)
class WardrobeSpec:
    """Skin, hair and clothes by their names in the assets folder."""

    skin: str
    """Texture of the skin."""
    tone: RGB
    """Factors on its colours."""
    eyes: str
    """Texture of the eyes."""
    brows: str
    """Name of the brows."""
    lashes: str
    """Name of the lashes."""
    hair: str
    """Name of the hair; empty for none."""
    hair_colour: RGB
    """sRGB of hair and brows on average."""
    pieces: tuple[PieceSpec, ...]
    """Worn from inside to outside: shoes, lower, top."""


@dataclass(frozen=True)
class AvatarSpec:
    """A rigged, textured person from the assets folder."""

    name: str
    """Name of its files below ``avatars``."""


@dataclass(frozen=True)
class PersonSpec:
    """One person."""

    name: str
    """``person_0`` …"""
    shape: tuple[float, ...]
    """Shape coefficients of the body model."""
    skin: RGB
    """sRGB in [0, 1]."""
    eyes: RGB
    """Colour of the iris."""
    garments: tuple[GarmentSpec, ...]
    """What is worn."""
    hair: HairSpec
    """Hair; brows take its colour."""
    wardrobe: WardrobeSpec | None = None
    """Clothes from the assets folder instead of ``garments`` and ``hair``; None for clothes made here, and then absent from the file."""
    avatar: AvatarSpec | None = None
    """A rigged person instead of everything else here, ``shape`` too (the build fits one to it); None for the others, and then absent from the file."""


@dataclass(frozen=True)
class CameraSpec:
    """Where the picture is taken from."""

    azimuth_deg: float
    """0 = from world +z; positive towards +x."""
    elevation_deg: float
    """Height of the camera over the horizon, seen from the people [deg]."""
    roll_deg: float
    """Rotation about the view axis [deg]."""
    fov_deg: float
    """Vertical field of view [deg]."""
    fill: float
    """Share of the picture's height or width (whichever binds) that the people take."""
    width: int
    """[px]."""
    height: int
    """[px]."""
    least_visible: float = 0.0
    """Share of each person and of each head that nobody else may hide: the camera is turned around the people, no farther than needed, until
    that holds (if it holds nowhere, to where it comes nearest). 0: it stays at its azimuth."""
    aim: tuple[float, float] | None = None
    """Where the middle of the people lies in the picture, as shares of its width and height; None for the middle, and then absent from the file.
    With a large ``fill``, people are cut off by the border."""


@dataclass(frozen=True)
class LightSpec:
    """One far light with a shadow, and light from all around."""

    azimuth_deg: float
    """Of the light, as for the camera [deg]."""
    elevation_deg: float
    """Height of the light [deg]."""
    key: RGB
    """Linear colour times strength of the far light."""
    sky: RGB
    """Linear colour times strength of the light from above."""
    ground: RGB
    """The same from below."""
    softness: float
    """Size of the penumbra [m]."""
    size_deg: float = 0.0
    """Angle under which the far light is seen: 0.5 sun, 10 a near softbox. Its penumbra grows with the distance between what casts the shadow and
    what receives it. 0: the penumbra is ``softness`` everywhere."""
    fill: float = 0.12
    """Strength of the white light from the camera's side that nothing blocks."""
    glow: RGB = (0.0, 0.0, 0.0)
    """Linear colour times strength of a broad light (a window, a bright part of the sky): what a surface that faces it gets if nothing blocks it."""
    glow_azimuth_deg: float = 0.0
    """Of the middle of the broad light [deg]."""
    glow_elevation_deg: float = 0.0
    """Of the middle of the broad light [deg]."""
    bounce: float = 0.0
    """Share of the light on the floor that it throws back in its own colour, in addition to ``ground``."""
    gloss: float | None = None
    """Strength of highlights by material and body region: skin shines most on forehead and nose, cloth hardly; None: everything shines alike."""


@dataclass(frozen=True)
class BackdropSpec:
    """What is behind and below the people."""

    kind: Literal["room", "street", "studio", "furnished", "park", "gradient", "texture", "loft", "beach"]
    """Room: floor, wall, skirting, pictures. Street: pavement, houses, sky. Studio: a soft gradient. Furnished: a room with boxes like furniture and
    windows. Park: grass, hedges, trees, sky. Gradient and texture: a floor before a backdrop of two colours, or of a print. Loft: bricks, tall
    windows, boards. Beach: sand, sea, sky."""
    floor: RGB
    """sRGB."""
    wall: RGB
    """sRGB."""
    accent: RGB
    """sRGB."""
    distance_m: float
    """Of the wall behind the people [m]."""
    seed: int
    """Of its details."""


@dataclass(frozen=True)
class LensSpec:
    """What the camera does to the picture."""

    noise: float
    """Standard deviation of the sensor noise, sRGB units."""
    blur_px: float
    """Standard deviation of the blur [px]."""
    vignette: float
    """Loss of light in the corners, in [0, 1]."""
    jpeg_quality: int
    """1 … 100."""
    exposure_ev: float = 0.0
    """Factor on all light, in stops."""
    warmth: float = 0.0
    """White balance: red gains and blue loses this many stops."""
    tint: float = 0.0
    """White balance: green gains this many stops."""
    contrast: float = 0.0
    """Strength of an S-shaped tone curve about middle grey; negative flattens."""
    motion_px: float = 0.0
    """Length of the blur by a moving camera [px]."""
    motion_deg: float = 0.0
    """Its direction in the picture [deg]; 0 = to the right."""
    chroma_noise: float = 0.0
    """Standard deviation of smooth colour noise, sRGB units; it comes with ``noise``, and without that there is none."""


@dataclass(frozen=True)
class MotionSpec:
    """A frame of a recorded couple (family ``motion``); the files stay outside the package."""

    clip: str
    """Number of the take, ``"01"`` …: the files ``60_<clip>.bvh`` and ``61_<clip>.bvh``."""
    frame: int
    """Frame of the files, from 0."""
    yaw_deg: float = 0.0
    """The couple is turned by this about the vertical [deg]."""


@dataclass(frozen=True)
class SceneSpec:
    """Everything about one synthetic scene."""

    seed: int
    """Of the interaction's details (anchor points, asymmetry, jitter) and of the sensor noise."""
    family: Family
    """The interaction."""
    people: tuple[PersonSpec, ...]
    """At least one."""
    camera: CameraSpec
    light: LightSpec
    backdrop: BackdropSpec
    lens: LensSpec
    version: int = 1
    """Of this format."""
    motion: MotionSpec | None = None
    """What the family ``motion`` replays; None for the others, and then absent from the file."""

    def to_json(self) -> str:
        """The scene file's text."""
        tree = dataclasses.asdict(self)
        if self.motion is None:
            del tree["motion"]
        if self.camera.aim is None:
            del tree["camera"]["aim"]
        for person in tree["people"]:
            for optional in ("wardrobe", "avatar"):
                if person[optional] is None:
                    del person[optional]
            for garment in person["garments"]:
                for name in _CUT_DEFAULTS:
                    if garment[name] == _CUT_DEFAULTS[name]:
                        del garment[name]
        for part, kind in (("light", LightSpec), ("lens", LensSpec)):
            # fields that came later are absent unless they are used: files of old scenes keep their text
            for field in dataclasses.fields(kind):
                if tree[part][field.name] == field.default:
                    del tree[part][field.name]
        return json.dumps(tree, indent=1)

    @staticmethod
    def from_json(text: str) -> SceneSpec:
        """Read a scene file; :class:`InputError` names the entry that is missing, unknown, or out of range."""
        spec = _build(SceneSpec, parse_json(text.encode("utf-8", "replace"), "scene file"), "scene")
        if spec.version != 1:
            raise InputError(f"The scene file has version {spec.version}; this program reads version 1.")
        names = [p.name for p in spec.people]
        if not 1 <= len(names) <= MAX_PEOPLE or len(set(names)) != len(names) or any(safe_name(n) != n for n in names):
            raise InputError(f"A scene needs 1 to {MAX_PEOPLE} people, each with a name of its own that can name a file.")
        check_limits(spec)
        if (spec.family == "motion") != (spec.motion is not None):
            raise InputError("A scene has the entry 'motion' if, and only if, its family is 'motion'.")
        if spec.motion is not None and len(spec.people) != 2:
            raise InputError("A scene of the family 'motion' needs two people.")
        return spec


def _build(kind: Any, value: Any, where: str) -> Any:
    """A value of the annotated type from plain JSON, checked on the way."""
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        if not isinstance(value, dict):
            raise InputError(f"{where} must be an object, not {type(value).__name__}.")
        unknown = sorted(set(value) - set(hints))
        needed = {f.name for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING}
        if unknown or not needed <= set(value):
            raise InputError(f"{where} has wrong entries.", why=f"Unknown: {unknown}; missing: {sorted(needed - set(value))}.")
        return kind(**{k: _build(hints[k], v, f"{where}.{k}") for k, v in value.items()})  # type: ignore[operator]
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return None if value is None else _build(args[0], value, where)
    if origin is tuple:
        if not isinstance(value, list) or (Ellipsis not in args and len(value) != len(args)):
            raise InputError(f"{where} must be a list{'' if Ellipsis in args else f' of {len(args)}'}.")
        kinds = [args[0]] * len(value) if Ellipsis in args else args
        return tuple(_build(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(kinds, value)))
    if origin is Literal:
        if value not in args:
            raise InputError(f"{where} is {value!r}.", next_step=f"Valid values: {', '.join(map(str, args))}.")
        return value
    return _number_or_text(kind, value, where)


def _number_or_text(kind: Any, value: Any, where: str) -> Any:
    accepted: type | types.UnionType = int | float if kind is float else kind
    if isinstance(value, bool) or not isinstance(value, accepted):
        raise InputError(f"{where} must be {kind.__name__}, not {type(value).__name__}.")
    try:
        value = kind(value)
    except OverflowError as e:  # an integer of hundreds of digits
        raise InputError(f"{where} is out of range.") from e
    if kind is float and not math.isfinite(value):
        raise InputError(f"{where} is not finite.")
    return value
