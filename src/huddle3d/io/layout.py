"""Folders of published data sets: checked against their layout, their arrays read without running anything."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from huddle3d.errors import InputError
from huddle3d.io.limits import display_name
from huddle3d.io.npz import BROKEN_NPZ

__all__ = ["Layout", "leading_number", "read_arrays"]


@dataclass(frozen=True)
class Layout:
    """The published layout of one data set, for error messages."""

    dataset: str
    """Its name."""
    expected: str
    """The layout in one line."""
    page: str
    """Who publishes it."""

    def wrong(self, path: Path, why: str) -> InputError:
        """The error for a folder of another layout."""
        return InputError(
            f"{display_name(path)}: not the layout of {self.dataset}.",
            why=f"{why} Expected: {self.expected}.",
            next_step=f"Give the folder that holds this, unpacked as published ({self.page}).",
            path=str(path),
        )

    def folder(self, path: Path) -> Path:
        """``path``, if it is a folder."""
        if not path.is_dir():
            raise self.wrong(path, "There is no such folder.")
        return path

    def file(self, path: Path) -> Path:
        """``path``, if it is a file."""
        if not path.is_file():
            raise self.wrong(path, "There is no such file: the folder may be half unpacked.")
        return path

    def some(self, path: Path, entries: Iterable[Path], what: str) -> list[Path]:
        """The entries, sorted; an error if there are none."""
        found = sorted(entries)
        if not found:
            raise self.wrong(path, f"It holds no {what}.")
        return found


def leading_number(name: str) -> int | None:
    """The number that a name begins with; None without one."""
    match = re.match(r"\d+", name)
    return int(match[0]) if match else None


def read_arrays(path: Path, keys: Iterable[str], layout: Layout) -> dict[str, np.ndarray]:
    """Named arrays of an ``.npz`` file; pickled objects in it are refused, not run."""
    layout.file(path)
    try:
        with np.load(path, allow_pickle=False) as data:
            missing = [k for k in keys if k not in data.files]
            if missing:
                raise layout.wrong(path, f"It has no array {missing[0]!r}, only {', '.join(data.files)}.")
            return {k: data[k] for k in keys}
    except BROKEN_NPZ as e:
        raise InputError(f"{display_name(path)}: damaged array file.", why=f"{e}.", next_step="Unpack it again.") from e
