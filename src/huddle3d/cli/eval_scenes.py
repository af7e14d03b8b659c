"""Which scenes an evaluation runs on: seeded ones, a suite, or a data set of the user's; shared by the commands of ``eval``."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huddle3d.cli.console import LogFormat, print_line
from huddle3d.cli.synth import suite_assets
from huddle3d.errors import InputError, StageError
from huddle3d.evaluation.datasets import DatasetName, open_dataset
from huddle3d.evaluation.datasets.layout import LazySample
from huddle3d.io import MAX_JSON_BYTES, display_name, parse_json, read_regular_file, write_bytes
from huddle3d.synthesis import Assets
from huddle3d.synthesis.suites.lists import Suite, SuiteName, open_suite_list

__all__ = ["ChosenScenes", "check_numbers", "choose_scenes", "exit_status", "write_numbers"]


@dataclass(frozen=True)
class ChosenScenes:
    """A suite, or samples of a data set, or neither: then seeded scenes."""

    suite: Suite | None
    assets: Assets | None
    """What the suite's people are dressed from."""
    samples: Sequence[LazySample] | None
    facts: dict[str, Any]
    """For the file of numbers."""


def check_numbers(json: Path, overwrite: bool) -> None:
    """Check the file of ``--json`` before anything is computed: numbers of an evaluation may be replaced (a run that goes on), nothing else.

    Raises:
        InputError: the file cannot be written, or holds anything else and ``overwrite`` is not given.
    """
    folder = json.absolute().parent
    if json.is_dir() or not (folder.is_dir() or (not folder.exists() and folder.parent.is_dir())):
        raise InputError(f"--json {json} cannot be written.", next_step="Name a file in a folder that exists, or right below one.")
    if json.exists() and not overwrite and not _is_numbers(json):
        step = "Name another file, or pass --overwrite."
        raise InputError(f"--json {display_name(json)} exists and does not hold the numbers of an evaluation.", next_step=step, path=str(json))


def _is_numbers(path: Path) -> bool:
    try:
        tree = parse_json(read_regular_file(path, MAX_JSON_BYTES), path)
    except InputError:
        return False
    return isinstance(tree, dict) and {"scenes", "versions"} <= tree.keys()


def exit_status(failures: Sequence[str], log_format: LogFormat) -> int:
    """The exit code: 0, or that of a failed stage if not one scene was measured; says how many failed.

    Args:
        failures: for each scene why it failed, or "" if it was measured.
        log_format: of messages.
    """
    failed = sum(bool(f) for f in failures)
    if failed:
        print_line(f"{failed} of {len(failures)} were not measured; the rows say why", log_format)
    return StageError.exit_code if failed == len(failures) else 0


def write_numbers(json: Path, text: str) -> None:
    """The file of ``--json``; its folder is made if it is absent (``out`` of a fresh clone)."""
    with contextlib.suppress(OSError):  # the write below tells it better
        json.absolute().parent.mkdir(exist_ok=True)
    write_bytes(json, text.encode(), overwrite=True)


def choose_scenes(
    scenes: int | None,
    json: Path | None,
    dataset: DatasetName | None,
    data: Path | None,
    suite: SuiteName | None,
    assets: Path | None,
    overwrite: bool,
) -> ChosenScenes:
    """Check the options that name scenes and the file of numbers, before anything is computed.

    Raises:
        InputError: a number below 1, a file that cannot be written, options that exclude or need each other, an absent folder.
    """
    if scenes is not None and scenes < 1:
        raise InputError("--scenes must be at least 1.", next_step="For example --scenes 10.")
    if json is not None:
        check_numbers(json, overwrite)
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
