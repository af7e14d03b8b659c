"""The people of a scene before they move: where they stand, and where hands and feet are put."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.geometry import rotation_x, rotation_y, so3_log, vertex_normals
from huddle3d.synthesis.poses.goals import ClaspGoal, PalmGoal, Plan, TouchGoal, palm_frame, region_vertices, surface_point
from huddle3d.synthesis.poses.posing import PoseAuthor, Side

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel, BodyOutput

__all__ = ["OTHER", "SIDES", "SIGN", "Cast", "Dice", "hand_on_own_thigh", "stand"]

SIGN: dict[Side, float] = {"left": 1.0, "right": -1.0}
SIDES: tuple[Side, Side] = ("left", "right")
OTHER: dict[Side, Side] = {"left": "right", "right": "left"}


class Dice:
    """Uniform and normal numbers from one generator, in call order."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def between(self, low: float, high: float) -> float:
        """One number between two bounds."""
        return low + (high - low) * float(torch.rand((), generator=self._generator))

    def chance(self, p: float) -> bool:
        """True with probability ``p``."""
        return self.between(0, 1) < p


class Cast:
    """The people of a scene before they move: authors, rest surfaces, places."""

    def __init__(self, body: BodyModel, shape: Float[Tensor, "K S"], dice: Dice) -> None:
        self.body, self.shape, self.dice = body, shape, dice
        self.authors = [PoseAuthor.start(body, s) for s in shape]
        rest = body(replace(body.neutral(len(shape)), shape=shape))
        self.rest, self.normals = rest.vertices, vertex_normals(rest.vertices, body.faces)
        self.x, self.z, self.yaw = [0.0] * len(shape), [0.0] * len(shape), [0.0] * len(shape)
        self.carried: dict[int, float] = {}
        """People off the floor, and the height of their root [m]."""
        self.recline: dict[int, float] = {}
        """People whose root leans back, and how far [rad]."""
        for author in self.authors:
            stand(author, dice)

    def place(self, person: int, x: float, z: float, yaw_deg: float) -> None:
        """Where a person stands [m] and what it faces [deg]: 0 = +z, 90 = +x."""
        turn = yaw_deg if abs(yaw_deg) <= 180 else (yaw_deg + 180) % 360 - 180
        self.x[person], self.z[person], self.yaw[person] = x, z, math.radians(turn)

    def head(self, person: int, name: str) -> Tensor:
        """A joint at rest [m]."""
        return self.authors[person].heads[self.authors[person].row(name)]

    def trunk_point(self, person: int, across: float, up: float, direction: tuple[float, float, float]) -> int:
        """Vertex of the trunk; ``across`` in half shoulder widths to the subject's left, ``up`` from hips 0 to shoulders 1."""
        hip = (self.head(person, "upperleg01.L") + self.head(person, "upperleg01.R")) / 2
        left, right = self.head(person, "upperarm01.L"), self.head(person, "upperarm01.R")
        middle = (left + right) / 2
        start = hip + up * (middle - hip) + across * (left - middle)
        rows = region_vertices(self.body, "chest", "upper_back", "belly", "lower_back", "pelvis", "left_shoulder", "right_shoulder")
        return surface_point(self.rest[person], self.normals[person], rows, start, torch.tensor(direction, dtype=torch.float32))

    def shoulder_point(self, person: int, side: Side, direction: tuple[float, float, float]) -> int:
        """Vertex of the shoulder's skin in a direction from its joint (the subject's axes)."""
        rows = region_vertices(self.body, f"{side}_shoulder", f"{side}_upper_arm", "upper_back", "chest")
        start = self.head(person, "upperarm01" + (".L" if side == "left" else ".R"))
        return surface_point(self.rest[person], self.normals[person], rows, start, torch.tensor(direction, dtype=torch.float32))

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

    def root(self, person: int) -> Tensor:
        """The global orientation as a rotation vector [rad]."""
        if person not in self.recline:
            return torch.tensor([0.0, self.yaw[person], 0.0])
        return so3_log(rotation_y(self.yaw[person]) @ rotation_x(-self.recline[person]))

    def posed(self, person: int) -> BodyOutput:
        """The person as authored so far, at its place, standing on its lowest vertex (carried people: at their height)."""
        pose = self.authors[person].pose.clone()
        pose[0] = self.root(person)
        place = torch.tensor([[self.x[person], self.carried.get(person, 0.0), self.z[person]]])
        params = replace(self.body.neutral(1), shape=self.shape[person][None], pose=pose[None], translation=place)
        out = self.body(params)
        if person in self.carried:
            return out
        lift = torch.tensor([0.0, -float(out.vertices[..., 1].min()), 0.0])
        return replace(out, vertices=out.vertices + lift, joints=out.joints + lift, landmarks=out.landmarks + lift)

    def skin(self, person: int, vertex: int, distance: float = 0.012) -> Tensor:
        """A place off the skin of the posed person [m, world]."""
        out = self.posed(person)
        return out.vertices[0, vertex] + distance * vertex_normals(out.vertices[0], self.body.faces)[vertex]

    def joint(self, person: int, name: str) -> Tensor:
        """A joint of the posed person [m, world]."""
        return self.posed(person).joints[0, self.authors[person].row(name)]

    def along(self, person: int, x: float, y: float, z: float) -> Tensor:
        """A direction given in the person's axes (left, up, forward), in the world."""
        return rotation_y(self.yaw[person]) @ torch.tensor([x, y, z])

    def hand_to(self, person: int, side: Side, target: Tensor, pole: Tensor, palm: Tensor | None = None) -> None:
        """Bring the middle of a palm to ``target`` with the elbow towards ``pole`` (world); the forearm turns the palm to face ``palm``."""
        author, end = self.authors[person], ".L" if side == "left" else ".R"
        rows = [author.row(n + end) for n in ("upperarm01", "lowerarm01", "wrist")]
        upper, fore = ((author.heads[b] - author.heads[a]).norm() for a, b in zip(rows, rows[1:]))
        out = self.posed(person)
        shoulder = out.joints[0, rows[0]]
        R = out.T_world_joint[0, self.body.joint_parents[rows[0]], :3, :3]
        wrist = target
        for _ in range(4):
            elbow, wrist = _two_bones(shoulder, wrist, upper, fore, pole)
            wrist = target - 0.085 * torch.nn.functional.normalize(wrist - elbow, dim=0)
        elbow, wrist = _two_bones(shoulder, wrist, upper, fore, pole)
        rolls = torch.linspace(-1.3, 1.3, 9).tolist() if palm is not None else [0.0]
        poses = []
        for roll in rolls:
            author.arm(side, (R.T @ (elbow - shoulder)).tolist(), (R.T @ (wrist - elbow)).tolist(), roll=roll)
            poses.append(author.pose.clone())
        best = 0
        if palm is not None:
            pose = torch.stack(poses)
            pose[:, 0] = self.root(person)
            many = replace(self.body.neutral(len(pose)), shape=self.shape[person].expand(len(pose), -1), pose=pose)
            facing = torch.stack([palm_frame(x, side)[1] for x in self.body.landmarks(many)])
            score = facing @ torch.nn.functional.normalize(palm, dim=0) - 0.1 * torch.tensor(rolls).square()
            best = int(score.argmax())
        author.pose = poses[best]

    def hand_on(self, person: int, side: Side, other: int, vertex: int, pole: Tensor) -> PalmGoal:
        """Bring a palm onto a vertex of another person's skin, and ask for it to stay there."""
        skin = self.skin(other, vertex)
        self.hand_to(person, side, skin, pole, self.skin(other, vertex, 0.0) - skin)
        return PalmGoal(person, side, other, vertex)

    def palm_vertex(self, person: int, side: Side) -> int:
        """The vertex in the middle of a posed hand's palm."""
        out, rows = self.posed(person), region_vertices(self.body, f"{side}_hand")
        centre, normal = palm_frame(out.landmarks[0], side)
        return int(rows[(out.vertices[0, rows] - centre - 0.015 * normal).norm(dim=-1).argmin()])

    def stance(self, person: int, left: tuple[float, float], right: tuple[float, float], drop: float = 0.0, knees: float = 0.15) -> None:
        """Both feet flat on one floor at (x, z) from below the pelvis [m, the person's axes], the hips ``drop`` lower than at rest.

        The hips sink further if the legs are too short; ``knees`` points the knees outwards.
        """
        author = self.authors[person]
        bones, floor = {}, float(self.rest[person, :, 1].amin())
        for side, end in (("left", ".L"), ("right", ".R")):
            hip, knee, foot = (author.heads[author.row(n + end)] for n in ("upperleg01", "lowerleg01", "foot"))
            x, z = left if side == "left" else right
            across = torch.tensor([x - float(hip[0]), z - float(hip[2])]).norm()
            long = 0.995 * float((knee - hip).norm() + (foot - knee).norm())
            drop = max(drop, float(hip[1] - foot[1]) - math.sqrt(max(0.01, long**2 - float(across) ** 2)))
            bones[side] = (hip, knee, foot, torch.tensor([x, float(foot[1]) - floor, z]))
        for side, (hip, knee, foot, target) in bones.items():
            start = hip - torch.tensor([0.0, floor + drop, 0.0])
            pole = torch.tensor([knees * SIGN[side], 0.0, 1.0])
            bend, end = _two_bones(start, target, (knee - hip).norm(), (foot - knee).norm(), pole)
            author.leg(side, (bend - start).tolist(), (end - bend).tolist())

    def plan(self, palms: list[PalmGoal], clasps: list[ClaspGoal], touches: list[TouchGoal]) -> Plan:
        """The start of the solver, inside the joint limits."""
        pose = torch.stack([a.pose for a in self.authors])
        pose[:, 0] = torch.stack([self.root(p) for p in range(len(pose))])
        limits = self.body.joint_limits
        pose = torch.maximum(torch.minimum(pose, limits[..., 1]), limits[..., 0])
        translation = torch.tensor([[x, self.carried.get(k, 0.0), z] for k, (x, z) in enumerate(zip(self.x, self.z))])
        params = replace(self.body.neutral(len(self.shape)), shape=self.shape, pose=pose, translation=translation)
        return Plan(params, tuple(palms), tuple(clasps), tuple(touches), tuple(self.carried))


def _two_bones(start: Tensor, end: Tensor, first: Tensor, second: Tensor, pole: Tensor) -> tuple[Tensor, Tensor]:
    """Middle and end of two bones from ``start`` towards ``end``, bent towards ``pole``; an end out of reach is drawn in."""
    reach = end - start
    low, high = float((first - second).abs()) + 0.02, 0.995 * float(first + second)
    distance = reach.norm().clamp(low, high)
    along = torch.nn.functional.normalize(reach, dim=0)
    share = (first**2 - second**2 + distance**2) / (2 * distance)
    side = torch.nn.functional.normalize(pole - (pole @ along) * along, dim=0)
    middle = start + share * along + (first**2 - share**2).clamp_min(0).sqrt() * side
    return middle, start + distance * along


def stand(author: PoseAuthor, dice: Dice) -> None:
    """Upright, arms hanging, with the small asymmetries of people who stand."""
    step = dice.between(-0.1, 0.1)
    for side, k in SIGN.items():
        wide, bend = dice.between(0.02, 0.1), dice.between(0.0, 0.05)
        author.leg(side, (wide * k, -1, 0.03 + k * step), (0.3 * wide * k, -1, -0.04 - bend + 0.6 * k * step))
        out, swing, elbow = dice.between(0.2, 0.3), dice.between(-0.12, 0.08), dice.between(0.12, 0.4)
        author.arm(side, (out * k, -1, swing), (0.1 * k, -1, swing + elbow))
        author.fingers(side, dice.between(0.1, 0.35))
    author.trunk(dice.between(-0.05, 0.08), dice.between(-0.08, 0.08), dice.between(-0.04, 0.04))
    author.head(dice.between(-0.08, 0.12), dice.between(-0.15, 0.15), dice.between(-0.08, 0.08))


def hand_on_own_thigh(cast: Cast, person: int, side: Side) -> None:
    """The hand rests on the own thigh, 5 cm over the line from hip to knee's skin."""
    k, end, d = SIGN[side], ".L" if side == "left" else ".R", cast.dice
    hip, knee = cast.joint(person, "upperleg01" + end), cast.joint(person, "lowerleg01" + end)
    place = hip + d.between(0.6, 0.85) * (knee - hip) + torch.tensor([0.0, 0.105, 0.0]) - cast.along(person, 0.03 * k, 0.0, 0.0)
    cast.hand_to(person, side, place, cast.along(person, 0.35 * k, -0.3, -1.0), torch.tensor([0.0, -1.0, 0.0]))
    cast.authors[person].fingers(side, d.between(0.15, 0.3))
