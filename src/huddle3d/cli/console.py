"""What the command line shows: progress with stage names and ETA, messages, errors; as text or as JSON lines on stderr."""

from __future__ import annotations

import json
import sys
import time
from typing import Literal, Self

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from huddle3d.errors import HuddleError, ResourceLimitError
from huddle3d.people import StageRecord
from huddle3d.progress import Progress as ProgressCallback

__all__ = ["LogFormat", "StageProgress", "print_error", "print_line", "unforeseen"]

LogFormat = Literal["text", "json"]

_SHARE = {"perceive": 0.12, "fit": 0.32, "repair": 0.15, "canonical": 0.12, "complete": 0.04, "carve": 0.26, "paint": 0.12, "measure": 0.02}
"""Typical share of each stage in the whole time; only the ETA uses it."""


def print_line(text: str, log_format: LogFormat = "text", **data: object) -> None:
    """One message for the user."""
    if log_format == "json":
        sys.stderr.write(json.dumps({"event": "message", "text": text, **data}) + "\n")
    else:
        Console(stderr=True, highlight=False, soft_wrap=True).print(text, markup=False)


def print_error(error: HuddleError, log_format: LogFormat = "text") -> None:
    """What happened, why, and the next step."""
    if log_format == "json":
        event = {"event": "error", "type": type(error).__name__, "what": error.what, "why": error.why, "next_step": error.next_step}
        sys.stderr.write(json.dumps(event) + "\n")
        return
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"error: {error.what}", style="bold red", markup=False)
    for label, text in (("why", error.why), ("next step", error.next_step)):
        if text:
            console.print(f"  {label}: {text}", markup=False)


def unforeseen(error: Exception, item: str = "") -> HuddleError:
    """What is told of an error that no function foresaw: too little memory is the machine's, anything else a defect of ours.

    Args:
        error: what was raised.
        item: what was worked on.
    """
    start = f"{item}: " if item else ""
    # torch has an error of its own for GPUs only; on the CPU its allocator says so in words
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error):
        step = "Close other programs, or ask for less: --max-side 640, --config.perceive.max-people, on a GPU --device cpu (docs/how-to/machine.md)."
        return ResourceLimitError(f"{start}the memory is too small for this.", why=(str(error).splitlines() or [""])[0], next_step=step)
    return HuddleError(f"{start}{type(error).__name__}: {error}", why="This is a defect.", next_step="Set HUDDLE3D_DEBUG=1 and report it.")


class StageProgress:
    """A live bar over all stages of one photo; use as a context manager. Also a :class:`huddle3d.people.Listener`."""

    def __init__(self, item: str, log_format: LogFormat = "text") -> None:
        self.item, self.log_format = item, log_format
        self.done = 0.0
        self.stage_name = ""
        self.last_event = 0.0
        console = Console(stderr=True, highlight=False)
        self.bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=28),
            TextColumn("{task.percentage:3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=log_format == "json" or not console.is_terminal,
            transient=True,
        )
        self.task = self.bar.add_task(item, total=1.0)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def begin(self, stage: str, index: int, total: int) -> ProgressCallback:
        """A stage begins."""
        self.stage_name = stage
        share, start = _SHARE.get(stage, 0.0), self.done
        self._event({"event": "stage", "item": self.item, "stage": stage, "index": index + 1, "total": total})

        def report(fraction: float, note: str = "") -> None:
            text = f"{self.item}: {index + 1}/{total} {stage}" + (f" ({note})" if note else "")
            self.bar.update(self.task, completed=min(1.0, start + share * fraction), description=text)
            if self.log_format == "json" and time.monotonic() - self.last_event > 1:
                self.last_event = time.monotonic()
                self._event({"event": "progress", "item": self.item, "stage": stage, "fraction": round(fraction, 3), "note": note})

        report(0.0)
        return report

    def end(self, record: StageRecord) -> None:
        """A stage ended."""
        self.done += _SHARE.get(record.name, 0.0)
        how = "resumed" if record.resumed else f"{record.seconds:.1f} s, {record.peak_mb:.0f} MiB peak"
        if self.log_format == "json":
            self._event({"event": "stage_done", "item": self.item, **vars(record)})
        else:
            self.bar.console.print(f"{self.item}: {record.name:<10} {how}", markup=False)

    def _event(self, event: dict[str, object]) -> None:
        if self.log_format == "json":
            sys.stderr.write(json.dumps(event) + "\n")
