"""Do the right parts of the bodies touch: contact precision and recall by named region."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.contact import contact_regions
from huddle3d.errors import InputError

__all__ = ["RegionContacts", "TouchingBodies", "region_contacts"]

_COMMON = {"shoulder": "upper_arm", "buttock": "thigh"}
"""Regions that only some body models have, and what the others call that place."""


@dataclass(frozen=True)
class TouchingBodies:
    """Bodies of one topology whose regions are known."""

    vertices: Float[Tensor, "K V 3"]
    """One world [m]."""
    faces: Int[Tensor, "F 3"]
    regions: Int[Tensor, "V"]
    """Index into ``region_names`` of each vertex."""
    region_names: tuple[str, ...]


@dataclass(frozen=True)
class RegionContacts:
    """Regions in contact in a prediction against those of the truth. NaN where nothing could be right: no true, or no predicted, contact."""

    recall: float
    """Share of the true (person, region, other person) that are in contact in the prediction, too."""
    precision: float
    """Share of the predicted ones that are true."""
    pair_recall: float
    """The same for pairs of regions, ``(a, region of a, b, region of b)``: the right places of both touch each other."""
    pair_precision: float
    """Share of the predicted pairs that are true."""
    by_region: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """For each region that occurs: right, true and predicted contacts; left and right counted together."""


_Touch = tuple[int, str, int]
_PairTouch = tuple[int, str, int, str]


def region_contacts(predicted: TouchingBodies, truth: TouchingBodies, *, radius_m: float = 0.02, min_vertices: int = 3) -> RegionContacts:
    """Compare who touches whom with which region; row k of both is the same person.

    A region of one person touches another person if at least ``min_vertices`` of its vertices come closer than ``radius_m`` (or lie inside).
    Neither scale nor place matters: contacts are found in each world by itself.

    Raises:
        InputError: different numbers of people, or fewer than two.
    """
    if len(predicted.vertices) != len(truth.vertices) or len(truth.vertices) < 2:
        raise InputError(
            f"Contacts need two or more matched people, got {len(predicted.vertices)} predicted and {len(truth.vertices)} true ones.",
            next_step="Match the people first; a single person has no contacts.",
        )
    common = predicted.region_names != truth.region_names
    found_p, pairs_p = _touches(predicted, radius_m, min_vertices, common)
    found_t, pairs_t = _touches(truth, radius_m, min_vertices, common)
    return RegionContacts(
        recall=_share(found_t & found_p, found_t),
        precision=_share(found_t & found_p, found_p),
        pair_recall=_share(pairs_t & pairs_p, pairs_t),
        pair_precision=_share(pairs_t & pairs_p, pairs_p),
        by_region=_by_region(found_p, found_t),
    )


def _touches(bodies: TouchingBodies, radius_m: float, min_vertices: int, common: bool) -> tuple[set[_Touch], set[_PairTouch]]:
    """Ordered touches and unordered pairs of touches; counts of the pairs are pooled over both directions."""
    names = [str(k) for k in range(len(bodies.vertices))]
    contacts = contact_regions(bodies.vertices, bodies.faces, bodies.regions, bodies.region_names, names, radius=radius_m)
    single: dict[_Touch, int] = {}
    paired: dict[_PairTouch, int] = {}
    for c in contacts:
        a, b, region_a, region_b = int(c.a), int(c.b), _name(c.region_a, common), _name(c.region_b, common)
        single[a, region_a, b] = single.get((a, region_a, b), 0) + c.vertices
        key = (a, region_a, b, region_b) if a < b else (b, region_b, a, region_a)
        paired[key] = max(paired.get(key, 0), c.vertices)
    return {k for k, n in single.items() if n >= min_vertices}, {k for k, n in paired.items() if n >= min_vertices}


def _name(region: str, common: bool) -> str:
    side, _, stem = region.partition("_")
    return f"{side}_{_COMMON[stem]}" if common and side in ("left", "right") and stem in _COMMON else region


def _share(hits: set, among: set) -> float:
    return len(hits) / len(among) if among else math.nan


def _by_region(found_p: set[_Touch], found_t: set[_Touch]) -> dict[str, tuple[int, int, int]]:
    def stem(region: str) -> str:
        return region.removeprefix("left_").removeprefix("right_")

    def count(touches: set[_Touch], region: str) -> int:
        return sum(stem(r) == region for _, r, _ in touches)

    regions: Sequence[str] = sorted({stem(r) for _, r, _ in found_p | found_t})
    return {r: (count(found_p & found_t, r), count(found_t, r), count(found_p, r)) for r in regions}
