"""The interaction families: how people start, and what their hands and trunks are to reach."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.geometry import rotation_y, vertex_normals
from huddle3d.synthesis.goals import ClaspGoal, PalmGoal, Plan, TouchGoal, region_vertices, surface_point
from huddle3d.synthesis.posing import PoseAuthor, Side
from huddle3d.synthesis.spec import Family

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["plan_interaction"]

_SIGN: dict[Side, float] = {"left": 1.0, "right": -1.0}
_OTHER: dict[Side, Side] = {"left": "right", "right": "left"}


class _Dice:
    """Uniform and normal numbers from one generator, in call order."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=self._generator))

    def chance(self, p: float) -> bool:
        return self.between(0, 1) < p


class _Cast:
    """The people of a scene before they move: authors, rest surfaces, places."""

    def __init__(self, body: BodyModel, shape: Float[Tensor, "K S"], dice: _Dice) -> None:
        self.body, self.shape, self.dice = body, shape, dice
        self.authors = [PoseAuthor.start(body, s) for s in shape]
        rest = body(replace(body.neutral(len(shape)), shape=shape))
        self.rest, self.normals = rest.vertices, vertex_normals(rest.vertices, body.faces)
        self.x, self.z, self.yaw = [0.0] * len(shape), [0.0] * len(shape), [0.0] * len(shape)
        for author in self.authors:
            _stand(author, dice)

    def place(self, person: int, x: float, z: float, yaw_deg: float) -> None:
        self.x[person], self.z[person], self.yaw[person] = x, z, math.radians(yaw_deg)

    def head(self, person: int, name: str) -> Tensor:
        return self.authors[person].heads[self.authors[person].row(name)]

    def trunk_point(self, person: int, across: float, up: float, direction: tuple[float, float, float]) -> int:
        """Vertex of the trunk; ``across`` in half shoulder widths to the subject's left, ``up`` from hips 0 to shoulders 1."""
        hip = (self.head(person, "upperleg01.L") + self.head(person, "upperleg01.R")) / 2
        left, right = self.head(person, "upperarm01.L"), self.head(person, "upperarm01.R")
        middle = (left + right) / 2
        start = hip + up * (middle - hip) + across * (left - middle)
        rows = region_vertices(self.body, "chest", "upper_back", "belly", "lower_back", "pelvis", "left_shoulder", "right_shoulder")
        return surface_point(self.rest[person], self.normals[person], rows, start, torch.tensor(direction))

    def shoulder_point(self, person: int, side: Side, direction: tuple[float, float, float]) -> int:
        rows = region_vertices(self.body, f"{side}_shoulder", f"{side}_upper_arm", "upper_back", "chest")
        start = self.head(person, "upperarm01" + (".L" if side == "left" else ".R"))
        return surface_point(self.rest[person], self.normals[person], rows, start, torch.tensor(direction))

    def world(self, person: int, point: Tensor) -> Tensor:
        """A place on the body at rest, as the person will stand: turned, at its place, feet on the floor."""
        place = torch.tensor([self.x[person], -float(self.rest[person, :, 1].amin()), self.z[person]])
        return rotation_y(self.yaw[person]) @ point + place

    def reach(self, person: int, side: Side, via: Tensor, hand: Tensor, *, roll: float = 0.0) -> None:
        """Point the upper arm at ``via`` and the forearm from the elbow at ``hand`` (both in the world)."""
        author, end = self.authors[person], ".L" if side == "left" else ".R"
        shoulder = self.head(person, "upperarm01" + end)
        upper_length = (self.head(person, "lowerarm01" + end) - shoulder).norm()
        back = rotation_y(-self.yaw[person])
        shoulder = self.world(person, shoulder)
        upper = torch.nn.functional.normalize(via - shoulder, dim=0)
        fore = hand - (shoulder + upper_length * upper)
        author.arm(side, (back @ upper).tolist(), (back @ fore).tolist(), roll=roll)

    def behind(self, person: int, vertex: int, distance: float) -> Tensor:
        """A place off the skin at a vertex of the trunk."""
        return self.world(person, self.rest[person, vertex] + distance * self.normals[person, vertex])

    def plan(self, palms: list[PalmGoal], clasps: list[ClaspGoal], touches: list[TouchGoal]) -> Plan:
        pose = torch.stack([a.pose for a in self.authors])
        pose[:, 0, 1] = torch.tensor(self.yaw)
        limits = self.body.joint_limits
        pose = torch.maximum(torch.minimum(pose, limits[..., 1]), limits[..., 0])
        translation = torch.tensor([[x, 0.0, z] for x, z in zip(self.x, self.z)])
        params = replace(self.body.neutral(len(self.shape)), shape=self.shape, pose=pose, translation=translation)
        return Plan(params, tuple(palms), tuple(clasps), tuple(touches))


def _stand(author: PoseAuthor, dice: _Dice) -> None:
    """Upright, arms hanging, with the small asymmetries of people who stand."""
    step = dice.between(-0.1, 0.1)
    for side, k in _SIGN.items():
        wide, bend = dice.between(0.02, 0.1), dice.between(0.0, 0.05)
        author.leg(side, (wide * k, -1, 0.03 + k * step), (0.3 * wide * k, -1, -0.04 - bend + 0.6 * k * step))
        out, swing, elbow = dice.between(0.2, 0.3), dice.between(-0.12, 0.08), dice.between(0.12, 0.4)
        author.arm(side, (out * k, -1, swing), (0.1 * k, -1, swing + elbow))
        author.fingers(side, dice.between(0.1, 0.35))
    author.trunk(dice.between(-0.05, 0.08), dice.between(-0.08, 0.08), dice.between(-0.04, 0.04))
    author.head(dice.between(-0.08, 0.12), dice.between(-0.15, 0.15), dice.between(-0.08, 0.08))


def _hug(cast: _Cast) -> Plan:
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
        for side, k in _SIGN.items():
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


def _meet(cast: _Cast, rise: float, via: tuple[float, float, float], wrist: tuple[float, float, float], roll: float) -> Plan:
    """The right hands of two people meet between them, ``rise`` over their shoulders [m].

    ``via`` leads from the shoulder to the elbow, ``wrist`` from the meeting place to the wrist, both in the trunk's frame.
    """
    shoulders = [cast.world(p, cast.head(p, "upperarm01.R")) for p in (0, 1)]
    place = (shoulders[0] + shoulders[1]) / 2 + torch.tensor([0.0, rise, 0.0])
    for p in (0, 1):
        R = rotation_y(cast.yaw[p])
        cast.reach(p, "right", shoulders[p] + R @ torch.tensor(via), place + R @ torch.tensor(wrist), roll=roll)
    return cast.plan([], [ClaspGoal(0, "right", 1, "right")], [])


def _handshake(cast: _Cast) -> Plan:
    d = cast.dice
    apart, aside = d.between(0.40, 0.46), d.between(0.10, 0.16)
    cast.place(0, -apart, -aside, 90 + d.between(-10, 5))
    cast.place(1, apart, aside, -90 + d.between(-10, 5))
    for author in cast.authors:
        author.trunk(d.between(0.0, 0.12), d.between(0.0, 0.15), 0.0)
        author.head(d.between(-0.05, 0.12), d.between(-0.1, 0.1), d.between(-0.06, 0.06))
        author.fingers("right", d.between(0.05, 0.2))
    return _meet(cast, -0.34, (-0.04, -0.25, 0.1), (0.0, 0.0, -0.09), -0.35)


def _high_five(cast: _Cast) -> Plan:
    d = cast.dice
    apart, aside = d.between(0.34, 0.42), d.between(0.10, 0.18)
    cast.place(0, -apart, -aside, 90 + d.between(-15, 5))
    cast.place(1, apart, aside, -90 + d.between(-15, 5))
    for author in cast.authors:
        author.trunk(d.between(-0.05, 0.08), d.between(0.0, 0.2), 0.0)
        author.head(-d.between(0.0, 0.2), d.between(-0.15, 0.1), d.between(-0.06, 0.06))
        author.fingers("right", -d.between(0.3, 0.4))
    return _meet(cast, d.between(0.2, 0.36), (-0.1, -0.04, 0.25), (0.0, -0.09, -0.03), 0.5)


def _row(cast: _Cast, spacing: float) -> None:
    """Side by side along x, facing the camera; person 0 on the left of the picture."""
    d = cast.dice
    middle = (len(cast.shape) - 1) / 2
    for k in range(len(cast.shape)):
        toward = 14.0 * (1 if k < middle else -1 if k > middle else 0)
        cast.place(k, (k - middle) * spacing, d.between(-0.03, 0.03), toward * d.between(0.2, 1.0))


def _arm_over_shoulder(cast: _Cast) -> Plan:
    """Of two neighbours, the taller one's arm lies over the other's shoulders, and the other's around the taller one's back."""
    d = cast.dice
    _row(cast, 0.46)
    palms, touches = [], []
    for a in range(len(cast.shape) - 1):
        b = a + 1
        heights = [float(cast.world(p, cast.head(p, "upperarm01.L"))[1]) for p in (a, b)]
        order: tuple[int, int, Side] = (a, b, "left") if heights[0] >= heights[1] else (b, a, "right")
        over, under, side = order
        k, end = _SIGN[side], ".L" if side == "left" else ".R"
        far = cast.shoulder_point(under, side, (0.75 * k, 0.55, 0.15))
        nape = cast.world(under, cast.head(under, "neck01") + torch.tensor([0.0, 0.03, -0.13]))
        cast.reach(over, side, nape, cast.behind(under, far, 0.06))
        palms.append(PalmGoal(over, side, under, far))
        back = cast.trunk_point(over, k * d.between(-0.1, 0.45), d.between(0.28, 0.5), (0.15 * k, 0, -1))
        beside = cast.world(over, cast.head(over, "upperarm01" + end) + torch.tensor([0.04 * k, -0.33, -0.2]))
        cast.reach(under, _OTHER[side], beside, cast.behind(over, back, 0.06))
        palms.append(PalmGoal(under, _OTHER[side], over, back))
        cast.authors[over].fingers(side, d.between(0.0, 0.2))
        cast.authors[under].fingers(_OTHER[side], d.between(0.0, 0.2))
        sides = [region_vertices(cast.body, "chest", "upper_back", "pelvis", "lower_back", f"{s}_thigh") for s in ("left", "right")]
        touches.append(TouchGoal(a, sides[0], b, sides[1]))
    return cast.plan(palms, [], touches)


def _side_by_side(cast: _Cast) -> Plan:
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


_PAIRS: dict[str, Callable[[_Cast], Plan]] = {"hug": _hug, "handshake": _handshake, "high_five": _high_five}
_ROWS: dict[str, Callable[[_Cast], Plan]] = {"arm_over_shoulder": _arm_over_shoulder, "side_by_side": _side_by_side}


def plan_interaction(family: Family, body: BodyModel, shape: Float[Tensor, "K S"], generator: torch.Generator) -> Plan:
    """Start poses and goals of one scene. Pairs (hug, handshake, high five) take two people, rows any number; one person just stands."""
    cast = _Cast(body, shape, _Dice(generator))
    if len(shape) == 1:
        return cast.plan([], [], [])
    if family in _ROWS:
        return _ROWS[family](cast)
    if len(shape) != 2:
        raise InputError(f"The family '{family}' is for two people, not {len(shape)}.", next_step=f"Families for more: {', '.join(_ROWS)}.")
    return _PAIRS[family](cast)
