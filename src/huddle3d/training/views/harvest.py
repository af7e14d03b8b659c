"""Making a bank of views: seeded, parallel, resumable."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from huddle3d.progress import Progress, silent
from huddle3d.synthesis import SyntheticScene, caption_group, caption_person, prepare_scene
from huddle3d.training.numbered import check_counts, make_numbered, photo_seed
from huddle3d.training.views.bank import SetRecord, ViewBank, read_view_bank, write_index, write_shard
from huddle3d.training.views.sample import SampleConfig, ViewSample, view_sample
from huddle3d.training.views.scenes import SceneConfig, SceneSource, check_sources

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["ViewsConfig", "harvest_views", "views_of_index"]


@dataclass(frozen=True)
class ViewsConfig:
    """What a bank of views holds."""

    photos: int = 2
    """Photographs of each dressed pose."""
    scenes: SceneConfig = SceneConfig()
    """Which people."""
    sample: SampleConfig = SampleConfig()
    """Sizes and errors."""


def _records(scene: SyntheticScene, sample: ViewSample, photo: int) -> list[SetRecord]:
    people = scene.spec.people
    if len(people) == 1:
        return [SetRecord("single", caption_person(people[0]), photo, scene.spec.family, sample.disturbed)]
    whole = SetRecord("group", caption_group(people), photo, scene.spec.family, sample.disturbed)
    return [whole, *(SetRecord("instance", caption_person(p), photo, scene.spec.family, sample.disturbed) for p in people)]


def views_of_index(index: int, config: ViewsConfig, source: SceneSource, body: BodyModel) -> tuple[list[ViewSample], list[SetRecord]]:
    """All photographs of one number; depends on nothing but the number and the config."""
    samples: list[ViewSample] = []
    records: list[SetRecord] = []
    photo = 0
    for k, scene in enumerate(source(index)):
        prepared = prepare_scene(scene, body=body)
        for p in range(config.photos):
            seed = photo_seed(config.scenes.first_seed + index, k, p)
            sample = view_sample(prepared, body, seed, config.sample, held=config.scenes.held)
            if sample is not None:
                samples.append(sample)
                records += _records(scene, sample, photo)
                photo += 1
    return samples, records


_SOURCES: dict[str, tuple[SceneSource, BodyModel]] = {}
"""One a worker process."""


def _work(index: int, config: ViewsConfig, folder: str) -> int:
    """One number to one file, in a worker process."""
    from huddle3d.bodies import load_body

    torch.set_num_threads(1)
    if repr(config) not in _SOURCES:
        body = load_body()
        _SOURCES[repr(config)] = SceneSource(config.scenes, body), body
    source, body = _SOURCES[repr(config)]
    samples, records = views_of_index(index, config, source, body)
    write_shard(Path(folder) / f"{index:06d}.safetensors", samples, records, {"index": index})
    return len(records)


def harvest_views(
    output: str | os.PathLike[str],
    scenes: int,
    config: ViewsConfig = ViewsConfig(),
    *,
    minutes: float | None = None,
    workers: int = 1,
    progress: Progress = silent,
) -> ViewBank:
    """Write a bank of so many scene numbers, or of what the minutes allow; a run that was stopped goes on.

    Each number is one file in the folder, the same whatever the number of workers and however often the run was stopped; ``index.json``
    lists them. A folder takes files of one config only. A scene that was begun is finished when the minutes are over.

    Args:
        output: folder.
        scenes: numbers 0 … ``scenes`` - 1.
        config: what it holds.
        minutes: stop after so long; None for no limit.
        workers: processes.
        progress: told the share of scenes.

    Raises:
        InputError: the folder holds something else, or files of another config.
    """
    check_counts(scenes, config.photos, workers)
    check_sources(config.scenes)
    folder = make_numbered(output, scenes, config, _work, what="sets", minutes=minutes, workers=workers, progress=progress)
    write_index(folder, repr(config))
    return read_view_bank(folder)
