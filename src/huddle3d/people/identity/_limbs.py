"""Arms and legs as rows of the landmark table: what one person may have got of another."""

from __future__ import annotations

from dataclasses import dataclass

from huddle3d.scene.landmarks import LANDMARK_INDEX, LEFT_HAND, RIGHT_HAND

__all__ = ["LIMBS", "Limb"]


@dataclass(frozen=True)
class Limb:
    """One limb of one side."""

    name: str
    """In words."""
    kind: str
    """``"arm"`` or ``"leg"``; limbs of one kind have their rows in one order."""
    root: int
    """Shoulder or hip."""
    middle: int
    """Elbow or knee."""
    end: int
    """Wrist or ankle."""
    beyond: tuple[int, ...]
    """Points of the hand or foot."""

    @property
    def rows(self) -> list[int]:
        """All rows that go with the limb; the root belongs to the torso."""
        return [self.middle, self.end, *self.beyond]


def _limb(side: str, kind: str) -> Limb:
    def row(name: str) -> int:
        return LANDMARK_INDEX[f"{side}_{name}"]

    hand = LEFT_HAND if side == "left" else RIGHT_HAND
    if kind == "arm":
        return Limb(f"{side} arm", kind, row("shoulder"), row("elbow"), row("wrist"), tuple(range(hand.start, hand.stop)))
    return Limb(f"{side} leg", kind, row("hip"), row("knee"), row("ankle"), tuple(row(n) for n in ("big_toe", "small_toe", "heel")))


LIMBS = tuple(_limb(side, kind) for kind in ("arm", "leg") for side in ("left", "right"))
"""Left and right arm, left and right leg."""
