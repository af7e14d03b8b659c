"""People apart, each in a pose of its own: a wide prior of single poses around authored ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch

from huddle3d.geometry import rotation_x, rotation_y, so3_exp, so3_log
from huddle3d.synthesis.poses.cast import OTHER, SIGN, Cast, hand_on_own_thigh
from huddle3d.synthesis.poses.goals import Plan
from huddle3d.synthesis.poses.posing import Side

__all__ = ["plan_solo"]

_SPACING_M = 1.15
"""Between people: arms stretched out sideways just miss each other."""
_END: dict[Side, str] = {"left": ".L", "right": ".R"}
_LEG = (("upperleg01", "lowerleg01"), ("lowerleg01", "foot"))
_JITTER_RAD = {"spine": 0.04, "neck": 0.06, "head": 0.06, "clavicle": 0.06, "upperarm01": 0.12, "lowerarm01": 0.1, "wrist": 0.12}
"""Standard deviation of the noise on the components of the rotation vectors."""


def _stroll(cast: Cast, p: int) -> None:
    """A step forwards, arms swinging against the legs."""
    d, author = cast.dice, cast.authors[p]
    step = d.between(0.1, 0.34) * (1 if d.chance(0.5) else -1)
    cast.stance(p, (0.08, step), (-0.08, -step), 0.01)
    author.trunk(d.between(0.0, 0.15), -0.4 * step, 0.0)
    for side, k in SIGN.items():
        swing = -k * step * d.between(1.0, 2.5)
        author.arm(side, (0.18 * k, -1, swing), (0.08 * k, -1, swing + d.between(0.15, 0.9)))


def _raise(cast: Cast, p: int) -> None:
    """One or both hands up: waving, pointing, reaching, cheering."""
    d = cast.dice
    for side, k in SIGN.items():
        if d.chance(0.6):
            out, up, front = d.between(-0.05, 0.5), d.between(-0.25, 0.6), d.between(-0.1, 0.45)
            place = cast.joint(p, "upperarm01" + (".L" if side == "left" else ".R")) + cast.along(p, (0.1 + out) * k, up, 0.15 + front)
            cast.hand_to(p, side, place, cast.along(p, k, -0.7, -0.3))
            cast.authors[p].fingers(side, d.between(-0.3, 0.5))


def _hips(cast: Cast, p: int) -> None:
    """Hands on the hips (beside them: skin is not pressed)."""
    d = cast.dice
    for side, k in SIGN.items():
        if d.chance(0.75):
            hip = cast.joint(p, "upperleg01" + (".L" if side == "left" else ".R"))
            palm = cast.along(p, -k, 0.0, -0.2)
            cast.hand_to(p, side, hip + cast.along(p, d.between(0.12, 0.14) * k, d.between(0.1, 0.16), 0.03), cast.along(p, k, 0.0, -0.35), palm)
            cast.authors[p].fingers(side, d.between(0.1, 0.3))


def _crouch(cast: Cast, p: int) -> None:
    """Knees bent, trunk forwards, hands before the body."""
    d = cast.dice
    drop = d.between(0.08, 0.4)
    cast.stance(p, (0.16, d.between(-0.05, 0.12) + 0.1 * drop), (-0.16, d.between(-0.05, 0.12) + 0.1 * drop), drop, 0.4)
    cast.authors[p].trunk(0.1 + 1.1 * drop, d.between(-0.15, 0.15), 0.0)
    cast.authors[p].head(-0.5 * drop, d.between(-0.3, 0.3), 0.0)
    for side, k in SIGN.items():
        knee = cast.joint(p, "lowerleg01" + (".L" if side == "left" else ".R"))
        cast.hand_to(
            p, side, knee + cast.along(p, d.between(-0.02, 0.1) * k, d.between(0.14, 0.3), d.between(0.1, 0.2)), cast.along(p, k, -0.5, -0.4)
        )


def _lunge(cast: Cast, p: int) -> None:
    """A long step, arms spread for balance."""
    d = cast.dice
    lead = 1 if d.chance(0.5) else -1
    step = d.between(0.25, 0.42)
    cast.stance(p, (0.1, lead * step), (-0.1, -lead * step), d.between(0.1, 0.2))
    cast.authors[p].trunk(d.between(-0.05, 0.3), -lead * d.between(0.0, 0.3), 0.0)
    for side, k in SIGN.items():
        author = cast.authors[p]
        author.arm(side, (d.between(0.4, 1.0) * k, d.between(-0.8, 0.2), d.between(-0.3, 0.5)), (d.between(0.2, 1.0) * k, d.between(-0.6, 0.5), 0.5))


def _run(cast: Cast, p: int) -> None:
    """Mid-stride: one foot ahead, the other thrown back, elbows bent, the trunk ahead of the hips."""
    d, author = cast.dice, cast.authors[p]
    lead, pace = (1.0 if d.chance(0.5) else -1.0), d.between(0.6, 1.0)
    author.trunk(d.between(0.1, 0.25), -0.2 * lead * pace, 0.0)
    author.head(-d.between(0.0, 0.15), d.between(-0.2, 0.2), 0.0)
    for side, k in SIGN.items():
        ahead = k == lead
        thigh = (0.04 * k, -1.0, pace * d.between(0.7, 1.0)) if ahead else (0.03 * k, -1.0, -pace * d.between(0.15, 0.35))
        author.leg(side, thigh, (0.0, -1.0, -pace * d.between(0.15, 0.5)) if ahead else (0.0, -1.0, -pace * d.between(0.7, 1.3)))
        if not ahead:  # the hindmost foot pushes off with its toes
            author.pose[author.row("foot" + _END[side])] += torch.tensor([d.between(0.3, 0.6), 0.0, 0.0])
        swing = -0.7 * pace if ahead else 0.5 * pace
        author.arm(side, (0.25 * k, -1.0, swing), (-0.2 * k, d.between(-0.1, 0.3) if not ahead else -0.6, 1.0))
        author.fingers(side, d.between(0.4, 0.8))


def _sit(cast: Cast, p: int) -> None:
    """On a stool: hands on the thighs, or on one thigh, or raised; legs apart or stretched out."""
    d = cast.dice
    shin = float((cast.head(p, "lowerleg01.L") - cast.head(p, "foot.L")).norm())
    hip = float(cast.head(p, "upperleg01.L")[1] - cast.head(p, "foot.L")[1])
    apart, far = d.between(0.08, 0.22), shin * d.between(0.9, 1.3)
    cast.stance(p, (apart, far + d.between(-0.1, 0.08)), (-apart, far + d.between(-0.1, 0.08)), hip - shin * d.between(0.98, 1.15), 0.3 * apart)
    cast.authors[p].trunk(d.between(-0.05, 0.35), d.between(-0.15, 0.15), d.between(-0.06, 0.06))
    if d.chance(0.3):
        _raise(cast, p)
    else:
        for side in SIGN:
            if d.chance(0.8):
                hand_on_own_thigh(cast, p, side)


def _kneel(cast: Cast, p: int) -> None:
    """On one knee, the other foot flat; hands on the raised knee, hanging or offering something."""
    d, author = cast.dice, cast.authors[p]
    up: Side = "left" if d.chance(0.5) else "right"
    down = OTHER[up]
    thigh, shin = (float((cast.head(p, a + _END[down]) - cast.head(p, b + _END[down])).norm()) for a, b in _LEG)
    floor = float(cast.rest[p, :, 1].amin())
    lean = d.between(-0.05, 0.2)
    # As high as the knee on the floor wants it: half a knee's thickness below the thigh.
    drop = float(cast.head(p, "upperleg01.L")[1]) - floor - thigh * math.cos(lean) - 0.055
    far = thigh * d.between(0.8, 1.05)
    feet = {up: (0.12 * SIGN[up], far), down: (0.08 * SIGN[down], 0.0)}
    cast.stance(p, feet["left"], feet["right"], drop, 0.1)
    author.leg(down, (0.05 * SIGN[down], -math.cos(lean), -math.sin(lean)), (0.0, -0.03 * shin, -1.0))
    author.pose[author.row("foot" + _END[down])] = torch.tensor([0.75, 0.0, 0.0])
    author.trunk(d.between(0.0, 0.25), d.between(-0.1, 0.1), 0.0)
    author.head(d.between(-0.25, 0.2), d.between(-0.3, 0.3), 0.0)
    if d.chance(0.6):
        hand_on_own_thigh(cast, p, up)
    else:
        _raise(cast, p)


def _cross_arms(cast: Cast, p: int) -> None:
    """Arms folded before the chest, one forearm over the other."""
    d = cast.dice
    upper: Side = "left" if d.chance(0.5) else "right"
    for side, k in SIGN.items():
        over = side == upper
        shoulder, elbow = (cast.joint(p, n + _END[OTHER[side]]) for n in ("upperarm01", "lowerarm01"))
        place = shoulder + 0.55 * (elbow - shoulder) + cast.along(p, d.between(0.0, 0.03) * k, 0.04 if over else -0.02, 0.13 if over else 0.085)
        cast.hand_to(p, side, place, cast.along(p, 0.9 * k, -1.0, 0.25), cast.along(p, -0.3 * k, 0.0, -1.0))
        cast.authors[p].fingers(side, d.between(0.1, 0.3))


def _dance(cast: Cast, p: int) -> None:
    """Weight on one bent leg, hips and shoulders against each other, arms anywhere."""
    d, author = cast.dice, cast.authors[p]
    wide, step = d.between(0.1, 0.3), d.between(-0.2, 0.2)
    cast.stance(p, (wide, step), (-wide + d.between(0.0, 0.1), -step), d.between(0.02, 0.12), d.between(0.1, 0.6))
    author.trunk(d.between(-0.15, 0.2), d.between(-0.45, 0.45), d.between(-0.25, 0.25))
    author.head(d.between(-0.25, 0.2), d.between(-0.5, 0.5), d.between(-0.25, 0.25))
    for side, k in SIGN.items():
        out, up = d.between(0.2, 1.0), d.between(-1.0, 0.8)
        author.arm(side, (out * k, up, d.between(-0.2, 0.6)), (d.between(-0.6, 0.6) * k, d.between(-0.3, 1.0), d.between(0.2, 0.8)))
        author.fingers(side, d.between(-0.2, 0.5))


def _bow(cast: Cast, p: int) -> None:
    """Bent forwards: looking at something low, picking something up, hands on the knees."""
    d = cast.dice
    bend = d.between(0.5, 1.0)
    cast.stance(p, (0.13, d.between(-0.05, 0.1)), (-0.13, d.between(-0.05, 0.1)), d.between(0.02, 0.12), 0.2)
    _lean_hips(cast, p, 0.55 * bend)
    cast.authors[p].trunk(0.6 * bend, d.between(-0.1, 0.1), 0.0)
    cast.authors[p].head(-d.between(0.1, 0.4), d.between(-0.2, 0.2), 0.0)
    for side, k in SIGN.items():
        if d.chance(0.7):
            place = cast.joint(p, "lowerleg01" + _END[side]) + cast.along(p, 0.02 * k, d.between(0.02, 0.16), 0.1)
            cast.hand_to(p, side, place, cast.along(p, 0.8 * k, 0.2, -0.6), cast.along(p, 0.0, -0.4, -1.0))


def _lean_hips(cast: Cast, p: int, angle: float) -> None:
    """Tip the pelvis forwards over legs that stay as they stand."""
    author, back = cast.authors[p], rotation_y(-cast.yaw[p])
    joints = cast.posed(p).joints[0]
    cast.recline[p] = -angle
    R = rotation_x(-angle)
    for side in SIGN:
        rows = [author.row(n + _END[side]) for n in ("upperleg01", "lowerleg01", "foot")]
        hip, knee, foot = (joints[r] for r in rows)
        author.leg(side, (R @ back @ (knee - hip)).tolist(), (R @ back @ (foot - knee)).tolist())
        above = so3_exp(author.pose[rows[0]]) @ so3_exp(author.pose[rows[1]])
        author.pose[rows[2]] = so3_log(above.T @ R @ above @ so3_exp(author.pose[rows[2]]))


def _idle(cast: Cast, p: int) -> None:
    """As people stand who wait."""


_MOVES: tuple[Callable[[Cast, int], None], ...] = (
    _stroll, _stroll, _raise, _raise, _hips, _crouch, _lunge, _idle, _run, _sit, _sit, _kneel, _cross_arms, _dance, _dance, _bow,
)  # fmt: skip


def plan_solo(cast: Cast) -> Plan:
    """Each person in a random pose, in a loose row; nobody touches anybody."""
    d, count = cast.dice, len(cast.shape)
    seated: list[tuple[int]] = []
    for p in range(count):
        cast.place(p, (p - (count - 1) / 2) * _SPACING_M + d.between(-0.05, 0.05), d.between(-0.3, 0.3), d.between(-40, 40))
        author = cast.authors[p]
        author.trunk(d.between(-0.08, 0.2), d.between(-0.25, 0.25), d.between(-0.1, 0.1))
        author.head(d.between(-0.2, 0.25), d.between(-0.5, 0.5), d.between(-0.12, 0.12))
        move = _MOVES[min(int(d.between(0, len(_MOVES))), len(_MOVES) - 1)]
        move(cast, p)
        _shake(cast, p)
        if move is _sit:
            seated.append((p,))
    return replace(cast.plan([], [], []), seated=tuple(seated))


def _shake(cast: Cast, p: int) -> None:
    """Normal noise on the joints of the upper body (Box and Muller, from the uniform numbers of the dice)."""
    author = cast.authors[p]
    for j, name in enumerate(cast.body.joint_names):
        spread = next((s for key, s in _JITTER_RAD.items() if name.startswith(key)), None)
        if spread is not None:
            radius = [math.sqrt(-2 * math.log(cast.dice.between(1e-6, 1.0))) for _ in range(3)]
            noise = [spread * r * math.cos(cast.dice.between(0, 2 * math.pi)) for r in radius]
            author.pose[j] += torch.tensor(noise).clamp(-2 * spread, 2 * spread)
