"""Brings weights onto this machine, only when asked to. A set is complete in the cache or not there at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from huddle3d.errors import WeightsMissingError
from huddle3d.progress import Progress, silent
from huddle3d.weights._archive import ArchiveError, read_member
from huddle3d.weights._download import DownloadError, download
from huddle3d.weights._registry import Embedded, WeightFile, WeightSet, cache_dir, file_problem, lookup, verify, weights_path

__all__ = ["fetch"]


def fetch(name: str, *, archive: str | Path | None = None, progress: Progress = silent) -> Path:
    """Fetch a set of weights into the cache, check its hashes, and return its folder.

    Does nothing if the cache already holds a verified set. A damaged set is replaced.

    Args:
        name: key in the registry.
        archive: the source archive, if it is on this machine already (machines without a network); nothing is downloaded then.
        progress: receives the steps.

    Raises:
        WeightsMissingError: without a network, with ``HUDDLE3D_OFFLINE`` set, or if the archive is not the registered one.
    """
    weights = lookup(name)
    if isinstance(weights.source, Embedded):
        return weights_path(name)
    target = cache_dir() / name
    if not verify(name):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{name}.tmp-", dir=target.parent) as scratch:
            folder, staged = Path(scratch) / "download", Path(scratch) / "files"
            folder.mkdir()
            staged.mkdir()
            source = Path(archive) if archive is not None else _download(weights, folder, progress)
            progress(0.8, "unpacking")
            for f in weights.files:
                _unpack(source, f, staged / f.name, weights)
            commit(staged, target, lambda: not verify(name))
    except OSError as e:
        raise WeightsMissingError(
            f"The weights '{name}' cannot be written to {target}.", why=str(e), next_step="Set HUDDLE3D_CACHE to a folder that is writable."
        ) from e
    progress(1.0, "verified")
    return target


def _download(weights: WeightSet, folder: Path, progress: Progress) -> Path:
    try:
        return download(weights.source, folder, progress)
    except DownloadError as e:
        raise _missing(weights, str(e)) from e


def _unpack(archive: Path, expected: WeightFile, target: Path, weights: WeightSet) -> None:
    """One member of the archive under its registered name, if it is the registered one."""
    try:
        target.write_bytes(read_member(archive, weights.source, expected))
    except ArchiveError as e:
        raise _wrong_archive(archive, weights, str(e)) from e
    if problem := file_problem(target, expected):
        raise _wrong_archive(archive, weights, problem)


def _missing(weights: WeightSet, why: str) -> WeightsMissingError:
    return WeightsMissingError(
        f"The weights '{weights.name}' could not be downloaded ({weights.source.requirement}).",
        why=why,
        next_step=f"Run `huddle3d models fetch {weights.name}` with a network connection, or bring the archive from another machine "
        f"({weights.source.by_hand}) and run `huddle3d models fetch {weights.name} --archive FILE`.",
        name=weights.name,
    )


def _wrong_archive(archive: Path, weights: WeightSet, why: str) -> WeightsMissingError:
    return WeightsMissingError(
        f"{archive}: not the archive that the weights '{weights.name}' are registered for ({weights.source.requirement}).",
        why=why,
        next_step=f"Delete it and run `huddle3d models fetch {weights.name}` again.",
        name=weights.name,
        archive=str(archive),
    )


def commit(staged: Path, target: Path, is_sound: Callable[[], bool]) -> None:
    """Move the verified folder into place in one step; a second process that was faster has won, which is fine if what it left is sound."""
    if target.exists() or target.is_symlink():
        aside = staged.with_name("replaced")
        os.replace(target, aside)
        shutil.rmtree(aside, ignore_errors=True)
    try:
        os.replace(staged, target)
    except OSError:
        if not is_sound():
            raise
