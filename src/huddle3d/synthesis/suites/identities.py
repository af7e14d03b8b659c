"""How different people look from each other, colours left aside: builds, cuts, patterns, hair, assets."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.synthesis.spec import GarmentSpec, PersonSpec

__all__ = ["identity_distances", "identity_features", "outfit_key"]

_SHAPE_STEP = (0.15, 0.05, 0.1, 0.1, 0.03, 0.15)
"""Differences of gender, age, muscle, weight, height and proportions that one sees: 3 cm of stature, a few kilogrammes."""
_SLOTS = ("shoes", "lower", "top", "over")


def _slots(person: PersonSpec) -> dict[str, GarmentSpec]:
    """Garments by their place; a dress, which has nothing under it, fills the places of top and lower part."""
    worn: dict[str, GarmentSpec] = {}
    kinds = {g.kind for g in person.garments}
    for garment in person.garments:
        if garment.kind == "coat":
            worn["over" if "shirt" in kinds else "top"] = garment
        else:
            worn[{"shoes": "shoes", "shirt": "top"}.get(garment.kind, "lower")] = garment
    return worn


def outfit_key(person: PersonSpec) -> tuple[str, ...]:
    """Kinds, cuts and patterns in words, colours and fine measures left out: people with equal keys wear the same sort of clothes and hair."""
    if person.wardrobe is not None:
        w = person.wardrobe
        worn = (f"{p.part}:{p.asset}:{'whole' if p.length >= 1 else 'short'}:{p.pattern.kind if p.pattern else 'own'}" for p in w.pieces)
        return (*worn, w.hair, w.skin)
    words = []
    for slot in _SLOTS:
        g = _slots(person).get(slot)
        if g is None:
            words.append("none")
            continue
        reach = g.sleeve if g.kind == "coat" else g.length
        cut = f"{g.kind}:{round(3 * reach)}:{'wide' if g.loose_m > 0.03 else 'slim'}:{'open' if g.open_m else 'closed'}:{g.hood}"
        hem = round(4 * g.length) if g.kind == "coat" else 0
        words.append(f"{cut}:{hem}:{g.pattern.kind}" if slot != "shoes" else f"shoes:{round(2 * g.length)}")
    return (*words, person.hair.kind)


def identity_features(people: Sequence[PersonSpec]) -> tuple[Float[Tensor, "n d"], Int[Tensor, "n c"]]:
    """Measures in units of differences that one sees, and classes as numbers."""
    rows: list[list[float]] = []
    words: list[tuple[str, ...]] = []
    for person in people:
        row = [v / s for v, s in zip(person.shape, _SHAPE_STEP)]
        worn = {} if person.wardrobe is not None else _slots(person)
        for slot in _SLOTS:
            g = worn.get(slot)
            row += [g.length / 0.1, g.loose_m / 0.015, g.sleeve / 0.15, g.open_m / 0.04] if g is not None else [0.0] * 4
        rows.append(row)
        words.append(outfit_key(person))
    table: dict[tuple[int, str], int] = {}
    most = max(len(w) for w in words)
    codes = [[table.setdefault((k, w[k]), len(table)) if k < len(w) else -1 for k in range(most)] for w in words]
    return torch.tensor(rows), torch.tensor(codes)


def identity_distances(people: Sequence[PersonSpec], *, block: int = 500) -> Float[Tensor, "n"]:
    """Distance of each person to the nearest other one: 0 = the same but for colours, 1 = one difference that one sees.

    Args:
        people: at least two.
        block: rows compared at once; bounds the memory.
    """
    numbers, codes = identity_features(people)
    nearest = torch.zeros(len(numbers))
    for first in range(0, len(numbers), block):
        rows = slice(first, min(first + block, len(numbers)))
        square = torch.cdist(numbers[rows], numbers, compute_mode="donot_use_mm_for_euclid_dist").square()
        for c in range(codes.shape[1]):
            square += (codes[rows, c, None] != codes[:, c]).float()
        square[torch.arange(rows.stop - first), torch.arange(first, rows.stop)] = torch.inf
        nearest[rows] = square.amin(1).sqrt()
    return nearest
