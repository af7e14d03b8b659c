"""Poses from directions: where the upper arm and the forearm point, where thigh and shin point, how far the trunk bends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.geometry import so3_exp, so3_log

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["PoseAuthor", "Side", "SPINE"]

Side = Literal["left", "right"]
SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")
_SUFFIX = {"left": ".L", "right": ".R"}
_FORWARD = (0.0, 0.0, 1.0)


def _unit(v: Sequence[float] | Tensor) -> Tensor:
    return torch.nn.functional.normalize(torch.as_tensor(v, dtype=torch.float32), dim=-1)


def _frame(axis: Tensor, hinge: Tensor) -> Float[Tensor, "3 3"]:
    """Columns: the bone, the hinge made perpendicular to it, and their product."""
    hinge = _unit(hinge - (hinge @ axis) * axis)
    return torch.stack([axis, hinge, torch.linalg.cross(axis, hinge)], -1)


def _angle_about(axis: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Signed angle about ``axis`` from ``a`` to ``b`` (both perpendicular to it up to rounding)."""
    return torch.atan2(torch.linalg.cross(a, b) @ axis, a @ b)


@dataclass
class PoseAuthor:
    """Writes one person's rotation vectors; all directions are in the trunk's frame (x to the subject's left, y up, z forward)."""

    body: BodyModel
    heads: Float[Tensor, "J 3"]
    """Joints at rest."""
    pose: Float[Tensor, "J 3"]
    """The result."""

    @staticmethod
    def start(body: BodyModel, shape: Float[Tensor, "S"]) -> PoseAuthor:
        """At rest, for a person of this shape."""
        from dataclasses import replace

        heads = body.joints(replace(body.neutral(1), shape=shape[None]))[0]
        return PoseAuthor(body, heads, torch.zeros(body.num_joints, 3))

    def row(self, name: str) -> int:
        """Row of a joint."""
        return self.body.joint_names.index(name)

    def turn(self, name: str, rotvec: Sequence[float]) -> None:
        """Set one joint [rad]."""
        self.pose[self.row(name)] = torch.tensor(rotvec)

    def trunk(self, bend: float = 0.0, twist: float = 0.0, tilt: float = 0.0) -> None:
        """Spread a bend (forwards), a twist (to the subject's left) and a tilt (to the right) [rad] over the spine."""
        for name in SPINE:
            self.turn(name, (bend / 5, twist / 5, tilt / 5))

    def head(self, nod: float = 0.0, turn: float = 0.0, tilt: float = 0.0) -> None:
        """Nod forwards, turn to the left, tilt to the right [rad], spread over neck and head."""
        for name, share in (("neck01", 0.25), ("neck02", 0.2), ("neck03", 0.2), ("head", 0.35)):
            self.turn(name, (share * nod, share * turn, share * tilt))

    def _bone(self, a: str, b: str) -> Tensor:
        return _unit(self.heads[self.row(b)] - self.heads[self.row(a)])

    def arm(self, side: Side, upper: Sequence[float], fore: Sequence[float], *, roll: float = 0.0) -> None:
        """Point upper arm and forearm; the elbow bends about its own axis.

        ``roll`` turns the hand about the forearm [rad]; > 0 turns the palm of an arm held forwards to the floor (pronation). If both directions agree the elbow is straight and its axis is kept as near to its place at rest as the direction allows.
        """
        s = _SUFFIX[side]
        u0, f0 = self._bone("upperarm01" + s, "lowerarm01" + s), self._bone("lowerarm01" + s, "wrist" + s)
        u, f = _unit(upper), _unit(fore)
        hinge0 = _unit(torch.linalg.cross(u0, f0))
        hinge = torch.linalg.cross(u, f)
        if float(hinge.norm()) < 0.15:  # nearly straight: the product is all noise
            hinge = hinge0
        upper_frame = _frame(u, hinge)
        R = upper_frame @ _frame(u0, hinge0).T
        self.pose[self.row("upperarm01" + s)] = so3_log(R)
        bent0, bent = _angle_about(hinge0, u0, f0), _angle_about(upper_frame[:, 1], u, f)
        self.pose[self.row("lowerarm01" + s)] = hinge0 * (bent - bent0)
        # Part of the turn goes into the twist bone of the forearm, so that the wrist does not wring.
        turn = f0 * (roll if side == "left" else -roll)
        self.pose[self.row("lowerarm02" + s)] = 0.4 * turn
        self.pose[self.row("wrist" + s)] = 0.6 * turn

    def leg(self, side: Side, thigh: Sequence[float], shin: Sequence[float]) -> None:
        """Point thigh and shin; the foot stays level and turned out a little."""
        s = _SUFFIX[side]
        t0, s0 = self._bone("upperleg01" + s, "lowerleg01" + s), self._bone("lowerleg01" + s, "foot" + s)
        axis = torch.tensor([1.0, 0.0, 0.0])
        R = _frame(_unit(thigh), axis) @ _frame(t0, axis).T
        local = R.T @ _unit(shin)
        knee = _frame(local, axis) @ _frame(s0, axis).T
        turnout = torch.tensor([0.0, 0.1 if side == "left" else -0.1, 0.0])
        for name, rotation in (("upperleg01", R), ("lowerleg01", knee), ("foot", (R @ knee).T @ so3_exp(turnout))):
            self.pose[self.row(name + s)] = so3_log(rotation)

    def fingers(self, side: Side, curl: float) -> None:
        """Bend the four fingers at each joint by ``curl`` [rad] from rest (negative: stretch), the thumb by a third of it."""
        s = _SUFFIX[side]
        index, little = (self.heads[self.row(n + s)] for n in ("finger2-1", "finger5-1"))
        across = _unit(index - little)
        sign = 1.0 if side == "left" else -1.0
        for finger in range(1, 6):
            for joint in (1, 2, 3):
                amount = curl * (0.33 if finger == 1 else 1.0) * (0.6 if joint == 1 else 1.0)
                self.pose[self.row(f"finger{finger}-{joint}{s}")] = sign * across * amount
