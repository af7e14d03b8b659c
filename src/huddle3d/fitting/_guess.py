"""First bodies at the places where another system saw them (``--bodies``)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from huddle3d.fitting._initialise import _BODY_BONES
from huddle3d.fitting._landmark_terms import LandmarkTerms
from huddle3d.fitting._state import Frame, Variables
from huddle3d.scene import BodyGuess, People2D
from huddle3d.scene.landmarks import BODY, LANDMARK_INDEX

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["at_guess", "match_guess"]

_HIPS = [LANDMARK_INDEX["left_hip"], LANDMARK_INDEX["right_hip"]]
_FAR = 0.25
"""Mean distance of key points, in box sides, from which a guess is not of this person."""


def match_guess(people: People2D, guess: BodyGuess) -> list[int | None]:
    """For each person the row of the guess that has the nearest key points (Hungarian assignment); None where none is near."""
    a, b = people.keypoints[:, BODY].double(), guess.keypoints[:, BODY].double()
    weight = torch.minimum(a[:, None, :, 2], b[None, :, :, 2])
    distance = ((a[:, None, :, :2] - b[None, :, :, :2]).norm(dim=-1) * weight).sum(-1) / weight.sum(-1).clamp_min(1e-9)
    side = (people.boxes[:, 2:] - people.boxes[:, :2]).amax(-1).double().clamp_min(1)
    cost = torch.where(weight.sum(-1) > 0, distance / side[:, None], torch.tensor(1e6, dtype=torch.float64)).numpy()
    rows: list[int | None] = [None] * len(a)
    for person, row in zip(*linear_sum_assignment(np.minimum(cost, 10.0)), strict=True):
        if cost[person, row] < _FAR:
            rows[person] = int(row)
    return rows


def at_guess(body: BodyModel, frame: Frame, terms: LandmarkTerms, people: People2D, guess: BodyGuess, first: Variables) -> Variables:
    """``first`` with each matched body moved to where the guess has its hips, if that explains the photo at least as well.

    The guess has a body size of its own. What it fixes is how large the body looks: ours, of average size until it is fitted, has the
    same picture at the guessed distance divided by the ratio of the two bodies' bones.
    """
    rows = match_guess(people, guess)
    known = [k for k, row in enumerate(rows) if row is not None]
    if not known:
        return first
    local = body.landmarks(first.local_params(frame))
    ratio = torch.ones(len(rows))
    hips = torch.zeros(len(rows), 3)
    for k in known:
        points = guess.landmarks[rows[k]]  # type: ignore[index]
        ratio[k] = _bone_ratio(points, local[k])
        hips[k] = points[_HIPS, :3].mean(0) * torch.tensor([1.0, -1.0, -1.0])
    offset = (first.R_view_root() @ local[:, _HIPS].mean(1)[..., None])[..., 0]
    root = hips / ratio[:, None] - offset
    usable = torch.tensor([k in known for k in range(len(rows))]) & (root[:, 2] < -0.2)
    depth = torch.where(usable, -root[:, 2], first.base_depth)
    ray = torch.where(usable[:, None], root[:, :2] * torch.tensor([1.0, -1.0]) / depth[:, None], first.base_ray)
    moved = replace(first, base_depth=depth, base_ray=ray)
    better = usable & (terms(moved) <= terms(first))
    return replace(
        first,
        base_depth=torch.where(better, depth, first.base_depth),
        base_ray=torch.where(better[:, None], ray, first.base_ray),
    )


def _bone_ratio(points: Float[Tensor, "L 4"], local: Float[Tensor, "L 3"]) -> Float[Tensor, ""]:
    """Median length of the guess's bones over ours."""
    a, b = (torch.tensor([bone[i] for bone in _BODY_BONES]) for i in (0, 1))
    seen = torch.minimum(points[a, 3], points[b, 3]) > 0
    lengths = (points[a, :3] - points[b, :3]).norm(dim=-1) / (local[a] - local[b]).norm(dim=-1).clamp_min(1e-3)
    return lengths[seen].median().clamp(0.3, 2.0) if bool(seen.any()) else torch.tensor(1.0)
