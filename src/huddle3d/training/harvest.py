"""Making a pose bank: solved interactions and recorded couples, each with its neighbours; seeded, parallel, and resumable."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.io import prepare_output_dir
from huddle3d.progress import Progress, silent
from huddle3d.scene import BodyParams
from huddle3d.synthesis import Family, MotionSpec, SolveConfig, plan_motion, read_couple, solve_interaction
from huddle3d.synthesis.poses.interactions import plan_interaction
from huddle3d.synthesis.suites.splits import Split, families_in, split_of_clip, split_of_family, split_of_shape
from huddle3d.training.bank import PoseBank, read_bank, write_bank
from huddle3d.training.recordings import RECORDED_SETS
from huddle3d.training.vary import VaryConfig, measure_pairs, neighbours

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

C = TypeVar("C")

__all__ = ["BankConfig", "collect", "draw_shapes", "harvest", "harvest_item", "is_held"]


@dataclass(frozen=True)
class BankConfig:
    """What a bank holds."""

    neighbours: int = 16
    """Neighbours tried for each solved pair."""
    deepest_mm: float = 8.0
    """Pairs that cross deeper than this are dropped."""
    widest_mm: float = 15.0
    """Neighbours that part further than this are dropped (solved pairs and frames of motion are kept)."""
    held: bool = False
    """Draw interactions, takes and builds from the evaluation's half of the synthetic world (``huddle3d.synthesis.suites.splits``) instead of training's."""
    first_seed: int = 0
    """Seed of the first pair; the next ones count up. Held-out banks start at a million."""
    assets: str = ""
    """Folder with recorded couples (``mocap``): every other pair then is a frame of theirs; empty for none."""


def is_held(bank: PoseBank) -> Bool[Tensor, "N"]:
    """Pairs of which anything belongs to the evaluation's half of the synthetic world: the interaction, the take, or somebody's build."""
    held = [n for n in bank.source_names if _split_of_source(n) == "heldout"]
    shapes = torch.tensor([any(split_of_shape(s) == "heldout" for s in pair) for pair in bank.shape.tolist()], dtype=torch.bool)
    return bank.from_sources(tuple(held)) | shapes.reshape(len(bank))


def _split_of_source(name: str) -> Split:
    kind, _, take = name.partition(":")
    if kind in RECORDED_SETS:
        return "training"  # what is for tests was left out when they were read
    return split_of_clip(take) if kind == "motion" else split_of_family(cast(Family, name))


def draw_shapes(body: BodyModel, generator: torch.Generator, split: Split = "training") -> Float[Tensor, "2 S"]:
    """Two adults of any build on one side of the split of shape space."""
    low = {"gender": 0.0, "age": 0.55, "muscle": 0.2, "weight": 0.15, "height": 0.2, "proportions": 0.2}
    high = {"gender": 1.0, "age": 0.9, "muscle": 0.85, "weight": 0.85, "height": 0.8, "proportions": 0.85}
    a, b = (torch.tensor([t[n] for n in body.shape_names]) for t in (low, high))
    people: list[Tensor] = []
    while len(people) < 2:
        shape = a + (b - a) * torch.rand(len(a), generator=generator)
        if split_of_shape(shape.half().tolist()) == split:
            people.append(shape)
    return torch.stack(people)


def _seed(config: BankConfig, index: int) -> int:
    return config.first_seed + index + (1_000_000 if config.held else 0)


def _sources(config: BankConfig) -> tuple[list[Family], list[str]]:
    split: Split = "heldout" if config.held else "training"
    families: list[Family] = [f for f in families_in(split, 2) if f != "solo"]
    takes = []
    for number in range(1, 100) if config.assets else ():
        take = f"{number:02d}"
        try:
            read_couple(take, config.assets)
        except InputError:
            continue
        if split_of_clip(take) == split:
            takes.append(take)
    if config.assets and not takes:
        raise InputError(f"{config.assets}: no recorded couple in it.", next_step="Name a folder that holds mocap/60_01.bvh and mocap/61_01.bvh.")
    return families, takes


def harvest_item(index: int, config: BankConfig, body: BodyModel) -> PoseBank:
    """The pair of one index, and the neighbours that came out well; may be empty. Depends on nothing but the index and the config."""
    families, takes = _sources(config)
    seed = _seed(config, index)
    generator = torch.Generator().manual_seed(seed)
    split: Split = "heldout" if config.held else "training"
    shape = draw_shapes(body, generator, split)
    if takes and index % 2:
        take = takes[(index // 2) % len(takes)]
        frames = len(read_couple(take, config.assets)[0].values)
        frame = int(torch.randint(0, frames, (), generator=generator))
        yaw = 360 * float(torch.rand((), generator=generator))
        plan = plan_motion(MotionSpec(take, frame, yaw), body, shape, assets=config.assets)
        name, solver = f"motion:{take}", SolveConfig(steps=20, retries=0, repair_steps=30)
    else:
        name = families[(index // 2 if takes else index) % len(families)]
        plan = plan_interaction(name, body, shape, generator)
        solver = SolveConfig(retries=0)
    solved = solve_interaction(plan, body, solver)
    depth, gap = measure_pairs(solved, body)
    keep = [float(depth[0]) <= config.deepest_mm]
    pairs = [solved]
    if config.neighbours and keep[0]:
        # frames of dancers who do not touch may stay apart as far as they were
        widest = max(config.widest_mm, float(gap[0]) + 5.0)
        near = neighbours(solved, body, config.neighbours, generator, VaryConfig(), allowed=lambda s: split_of_shape(s) == split)
        d, g = measure_pairs(near, body)
        pairs.append(near)
        depth, gap = torch.cat([depth, d]), torch.cat([gap, g])
        same = torch.tensor([all(split_of_shape(s) == split for s in two) for two in near.shape.half().reshape(len(d), 2, -1).tolist()])
        keep += ((d <= config.deepest_mm) & (g <= widest) & same).tolist()
    count = len(depth)
    joined = BodyParams(*(torch.cat([getattr(p, f) for p in pairs]) for f in ("shape", "pose", "translation", "expression")))
    place = joined.translation.reshape(count, 2, 3)
    place = place - place.mean(1, keepdim=True) * torch.tensor([1.0, 0.0, 1.0])  # halves have more digits near zero, and nobody needs the origin
    bank = PoseBank(
        joined.shape.reshape(count, 2, -1).half(),
        joined.pose.reshape(count, 2, -1, 3).half(),
        place,
        torch.zeros(count, dtype=torch.int32),
        torch.full((count,), seed),
        depth.half(),
        gap.half(),
        (name,),
        body.name,
    )
    finite = bank.pose.isfinite().all(-1).all(-1).all(-1) & bank.translation.isfinite().all(-1).all(-1)
    return bank.take(torch.tensor(keep) & finite)


def _work(index: int, config: BankConfig, folder: str) -> int:
    """One item to one file, in a worker process."""
    from huddle3d.bodies import load_body

    torch.set_num_threads(1)
    bank = harvest_item(index, config, load_body())
    write_bank(Path(folder) / f"{index:07d}.safetensors", bank, overwrite=True)
    return len(bank)


def harvest(
    output: str | os.PathLike[str],
    count: int,
    config: BankConfig = BankConfig(),
    *,
    minutes: float | None = None,
    workers: int = 1,
    overwrite: bool = False,
    progress: Progress = silent,
) -> PoseBank:
    """Write a bank of at least ``count`` pairs, or of what the minutes allow.

    Each index is one solved pair with its neighbours, in a file of its own beside the output (``OUTPUT.parts``); a run that was stopped goes
    on there. The bank of a given number of indices is the same whatever the number of workers and however often it was stopped. The parts
    are removed when the bank is complete; they stay if the minutes ran out, and the next run goes on.

    Args:
        output: the bank.
        count: pairs wanted.
        config: what it holds.
        minutes: stop after so long; None for no limit.
        workers: processes.
        overwrite: replace an existing bank.
        progress: told the share of pairs.
    """
    _sources(config)
    return collect(output, count, config, _work, minutes=minutes, workers=workers, overwrite=overwrite, progress=progress)


def collect(
    output: str | os.PathLike[str],
    count: int,
    config: C,
    work: Callable[[int, C, str], int],
    *,
    limit: int | None = None,
    minutes: float | None,
    workers: int,
    overwrite: bool,
    progress: Progress,
) -> PoseBank:
    """The part of :func:`harvest` that is the same for all banks of parts.

    Args:
        output: the bank.
        count: pairs wanted.
        config: what it holds.
        work: writes the pairs of an index into ``NUMBER.safetensors`` in a folder, in a process of its own; returns how many.
        limit: how many indices there are; None for no end.
        minutes: stop after so long; None for no limit.
        workers: processes.
        overwrite: replace an existing bank.
        progress: told the share of pairs.
    """
    output = Path(output)
    if count < 1 or workers < 1:
        raise InputError("A bank needs at least one pair and one worker.", next_step="For example --count 1000 --workers 2.")
    if output.exists() and not overwrite:
        raise InputError(f"{output}: exists.", next_step="Choose another name, or give --overwrite.")
    parts = output.with_name(output.name + ".parts")
    prepare_output_dir(parts, True)
    stamp = parts / "config.txt"
    if stamp.exists() and stamp.read_text() != repr(config):
        raise InputError(f"{parts}: holds parts made with other settings.", next_step="Remove the folder, or give the settings it was made with.")
    stamp.write_text(repr(config))
    began = time.monotonic()

    def late() -> bool:
        return minutes is not None and time.monotonic() - began > 60 * minutes

    sizes = {int(p.stem): len(read_bank(p)) for p in sorted(parts.glob("*.safetensors"))}
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: dict[concurrent.futures.Future[int], int] = {}
        following = 0
        while True:
            while len(waiting) < workers and not late() and _total(sizes) < count:
                while following in sizes or following in waiting.values():
                    following += 1
                if limit is not None and following >= limit:
                    break
                waiting[pool.submit(work, following, config, str(parts))] = following
            if not waiting:
                break
            done, _ = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                sizes[waiting.pop(future)] = future.result()
            progress(min(1.0, _total(sizes) / count), f"{sum(sizes.values())} pairs of {len(sizes)} done")
    used = _prefix(sizes, count)
    banks = [b for k in used if len(b := read_bank(parts / f"{k:07d}.safetensors"))]
    if not banks:
        raise InputError("No pair came out.", next_step="Give more minutes, or keep more.")
    bank = PoseBank.join(banks)
    write_bank(output, bank, overwrite=overwrite, note={"config": repr(config), "solved": len(used)})
    if _total(sizes) >= count or len(used) == limit:
        shutil.rmtree(parts, ignore_errors=True)
    return bank


def _prefix(sizes: dict[int, int], count: int) -> list[int]:
    """The indices 0, 1, … without a hole, up to the one that completes the count."""
    used, total = [], 0
    while len(used) in sizes and total < count:
        used.append(len(used))
        total += sizes[used[-1]]
    return used


def _total(sizes: dict[int, int]) -> int:
    return sum(sizes[k] for k in _prefix(sizes, 1 << 60))
