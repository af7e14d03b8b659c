"""What all trainings print, and their events for TensorBoard."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from huddle3d.cli.console import LogFormat, print_line
from huddle3d.errors import InputError
from huddle3d.progress import Progress

__all__ = ["lines", "writer_of"]


def lines(log_format: LogFormat, every: float = 15.0) -> Progress:
    """Progress as a line now and then, at least ``every`` seconds apart."""
    last = 0.0

    def report(fraction: float, note: str = "") -> None:
        nonlocal last
        if time.monotonic() - last > every:
            last = time.monotonic()
            print_line(f"{100 * fraction:.1f} % {note}", log_format, fraction=round(fraction, 4))

    return report


def writer_of(output: Path) -> Any:
    """TensorBoard's writer of events into a folder.

    Raises:
        InputError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as e:
        raise InputError("TensorBoard is not installed.", next_step="pip install tensorboard, or leave --tensorboard out.") from e
    return SummaryWriter(str(output))
