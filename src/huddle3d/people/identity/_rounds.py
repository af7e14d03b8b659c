"""Whose limb and whose pixels: perception's assignment repaired from the fitted bodies (HUG3D 3.1: two rounds of perceiving and fitting).

In an embrace perception may give one person the arm of another. A body that was fitted with it meets it badly, or meets it where the other
one's arm is rendered. So the fitted bodies are rendered into the photo, contradictions with key points and masks are settled or their
confidences taken back, and the fit goes on from its first result.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from jaxtyping import Int
from torch import Tensor

from huddle3d.fitting import FitConfig, fit
from huddle3d.people.identity._changes import IdentityChange, in_words
from huddle3d.people.identity._limb_repair import LimbRules, repair_limbs
from huddle3d.people.identity._mask_repair import MaskRules, exchange_masks, move_parts
from huddle3d.people.identity._rendered_ids import render_ids
from huddle3d.progress import Progress, silent
from huddle3d.scene import Artefact, Bodies, People2D, Photo

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["Agreed", "IdentityConfig", "agree", "repair_identity"]


@dataclass(frozen=True)
class IdentityConfig:
    """Whose limb and whose pixels: rounds of perceiving and fitting, and when the second one changes what the first one saw."""

    rounds: int = 1
    """Rounds of perceiving and fitting. 1: perception's word stands. More: after each fit, limbs and masks that contradict the rendered bodies
    are repaired, and the fit goes on from there; it ends early when nothing contradicts any more."""
    size: int = 320
    """Longer side [px] of the pictures in which bodies and masks are compared."""
    limbs: LimbRules = field(default_factory=LimbRules)
    """When a limb is taken away from a person."""
    masks: MaskRules = field(default_factory=MaskRules)
    """When pixels are taken away from a person."""


@dataclass(frozen=True)
class Agreed(Artefact):
    """People and bodies after the repair."""

    people: People2D
    """With repaired key points and masks."""
    bodies: Bodies
    """Fitted to them."""
    changes: tuple[IdentityChange, ...]
    """Of all rounds, in order."""


def repair_identity(
    people: People2D, bodies: Bodies, faces: Int[Tensor, "F 3"], config: IdentityConfig | None = None, *, number: int = 2
) -> tuple[People2D, tuple[IdentityChange, ...]]:
    """Key points and masks against the fitted bodies' rendered ids: the repaired people, and what was changed or could not be settled.

    Without a contradiction the people come back as they are. The changes are also among their warnings, in words.

    Args:
        people: K people as observed.
        bodies: fitted to them.
        faces: of one body.
        config: thresholds.
        number: of the round, for the changes.
    """
    config = config or IdentityConfig()
    if len(people.names) < 2:
        return people, ()
    rows = [bodies.names.index(name) for name in people.names]
    if rows != list(range(len(bodies.names))):
        bodies = replace(bodies, names=people.names, vertices=bodies.vertices[rows], landmarks=bodies.landmarks[rows])
    seen = render_ids(bodies, faces, config.size)
    repaired, exchanged = exchange_masks(people, seen, config.masks, number)
    repaired, limbs = repair_limbs(repaired, seen, config.limbs, number)
    repaired, parts = move_parts(repaired, seen, config.masks, number)
    changes = (*exchanged, *limbs, *parts)
    if changes:
        repaired = replace(repaired, warnings=tuple(dict.fromkeys((*repaired.warnings, *map(in_words, changes)))))
    return repaired, changes


def agree(
    photo: Photo,
    people: People2D,
    bodies: Bodies,
    config: IdentityConfig,
    fit_config: FitConfig,
    *,
    body: BodyModel,
    seed: int = 0,
    progress: Progress = silent,
) -> Agreed:
    """Repair and fit again, round by round, until nothing contradicts or the rounds are used up.

    Args:
        photo: the picture.
        people: of the first round.
        bodies: of the first round.
        config: rounds and thresholds.
        fit_config: of the fits.
        body: the body model, on the CPU.
        seed: of the fits.
        progress: told the rounds.
    """
    changes: list[IdentityChange] = []
    for number in range(2, config.rounds + 1):
        repaired, made = repair_identity(people, bodies, body.faces, config, number=number)
        changes += made
        people = repaired
        if all(c.action == "left" for c in made):
            break
        first, share = (number - 2) / (config.rounds - 1), 1 / (config.rounds - 1)

        def told(fraction: float, note: str = "", first: float = first, share: float = share) -> None:
            progress(first + share * fraction, note)

        bodies = fit(photo, people, fit_config, body=body, start=bodies, seed=seed, progress=told)
    progress(1.0)
    return Agreed(people, bodies, tuple(changes))
