"""Interactions in which one holds the other: the ballroom hold, and one in the other's arms."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from huddle3d.synthesis.poses.cast import SIGN, Cast
from huddle3d.synthesis.poses.goals import ClaspGoal, PalmGoal, Plan, TouchGoal, region_vertices
from huddle3d.synthesis.poses.posing import Side

__all__ = ["HOLDS"]


def _arm_length(cast: Cast, person: int, side: Side) -> float:
    """From shoulder to palm, stretched."""
    end = ".L" if side == "left" else ".R"
    shoulder, elbow, wrist = (cast.head(person, n + end) for n in ("upperarm01", "lowerarm01", "wrist"))
    return float((elbow - shoulder).norm() + (wrist - elbow).norm()) + 0.085


def _dance_hold(cast: Cast) -> Plan:
    """The ballroom hold: joined hands out to one side; the leader's right hand on the other's shoulder blade, whose left lies on his shoulder."""
    d = cast.dice
    heights = [float(cast.world(p, cast.head(p, "head"))[1]) for p in (0, 1)]
    leader = int(heights[1] > heights[0])
    follower, turn = 1 - leader, d.between(-70, 70) + (180 if d.chance(0.5) else 0)
    cast.place(leader, 0.0, 0.0, turn)
    apart, aside = d.between(0.30, 0.38), -d.between(0.05, 0.1)
    where = cast.along(leader, aside, 0.0, apart)
    cast.place(leader, -float(where[0]) / 2, -float(where[2]) / 2, turn)
    cast.place(follower, float(where[0]) / 2, float(where[2]) / 2, turn + 180 + d.between(-6, 6))
    step = d.between(0.03, 0.12) * (1 if d.chance(0.5) else -1)
    for p, s in ((leader, step), (follower, -step)):
        cast.stance(p, (0.1, s), (-0.1, -s), 0.01)
        cast.authors[p].trunk(-d.between(0.0, 0.08), d.between(-0.05, 0.05), d.between(-0.04, 0.04))
        cast.authors[p].head(d.between(-0.1, 0.08), d.between(0.0, 0.4), d.between(-0.08, 0.08))
    shoulders = [cast.joint(leader, "upperarm01.L"), cast.joint(follower, "upperarm01.R")]
    middle = (shoulders[0] + shoulders[1]) / 2
    reach = d.between(0.72, 0.86) * min(_arm_length(cast, leader, "left"), _arm_length(cast, follower, "right"))
    half = float((shoulders[0] - shoulders[1]).norm()) / 2
    rise = d.between(-0.06, 0.12)
    out = math.sqrt(max(0.04, reach**2 - half**2 - rise**2))
    place = middle + cast.along(leader, out, rise, 0.0)
    hands: tuple[tuple[int, Side], tuple[int, Side]] = ((leader, "left"), (follower, "right"))
    for p, side in hands:
        ahead = cast.along(p, 0.0, 0.0, 1.0)
        cast.authors[p].fingers(side, d.between(0.2, 0.4))
        cast.hand_to(p, side, place - 0.012 * ahead, cast.along(p, 0.3 * SIGN[side], -1.0, -0.4), ahead)
    blade = cast.trunk_point(follower, d.between(0.2, 0.5), d.between(0.62, 0.82), (0.1, 0.0, -1))
    cast.authors[leader].fingers("right", d.between(0.0, 0.15))
    cast.authors[follower].fingers("left", d.between(0.05, 0.25))
    palms = [cast.hand_on(leader, "right", follower, blade, cast.along(leader, -1.0, -0.15, 0.2))]
    upper = cast.shoulder_point(leader, "right", (-0.45, d.between(0.3, 0.8), d.between(-0.3, 0.3)))
    palms.append(cast.hand_on(follower, "left", leader, upper, cast.along(follower, 1.0, -0.2, 0.2)))
    arms = [region_vertices(cast.body, f"{s}_upper_arm", f"{s}_forearm") for s in ("left", "right")]
    return cast.plan(palms, [ClaspGoal(leader, "left", follower, "right")], [TouchGoal(follower, arms[0], leader, arms[1])])


def _carry(cast: Cast) -> Plan:
    """In the arms: one arm behind the back, one below the knees; the carried one holds on to the carrier's neck."""
    d = cast.dice
    heights = [float(cast.world(p, cast.head(p, "head"))[1]) for p in (0, 1)]
    carrier = int(heights[1] > heights[0])
    carried, turn = 1 - carrier, d.between(-50, 50)
    cast.place(carrier, 0.0, 0.0, turn)
    cast.authors[carrier].trunk(-d.between(0.06, 0.14), 0.0, d.between(-0.03, 0.03))
    cast.authors[carrier].head(d.between(0.0, 0.2), -d.between(0.0, 0.4), d.between(-0.05, 0.05))
    cast.stance(carrier, (0.13, d.between(-0.02, 0.05)), (-0.13, d.between(-0.05, 0.02)), d.between(0.01, 0.04))
    hips = (cast.joint(carrier, "upperleg01.L") + cast.joint(carrier, "upperleg01.R")) / 2
    # The carried one looks to the carrier's left: the own left side lies against the carrier's belly, the head is at the carrier's right.
    back = d.between(0.55, 0.8)
    cast.recline[carried] = back
    cast.carried[carried] = 0.0
    cast.place(carried, 0.0, 0.0, turn + 90 + d.between(-8, 4))
    author = cast.authors[carried]
    author.trunk(d.between(0.1, 0.3), d.between(0.0, 0.15), d.between(-0.08, 0.02))
    author.head(d.between(0.15, 0.4), d.between(0.1, 0.5), d.between(-0.05, 0.1))
    rise = d.between(0.15, 0.4)
    for side in SIGN:
        lift = rise + d.between(-0.06, 0.06)
        author.leg(side, _reclined((0.05 * SIGN[side], math.sin(lift), math.cos(lift)), back), _reclined((0.0, -1.0, d.between(0.1, 0.6)), back))
    own = (cast.joint(carried, "upperleg01.L") + cast.joint(carried, "upperleg01.R")) / 2
    where = hips + cast.along(carrier, d.between(-0.02, 0.08), d.between(0.12, 0.2), d.between(0.3, 0.34)) - own
    cast.carried[carried] = float(where[1])
    cast.place(carried, float(where[0]), float(where[2]), math.degrees(cast.yaw[carried]))
    return cast.plan(_carrying_hands(cast, carrier, carried), [], _carrying_touches(cast, carrier, carried))


def _reclined(direction: tuple[float, float, float], back: float) -> tuple[float, float, float]:
    """A direction of the level heading, in the axes of a trunk that leans back."""
    x, y, z = direction
    return x, math.cos(back) * y - math.sin(back) * z, math.sin(back) * y + math.cos(back) * z


def _carrying_hands(cast: Cast, carrier: int, carried: int) -> list[PalmGoal]:
    d = cast.dice
    rows = region_vertices(cast.body, "right_thigh")
    hip, knee = cast.head(carried, "upperleg01.R"), cast.head(carried, "lowerleg01.R")
    aim = hip + d.between(0.72, 0.86) * (knee - hip) + torch.tensor([-0.06, 0.0, -0.1])
    thigh = int(rows[(cast.rest[carried][rows] - aim).norm(dim=-1).argmin()])
    flank = cast.trunk_point(carried, -d.between(0.55, 0.8), d.between(0.5, 0.72), (-1.0, 0.0, -0.4))
    nape = cast.trunk_point(carrier, d.between(-0.1, 0.35), d.between(0.86, 0.95), (0.0, 0.3, -1))
    for p in (carrier, carried):
        for side in SIGN:
            cast.authors[p].fingers(side, d.between(0.1, 0.3))
    palms = [
        cast.hand_on(carrier, "left", carried, thigh, cast.along(carrier, 0.6, -1.0, -0.2)),
        cast.hand_on(carrier, "right", carried, flank, cast.along(carrier, -0.6, -1.0, -0.2)),
        cast.hand_on(carried, "left", carrier, nape, cast.along(carrier, -0.4, 1.0, -0.4)),
    ]
    if d.chance(0.6):
        chest = cast.trunk_point(carrier, d.between(0.1, 0.5), d.between(0.7, 0.85), (0.0, 0.1, 1))
        palms.append(cast.hand_on(carried, "right", carrier, chest, cast.along(carried, -1.0, -0.6, 0.2)))
    else:
        cast.authors[carried].arm("right", (-0.2, -1.0, 0.15), (0.45, -0.55, 0.8), roll=0.4)
    return palms


def _carrying_touches(cast: Cast, carrier: int, carried: int) -> list[TouchGoal]:
    side, belly = (region_vertices(cast.body, *names) for names in (("left_buttock", "left_thigh", "pelvis"), ("belly", "chest", "pelvis")))
    back, arm = (region_vertices(cast.body, *names) for names in (("upper_back", "lower_back"), ("right_forearm", "right_upper_arm")))
    thighs, fore = region_vertices(cast.body, "left_thigh", "right_thigh"), region_vertices(cast.body, "left_forearm")
    below = thighs[cast.normals[carried][thighs, 2] < -0.3]
    return [TouchGoal(carried, a, carrier, b) for a, b in ((side, belly), (below, fore), (back, arm))]


HOLDS: dict[str, Callable[[Cast], Plan]] = {"dance_hold": _dance_hold, "carry": _carry}
"""Families for exactly two people."""
