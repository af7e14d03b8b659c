"""Pose banks from data sets of the user's own: pairs in SMPL or SMPL-X become Anny's by surface correspondence, and are measured."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from huddle3d.bodies import load_body
from huddle3d.fitting import convert_bodies
from huddle3d.geometry import Camera, so3_exp, so3_log
from huddle3d.progress import Progress, silent
from huddle3d.scene import Bodies, BodyParams
from huddle3d.training.bank import PoseBank, write_bank
from huddle3d.training.harvest import collect
from huddle3d.training.recordings import RecordedPair, RecordedSet, Recording, open_recordings
from huddle3d.training.vary import measure_pairs

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel
    from huddle3d.fitting import SurfaceFitConfig

__all__ = ["RecordedConfig", "record_bank", "recorded_pair"]


@dataclass(frozen=True)
class RecordedConfig:
    """What a bank of recorded pairs holds."""

    dataset: RecordedSet
    """Layout of the folder."""
    folder: str
    """Where the data set lies."""
    model_file: str = ""
    """Your own file of SMPL or SMPL-X, or a folder to search; empty for the folder that HUDDLE3D_BODY_MODELS names."""
    every: int = 16
    """So many frames apart."""
    leave: tuple[str, ...] = ("s03",)
    """Subjects or pairs that are left out, for tests: of CHI3D the published test pair."""
    deepest_mm: float = 25.0
    """Pairs that cross deeper than this are dropped: recorded bodies are fits, too."""
    widest_mm: float = 99.0
    """Pairs that are further apart than this are dropped (distances are measured up to 100 mm)."""
    worst_mm: float = 15.0
    """Pairs of whom a body came out further than this from the recorded surface on average are dropped."""


def recorded_pair(
    recording: Recording, config: RecordedConfig, body: BodyModel, source: BodyModel | None = None, *, fit: SurfaceFitConfig | None = None
) -> PoseBank:
    """One recorded moment as a bank of one pair, or of none if it came out too far from the recording, too deep or too far apart.

    Args:
        recording: the moment.
        config: what is kept.
        body: the model of the bank.
        source: the model of the recording; None loads the user's.
        fit: settings of the conversion.

    Raises:
        InputError: the file is damaged or of another layout.
        LicenceRequiredError: the model of the recording is not on this machine.
    """
    pair = recording.load()
    source = source or load_body(pair.bodies.model, path=config.model_file or None)
    with torch.no_grad():
        params = _upright(pair, source)
        out = source(params)
    none = torch.zeros(2)
    camera = Camera.perspective(1.0, 1, 1, torch.eye(4))  # they belong to no picture
    given = Bodies(source.name, pair.bodies.names, params, out.vertices, out.landmarks, camera, none, none)
    made = convert_bodies(given, source, body, fit)
    with torch.no_grad():
        low = made.bodies.vertices[..., 1].min()
    p = made.bodies.params
    place = p.translation - low * torch.tensor([0.0, 1.0, 0.0])
    place = place - place.mean(0) * torch.tensor([1.0, 0.0, 1.0])
    params = BodyParams(p.shape, p.pose, place, p.shape[:, :0])
    depth, gap = measure_pairs(params, body)
    bank = PoseBank(
        params.shape[None].half(),
        params.pose[None].half(),
        place[None],
        torch.zeros(1, dtype=torch.int32),
        torch.tensor([recording.group]),
        depth.half(),
        gap.half(),
        (recording.source,),
        body.name,
    )
    keep = float(depth[0]) <= config.deepest_mm and float(gap[0]) <= config.widest_mm and float(made.mean_mm.max()) <= config.worst_mm
    return bank.take(torch.tensor([keep and bool(bank.pose.isfinite().all() and place.isfinite().all())]))


def _upright(pair: RecordedPair, source: BodyModel) -> BodyParams:
    """The recorded bodies in a world whose y points up."""
    params = pair.bodies.params(source)
    R: Tensor = pair.R_up.to(params.pose)
    pose = params.pose.clone()
    pose[:, 0] = so3_log(R @ so3_exp(pose[:, 0]))
    return replace(params, pose=pose, translation=params.translation @ R.T)


def _work(index: int, config: RecordedConfig, folder: str) -> int:
    """One moment to one file, in a worker process."""
    torch.set_num_threads(1)
    recording = _recordings(config)[index]
    bank = recorded_pair(recording, config, load_body())
    write_bank(Path(folder) / f"{index:07d}.safetensors", bank, overwrite=True)
    return len(bank)


def _recordings(config: RecordedConfig) -> tuple[Recording, ...]:
    return open_recordings(config.dataset, Path(config.folder), every=config.every, leave=config.leave)


def record_bank(
    output: str | os.PathLike[str],
    count: int,
    config: RecordedConfig,
    *,
    minutes: float | None = None,
    workers: int = 1,
    overwrite: bool = False,
    progress: Progress = silent,
) -> PoseBank:
    """Write a bank of at most about ``count`` recorded pairs, in the order of the data set; resumable, as :func:`huddle3d.training.harvest`.

    Args:
        output: the bank.
        count: pairs wanted.
        config: which data set, and what is kept.
        minutes: stop after so long; None for no limit.
        workers: processes.
        overwrite: replace an existing bank.
        progress: told the share of pairs.

    Raises:
        InputError: another layout, or no pair came out.
        LicenceRequiredError: the model of the recording is not on this machine.
    """
    recordings = _recordings(config)
    load_body(recordings[0].load().bodies.model, path=config.model_file or None)  # tell what is missing before anything is written
    return collect(output, count, config, _work, limit=len(recordings), minutes=minutes, workers=workers, overwrite=overwrite, progress=progress)
