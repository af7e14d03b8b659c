"""Adam with a falling rate and an early stop, over a chosen set of variables."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from huddle3d.fitting._config import FitConfig
from huddle3d.fitting._state import Variables
from huddle3d.progress import Progress, silent

__all__ = ["RATES", "Outcome", "minimise"]

RATES = {
    "turn": 1.0,
    "pose": 1.0,
    "shape": 0.5,
    "shift": 0.5,
    "log_depth": 0.3,
    "tilt": 0.2,
    "camera_height": 1.0,
    "log_focal": 0.2,
}
"""Adam's rate of each variable relative to rotations: steps of similar effect in the picture."""

_WARM_UP = 10
"""Steps over which the rate rises: Adam's first steps have full length whatever the gradient, and would throw a good start away."""
_EPSILON = 0.3
"""Adam's epsilon, in units of energy per radian or metre: variables that the picture says nothing about stay where they are."""
_WINDOW = 20
"""Steps over which the early stop averages."""


@dataclass(frozen=True)
class Outcome:
    """Result of one stage."""

    variables: Variables
    """At the last step."""
    losses: tuple[float, ...]
    """Total energy at each step."""
    converged: bool
    """Whether the loss had settled before the steps ran out."""


def minimise(
    start: Variables,
    energy: Callable[[Variables, int], Tensor],
    free: tuple[str, ...],
    steps: int,
    config: FitConfig,
    *,
    rate: float = 1.0,
    progress: Progress = silent,
    note: str = "",
) -> Outcome:
    """Minimise ``energy(variables, step).sum()`` over the variables named in ``free``.

    The rate rises over the first steps and falls by a cosine to a tenth. A stage ends early when the mean loss of the last 20 steps is not lower than that of the 20 before
    by ``early_stop`` per step (the first third of the steps is always done: a stage that starts in a flat place must be able to leave it).

    Args:
        start: where to begin; not changed.
        energy: energies of the bodies (any shape; summed).
        free: names of the fields of :class:`Variables` that move.
        steps: largest number of steps; 0 returns ``start``.
        config: learning rate and early stop.
        rate: factor on the learning rate.
        progress: told the share of steps done.
        note: name of the stage.
    """
    if steps == 0:
        return Outcome(start, (), True)
    leaves = {name: getattr(start, name).detach().clone().requires_grad_() for name in free}
    base = [config.learning_rate * rate * RATES[name] for name in free]
    optimiser = torch.optim.Adam([{"params": [leaves[name]], "lr": lr} for name, lr in zip(free, base, strict=True)], betas=(0.9, 0.98), eps=_EPSILON)
    losses: list[float] = []
    converged = False
    fixed = start.detached()
    for step in range(steps):
        factor = (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * step / steps))) * min(1.0, (step + 1) / _WARM_UP)
        for group, lr in zip(optimiser.param_groups, base, strict=True):
            group["lr"] = lr * factor
        optimiser.zero_grad(set_to_none=True)
        loss = energy(replace(fixed, **leaves), step).sum()
        loss.backward()
        for leaf in leaves.values():
            if leaf.grad is not None:
                leaf.grad.nan_to_num_(0.0, 0.0, 0.0)
        optimiser.step()
        losses.append(float(loss.detach()))
        progress((step + 1) / steps, note)
        if _settled(losses, steps, config.early_stop):
            converged = True
            break
    return Outcome(replace(fixed, **leaves).detached(), tuple(losses), converged or _settled(losses, 0, 10 * config.early_stop))


def _settled(losses: list[float], steps: int, tolerance: float) -> bool:
    if len(losses) < max(2 * _WINDOW, steps // 3):
        return len(losses) < 2 * _WINDOW and steps == 0
    before, now = (sum(part) / _WINDOW for part in (losses[-2 * _WINDOW : -_WINDOW], losses[-_WINDOW:]))
    return before - now < tolerance * _WINDOW * abs(before)
