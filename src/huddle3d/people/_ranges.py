"""Settings that no stage can work with: found before anything runs, by the setting's name."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from huddle3d.errors import InputError

__all__ = ["check_numbers"]

_BELOW_ZERO = {"canonical.partial.min_offset", "seed", "complete.diffusion.seed"}
_ABOVE_ZERO = ("lr", "learning_rate", "reference_length", "sigma", "sigma_deg", "cutoff", "scale", "reach", "rounds", "power")
"""Last words of the names of settings that are divided by, or of which at least one is needed."""
_ALSO_ABOVE_ZERO = {"carve.views_per_step", "carve.refresh", "fit.order_every"}
_MAY_BE_ZERO = {"carve.separate.rounds"}
_SMALLEST_SIDE = 16
_VIEWS = 6


def _numbers(config: Any, name: str = "") -> Iterator[tuple[str, int | float]]:
    for field in fields(config):
        value, path = getattr(config, field.name), f"{name}{field.name}"
        if path == "perceive":
            continue  # looks at its own
        if is_dataclass(value):
            yield from _numbers(value, f"{path}.")
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, int | float) and not isinstance(one, bool):
                yield path, one


def _least(path: str) -> tuple[float, bool]:
    """The lower limit of a setting, and whether the limit itself is allowed."""
    last = path.rpartition(".")[2]
    if path in _BELOW_ZERO:
        return -math.inf, True
    if last == "size" or last.endswith(("_side", "_size")):
        return _SMALLEST_SIDE, True
    above = path in _ALSO_ABOVE_ZERO or any(last == word or last.endswith(f"_{word}") for word in _ABOVE_ZERO)
    return 0.0, not above or path in _MAY_BE_ZERO


def check_numbers(config: Any) -> None:
    """:class:`InputError` for the first number in a nested configuration that is not finite or too small to mean anything."""
    for path, value in _numbers(config):
        least, allowed = _least(path)
        if math.isfinite(value) and (value > least or (allowed and value == least)):
            if path != "canonical.colour_views" or value < _VIEWS:
                continue
            raise InputError(f"{path} {value} is not a view.", next_step=f"Use numbers from 0 to {_VIEWS - 1}.")
        bound = f"{least:g} or more" if allowed else f"more than {least:g}"
        raise InputError(f"{path} {value} cannot be used.", next_step=f"Use {bound if least > -math.inf else 'a finite number'}.")
