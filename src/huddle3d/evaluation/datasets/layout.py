"""What all loaders share: a sample that is read when it is needed, and the checks of a folder against its published layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from huddle3d.evaluation.sample import EvaluationSample
from huddle3d.io import Layout, leading_number, read_arrays

__all__ = ["LazySample", "Layout", "leading_number", "read_arrays"]


@dataclass(frozen=True)
class LazySample:
    """A sample that is read when it is needed: a scan and its texture take hundreds of megabytes."""

    name: str
    """As the sample will be called."""
    load: Callable[[], EvaluationSample]
    """Reads it."""
