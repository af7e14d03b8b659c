"""People apart, each in a pose of its own: a wide prior of single poses around authored ones."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from huddle3d.synthesis.cast import SIGN, Cast
from huddle3d.synthesis.goals import Plan

__all__ = ["plan_solo"]

_SPACING_M = 1.15
"""Between people: arms stretched out sideways just miss each other."""
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


def _idle(cast: Cast, p: int) -> None:
    """As people stand who wait."""


_MOVES: tuple[Callable[[Cast, int], None], ...] = (_stroll, _raise, _hips, _crouch, _lunge, _idle)


def plan_solo(cast: Cast) -> Plan:
    """Each person in a random pose, in a loose row; nobody touches anybody."""
    d, count = cast.dice, len(cast.shape)
    for p in range(count):
        cast.place(p, (p - (count - 1) / 2) * _SPACING_M + d.between(-0.05, 0.05), d.between(-0.3, 0.3), d.between(-40, 40))
        author = cast.authors[p]
        author.trunk(d.between(-0.08, 0.2), d.between(-0.25, 0.25), d.between(-0.1, 0.1))
        author.head(d.between(-0.2, 0.25), d.between(-0.5, 0.5), d.between(-0.12, 0.12))
        _MOVES[min(int(d.between(0, len(_MOVES))), len(_MOVES) - 1)](cast, p)
        _shake(cast, p)
    return cast.plan([], [], [])


def _shake(cast: Cast, p: int) -> None:
    """Normal noise on the joints of the upper body (Box and Muller, from the uniform numbers of the dice)."""
    author = cast.authors[p]
    for j, name in enumerate(cast.body.joint_names):
        spread = next((s for key, s in _JITTER_RAD.items() if name.startswith(key)), None)
        if spread is not None:
            radius = [math.sqrt(-2 * math.log(cast.dice.between(1e-6, 1.0))) for _ in range(3)]
            noise = [spread * r * math.cos(cast.dice.between(0, 2 * math.pi)) for r in radius]
            author.pose[j] += torch.tensor(noise).clamp(-2 * spread, 2 * spread)
