"""Other readings of the same picture: limbs that point the other way in depth, people who stand in the other order.

A bone and its mirror image in depth have the same picture, and gradients cannot carry an arm through a body. So these readings are made
outright, settled for a few steps, and kept if the whole energy is lower.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.fitting._landmark_terms import LandmarkTerms
from huddle3d.fitting._observations import BONES, Observations
from huddle3d.fitting._solver import minimise
from huddle3d.fitting._state import Variables
from huddle3d.scene.landmarks import LANDMARK_INDEX

if TYPE_CHECKING:
    from huddle3d.fitting._energy import JointEnergy

__all__ = ["doubtful_limbs", "exchanged", "other_limbs", "wrong_pairs"]

_LIMBS = tuple(
    (f"{s}_{a}", f"{s}_{b}", f"{s}_{c}") for s in ("left", "right") for a, b, c in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))
)
_BONE_ROW = {(start, end): row for row, (start, end) in enumerate(BONES)}
_FLIPS = ((True, False), (False, True), (True, True))
_FLAT = 0.25
"""A bone that comes this little out of the picture's plane (share of its length) looks the same both ways."""
_PULL = 6.0
"""Weight of a turned bone's direction while the limb settles, in units of a sure 3D landmark's."""


def doubtful_limbs(observed: Observations) -> list[tuple[int, int]]:
    """(person, limb) pairs whose middle or end is hidden or unsure in the picture."""
    out = []
    for limb, (_, middle, end) in enumerate(_LIMBS):
        rows = [LANDMARK_INDEX[middle], LANDMARK_INDEX[end]]
        sure = observed.weight[:, rows].amin(-1)
        out += [(k, limb) for k in (sure < 0.35).nonzero()[:, 0].tolist()]
    return sorted(out)


@dataclass(frozen=True)
class _Reading:
    person: int
    limb: int
    bones: tuple[int, ...]


def _readings(terms: LandmarkTerms, variables: Variables, limbs: list[tuple[int, int]]) -> tuple[list[_Reading], Tensor]:
    """The readings worth trying, and the bone directions of all people now."""
    with torch.no_grad():
        bones = torch.nn.functional.normalize(terms.matrix @ terms.landmarks(variables), dim=-1)
    out = []
    for person, limb in limbs:
        a, b, c = _LIMBS[limb]
        rows = _BONE_ROW[((a,), (b,))], _BONE_ROW[((b,), (c,))]
        deep = [bool(bones[person, row, 2].abs() > _FLAT) for row in rows]
        tried = {tuple(row for row, flip, d in zip(rows, flips, deep) if flip and d) for flips in _FLIPS}
        out += [_Reading(person, limb, turned) for turned in sorted(tried) if turned]
    return out, bones


def other_limbs(energy: JointEnergy, variables: Variables, *, steps: int, margin: float) -> Variables:
    """The bodies with those doubtful limbs turned that lower the whole energy by more than ``margin``.

    All readings of all people settle together as one batch, on landmarks alone; each is then weighed with everybody else as they stand.

    Args:
        energy: of the stage that follows; its landmark terms hold the observations.
        variables: where the bodies stand.
        steps: for the settling.
        margin: least gain.
    """
    terms = energy.landmarks
    readings, bones = _readings(terms, variables, doubtful_limbs(terms.observed))
    if not readings:
        return variables
    rows = torch.tensor([r.person for r in readings])
    observed = terms.observed.take(rows)
    target, weight = observed.bones.clone(), observed.bone_weight.clone()
    for i, reading in enumerate(readings):
        for row in reading.bones:
            target[i, row] = bones[reading.person, row] * torch.tensor([1.0, 1.0, -1.0])
            weight[i, row] = _PULL
    turned = replace(observed, bones=target, bone_weight=weight)
    start = variables.take(rows)
    pulled = LandmarkTerms.build(terms.body, terms.frame, turned, start, terms.config, with_world=False)
    settled = minimise(start, lambda v, _: pulled(v), ("pose",), steps, terms.config, rate=1.5).variables
    with torch.no_grad():
        current, best = variables, float(energy(variables, 0))
        for limb in sorted({(r.person, r.limb) for r in readings}):
            for i, reading in enumerate(readings):
                if (reading.person, reading.limb) != limb:
                    continue
                trial = replace(current, pose=_with_limb(energy, current.pose, settled.pose[i], reading))
                value = float(energy(trial, 0))
                if value < best - margin:
                    current, best = trial, value
    return current


def _with_limb(energy: JointEnergy, pose: Float[Tensor, "K F 3"], limb: Float[Tensor, "F 3"], reading: _Reading) -> Float[Tensor, "K F 3"]:
    """All poses with one person's joints of one limb from a settled reading."""
    start, _, end = _LIMBS[reading.limb]
    moved = energy.landmarks.limb_joints(LANDMARK_INDEX[start], LANDMARK_INDEX[end])
    out = pose.clone()
    out[reading.person] = torch.where(moved[:, None], limb, pose[reading.person])
    return out


def wrong_pairs(energy: JointEnergy, variables: Variables, *, least: float) -> list[tuple[int, int]]:
    """Near pairs whose masks say that they stand in the other order, by more than ``least`` units of energy."""
    out = []
    for a, b in combinations(range(len(variables.turn)), 2):
        if float(energy.order_energy(variables, (a, b))) > least:
            out.append((a, b))
    return out


def exchanged(variables: Variables, a: int, b: int) -> Variables:
    """The two people at each other's depth; each stays on the ray of its root."""
    v = variables.rebased()
    order = torch.arange(len(v.turn))
    order[[a, b]] = order[[b, a]]
    return replace(v, base_depth=v.base_depth[order])
