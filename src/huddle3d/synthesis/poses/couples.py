"""Interactions of two people: beside, behind and before each other."""

from __future__ import annotations

from collections.abc import Callable

import torch

from huddle3d.synthesis.poses.cast import OTHER, SIDES, SIGN, Cast
from huddle3d.synthesis.poses.goals import ClaspGoal, PalmGoal, Plan, TouchGoal, region_vertices
from huddle3d.synthesis.poses.posing import Side

__all__ = ["COUPLES"]

_BACK = ("upper_back", "lower_back", "left_buttock", "right_buttock")


def _taller(cast: Cast) -> int:
    heights = [float(cast.world(p, cast.head(p, "head"))[1]) for p in (0, 1)]
    return int(heights[1] > heights[0])


def _flank(cast: Cast, person: int, side: Side) -> torch.Tensor:
    return region_vertices(cast.body, *(f"{side}_{n}" for n in ("shoulder", "upper_arm", "thigh")), "chest", "pelvis", "lower_back", "upper_back")


def _side_hug(cast: Cast) -> Plan:
    """Side by side, an arm around each other's back, perhaps heads together; perhaps one's free hand on the other's arm."""
    d = cast.dice
    apart = d.between(0.21, 0.24)
    cast.place(0, -apart, d.between(-0.03, 0.03), d.between(8, 30))
    cast.place(1, apart, d.between(-0.03, 0.03), -d.between(8, 30))
    high = _taller(cast)
    palms = []
    fond = d.chance(0.6)
    for p, side in enumerate(SIDES):
        k, author = SIGN[side], cast.authors[p]
        author.trunk(d.between(0.0, 0.06), 0.0, -k * d.between(0.02, 0.12))
        author.head(d.between(-0.05, 0.1), k * d.between(-0.1, 0.25), -k * (d.between(0.15, 0.35) if fond else d.between(-0.05, 0.1)))
        author.fingers(side, d.between(0.0, 0.15))
    for p, side in enumerate(SIDES):
        k, other = SIGN[side], 1 - p
        up = d.between(0.74, 0.88) if p == high else d.between(0.2, 0.36)
        vertex = cast.trunk_point(other, k * d.between(0.15, 0.5), up, (0.25 * k, 0.0, -1))
        palms.append(cast.hand_on(p, side, other, vertex, cast.along(p, 0.3 * k, 0.2 if p == high else -1.0, -0.8)))
    if d.chance(0.4):
        rows = region_vertices(cast.body, "chest", "belly")
        vertex = int(
            rows[(cast.rest[high][rows] - cast.rest[high][cast.trunk_point(high, 0.0, d.between(0.55, 0.75), (0, 0, 1))]).norm(dim=-1).argmin()]
        )
        side = SIDES[high]
        cast.authors[1 - high].fingers(side, d.between(0.0, 0.1))
        palms.append(cast.hand_on(1 - high, side, high, vertex, cast.along(1 - high, 0.6 * SIGN[side], -1.0, 0.3)))
    return cast.plan(palms, [], [TouchGoal(0, _flank(cast, 0, "left"), 1, _flank(cast, 1, "right"))])


def _hug_from_behind(cast: Cast) -> Plan:
    """The taller one stands behind and lays both hands on the other's belly and chest; the other may hold one of the arms."""
    d = cast.dice
    behind = _taller(cast)
    front, turn = 1 - behind, d.between(-50, 50)
    cast.place(front, 0.0, 0.0, turn)
    back = cast.along(front, 0.0, 0.0, -1.0)
    aside = d.between(0.03, 0.07) * (1 if d.chance(0.5) else -1)
    where = d.between(0.23, 0.26) * back + aside * cast.along(front, 1.0, 0.0, 0.0)
    cast.place(behind, float(where[0]), float(where[2]), turn + d.between(-6, 6))
    lean = d.between(0.05, 0.16)
    cast.authors[behind].trunk(lean, 0.0, 0.0)
    cast.authors[behind].head(d.between(0.0, 0.15), -d.between(0.0, 0.3) * (1 if aside > 0 else -1), d.between(0.0, 0.15) * (1 if aside > 0 else -1))
    cast.authors[front].trunk(-d.between(0.0, 0.06), 0.0, 0.0)
    cast.authors[front].head(d.between(-0.1, 0.1), d.between(-0.2, 0.2), d.between(0.0, 0.15) * (1 if aside > 0 else -1))
    feet = {"left": (0.12, 0.0), "right": (-0.12, 0.0)}
    cast.stance(front, feet["left"], feet["right"])
    cast.stance(behind, (0.17, -0.06), (-0.17, d.between(-0.12, 0.0)))
    for side, k in SIGN.items():  # elbows off the flanks, so that there is room for the other's arms
        cast.authors[front].arm(side, (d.between(0.4, 0.5) * k, -1, 0.1), (0.1 * k, -1, 0.3))
    palms, low = [], d.between(0.25, 0.4)
    for side, k in SIGN.items():
        vertex = cast.trunk_point(front, -k * d.between(-0.15, 0.15), low + (0.13 if side == "left" else 0.0), (0.2 * k, 0.0, 1))
        palms.append(cast.hand_on(behind, side, front, vertex, cast.along(behind, 1.0 * k, -0.8, -0.2)))
        cast.authors[behind].fingers(side, d.between(0.0, 0.15))
    touch = TouchGoal(behind, region_vertices(cast.body, "chest"), front, region_vertices(cast.body, "upper_back"))
    return cast.plan(palms, [], [touch])


def _hand_on_back(cast: Cast) -> Plan:
    """One stands obliquely behind the other and lays a hand on the other's upper back, looking at them."""
    d = cast.dice
    side: Side = "right" if d.chance(0.5) else "left"
    k = SIGN[OTHER[side]]  # the comforter stands on this side of the other
    cast.place(0, 0.0, 0.0, d.between(-20, 20))
    where = cast.along(0, k * d.between(0.42, 0.5), 0.0, d.between(-0.2, -0.05))
    cast.place(1, float(where[0]), float(where[2]), 57.3 * cast.yaw[0] - k * d.between(35, 65))
    cast.authors[0].trunk(d.between(0.02, 0.25), d.between(-0.08, 0.08), d.between(-0.05, 0.05))
    cast.authors[0].head(d.between(-0.05, 0.35), k * d.between(-0.1, 0.4), d.between(-0.08, 0.08))
    cast.authors[1].trunk(d.between(0.0, 0.1), 0.0, 0.0)
    cast.authors[1].head(d.between(0.0, 0.15), -k * d.between(0.0, 0.3), d.between(-0.1, 0.1))
    cast.authors[1].fingers(side, d.between(0.0, 0.15))
    vertex = cast.trunk_point(0, k * d.between(-0.35, 0.3), d.between(0.65, 0.9), (0, 0.0, -1))
    return cast.plan([cast.hand_on(1, side, 0, vertex, cast.along(1, -0.8 * k, -1.0, -0.4))], [], [])


def _back_to_back(cast: Cast) -> Plan:
    """Back to back, leaning on each other."""
    d = cast.dice
    cast.place(0, -0.13, d.between(-0.04, 0.04), -90 + d.between(-8, 8))
    cast.place(1, 0.13, d.between(-0.04, 0.04), 90 + d.between(-8, 8))
    for p in (0, 1):
        step = d.between(-0.03, 0.04)
        cast.stance(p, (0.12, 0.05 + step), (-0.12, 0.05 - step))
        cast.authors[p].trunk(-d.between(0.06, 0.14), d.between(-0.06, 0.06), d.between(-0.04, 0.04))
        cast.authors[p].head(-d.between(0.0, 0.15), d.between(-0.4, 0.4), d.between(-0.08, 0.08))
    shoulders = region_vertices(cast.body, "upper_back")
    seats = region_vertices(cast.body, *_BACK[2:])
    return cast.plan([], [], [TouchGoal(0, shoulders, 1, shoulders, gap_m=-0.006), TouchGoal(0, seats, 1, seats, gap_m=-0.006)])


def _hands_on_shoulders(cast: Cast) -> Plan:
    """Face to face at arm's length: one's hands on the other's shoulders, whose hands may lie on the first one's waist."""
    d = cast.dice
    high = _taller(cast)
    apart = d.between(0.25, 0.29)
    cast.place(0, -apart, d.between(-0.02, 0.02), 90 + d.between(-6, 6))
    cast.place(1, apart, d.between(-0.02, 0.02), -90 + d.between(-6, 6))
    for author in cast.authors:
        author.trunk(d.between(0.0, 0.1), 0.0, d.between(-0.04, 0.04))
        author.head(d.between(-0.05, 0.1), d.between(-0.1, 0.1), d.between(-0.08, 0.08))
    low, palms = 1 - high, []
    waist = d.chance(0.6)
    for side, k in SIGN.items():
        for p in (high, low) if waist or side == "left" else (high,):
            other, across = 1 - p, -k  # my left hand meets the other's right side
            cast.authors[p].fingers(side, d.between(0.1, 0.3) if p == high else d.between(0.0, 0.15))
            if p == high:
                vertex = cast.shoulder_point(other, OTHER[side], (0.55 * across, 0.8, 0.2))
                palms.append(cast.hand_on(p, side, other, vertex, cast.along(p, 0.8 * k, -1.0, 0.0)))
            elif waist:
                vertex = cast.trunk_point(other, across * 0.3, d.between(0.2, 0.35), (across, 0.0, 0.15))
                palms.append(cast.hand_on(p, side, other, vertex, cast.along(p, 0.7 * k, -1.0, -0.4)))
    return cast.plan(palms, [], [])


def _holding_hands(cast: Cast) -> Plan:
    """Face to face, both hands of one in both hands of the other, at the waist."""
    d = cast.dice
    apart = d.between(0.29, 0.35)
    cast.place(0, -apart, d.between(-0.03, 0.03), 90 + d.between(-6, 6))
    cast.place(1, apart, d.between(-0.03, 0.03), -90 + d.between(-6, 6))
    for author in cast.authors:
        author.trunk(d.between(-0.05, 0.12), 0.0, d.between(-0.04, 0.04))
        author.head(d.between(-0.05, 0.15), d.between(-0.12, 0.12), d.between(-0.1, 0.1))
    clasps = []
    for side in SIGN:
        other = OTHER[side]
        hips = [cast.joint(p, "upperleg01" + (".L" if s == "left" else ".R")) for p, s in ((0, side), (1, other))]
        middle = (hips[0] + hips[1]) / 2 + torch.tensor([d.between(-0.04, 0.04), d.between(0.08, 0.22), 0.0])
        middle = middle + 0.06 * cast.along(0, SIGN[side], 0.0, 0.0)
        for p, s in enumerate((side, other)):
            face = 2.0 * p - 1.0
            cast.authors[p].fingers(s, d.between(0.15, 0.3))
            cast.hand_to(
                p, s, middle + torch.tensor([0.0, 0.012 * face, 0.0]), cast.along(p, 0.5 * SIGN[s], -0.6, -1.0), torch.tensor([0.0, -face, 0.0])
            )
        clasps.append(ClaspGoal(0, side, 1, other))
    return cast.plan([], clasps, [])


def _piggyback(cast: Cast) -> Plan:
    """The shorter one rides on the other's back: arms over the shoulders, thighs held by the carrier's hands."""
    d = cast.dice
    carrier = _taller(cast)
    rider, turn = 1 - carrier, d.between(-60, 60)
    cast.place(carrier, 0.0, 0.0, turn)
    bend = d.between(0.3, 0.42)
    cast.authors[carrier].trunk(bend, 0.0, d.between(-0.04, 0.04))
    cast.authors[carrier].head(-d.between(0.2, 0.4), d.between(-0.25, 0.25), 0.0)
    step = d.between(-0.1, 0.1)
    cast.stance(carrier, (0.12, step), (-0.12, -step), d.between(0.03, 0.07))
    hips = (cast.joint(carrier, "upperleg01.L") + cast.joint(carrier, "upperleg01.R")) / 2
    rider_hips = (cast.head(rider, "upperleg01.L") + cast.head(rider, "upperleg01.R")) / 2
    where = hips + cast.along(carrier, 0.0, d.between(0.10, 0.15), -0.24) - rider_hips
    cast.carried[rider] = float(where[1])
    cast.place(rider, float(where[0]), float(where[2]), turn)
    author = cast.authors[rider]
    author.trunk(d.between(0.3, 0.42), 0.0, d.between(-0.04, 0.04))
    author.head(-d.between(0.15, 0.3), d.between(0.1, 0.3), d.between(-0.05, 0.1))
    for side, k in SIGN.items():
        author.leg(side, (d.between(0.5, 0.58) * k, -0.45, 0.9), (0.02 * k, -1.0, d.between(-0.2, 0.25)))
    palms = []
    for side, k in SIGN.items():
        end = ".L" if side == "left" else ".R"
        rows = region_vertices(cast.body, f"{side}_thigh")
        knee, hip = cast.head(rider, "lowerleg01" + end), cast.head(rider, "upperleg01" + end)
        start = hip + d.between(0.6, 0.7) * (knee - hip)
        below = (cast.rest[rider][rows] - start - torch.tensor([0.03 * k, 0.0, -0.2])).norm(dim=-1)
        palms.append(cast.hand_on(carrier, side, rider, int(rows[below.argmin()]), cast.along(carrier, 0.9 * k, -0.3, -0.7)))
        cast.authors[carrier].fingers(side, d.between(0.05, 0.2))
        chest = cast.trunk_point(carrier, k * d.between(0.15, 0.4), d.between(0.68, 0.8), (0, 0.1, 1))
        palms.append(cast.hand_on(rider, side, carrier, chest, cast.along(rider, 0.7 * k, 0.1, 0.5)))
        author.fingers(side, d.between(0.05, 0.2))
    touch = TouchGoal(rider, region_vertices(cast.body, "chest", "belly"), carrier, region_vertices(cast.body, "upper_back", "lower_back"))
    return cast.plan(palms, [], [touch])


def _pushing(cast: Cast) -> Plan:
    """One pushes the other along with both hands on the back: a long step, bent forwards; the other leans against it."""
    d = cast.dice
    turn = 90 if d.chance(0.5) else -90
    sign = 1 if turn > 0 else -1
    cast.place(0, sign * d.between(0.3, 0.33), d.between(-0.03, 0.03), turn + d.between(-6, 6))
    cast.place(1, -sign * d.between(0.3, 0.33), d.between(-0.03, 0.03), turn + d.between(-6, 6))
    cast.authors[1].trunk(d.between(0.35, 0.55), 0.0, d.between(-0.05, 0.05))
    cast.authors[1].head(-d.between(0.2, 0.35), d.between(-0.15, 0.15), 0.0)
    cast.authors[0].trunk(-d.between(0.08, 0.2), d.between(-0.06, 0.06), 0.0)
    cast.authors[0].head(-d.between(-0.1, 0.15), d.between(-0.4, 0.4), 0.0)
    step, lead = d.between(0.2, 0.28), 1 if d.chance(0.5) else -1
    feet = [(0.1, (0.0 + lead * step) - 0.2), (-0.1, (0.0 - lead * step) - 0.2)]
    cast.stance(1, feet[0], feet[1], 0.06)
    short = d.between(0.06, 0.14)
    cast.stance(0, (0.1, 0.16 + short * lead), (-0.1, 0.16 - short * lead), 0.03)
    palms = []
    for side, k in SIGN.items():
        vertex = cast.trunk_point(0, k * d.between(0.35, 0.55), d.between(0.72, 0.88), (0, 0.0, -1))
        palms.append(cast.hand_on(1, side, 0, vertex, cast.along(1, 0.8 * k, -1.0, 0.0)))
        cast.authors[1].fingers(side, -d.between(0.0, 0.2))
    return cast.plan(palms, [], [])


def _whispering(cast: Cast) -> Plan:
    """One leans to the other's ear, a hand on the other's shoulder; the other listens."""
    d = cast.dice
    side: Side = "right" if d.chance(0.5) else "left"
    k = SIGN[OTHER[side]]  # the whisperer stands on this side of the listener
    cast.place(0, 0.0, 0.0, d.between(-15, 15))
    where = cast.along(0, k * d.between(0.38, 0.42), 0.0, d.between(-0.1, 0.0))
    cast.place(1, float(where[0]), float(where[2]), 57.3 * cast.yaw[0] - k * d.between(60, 75))
    cast.authors[0].trunk(d.between(0.0, 0.08), 0.0, k * d.between(0.02, 0.1))
    cast.authors[0].head(d.between(0.0, 0.12), -k * d.between(0.0, 0.2), k * d.between(0.0, 0.12))
    cast.authors[1].trunk(d.between(0.2, 0.3), 0.0, d.between(-0.03, 0.03))
    cast.authors[1].head(-d.between(0.0, 0.15), k * d.between(-0.1, 0.1), 0.0)
    cast.authors[1].fingers(side, d.between(0.05, 0.2))
    vertex = cast.shoulder_point(0, OTHER[side], (0.15 * k, 0.6, -0.75))
    palms: list[PalmGoal] = [cast.hand_on(1, side, 0, vertex, cast.along(1, -0.8 * k, -1.0, -0.3))]
    face = region_vertices(cast.body, "face")
    mouth = cast.rest[1][face]
    mouth = face[mouth[:, 2] > mouth[:, 2].amax() - 0.03]
    head = region_vertices(cast.body, "head")
    ear = head[(cast.rest[0][head][:, 0] * k).topk(20).indices]
    return cast.plan(palms, [], [TouchGoal(1, mouth, 0, ear, gap_m=d.between(0.07, 0.11))])


COUPLES: dict[str, Callable[[Cast], Plan]] = {
    "side_hug": _side_hug,
    "hug_from_behind": _hug_from_behind,
    "hand_on_back": _hand_on_back,
    "back_to_back": _back_to_back,
    "hands_on_shoulders": _hands_on_shoulders,
    "holding_hands": _holding_hands,
    "piggyback": _piggyback,
    "pushing": _pushing,
    "whispering": _whispering,
}
"""Families for exactly two people."""
