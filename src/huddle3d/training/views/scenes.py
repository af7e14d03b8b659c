"""Where the dressed people of a bank of views come from: solved interactions with their neighbours, single people, groups, and pose banks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from huddle3d.errors import InputError
from huddle3d.scene import BodyParams
from huddle3d.synthesis import Assets, Family, PersonSpec, SceneBuilder, SceneSpec, SyntheticScene, dress_scene
from huddle3d.synthesis.suites.splits import Split, avatars_of, draw_split_person, families_in, heldout_spec, split_of_shape, training_spec
from huddle3d.training.bank import PoseBank, read_bank
from huddle3d.training.harvest import is_held
from huddle3d.training.vary import measure_pairs, neighbours

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["SceneConfig", "SceneSource", "check_sources", "kind_of"]

_HELD_FIRST = 500_000
"""First seed of held-out scenes here: far from those of the suites."""
_KINDS = ("pair", "solo", "pair", "group", "pair", "solo", "bank", "pair")


@dataclass(frozen=True)
class SceneConfig:
    """Which people."""

    held: bool = False
    """Everything from the evaluation's half of the synthetic world (never from its suites) instead of training's."""
    first_seed: int = 0
    """Seed of the first scene; the next ones count up."""
    neighbours: int = 3
    """Other poses and builds around each solved pair; each is dressed anew. Single people: as many further people."""
    deepest_mm: float = 10.0
    """Neighbours that cross deeper than this are dropped."""
    assets: str = ""
    """Folder of MakeHuman clothes: every other scene then wears them; empty for clothes made here only."""
    avatars: float = 0.0
    """Share of the people of solved scenes that wear the folder's assets who are its rigged avatars instead; their scenes have no neighbours."""
    poses: str = ""
    """A pose bank (``train bank``): every other scene of pairs then takes its poses from there, which saves solving them; empty for none."""


def kind_of(index: int) -> str:
    """What scene number ``index`` is: ``pair``, ``solo``, ``group`` (three people) or ``bank`` (a pair of the pose bank, if there is one)."""
    return _KINDS[index % len(_KINDS)]


def check_sources(config: SceneConfig) -> None:
    """Whether the folder of assets and the pose bank are there, before a folder is made and processes start.

    Raises:
        InputError: one of them is missing or damaged, or has no avatars though some are asked for.
    """
    if config.assets:
        assets = Assets.open(Path(config.assets))
        if config.avatars > 0:
            avatars_of("heldout" if config.held else "training", assets)
    if config.poses:
        read_bank(config.poses)


class SceneSource:
    """Makes the scenes of an index; an index gives the same scenes on one machine, whatever came before."""

    def __init__(self, config: SceneConfig, body: BodyModel) -> None:
        self.config, self.body = config, body
        self.split: Split = "heldout" if config.held else "training"
        self.assets = Assets.open(Path(config.assets)) if config.assets else None
        self.poses = self._poses() if config.poses else None

    def _poses(self) -> PoseBank:
        bank = read_bank(self.config.poses)
        held = is_held(bank)
        bank = bank.take(held if self.config.held else ~held)
        bank = bank.take(bank.penetration_mm <= self.config.deepest_mm)
        if not len(bank):
            raise InputError(f"{self.config.poses}: no pair of the side '{self.split}' in it.", next_step="Make a larger pose bank.")
        return bank

    def __call__(self, index: int) -> Iterator[SyntheticScene]:
        """Dressed scenes of one index; their cameras are of no use."""
        seed = self.config.first_seed + index + (_HELD_FIRST if self.config.held else 0)
        assets = self.assets if (index + index // len(_KINDS)) % 2 else None  # half of every kind
        kind = kind_of(index)
        if self.poses is not None and kind in ("pair", "bank") and index % 4 != 0:
            yield from self._from_bank(seed, assets)
        elif kind == "solo":
            yield from self._solos(seed, assets)
        elif kind == "group":
            builder = SceneBuilder(self.body, assets=assets)
            yield builder(self._spec(seed, 3, assets))
        else:
            yield from self._pairs(seed, assets)

    def _spec(self, seed: int, people: int, assets: Assets | None) -> SceneSpec:
        family: Family = "solo"
        if people > 1:
            families: list[Family] = [f for f in families_in(self.split, people) if f != "solo"]
            family = families[seed // len(_KINDS) % len(families)]
        if self.config.held:
            return heldout_spec(seed, people=people, family=family, assets=assets)
        avatars = self.config.avatars if assets is not None else 0.0
        return training_spec(seed, people=people, family=family, assets=assets, avatars=avatars)

    def _solos(self, seed: int, assets: Assets | None) -> Iterator[SyntheticScene]:
        builder = SceneBuilder(self.body, assets=assets)
        for k in range(1 + self.config.neighbours):
            yield builder(self._spec(100 * seed + k, 1, assets))

    def _pairs(self, seed: int, assets: Assets | None) -> Iterator[SyntheticScene]:
        spec = self._spec(seed, 2, assets)
        solved = SceneBuilder(self.body, assets=assets)(spec)
        yield solved
        if not self.config.neighbours or any(p.avatar is not None for p in spec.people):
            return
        generator = torch.Generator().manual_seed(seed)
        near = neighbours(solved.bodies.params, self.body, self.config.neighbours, generator, allowed=lambda s: split_of_shape(s) == self.split)
        depth, _ = measure_pairs(near, self.body)
        for i in (depth <= self.config.deepest_mm).nonzero()[:, 0].tolist():
            yield self._redressed(spec, _pair(near, i), 1 + i, assets)

    def _from_bank(self, seed: int, assets: Assets | None) -> Iterator[SyntheticScene]:
        assert self.poses is not None
        generator = torch.Generator().manual_seed(seed)
        rows = torch.randint(0, len(self.poses), (1 + self.config.neighbours,), generator=generator)
        # the interaction's goals are not used, and nobody of a bank sits
        spec = replace(self._spec(seed, 2, None), family=families_in(self.split, 2)[0])
        for i, row in enumerate(rows.tolist()):
            yield self._redressed(spec, self.poses.params(torch.tensor([row])), i, assets)

    def _redressed(self, spec: SceneSpec, params: BodyParams, number: int, assets: Assets | None) -> SyntheticScene:
        """Other people in given bodies."""
        shape = params.shape.tolist()
        people = tuple(self._wearer(spec.seed, 10 * number + k, k, s, assets) for k, s in enumerate(shape))
        return dress_scene(replace(spec, people=people), params, body=self.body, assets=assets)

    def _wearer(self, seed: int, number: int, k: int, shape: list[float], assets: Assets | None) -> PersonSpec:
        """Clothes for a body, of a person of the same sex."""
        person = draw_split_person(self.split, seed, number, assets=assets)
        for attempt in range(1, 20):
            if (person.shape[0] > 0.5) == (shape[0] > 0.5):
                break
            person = draw_split_person(self.split, seed, number + 1000 * attempt, assets=assets)
        return replace(person, name=f"person_{k}", shape=tuple(shape))


def _pair(params: BodyParams, i: int) -> BodyParams:
    return BodyParams(*(getattr(params, f)[2 * i : 2 * i + 2] for f in ("shape", "pose", "translation", "expression")))
