"""Rows of people, where everybody touches neighbours only: solved link by link, each new person against those who stand already.

A row asks of six people at once what couples ask of two, and gradient descent from afar leaves some arm on the wrong side of some neck. Two at
a time it does not: the first two are solved as a couple, then each next one comes to stand beside the last, who moves nothing but
the arm on that side. All that is left for the end is to settle everybody together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import torch

from huddle3d.scene import BodyParams
from huddle3d.synthesis.poses.goals import ClaspGoal, PalmGoal, Plan, TouchGoal

__all__ = ["is_row", "solve_row"]

Goal = TypeVar("Goal", PalmGoal, ClaspGoal, TouchGoal)
_FIELDS = ("shape", "pose", "translation", "expression")


def is_row(plan: Plan) -> bool:
    """Whether three people or more want something of each other, everybody of neighbours only (in the order of the plan, not of a ring)."""
    goals = [(g.person, g.other) for g in (*plan.palms, *plan.clasps, *plan.touches)]
    return len(plan.params.pose) > 2 and not plan.carried and bool(goals) and all(abs(a - b) == 1 for a, b in goals)


def solve_row(plan: Plan, solve: Callable[[Plan], BodyParams]) -> BodyParams:
    """Everybody's poses, each solved beside the person before.

    Args:
        plan: of a row (``is_row``).
        solve: finds the poses of a plan of two or three people.
    """
    params = plan.params
    for new in range(1, len(params.pose)):
        known = [k for k in (new - 2, new - 1) if k >= 0]
        if new > 1:  # the start of a row is even: who stands beside somebody that has moved, moves as much
            moved = (params.translation[new - 1] - plan.params.translation[new - 1]) * torch.tensor([1.0, 0.0, 1.0])
            params = replace(params, translation=_put(params.translation, [new], (plan.params.translation[new] + moved)[None]))
        found = solve(_link(plan, params, [*known, new]))
        params = replace(params, **{f: _put(getattr(params, f), [*known, new], getattr(found, f)) for f in ("pose", "translation")})
    return params


def _put(values: torch.Tensor, rows: list[int], new: torch.Tensor) -> torch.Tensor:
    return values.index_copy(0, torch.tensor(rows), new)


def _link(plan: Plan, params: BodyParams, people: list[int]) -> Plan:
    """The goals of the last of these people, who stand where they were found; of the one before only the arm beside the new one is free."""
    rows, new = torch.tensor(people), people[-1]

    def of_last(goals: Sequence[Goal]) -> tuple[Goal, ...]:
        wanted = [g for g in goals if new in (g.person, g.other) and {g.person, g.other} <= set(people)]
        return tuple(replace(g, person=people.index(g.person), other=people.index(g.other)) for g in wanted)

    palms, clasps, touches = of_last(plan.palms), of_last(plan.clasps), of_last(plan.touches)
    last = len(people) - 2
    sides = {g.side for g in (*palms, *clasps) if g.person == last} | {g.other_side for g in clasps if g.other == last}
    still = ((0, ()), (1, tuple(sorted(sides)))) if len(people) > 2 else ()
    own = replace(params, **{f: getattr(params, f)[rows] for f in _FIELDS})
    return replace(plan, params=own, palms=palms, clasps=clasps, touches=touches, still=still, seated=())
