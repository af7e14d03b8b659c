"""The course of every training: steps until the time or their number is over; now and then it is measured, told and saved."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from jaxtyping import Float
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.io import write_image
from huddle3d.progress import Progress
from huddle3d.training.keeper import STATE, Keeper

__all__ = ["Course", "Measured"]

R = TypeVar("R")


@dataclass(frozen=True)
class Measured(Generic[R]):
    """What a validation found."""

    report: R
    numbers: dict[str, float]
    """For the log; NaN is left out."""
    picture: Float[Tensor, "H W 3"] | None = None


@dataclass(frozen=True)
class Course:
    """How long a training goes on, and who hears of it."""

    folder: Path
    """Gets the state, ``log.jsonl`` and pictures."""
    minutes: float
    """Time limit of this run."""
    steps: int | None
    """Total number of steps; None for as many as fit into the minutes."""
    every: float
    """Seconds between two validations."""
    log: Callable[..., None] | None
    """Told the step, the numbers and the picture (if there is one) of each validation."""
    progress: Progress
    """Told the share done and the loss."""
    by_the_clock: bool = True
    """Whether, without a number of steps, the share that the learning rate follows is that of the minutes; else it stays 0."""
    writes: bool = True
    """False for all but the first of several processes."""

    def run(self, keeper: Keeper, *, advance: Callable[[float], float], measure: Callable[[], Measured[R]], write: Callable[[R], Any]) -> R:
        """Train until the end; the report of the last validation.

        Args:
            keeper: counts the steps and keeps the state.
            advance: does one step; is told the share done, returns the loss.
            measure: validates.
            write: writes the trained network beside the state.

        Raises:
            InputError: the loss is no longer finite. The state of the last validation stays.
        """
        began = seen = time.monotonic()
        losses: list[float] = []
        while True:
            spent = (time.monotonic() - began) / (60 * self.minutes) if self.minutes > 0 else 1.0
            share = keeper.step / self.steps if self.steps is not None else spent if self.by_the_clock else 0.0
            last = max(share, spent) >= 1
            if last or time.monotonic() - seen > self.every:
                found = measure()
                if self.writes:
                    self._tell(keeper, found, losses)
                    write(found.report)
                if last:
                    return found.report
                losses, seen = [], time.monotonic()
            losses.append(advance(share))
            if not math.isfinite(losses[-1]):
                raise InputError(f"The loss is not finite at step {keeper.step}.", next_step="Start anew with a smaller learning rate.")
            self.progress(max(share, spent), f"step {keeper.step}, loss {losses[-1]:.4f}")

    def _tell(self, keeper: Keeper, found: Measured[Any], losses: list[float]) -> None:
        numbers = {"train_loss": sum(losses) / len(losses) if losses else math.nan, **found.numbers}
        numbers = {k: v for k, v in numbers.items() if not math.isnan(v)}
        if self.log is not None:
            self.log(keeper.step, numbers, *([] if found.picture is None else [found.picture]))
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps({"step": keeper.step, **{k: round(v, 5) for k, v in numbers.items()}}) + "\n")
        if found.picture is not None:
            (self.folder / "pictures").mkdir(exist_ok=True)
            write_image(self.folder / "pictures" / f"step-{keeper.step:07d}.png", found.picture, overwrite=True)
        keeper.save(self.folder / STATE)
