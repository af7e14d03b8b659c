"""The interaction families: how people start, and what their hands and trunks are to reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.geometry import rotation_y
from huddle3d.synthesis.poses.cast import OTHER, SIGN, Cast, Dice
from huddle3d.synthesis.poses.couples import COUPLES
from huddle3d.synthesis.poses.goals import ClaspGoal, PalmGoal, Plan, TouchGoal, region_vertices
from huddle3d.synthesis.poses.groups import GROUPS
from huddle3d.synthesis.poses.holds import HOLDS
from huddle3d.synthesis.poses.posing import Side
from huddle3d.synthesis.poses.solo import plan_solo
from huddle3d.synthesis.spec import FAMILIES, Family, families_for

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["plan_interaction"]


def _hug(cast: Cast) -> Plan:
    """Face to face, each person's left arm over and right arm under, or the taller one's arms over both of the other's."""
    d = cast.dice
    tight = d.chance(0.35)
    # Tight: chests touch and heads pass on the left. Loose: arms around each other, faces apart.
    apart, aside = (0.2, d.between(0.08, 0.12)) if tight else (d.between(0.25, 0.3), d.between(-0.03, 0.05))
    cast.place(0, -apart, aside, 90)
    cast.place(1, apart, -aside, -90)
    crossed = d.chance(0.5)
    taller = int(cast.head(1, "head")[1] - cast.head(1, "foot.L")[1] > cast.head(0, "head")[1] - cast.head(0, "foot.L")[1])
    palms = []
    for person in (0, 1):
        author, other = cast.authors[person], 1 - person
        author.trunk(d.between(0.02, 0.12) if tight else -d.between(0.0, 0.12), 0.0, d.between(-0.05, 0.05))
        author.head(-d.between(0.0, 0.25), -d.between(-0.1, 0.35), d.between(-0.05, 0.15))
        for side, k in SIGN.items():
            over = (side == "left") if crossed else person == taller
            joint = "upperarm01" + (".R" if side == "left" else ".L")  # the other's shoulder on that side of the picture
            if over:
                vertex = cast.trunk_point(other, -k * d.between(0.1, 0.4), d.between(0.72, 0.92), (0, 0.0, -1))
                via = cast.world(other, cast.head(other, joint) + torch.tensor([0.02 * -k, 0.13, -0.03]))
            else:
                vertex = cast.trunk_point(other, -k * d.between(0.1, 0.45), d.between(0.3, 0.55), (0, 0.0, -1))
                via = cast.world(other, cast.head(other, joint) + torch.tensor([0.1 * -k, -0.24, -0.02]))
            cast.reach(person, side, via, cast.behind(other, vertex, 0.05))
            author.fingers(side, d.between(-0.15, 0.1))
            palms.append(PalmGoal(person, side, other, vertex))
    front = region_vertices(cast.body, "chest", "belly")
    return cast.plan(palms, [], [TouchGoal(0, front, 1, front)] if tight else [])


def _meet(cast: Cast, rise: float, via: tuple[float, float, float], wrist: tuple[float, float, float], roll: float) -> Plan:
    """The right hands of two people meet between them, ``rise`` over their shoulders [m].

    ``via`` leads from the shoulder to the elbow, ``wrist`` from the meeting place to the wrist, both in the trunk's frame.
    """
    shoulders = [cast.world(p, cast.head(p, "upperarm01.R")) for p in (0, 1)]
    place = (shoulders[0] + shoulders[1]) / 2 + torch.tensor([0.0, rise, 0.0])
    for p in (0, 1):
        R = rotation_y(cast.yaw[p])
        cast.reach(p, "right", shoulders[p] + R @ torch.tensor(via), place + R @ torch.tensor(wrist), roll=roll)
    return cast.plan([], [ClaspGoal(0, "right", 1, "right")], [])


def _handshake(cast: Cast) -> Plan:
    d = cast.dice
    apart, aside = d.between(0.40, 0.46), d.between(0.10, 0.16)
    cast.place(0, -apart, -aside, 90 + d.between(-10, 5))
    cast.place(1, apart, aside, -90 + d.between(-10, 5))
    for author in cast.authors:
        author.trunk(d.between(0.0, 0.12), d.between(0.0, 0.15), 0.0)
        author.head(d.between(-0.05, 0.12), d.between(-0.1, 0.1), d.between(-0.06, 0.06))
        author.fingers("right", d.between(0.05, 0.2))
    return _meet(cast, -0.34, (-0.04, -0.25, 0.1), (0.0, 0.0, -0.09), -0.35)


def _high_five(cast: Cast) -> Plan:
    d = cast.dice
    apart, aside = d.between(0.34, 0.42), d.between(0.10, 0.18)
    cast.place(0, -apart, -aside, 90 + d.between(-15, 5))
    cast.place(1, apart, aside, -90 + d.between(-15, 5))
    for author in cast.authors:
        author.trunk(d.between(-0.05, 0.08), d.between(0.0, 0.2), 0.0)
        author.head(-d.between(0.0, 0.2), d.between(-0.15, 0.1), d.between(-0.06, 0.06))
        author.fingers("right", -d.between(0.3, 0.4))
    return _meet(cast, d.between(0.2, 0.36), (-0.1, -0.04, 0.25), (0.0, -0.09, -0.03), 0.5)


def _row(cast: Cast, spacing: float) -> None:
    """Side by side along x, facing the camera; person 0 on the left of the picture."""
    d = cast.dice
    middle = (len(cast.shape) - 1) / 2
    for k in range(len(cast.shape)):
        toward = 14.0 * (1 if k < middle else -1 if k > middle else 0)
        cast.place(k, (k - middle) * spacing, d.between(-0.03, 0.03), toward * d.between(0.2, 1.0))


def _arm_over_shoulder(cast: Cast) -> Plan:
    """Of two neighbours, the taller one's arm lies over the other's shoulders, and the other's around the taller one's back."""
    d = cast.dice
    _row(cast, 0.46)
    palms, touches, embraced = [], [], set[int]()
    for a in range(len(cast.shape) - 1):
        b = a + 1
        heights = [float(cast.world(p, cast.head(p, "upperarm01.L"))[1]) for p in (a, b)]
        order: tuple[int, int, Side] = (a, b, "left") if heights[0] >= heights[1] else (b, a, "right")
        over, under, side = order
        k, end = SIGN[side], ".L" if side == "left" else ".R"
        if under in embraced:  # two arms would cross behind one neck: the second one lies below the first, on the near half of the back
            far = cast.trunk_point(under, -0.3 * k, 0.62, (-0.1 * k, 0.0, -1.0))
            via = cast.behind(under, cast.trunk_point(under, -0.9 * k, 0.8, (-0.3 * k, 0.0, -1.0)), 0.1)
        else:
            far = cast.shoulder_point(under, side, (0.75 * k, 0.55, 0.15))
            via = cast.world(under, cast.head(under, "neck01") + torch.tensor([0.0, 0.03, -0.13]))
        embraced.add(under)
        cast.reach(over, side, via, cast.behind(under, far, 0.06))
        palms.append(PalmGoal(over, side, under, far))
        back = cast.trunk_point(over, k * d.between(-0.1, 0.45), d.between(0.28, 0.5), (0.15 * k, 0, -1))
        beside = cast.world(over, cast.head(over, "upperarm01" + end) + torch.tensor([0.04 * k, -0.33, -0.2]))
        cast.reach(under, OTHER[side], beside, cast.behind(over, back, 0.06))
        palms.append(PalmGoal(under, OTHER[side], over, back))
        cast.authors[over].fingers(side, d.between(0.0, 0.2))
        cast.authors[under].fingers(OTHER[side], d.between(0.0, 0.2))
        sides = [
            region_vertices(cast.body, "chest", "upper_back", *(f"{s}_{n}" for n in ("shoulder", "upper_arm", "thigh"))) for s in ("left", "right")
        ]
        touches.append(TouchGoal(a, sides[0], b, sides[1]))
    return cast.plan(palms, [], touches)


def _side_by_side(cast: Cast) -> Plan:
    """Shoulder to shoulder; hands held, or one hand on the neighbour's shoulder, or arms just hanging."""
    d = cast.dice
    _row(cast, 0.50)
    clasps, palms, touches = [], [], []
    for a in range(len(cast.shape) - 1):
        b = a + 1
        style = d.between(0, 1)
        if style < 0.4:
            cast.authors[a].arm("left", (0.16, -1, 0.05), (0.1, -1, 0.3))
            cast.authors[b].arm("right", (-0.16, -1, 0.05), (-0.1, -1, 0.3))
            clasps.append(ClaspGoal(a, "left", b, "right"))
        elif style < 0.7:
            vertex = cast.trunk_point(b, d.between(-0.45, 0.1), d.between(0.6, 0.9), (0, 0.1, -1))
            beside = cast.world(b, cast.head(b, "upperarm01.R") + torch.tensor([-0.06, -0.2, -0.22]))
            cast.reach(a, "left", beside, cast.behind(b, vertex, 0.06))
            palms.append(PalmGoal(a, "left", b, vertex))
        arms = [region_vertices(cast.body, f"{s}_upper_arm", f"{s}_forearm", f"{s}_shoulder") for s in ("left", "right")]
        touches.append(TouchGoal(a, arms[0], b, arms[1]))
    return cast.plan(palms, clasps, touches)


_GRIP = 4.0
"""Of the families after the first five, whose scenes must stay as they were."""

_PAIRS: dict[str, Callable[[Cast], Plan]] = {"hug": _hug, "handshake": _handshake, "high_five": _high_five, **COUPLES, **HOLDS}
_ROWS: dict[str, Callable[[Cast], Plan]] = {"arm_over_shoulder": _arm_over_shoulder, "side_by_side": _side_by_side}


def plan_interaction(family: Family, body: BodyModel, shape: Float[Tensor, "K S"], generator: torch.Generator) -> Plan:
    """Start poses and goals of one scene; ``families_for`` lists the families that K people can take. One person just stands, or moves (``solo``).

    Raises:
        InputError: a family that is not for so many people, or ``motion``, whose poses come from a recording (``plan_motion``).
    """
    count = len(shape)
    if family == "motion":
        raise InputError(
            "The family 'motion' replays a recording.", next_step="Give its clip and frame: plan_motion, or a scene file's entry 'motion'."
        )
    if count > 1 and family not in families_for(count):
        others = ", ".join(families_for(count))
        raise InputError(f"The family '{family}' is not for {count} people.", next_step=f"Families for {count}: {others}.")
    cast = Cast(body, shape, Dice(generator))
    if family == "solo":
        return plan_solo(cast)
    if count == 1:
        return cast.plan([], [], [])
    plan = (_PAIRS | _ROWS | GROUPS)[family](cast)
    return plan if family in FAMILIES else replace(plan, grip=_GRIP)
