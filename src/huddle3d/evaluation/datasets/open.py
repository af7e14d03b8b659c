"""A suite or data set by name."""

from __future__ import annotations

import os
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from huddle3d.errors import InputError
from huddle3d.evaluation.datasets.chi3d import open_chi3d
from huddle3d.evaluation.datasets.customhumans import open_customhumans
from huddle3d.evaluation.datasets.hi4d import open_hi4d
from huddle3d.evaluation.datasets.layout import LazySample
from huddle3d.evaluation.datasets.multihuman import open_multihuman
from huddle3d.evaluation.datasets.suite import open_suite
from huddle3d.evaluation.datasets.thuman2 import open_thuman2

__all__ = ["DATASETS", "DatasetName", "open_dataset"]

DatasetName = Literal["suite", "multihuman", "hi4d", "thuman2", "customhumans", "chi3d"]
DATASETS: tuple[DatasetName, ...] = typing.get_args(DatasetName)
_OPEN: Mapping[str, Callable[[Path], tuple[LazySample, ...]]] = {
    "suite": open_suite,
    "multihuman": open_multihuman,
    "hi4d": open_hi4d,
    "thuman2": open_thuman2,
    "customhumans": open_customhumans,
    "chi3d": open_chi3d,
}


def open_dataset(name: str, root: str | os.PathLike[str]) -> tuple[LazySample, ...]:
    """All samples of a data set on disk, checked for their files, not yet read.

    Args:
        name: one of :data:`DATASETS`.
        root: its folder, unpacked as published.

    Raises:
        InputError: an unknown name, or a folder of another layout; the message says which layout is expected.
    """
    if name not in _OPEN:
        raise InputError(f"There is no data set {name!r}.", next_step=f"Valid names: {', '.join(DATASETS)}.")
    return _OPEN[name](Path(root))
