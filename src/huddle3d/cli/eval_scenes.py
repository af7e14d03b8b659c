"""Which scenes an evaluation runs on: seeded ones, a suite, or a data set of the user's; shared by the commands of ``eval``."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huddle3d.cli.synth import suite_assets
from huddle3d.errors import InputError
from huddle3d.evaluation.datasets import DatasetName, open_dataset
from huddle3d.evaluation.datasets.layout import LazySample
from huddle3d.io import write_bytes
from huddle3d.synthesis import Assets
from huddle3d.synthesis.suites.lists import Suite, SuiteName, open_suite_list

__all__ = ["ChosenScenes", "choose_scenes", "write_numbers"]


@dataclass(frozen=True)
class ChosenScenes:
    """A suite, or samples of a data set, or neither: then seeded scenes."""

    suite: Suite | None
    assets: Assets | None
    """What the suite's people are dressed from."""
    samples: Sequence[LazySample] | None
    facts: dict[str, Any]
    """For the file of numbers."""


def write_numbers(json: Path, text: str) -> None:
    """The file of ``--json``; its folder is made if it is absent (``out`` of a fresh clone)."""
    with contextlib.suppress(OSError):  # the write below tells it better
        json.absolute().parent.mkdir(exist_ok=True)
    write_bytes(json, text.encode(), overwrite=True)


def choose_scenes(
    scenes: int | None, json: Path | None, dataset: DatasetName | None, data: Path | None, suite: SuiteName | None, assets: Path | None
) -> ChosenScenes:
    """Check the options that name scenes and the file of numbers, before anything is computed.

    Raises:
        InputError: a number below 1, a file that cannot be written, options that exclude or need each other, an absent folder.
    """
    if scenes is not None and scenes < 1:
        raise InputError("--scenes must be at least 1.", next_step="For example --scenes 10.")
    if json is not None:
        folder = json.absolute().parent
        if json.is_dir() or not (folder.is_dir() or (not folder.exists() and folder.parent.is_dir())):
            raise InputError(f"--json {json} cannot be written.", next_step="Name a file in a folder that exists, or right below one.")
    if (dataset is None) != (data is None):
        raise InputError("--dataset and --data go together.", next_step="For example --dataset suite --data out/synth.")
    if suite is not None and dataset is not None:
        raise InputError("--suite and --dataset exclude each other.", next_step="A suite on disk: --dataset suite --data FOLDER.")
    if assets is not None and suite is None:
        raise InputError("--assets goes with --suite.", next_step="For example --suite heldout --assets FOLDER.")
    if suite is not None:
        folder = suite_assets(suite, assets)
        listed = open_suite_list(suite, assets=folder)
        return ChosenScenes(listed, folder, None, {"suite": listed.name, "suite_version": listed.version, "assets": list(listed.assets)})
    if dataset is not None and data is not None:
        return ChosenScenes(None, None, open_dataset(dataset, data)[:scenes], {"dataset": dataset})
    return ChosenScenes(None, None, None, {})
