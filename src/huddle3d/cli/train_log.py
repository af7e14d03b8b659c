"""What all trainings have in common on the command line: their limits, their device, what they print, events for TensorBoard."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huddle3d.cli.console import LogFormat, print_line
from huddle3d.compute import choose_device
from huddle3d.errors import InputError
from huddle3d.progress import Progress

__all__ = ["begin_training", "lines"]


def lines(log_format: LogFormat, every: float = 15.0) -> Progress:
    """Progress as a line now and then, at least ``every`` seconds apart."""
    last = 0.0

    def report(fraction: float, note: str = "") -> None:
        nonlocal last
        if time.monotonic() - last > every:
            last = time.monotonic()
            print_line(f"{100 * fraction:.1f} % {note}", log_format, fraction=round(fraction, 4))

    return report


def begin_training(
    output: Path, minutes: float, steps: int | None, device: str, tensorboard: bool, log_format: LogFormat
) -> tuple[str, Callable[..., None]]:
    """Check the limits and choose the device.

    Returns:
        The device, and a function that is told the step, the numbers and perhaps a picture (H, W, 3) of each validation: it prints the numbers and, if
        wanted, hands everything to TensorBoard.

    Raises:
        InputError: limits that leave nothing to do, or TensorBoard is wanted and not installed.
    """
    if minutes <= 0 or (steps is not None and steps < 1):
        raise InputError("--minutes and --steps must be positive.", next_step="For example --minutes 30.")
    if tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise InputError("TensorBoard is not installed.", next_step="pip install tensorboard, or leave --tensorboard out.")
    chosen = choose_device(device)
    print_line(f"device: {chosen.device} ({chosen.reason})", log_format)
    writer: Any = None

    def log(step: int, numbers: dict[str, float], picture: Any = None) -> None:
        nonlocal writer
        print_line(f"step {step}: " + ", ".join(f"{k} {v:.4g}" for k, v in numbers.items()), log_format, step=step, **numbers)
        if tensorboard:
            if writer is None:  # not sooner: the folder must be empty before a new training
                from torch.utils.tensorboard import SummaryWriter

                writer = SummaryWriter(str(output))
            for k, v in numbers.items():
                writer.add_scalar(k, v, step)
            if picture is not None:
                writer.add_image("views", picture, step, dataformats="HWC")

    return str(chosen.device), log
