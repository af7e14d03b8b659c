"""Move people into contact: projected gradient descent finds the pose, Newton steps on what is still violated settle it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from huddle3d.progress import Progress, silent
from huddle3d.scene import BodyParams
from huddle3d.synthesis.poses.contacts import probes
from huddle3d.synthesis.poses.goals import Plan
from huddle3d.synthesis.poses.problem import Problem, SolveConfig
from huddle3d.synthesis.poses.rows import is_row, solve_row
from huddle3d.synthesis.poses.settle import settle

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel, BodyOutput

__all__ = ["SolveConfig", "goal_gaps", "solve_interaction"]

_ENOUGH = 1.5
"""A search is not repeated for less than this many tolerances."""


class _Descent:
    """Projected Adam on joint angles, headings and places."""

    def __init__(self, problem: Problem, rate: float) -> None:
        start = problem.plan.params
        self.problem = problem
        self.start = start.pose[:, problem.rows]
        self.angles = self.start.clone().requires_grad_()
        self.yaw = start.pose[:, 0, 1].clone().requires_grad_()
        self.place = start.translation[:, [0, 2]].clone().requires_grad_()
        self.height = start.translation[:, 1].clone().requires_grad_(bool(problem.plan.carried))
        # Arms fast, trunk slow: Adam's step does not shrink with the gradient, so stiffness alone would not keep the trunk still.
        self.pace = (0.15 / problem.stiffness).clamp_max(1.0).sqrt()
        self.optimiser = torch.optim.Adam([{"params": [self.angles]}, {"params": [self.yaw, self.place, self.height]}], lr=rate, betas=(0.8, 0.95))

    def bodies(self) -> tuple[BodyParams, BodyOutput]:
        params, out = self.problem.bodies(self.angles, self.yaw, self.place, self.height)
        self.problem.surfaces.update(out.vertices)
        return params, out

    def stiffness(self) -> Tensor:
        return (self.problem.stiffness * (self.angles - self.start).square()).sum()

    def step(self, loss: Tensor, rate: float) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        before, stood = self.angles.detach().clone(), [x.detach().clone() for x in (self.yaw, self.place, self.height)]
        for group, share in zip(self.optimiser.param_groups, (1.0, 0.2)):
            group["lr"] = rate * share
        self.optimiser.step()
        with torch.no_grad():
            moved = before + self.pace * (self.angles - before)
            moved = torch.where(self.problem.fixed, before, moved)
            limits = self.problem.limits
            self.angles.copy_(torch.maximum(torch.minimum(moved, limits[..., 1]), limits[..., 0]))
            still = self.problem.still
            for x, was in zip((self.yaw, self.place, self.height), stood):
                x.copy_(torch.where(still.unflatten(0, (-1, *[1] * (x.ndim - 1))), was, x))


def solve_interaction(plan: Plan, body: BodyModel, config: SolveConfig | None = None, *, progress: Progress = silent) -> BodyParams:
    """Poses and places that reach the plan's goals without interpenetration, inside the joint limits, feet on the floor.

    The upper body, fingers, the heading and the place on the floor move; legs keep the plan's pose, except of people who are carried.
    Rows that do not come out at once are solved again link by link. Deterministic on one machine.
    """
    config = config or SolveConfig()
    best, least = plan.params, float("inf")
    apart = not (plan.palms or plan.clasps or plan.touches)
    for attempt in range(1 + config.retries):
        # People who want nothing of each other need no search.
        steps = config.steps * (attempt if apart else 1 + attempt)
        problem = Problem(plan, body, config)

        def told(f: float, start: int = attempt) -> None:
            progress((start + f) / (1 + start), "posing")

        if attempt and is_row(plan):
            found = solve_row(plan, lambda link: _settled(link, body, config))
        else:
            found = _search(problem, config, steps, told)
        with torch.no_grad():
            params, left = settle(problem, found)
            if left > config.tolerance_m and len(params.pose) > 2:  # a ring may settle as couples do, where holding everything else fails
                other, rest = settle(problem, found, watchful=False)
                params, left = (other, rest) if rest < left else (params, left)
        if left < least:
            best, least = params, left
        if least <= _ENOUGH * config.tolerance_m:
            break
    progress(1.0, "posing")
    return best


def _settled(plan: Plan, body: BodyModel, config: SolveConfig) -> BodyParams:
    """One search, settled."""
    problem = Problem(plan, body, config)
    found = _search(problem, config, config.steps, lambda _: None)
    with torch.no_grad():
        return settle(problem, found)[0]


def _search(problem: Problem, config: SolveConfig, steps: int, progress: Callable[[float], None]) -> BodyParams:
    """Gradient descent on goals and interpenetration together, from far away."""
    descent = _Descent(problem, config.learning_rate)
    for step in range(steps):
        t = step / steps
        _, out = descent.bodies()
        apart = problem.separation(out, 1 if t >= 1 - config.fine else 3)
        # Search first, then come to rest: in the last third, what still crosses is pushed out at the cost of the goals.
        late = max(0.0, 3 * t - 2)
        loss = (1 - 0.3 * late) * problem.goals(out, min(1.0, 1.5 * t)) + config.penetration * (0.01 + t * t + late) * apart
        descent.step(loss + descent.stiffness() * (1 - 0.8 * t), config.learning_rate * 0.15**t)
        progress((step + 1) / steps)
    with torch.no_grad():
        return descent.bodies()[0]


def goal_gaps(plan: Plan, params: BodyParams, body: BodyModel) -> list[float]:
    """How far each goal is from contact [m]: the least distance between the two parts' skins, minus what was to be left, at least 0.

    Args:
        plan: the goals, in the order palms, clasps, touches.
        params: the solved people.
        body: their model.
    """
    with torch.no_grad():
        out = body(params)
        problem = Problem(plan, body, SolveConfig())
        problem.surfaces.update(out.vertices)
        return [max(0.0, float(probe.measure(out)[0].min())) for probe in probes(problem, out)]
