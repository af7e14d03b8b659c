"""What a repair of identities changed, person by person and part by part, as data and in words."""

from __future__ import annotations

from dataclasses import dataclass

from huddle3d.scene import Artefact

__all__ = ["IdentityChange", "in_words"]


@dataclass(frozen=True)
class IdentityChange(Artefact):
    """One change, or one contradiction that could not be settled."""

    round: int
    """In which round of perceiving and fitting: 2 is the first repair."""
    person: str
    """Whose observation it was."""
    part: str
    """``"left arm"`` …, ``"mask"`` or ``"part of the mask"``."""
    action: str
    """``"given"`` to the other person; ``"dropped"``: not used any more; ``"doubted"``: its confidence is reduced; ``"exchanged"`` with the
    other's; ``"left"``: a contradiction that was left as it is."""
    other: str
    """The other person."""
    other_part: str = ""
    """What it is, or may be, of the other person."""
    pixels: int = 0
    """How many pixels of a mask, in the photo."""


def in_words(change: IdentityChange) -> str:
    """The change as a sentence that names both people."""
    c = change
    match c.action:
        case "given" if c.part in ("part of the mask",):
            return f"{c.person}: {c.pixels} pixels of the mask lie on the body of {c.other} alone; they were given to {c.other}."
        case "given":
            return f"{c.person}: the key points of the {c.part} belong to the {c.other_part} of {c.other}; they were given to {c.other}, with less confidence."
        case "dropped":
            return f"{c.person}: the key points of the {c.part} are those of the {c.other_part} of {c.other}; they are not used, the limb is a guess."
        case "doubted":
            return f"{c.person}: the {c.part} and the {c.other_part} of {c.other} have the same key points; whose they are is not decided, both count less."
        case "exchanged":
            return f"{c.person}: the mask was that of {c.other}; head and feet show whose is whose, and it was exchanged."
        case _:
            return f"{c.person}: {c.pixels} pixels of the mask lie on the body of {c.other}, but hold key points of {c.person}; whose they are is not decided."
