"""Progress is a callback: stages report a fraction, the command line draws it. The library itself never prints."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "silent"]


class Progress(Protocol):
    """Receives how far the running stage is."""

    def __call__(self, fraction: float, note: str = "") -> None:
        """``fraction`` in [0, 1] of the current stage; ``note`` names the step."""
        ...


def silent(fraction: float, note: str = "") -> None:
    """Drops all reports."""
