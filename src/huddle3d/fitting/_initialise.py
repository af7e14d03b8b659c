"""Stage 0: a first body for each person, alone, from keypoints and 3D landmarks; several facings are tried and the best is kept."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.fitting._config import FitConfig
from huddle3d.fitting._landmark_terms import LandmarkTerms
from huddle3d.fitting._learned import Learned
from huddle3d.fitting._observations import Observations
from huddle3d.fitting._solver import minimise
from huddle3d.fitting._state import Frame, Variables
from huddle3d.geometry import nearest_rotation, rotation_y
from huddle3d.progress import Progress, silent
from huddle3d.scene.landmarks import BODY, LANDMARK_INDEX, SKELETON

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["initial_scale", "initialise", "torso_orientation", "weighted_rotation"]

_TORSO = tuple(LANDMARK_INDEX[n] for n in ("left_shoulder", "right_shoulder", "left_hip", "right_hip", "nose", "left_ear", "right_ear"))
_TORSO_WEIGHT = (1.0, 1.0, 1.0, 1.0, 0.2, 0.2, 0.2)
_FACINGS_3D = (0.0, 180.0)
"""Turns [deg] about the body's own axis that are tried around the orientation of the 3D landmarks."""
_FACINGS_2D = (0.0, 90.0, 180.0, 270.0)
"""Turns that are tried without 3D landmarks."""
_BODY_BONES = tuple((a, b) for a, b in SKELETON if a < BODY.stop and b < BODY.stop and min(a, b) >= 5) + (
    (LANDMARK_INDEX["left_shoulder"], LANDMARK_INDEX["left_ear"]),
    (LANDMARK_INDEX["right_shoulder"], LANDMARK_INDEX["right_ear"]),
)


def weighted_rotation(source: Float[Tensor, "*b n 3"], target: Float[Tensor, "*b n 3"], weight: Float[Tensor, "*b n"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation that best takes ``source`` to ``target`` after removing weighted means (Kabsch); identity if all weights are zero."""
    w = weight / weight.sum(-1, keepdim=True).clamp_min(1e-9)
    s = source - (w[..., None] * source).sum(-2, keepdim=True)
    t = target - (w[..., None] * target).sum(-2, keepdim=True)
    M = (w[..., None] * t).transpose(-1, -2) @ s
    eye = torch.eye(3, dtype=M.dtype, device=M.device)
    empty = M.abs().amax((-1, -2), keepdim=True) < 1e-9
    return nearest_rotation(torch.where(empty, eye, M))


def torso_orientation(rest: Float[Tensor, "L 3"], observed: Observations) -> tuple[Float[Tensor, "B 3 3"], Float[Tensor, "B"]]:
    """Orientation of each body from its 3D torso landmarks, and how far to trust it in [0, 1] (0 = no 3D landmarks)."""
    rows = list(_TORSO)
    weight = observed.points3d_weight[:, rows] * torch.tensor(_TORSO_WEIGHT)
    R = weighted_rotation(rest[rows].expand(len(weight), -1, 3), observed.points3d[:, rows], weight)
    return R, observed.points3d_weight[:, rows[:4]].amin(-1)


def initial_scale(rest: Float[Tensor, "L 3"], observed: Observations) -> Float[Tensor, "B"]:
    """Pixels per metre at each person.

    A bone's picture is at most as long as the bone: the scale is a high weighted quantile of picture length / true length over the bones,
    so that foreshortened ones do not count. Falls back on the box height for a person without two joints.
    """
    a, b = (torch.tensor([bone[i] for bone in _BODY_BONES]) for i in (0, 1))
    length = (rest[a] - rest[b]).norm(dim=-1)
    ratio = (observed.uv[:, a] - observed.uv[:, b]).norm(dim=-1) / length
    weight = torch.minimum(observed.confidence[:, a], observed.confidence[:, b]) * length  # long bones are measured better
    order = ratio.argsort(-1)
    share = weight.gather(-1, order).cumsum(-1)
    index = (share < 0.8 * share[:, -1:]).sum(-1, keepdim=True).clamp_max(ratio.shape[-1] - 1)
    scale = ratio.gather(-1, order).gather(-1, index)[:, 0]
    usable = (weight.sum(-1) > 0) & (scale > 0)
    return torch.where(usable, scale, observed.box_height / 1.7)


def _root_ray(local: Float[Tensor, "B L 3"], observed: Observations, scale: Float[Tensor, "B"], frame: Frame) -> Float[Tensor, "B 2"]:
    """Ray of the root joint that puts the turned body onto its keypoints (weak perspective, weighted median over landmarks)."""
    offset = observed.uv - scale[:, None, None] * local[..., :2] * torch.tensor([1.0, -1.0])
    w = (observed.weight * (torch.arange(observed.weight.shape[1]) < BODY.stop)).clamp_min(1e-9)
    order = offset.argsort(1)
    share = w[..., None].expand_as(offset).gather(1, order).cumsum(1)
    index = (share < 0.5 * share[:, -1:]).sum(1, keepdim=True).clamp_max(offset.shape[1] - 1)
    root = offset.gather(1, order).gather(1, index)[:, 0]
    return (root - frame.centre) / frame.focal_px


def _start(body: BodyModel, frame: Frame, observed: Observations, facings: tuple[float, ...], R: Float[Tensor, "B 3 3"]) -> Variables:
    """Neutral bodies of every person in every facing (facings of one person side by side)."""
    count, tries = len(R), len(facings)
    turns = rotation_y(torch.deg2rad(torch.tensor(facings)))
    R_view = (R[:, None] @ turns).reshape(-1, 3, 3)
    repeated = observed.repeated(tries)
    local = body.landmarks(_neutral(frame, count * tries).local_params(frame)) @ R_view.transpose(-1, -2)
    rest = local[0] @ R_view[0]
    scale = initial_scale(rest, repeated)
    v = _neutral(frame, count * tries)
    return Variables(
        R_view, _root_ray(local, repeated, scale, frame), frame.focal_px / scale, v.turn, v.pose, v.shape, v.shift, v.log_depth, v.tilt, v.camera_height, v.log_focal
    )  # fmt: skip


def _neutral(frame: Frame, count: int) -> Variables:
    z = torch.zeros
    eye = torch.eye(3).expand(count, 3, 3).contiguous()
    shape, joints = len(frame.neutral_shape), len(frame.fit_joints)
    return Variables(
        eye,
        z(count, 2),
        torch.ones(count),
        z(count, 3),
        z(count, joints, 3),
        z(count, shape),
        z(count, 2),
        z(count),
        z(2),
        torch.full((1,), 1.5),
        z(1),
    )


def _beside(start: Variables, told: Variables, tries: int) -> Variables:
    """The told body of each person as one more hypothesis, after its ``tries`` others."""
    shared = ("tilt", "camera_height", "log_focal")

    def joined(a: Tensor, b: Tensor) -> Tensor:
        return torch.cat([a.unflatten(0, (-1, tries)), b[:, None]], 1).flatten(0, 1)

    return Variables(
        **{f.name: getattr(start, f.name) if f.name in shared else joined(getattr(start, f.name), getattr(told, f.name)) for f in fields(Variables)}
    )


def initialise(
    body: BodyModel, frame: Frame, observed: Observations, config: FitConfig, *, learned: Learned | None = None, progress: Progress = silent
) -> tuple[Variables, Float[Tensor, "B"]]:
    """One body per person in view axes, and its energy.

    Where the 3D landmarks show the torso, its orientation and its back-to-front twin are tried; else the four quarter turns of an upright
    body. The twin matters: a depth-flipped skeleton has the same picture, but its knees bend the wrong way. What the regressor told is one
    more hypothesis.
    """
    rest = body.landmarks(_neutral(frame, 1).local_params(frame))[0].detach()
    R, trust = torso_orientation(rest, observed)
    known = trust > 0.2
    facings = _FACINGS_3D if bool(known.all()) else _FACINGS_2D
    R = torch.where(known[:, None, None], R, torch.eye(3))
    start, tries = _start(body, frame, observed, facings, R), len(facings)
    if learned is not None:
        start, tries = _beside(start, learned.start(frame, _neutral(frame, len(R))), tries), tries + 1
    repeated = observed.repeated(tries)
    terms = LandmarkTerms.build(body, frame, repeated, start, config, with_world=False)
    placed = minimise(start, lambda v, _: terms(v), ("turn", "shift", "log_depth"), config.steps_initial // 4, config)
    terms = LandmarkTerms.build(body, frame, repeated, placed.variables.rebased(), config, with_world=False)
    free = ("turn", "shift", "log_depth", "pose") + (("shape",) if config.optimise_shape else ())
    outcome = minimise(
        placed.variables.rebased(), lambda v, _: terms(v), free, config.steps_initial, config, rate=1.5, progress=progress, note="first bodies"
    )
    with torch.no_grad():
        energy = terms(outcome.variables).reshape(-1, tries)
    energy = energy.nan_to_num(math.inf)
    best = energy.argmin(-1)
    rows = torch.arange(len(best)) * tries + best
    return outcome.variables.take(rows).rebased(), energy.gather(-1, best[:, None])[:, 0]
