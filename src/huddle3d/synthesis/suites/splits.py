"""Two halves of the synthetic world that never meet: what training may see, and what the evaluation's suites are made of.

Each rule looks at a value alone, not at the seed it came from: whoever holds a scene file can tell on which side its people, clothes,
interaction and light are (the light and the place: :func:`huddle3d.synthesis.pictures.styles.is_held_out`). Brows, lashes and irises are shared; there are too few of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch

from huddle3d.errors import InputError
from huddle3d.synthesis.assets.folder import Assets
from huddle3d.synthesis.avatars.folder import avatar_names, avatar_person
from huddle3d.synthesis.clothes.outfits import draw_person
from huddle3d.synthesis.pictures.styles import sample_style
from huddle3d.synthesis.sampling import sample_spec
from huddle3d.synthesis.spec import Family, GarmentSpec, MotionSpec, PatternSpec, PersonSpec, SceneSpec, families_for
from huddle3d.synthesis.wardrobe.draws import draw_wardrobe

__all__ = [
    "HELDOUT_ASSETS", "HELDOUT_CLIPS", "HELDOUT_FAMILIES", "HELDOUT_PATTERNS", "SEEDS", "Split", "assets_of", "avatars_of", "draw_split_person",
    "families_in", "heldout_spec", "split_of_asset", "split_of_avatar", "split_of_clip", "split_of_family", "split_of_garment",
    "split_of_pattern", "split_of_seed", "split_of_shape", "training_spec",
]  # fmt: skip

Split = Literal["training", "heldout"]

SEEDS = 1_000_000_000
"""Each half has so many scenes; scene files of training bear the seeds from here on, those of the suites from twice this on."""

HELDOUT_FAMILIES: frozenset[Family] = frozenset({"hug_from_behind", "hands_on_shoulders", "back_to_back", "whispering", "linked_arms", "huddle"})
"""Interactions that no training scene shows: five for two people, two for groups."""
HELDOUT_PATTERNS = frozenset({"checks", "gradient"})
"""Kinds of patterns; plain cloth is on both sides, in other colours."""
HELDOUT_CLIPS = frozenset({"03", "06", "09", "12", "15"})
"""Takes of the recorded couples."""
HELDOUT_ASSETS = frozenset(
    {
        "female_elegantsuit01", "male_casualsuit04", "male_casualsuit06", "shoes02", "shoes04", "braid01", "short03",
        "young_lightskinned_female_diffuse3", "middleage_lightskinned_male_diffuse2", "young_lightskinned_male_diffuse3",
        "middleage_darkskinned_male_diffuse",
    }
)  # fmt: skip
"""Clothes, shoes, hair and skins among MakeHuman's assets; every other name is for training."""

_CELL = 0.05
"""Side of the cells of shape space that belong to one side as a whole."""
_HELDOUT_CELLS = 5
"""One cell in so many is held out."""
_Bands = tuple[tuple[float, float], ...]
_LENGTHS: dict[str, dict[Split, _Bands]] = {
    "shirt": {"training": ((0.0, 0.3), (0.5, 0.6), (0.92, 1.0)), "heldout": ((0.36, 0.45), (0.7, 0.82))},
    "trousers": {"training": ((0.2, 0.4), (0.93, 1.0)), "heldout": ((0.46, 0.6), (0.78, 0.9))},
    "skirt": {"training": ((0.3, 0.6),), "heldout": ((0.66, 0.95),)},
    "coat": {"training": ((0.1, 0.22), (0.42, 0.62)), "heldout": ((0.27, 0.38), (0.67, 0.92))},
    "shoes": {"training": ((0.0, 0.45), (1.0, 1.6)), "heldout": ((0.55, 0.9), (1.7, 2.2))},
}
"""Lengths of garments made here, by side."""


def _share(*key: object) -> float:
    """A number in [0, 1) from a key, the same on all machines."""
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:6], "big") / 2**48


def _into(length: float, share: float, bands: _Bands) -> float:
    """The length itself if a band holds it, else a random one of the nearest band."""
    low, high = min(bands, key=lambda b: max(b[0] - length, length - b[1], 0.0))
    return length if low <= length <= high else round(low + share * (high - low), 4)


def split_of_shape(shape: Sequence[float]) -> Split:
    """The side of a body's shape: cells of shape space belong to one side as a whole."""
    cell = tuple(int(s / _CELL) for s in shape)
    return "heldout" if _share("shape", cell) * _HELDOUT_CELLS < 1 else "training"


def split_of_seed(seed: int) -> Split:
    """The side of the seed of a cloth, a print, hair or a place: odd ones are held out."""
    return "heldout" if seed % 2 else "training"


def split_of_pattern(pattern: PatternSpec) -> Split:
    """The side of a pattern: by its kind; of plain cloth, by its seed."""
    return split_of_seed(pattern.seed) if pattern.kind == "plain" else "heldout" if pattern.kind in HELDOUT_PATTERNS else "training"


def split_of_garment(garment: GarmentSpec) -> Split | None:
    """The side of a garment made here: by its length; None between the bands, where neither side has any. Other kinds: by the seed."""
    if garment.kind not in _LENGTHS:
        return split_of_seed(garment.seed)
    for split, bands in _LENGTHS[garment.kind].items():
        if any(low <= garment.length <= high for low, high in bands):
            return split
    return None


def split_of_asset(name: str) -> Split:
    """The side of a garment, hair or skin of the assets folder."""
    return "heldout" if name in HELDOUT_ASSETS else "training"


def split_of_avatar(name: str) -> Split:
    """The side of a rigged person: the second one of each group (``Asian_F_2_Util``) is held out."""
    return "heldout" if "_2_" in name else "training"


def split_of_clip(clip: str) -> Split:
    """The side of a recorded couple's take."""
    return "heldout" if clip in HELDOUT_CLIPS else "training"


def split_of_family(family: Family) -> Split:
    """The side of an interaction; ``motion`` counts as training, its takes are split."""
    return "heldout" if family in HELDOUT_FAMILIES else "training"


def families_in(split: Split, people: int) -> tuple[Family, ...]:
    """The interactions of so many people on one side, in the order of ``families_for``."""
    return tuple(f for f in families_for(people) if split_of_family(f) == split)


def avatars_of(split: Split, assets: Assets) -> tuple[str, ...]:
    """The rigged people of one side in the assets folder, sorted.

    Raises:
        InputError: the folder has no avatars, or none of that side.
    """
    names = tuple(n for n in avatar_names(assets) if split_of_avatar(n) == split)
    if not names:
        raise InputError(f"No avatar of the assets folder is on the side '{split}'.", next_step="Names with '_2_' are held out, all others are not.")
    return names


def assets_of(split: Split, assets: Assets) -> Assets:
    """The same folder, of which draws choose one side's clothes, hair and skins only."""
    names = {*assets.names("clothes"), *assets.names("hair"), *assets.skins()}
    return replace(assets, hidden=assets.hidden | {n for n in names if split_of_asset(n) != split})


def _seed(split: Split, seed: int) -> int:
    return 2 * seed + (split == "heldout")


def _pattern(split: Split, pattern: PatternSpec) -> PatternSpec:
    kinds = ("checks", "gradient") if split == "heldout" else ("stripes", "dots", "print")
    own = pattern.kind == "plain" or (pattern.kind in HELDOUT_PATTERNS) == (split == "heldout")
    kind = pattern.kind if own else kinds[int(_share(pattern.seed, pattern.scale_m) * len(kinds))]
    return replace(pattern, kind=kind, seed=_seed(split, pattern.seed))


def _garment(split: Split, garment: GarmentSpec, *, alone: bool) -> GarmentSpec:
    """``alone``: nothing is worn below it (a dress), so it must not be short."""
    bands = _LENGTHS.get(garment.kind, {}).get(split, ())
    bands = bands[-1:] if alone and garment.kind == "coat" else bands
    length = _into(garment.length, _share(garment.seed, garment.offset_m), bands) if bands else garment.length
    return replace(garment, length=length, pattern=_pattern(split, garment.pattern), seed=_seed(split, garment.seed))


def draw_split_person(split: Split, seed: int, index: int, *, height: tuple[float, float] | None = None, assets: Assets | None = None) -> PersonSpec:
    """A random person of one side.

    Args:
        split: the side.
        seed: any integer.
        index: number of the person in the scene.
        height: range of the shape coefficient of the height; None for the usual one.
        assets: draw clothes from this folder; None for clothes made here.
    """
    attempt = 0
    while True:
        key = int(_share(split, seed, index, attempt) * 2**48)
        person = draw_person(torch.Generator().manual_seed(key), f"person_{index}")
        if height is not None:
            tall = round(height[0] + _share("height", key) * (height[1] - height[0]), 4)
            person = replace(person, shape=(*person.shape[:4], tall, *person.shape[5:]))
        if split_of_shape(person.shape) == split:
            break
        attempt += 1
    alone = not any(g.kind in ("trousers", "skirt") for g in person.garments)
    garments = tuple(_garment(split, g, alone=alone) for g in person.garments)
    person = replace(person, garments=garments, hair=replace(person.hair, seed=_seed(split, person.hair.seed)))
    if assets is None:
        return person
    try:
        wardrobe = draw_wardrobe(assets_of(split, assets), key, woman=person.shape[0] > 0.5)
    except InputError as e:
        step = f"That side uses: {', '.join(sorted(HELDOUT_ASSETS))}." if split == "heldout" else "That side uses all other names."
        raise InputError(f"The assets folder cannot dress people of the side '{split}'.", why=str(e), next_step=step) from e
    pieces = tuple(
        replace(p, pattern=p.pattern and _pattern(split, p.pattern), logo=p.logo and _seed(split, p.logo), seed=_seed(split, p.seed))
        for p in wardrobe.pieces
    )
    return replace(person, wardrobe=replace(wardrobe, pieces=pieces))


def _spec(split: Split, seed: int, people: int, family: Family | None, motion: MotionSpec | None, assets: Assets | None) -> SceneSpec:
    if not 0 <= seed < SEEDS:
        raise InputError(f"The seed {seed} is out of range.", next_step=f"Seeds of this side: 0 to {SEEDS - 1}.")
    own = seed + (1 if split == "training" else 2) * SEEDS
    if family is None:
        choices = families_in(split, people)
        if not choices:
            raise InputError(f"The side '{split}' has no interaction of {people} people.", next_step="Name a family.")
        family = choices[int(_share("family", own) * len(choices))]
    scene = sample_spec(own, people=people, family=family, motion=motion)
    light, backdrop, lens = sample_style(own, held_out=split == "heldout")
    backdrop = replace(backdrop, seed=_seed(split, backdrop.seed))
    persons = tuple(draw_split_person(split, own, k, assets=assets) for k in range(people))
    return replace(scene, people=persons, light=light, backdrop=backdrop, lens=lens)


def training_spec(
    seed: int,
    *,
    people: int = 2,
    family: Family | None = None,
    motion: MotionSpec | None = None,
    assets: Assets | None = None,
    avatars: float = 0.0,
) -> SceneSpec:
    """A random scene that training may see; nothing of it is in a suite.

    Args:
        seed: 0 … ``SEEDS`` - 1.
        people: number of people.
        family: the interaction; None draws one of ``families_in("training", people)``.
        motion: the recorded frame, for the family ``motion``.
        assets: draw clothes from this folder; None for clothes made here.
        avatars: share of the people that are rigged ones of the assets folder's training side, no two of a scene alike (as long as there are others).

    Raises:
        InputError: a seed out of range, a family or a take that is held out, avatars without a folder of them.
    """
    if family is not None and split_of_family(family) != "training":
        raise InputError(f"The family '{family}' is held out from training.", next_step=f"Families: {', '.join(families_in('training', people))}.")
    if motion is not None and split_of_clip(motion.clip) != "training":
        raise InputError(f"The take {motion.clip} is held out from training.", next_step=f"Any take but {', '.join(sorted(HELDOUT_CLIPS))}.")
    scene = _spec("training", seed, people, family, motion, assets)
    return scene if avatars <= 0 else _with_avatars(scene, "training", avatars, assets)


def _with_avatars(scene: SceneSpec, split: Split, share: float, assets: Assets | None) -> SceneSpec:
    """Some people of a scene become rigged ones of one side; the others stay as they are."""
    if assets is None:
        raise InputError("Avatars come from an assets folder.", next_step="Give assets=Assets.at(FOLDER), or avatars=0.")
    names = avatars_of(split, assets)
    people, left = list(scene.people), list(names)
    for k in range(len(people)):
        if _share("avatar", scene.seed, k) < share:
            left = left or list(names)
            people[k] = avatar_person(left.pop(int(_share("which avatar", scene.seed, k) * len(left))), k)
    return replace(scene, people=tuple(people))


def heldout_spec(
    seed: int, *, people: int = 2, family: Family | None = None, motion: MotionSpec | None = None, assets: Assets | None = None
) -> SceneSpec:
    """A random scene of people, clothes, patterns, lights and places that training never sees; so is its interaction, unless ``family`` names one.

    Args:
        seed: 0 … ``SEEDS`` - 1.
        people: number of people.
        family: the interaction; None draws one of ``families_in("heldout", people)``.
        motion: the recorded frame, for the family ``motion``.
        assets: draw clothes from this folder; None for clothes made here.

    Raises:
        InputError: a seed out of range.
    """
    return _spec("heldout", seed, people, family, motion, assets)
