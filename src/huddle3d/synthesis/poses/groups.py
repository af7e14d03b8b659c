"""Interactions of two to six people: rows, lines, rings."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch

from huddle3d.synthesis.poses.cast import OTHER, SIDES, SIGN, Cast, hand_on_own_thigh
from huddle3d.synthesis.poses.furniture import seat_height
from huddle3d.synthesis.poses.goals import Plan, TouchGoal, region_vertices
from huddle3d.synthesis.poses.posing import Side

__all__ = ["GROUPS"]


def _line_up(cast: Cast, spacing: float, toward: float) -> None:
    middle = (len(cast.shape) - 1) / 2
    for k in range(len(cast.shape)):
        turn = toward * (1 if k < middle else -1 if k > middle else 0)
        cast.place(k, (k - middle) * spacing, cast.dice.between(-0.03, 0.03), turn * cast.dice.between(0.2, 1.0))


def _sitting(cast: Cast) -> Plan:
    """Side by side on a bench, shoulders touching; hands on the own knees, on the neighbour's, or around the neighbour."""
    d = cast.dice
    _line_up(cast, d.between(0.46, 0.5), 10.0)
    count = len(cast.shape)
    stances: list[tuple[tuple[float, float], tuple[float, float], float]] = []
    for p in range(count):
        author = cast.authors[p]
        author.trunk(d.between(0.0, 0.2), d.between(-0.05, 0.05), d.between(-0.03, 0.03))
        author.head(d.between(-0.1, 0.05), d.between(-0.3, 0.3), d.between(-0.06, 0.06))
        hip = float(cast.head(p, "upperleg01.L")[1] - cast.head(p, "foot.L")[1])
        shin = float((cast.head(p, "lowerleg01.L") - cast.head(p, "foot.L")).norm())
        apart, ahead = d.between(0.08, 0.13), shin * d.between(0.95, 1.1)
        feet = ((apart, ahead + d.between(-0.03, 0.06)), (-apart, ahead + d.between(-0.03, 0.06)))
        stances.append((*feet, hip - shin * d.between(0.98, 1.06)))
        cast.stance(p, *stances[p], 0.05)
    _share_a_bench(cast, stances)
    taken: set[tuple[int, Side]] = set()
    palms, touches = [], []
    for a in range(count - 1):
        b, style = a + 1, d.between(0, 1)
        if style < 0.5:
            p, side, other = (a, "left", b) if d.chance(0.5) else (b, "right", a)
            k = SIGN[side]
            if style < 0.25:
                rows = region_vertices(cast.body, f"{OTHER[side]}_thigh")
                end = ".L" if side == "right" else ".R"
                knee, thigh = cast.head(other, "lowerleg01" + end), cast.head(other, "upperleg01" + end)
                aim = thigh + d.between(0.7, 0.85) * (knee - thigh) + torch.tensor([0.0, 0.0, 0.1])
                vertex = int(rows[(cast.rest[other][rows] - aim).norm(dim=-1).argmin()])
                palms.append(cast.hand_on(p, side, other, vertex, cast.along(p, 0.6 * k, -0.3, -1.0)))
            else:
                vertex = cast.trunk_point(other, k * d.between(-0.1, 0.45), d.between(0.7, 0.85), (0, 0.1, -1))
                palms.append(cast.hand_on(p, side, other, vertex, cast.along(p, 0.3 * k, -0.6, -1.0)))
            cast.authors[p].fingers(side, d.between(0.0, 0.15))
            taken.add((p, side))
        flanks = [region_vertices(cast.body, *(f"{s}_{n}" for n in ("upper_arm", "shoulder", "thigh"))) for s in ("left", "right")]
        touches.append(TouchGoal(a, flanks[0], b, flanks[1]))
    for p in range(count):
        for side in SIDES:
            if (p, side) not in taken:
                hand_on_own_thigh(cast, p, side)
    return replace(cast.plan(palms, [], touches), seated=(tuple(range(count)),))


def _share_a_bench(cast: Cast, stances: list[tuple[tuple[float, float], tuple[float, float], float]]) -> None:
    """Bend everybody's legs until all sit at one height: the mean of what suits each."""
    sunk = [drop for _, _, drop in stances]
    wanted: float | None = None
    for _ in range(3):
        heights = [seat_height(cast.posed(p).vertices[0], cast.body) for p in range(len(stances))]
        wanted = sum(heights) / len(heights) if wanted is None else wanted
        for p, (left, right, _) in enumerate(stances):
            sunk[p] += heights[p] - wanted
            cast.stance(p, left, right, sunk[p], 0.05)


def _linked_arms(cast: Cast) -> Plan:
    """A row, arm in arm: each one's left hand lies on the bent right forearm of the next."""
    d = cast.dice
    _line_up(cast, d.between(0.45, 0.49), 8.0)
    palms, touches = [], []
    for b in range(1, len(cast.shape)):
        a = b - 1
        cast.authors[b].arm("right", (-0.15, -1.0, 0.08), (0.05, d.between(-0.1, 0.1), 1.0), roll=0.2)
        cast.authors[b].fingers("right", d.between(0.3, 0.5))
        rows = region_vertices(cast.body, "right_forearm")
        out = cast.posed(b)
        elbow, wrist = cast.joint(b, "lowerarm01.R"), cast.joint(b, "wrist.R")
        aim = elbow + d.between(0.45, 0.6) * (wrist - elbow) + torch.tensor([0.0, 0.06, 0.0])
        vertex = int(rows[(out.vertices[0, rows] - aim).norm(dim=-1).argmin()])
        cast.authors[a].fingers("left", d.between(0.05, 0.25))
        palms.append(cast.hand_on(a, "left", b, vertex, cast.along(a, 0.0, -1.0, -0.7)))
        arms = [region_vertices(cast.body, f"{s}_upper_arm", f"{s}_shoulder") for s in ("left", "right")]
        touches.append(TouchGoal(a, arms[0], b, arms[1]))
    return cast.plan(palms, [], touches)


def _conga_line(cast: Cast) -> Plan:
    """One behind the other, hands on the shoulders of the one in front, stepping together."""
    d = cast.dice
    count = len(cast.shape)
    spacing, turn = d.between(0.5, 0.56), d.between(60, 85) * (1 if d.chance(0.5) else -1)
    sign = 1 if turn > 0 else -1
    for p in range(count):  # person 0 leads
        cast.place(p, sign * ((count - 1) / 2 - p) * spacing, ((count - 1) / 2 - p) * spacing * math.cos(math.radians(turn)), turn + d.between(-5, 5))
        cast.authors[p].trunk(d.between(0.0, 0.1), 0.0, d.between(-0.05, 0.05))
        cast.authors[p].head(d.between(-0.08, 0.05), d.between(-0.35, 0.35), d.between(-0.08, 0.08))
        step = d.between(0.02, 0.09) * (1 if d.chance(0.5) else -1)
        cast.stance(p, (0.11, step), (-0.11, -step), 0.01)
    palms = []
    for p in range(1, count):
        for side, k in SIGN.items():
            vertex = cast.shoulder_point(p - 1, side, (0.4 * k, 0.75, -0.5))
            cast.authors[p].fingers(side, d.between(0.1, 0.3))
            palms.append(cast.hand_on(p, side, p - 1, vertex, cast.along(p, 0.8 * k, -1.0, 0.0)))
    return cast.plan(palms, [], [])


def _ring(cast: Cast, chord: float) -> None:
    """Everybody on a circle, facing its middle; each one's left neighbour is the next person."""
    count, start = len(cast.shape), cast.dice.between(0, 360)
    radius = chord / (2 * math.sin(math.pi / count))
    for p in range(count):
        a = math.radians(start - 360 * p / count)
        r = radius + cast.dice.between(-0.02, 0.02)
        cast.place(p, r * math.sin(a), r * math.cos(a), math.degrees(a) + 180 + cast.dice.between(-5, 5))


def _circle(cast: Cast) -> Plan:
    """A ring, facing in, hand in hand."""
    d = cast.dice
    _ring(cast, d.between(0.78, 0.88))
    count = len(cast.shape)
    for author in cast.authors:
        author.trunk(d.between(-0.05, 0.08), d.between(-0.06, 0.06), d.between(-0.03, 0.03))
        author.head(d.between(-0.08, 0.1), d.between(-0.3, 0.3), d.between(-0.06, 0.06))
    palms = []
    lift = d.between(0.14, 0.34)
    for p in range(count):
        q = (p + 1) % count
        hands = [cast.joint(p, "upperleg01.L"), cast.joint(q, "upperleg01.R")]
        place = (hands[0] + hands[1]) / 2 + torch.tensor([0.0, lift + d.between(-0.02, 0.05), 0.0])
        place = place - 0.1 * torch.nn.functional.normalize(place * torch.tensor([1.0, 0.0, 1.0]), dim=0)  # into the ring
        cast.authors[q].fingers("right", d.between(0.15, 0.3))
        cast.authors[p].fingers("left", d.between(0.15, 0.3))
        cast.hand_to(q, "right", place, cast.along(q, -0.5, -0.6, -1.0), torch.tensor([0.0, -1.0, 0.0]))
        palms.append(cast.hand_on(p, "left", q, cast.palm_vertex(q, "right"), cast.along(p, 0.5, -0.6, -1.0)))
    return cast.plan(palms, [], [])


def _huddle(cast: Cast) -> Plan:
    """A close ring, bent forwards, arms around both neighbours: the left ones over the shoulders, the right ones around the backs."""
    d = cast.dice
    count = len(cast.shape)
    _ring(cast, d.between(0.56, 0.6) + (0.1 if count == 3 else 0.03 if count == 4 else 0.0))
    for author in cast.authors:
        author.trunk(d.between(0.12, 0.25), 0.0, d.between(-0.03, 0.03))
        author.head(d.between(0.0, 0.2), d.between(-0.2, 0.2), d.between(-0.05, 0.05))
    palms = []
    for p in range(count):
        for side, other in zip(SIDES, ((p + 1) % count, (p - 1) % count)):
            k = SIGN[side]
            if side == "left":
                vertex = cast.trunk_point(other, k * d.between(-0.2, 0.15), d.between(0.84, 0.92), (0, 0.15, -1))
            else:
                vertex = cast.trunk_point(other, k * d.between(-0.25, 0.1), d.between(0.35, 0.5), (0, 0.0, -1))
            pole = cast.along(p, 0.5 * k, 0.2 if side == "left" else -0.6, -1.0)
            palms.append(cast.hand_on(p, side, other, vertex, pole))
            cast.authors[p].fingers(side, d.between(0.0, 0.15))
    return cast.plan(palms, [], [])


GROUPS: dict[str, Callable[[Cast], Plan]] = {
    "sitting_side_by_side": _sitting,
    "linked_arms": _linked_arms,
    "conga_line": _conga_line,
    "circle": _circle,
    "huddle": _huddle,
}
"""Families for two or three up to six people."""
