"""Conversion between body models by surface correspondence: Anny to SMPL-X and back, or any two that :func:`load_body` knows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.fitting._surface_fit import SurfaceFitConfig, SurfaceTarget, fit_to_surface
from huddle3d.geometry import vertex_normals
from huddle3d.progress import Progress, silent
from huddle3d.scene import Bodies, BodyParams

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["Converted", "Correspondence", "convert_bodies", "correspondence"]

_MOST_POINTS = 2500
"""Vertices of the target model that are matched: enough for 2 cm of surface each."""
_ROUNDS = 3
_REACH_M = 0.06
"""Matches farther apart than this after the registration are not believed [m]."""
_TRUST_M = 0.02
"""Distance at which a match has half its weight [m]."""
_SKIN = ("body", "head", "left_hand", "right_hand", "left_foot", "right_foot")


@dataclass(frozen=True)
class Correspondence:
    """Points of one model's surface that are vertices of the other model."""

    source: str
    """Model of the surface."""
    target: str
    """Model of the vertices."""
    rows: Int[Tensor, "n"]
    """Vertices of the target."""
    corners: Int[Tensor, "n 3"]
    """Vertices of the source's triangle that each lies on."""
    bary: Float[Tensor, "n 3"]
    weights: Float[Tensor, "n"]
    """Trust in [0, 1]: how near the registered surfaces are, zero where their normals disagree."""
    registration_mm: float
    """Weighted mean distance of the two neutral surfaces after the registration."""

    def points(self, vertices: Float[Tensor, "K V 3"]) -> Float[Tensor, "K n 3"]:
        """Where the target's vertices lie on posed bodies of the source model."""
        return (vertices[:, self.corners] * self.bary[..., None]).sum(-2)


@dataclass(frozen=True)
class Converted:
    """Bodies of the other model, and how well they meet the given ones."""

    bodies: Bodies
    mean_mm: Float[Tensor, "K"]
    """Weighted mean distance of corresponding surface points [mm]."""
    p95_mm: Float[Tensor, "K"]
    """95 % of them are nearer than this [mm]."""
    landmark_mm: Float[Tensor, "K"]
    """Mean distance of the landmarks that both models have [mm]; the models place joints differently, by one to three centimetres."""


def correspondence(source: BodyModel, target: BodyModel, config: SurfaceFitConfig | None = None) -> Correspondence:
    """Register the target's neutral body to the source's in the source's rest pose, and match nearest surface points.

    The target is fitted to the source's landmarks, then in a few rounds to its surface (nearest points with agreeing normals), shape and pose
    together. Deterministic; the result is kept for the process.
    """
    return _correspondence(source, target, config or SurfaceFitConfig())


@lru_cache(maxsize=8)
def _correspondence(source: BodyModel, target: BodyModel, config: SurfaceFitConfig) -> Correspondence:
    rows = _skin_rows(target)
    with torch.no_grad():
        given = source(source.neutral())
    valid = source.landmark_valid & target.landmark_valid
    if int(valid.sum()) < 8:
        raise InputError(
            f"{source.name} and {target.name} share {int(valid.sum())} landmarks.",
            why="Too few to lay one body over the other.",
            next_step="Convert between whole bodies (anny, smpl, smplx).",
        )
    none = torch.zeros(0, dtype=torch.long, device=rows.device)
    start = SurfaceTarget(none, given.vertices[:, none], given.vertices.new_zeros(0), given.landmarks.to(target.dtype), valid)
    params = fit_to_surface(target, start, config)
    for _ in range(_ROUNDS):
        found = _match(source, given.vertices[0], target, params, rows)
        goal = SurfaceTarget(rows, found.points(given.vertices).to(target.dtype), found.weights, start.landmarks, valid)
        fast = replace(config, steps_landmarks=0)
        params = fit_to_surface(target, goal, fast, start=params)
    return _match(source, given.vertices[0], target, params, rows)


def _skin_rows(body: BodyModel) -> Int[Tensor, "n"]:
    """Evenly chosen vertices of the skin: no eyes, no cavities."""
    names = [k for k, name in enumerate(body.part_names) if name in _SKIN]
    rows = torch.isin(body.parts, torch.tensor(names, device=body.parts.device)).nonzero()[:, 0]
    step = max(1.0, len(rows) / _MOST_POINTS)
    return rows[(torch.arange(int(len(rows) / step), device=rows.device) * step).long()]


def _match(source: BodyModel, surface: Float[Tensor, "V 3"], target: BodyModel, params: BodyParams, rows: Int[Tensor, "n"]) -> Correspondence:
    """Nearest points of the source's surface for the target's vertices as they lie now."""
    from huddle3d.contact import closest_point

    with torch.no_grad():
        vertices = target(params).vertices[0]
        names = torch.tensor([k for k, name in enumerate(source.part_names) if name in _SKIN], device=surface.device)
        skin = torch.isin(source.parts[source.faces], names).all(-1)
        faces = source.faces[skin]
        near = closest_point(vertices[rows].float(), surface.float(), faces)
        corners = faces[near.face]
        normals_s = (vertex_normals(surface, source.faces)[corners] * near.bary[..., None].to(surface)).sum(1)
        agree = (torch.nn.functional.normalize(normals_s, dim=-1) * vertex_normals(vertices, target.faces)[rows].to(surface)).sum(-1) > 0.3
        weights = torch.where(agree & (near.distance < _REACH_M), 1 / (1 + (near.distance / _TRUST_M) ** 2), 0.0).to(target.dtype)
        mean = float((near.distance * weights).sum() / weights.sum().clamp_min(1e-6)) * 1000
    return Correspondence(source.name, target.name, rows, corners, near.bary.to(target.dtype), weights, mean)


def convert_bodies(
    bodies: Bodies,
    source: BodyModel,
    target: BodyModel,
    config: SurfaceFitConfig | None = None,
    *,
    match: Correspondence | None = None,
    progress: Progress = silent,
) -> Converted:
    """The same people as bodies of another model, with the residual that is left.

    Args:
        bodies: bodies of ``source``.
        source: their model.
        target: the model to convert to.
        config: weights and steps.
        match: the correspondence, if it is known.
        progress: receives the steps.

    Raises:
        InputError: the bodies are not of ``source``, or the two models cannot be laid over each other.
    """
    if bodies.model != source.name or bodies.vertices.shape[1] != source.num_vertices:
        raise InputError(
            f"The bodies are of {bodies.model} with {bodies.vertices.shape[1]} vertices, the model is {source.name} with {source.num_vertices}.",
            next_step="Name the model that they were made with.",
        )
    config = config or SurfaceFitConfig()
    progress(0.0, "registration")
    match = match or correspondence(source, target, config)
    valid = source.landmark_valid & target.landmark_valid
    points = match.points(bodies.vertices).to(target.dtype)
    goal = SurfaceTarget(match.rows, points, match.weights, bodies.landmarks.to(target.dtype), valid)
    params = fit_to_surface(target, goal, config, progress=lambda fraction, note="": progress(0.5 + 0.5 * fraction, note))
    with torch.no_grad():
        out = target(params)
        error = 1000 * (out.vertices[:, match.rows] - points).norm(dim=-1)
        trusted = match.weights > 0.1
        mean = (error * match.weights).sum(-1) / match.weights.sum().clamp_min(1e-6)
        high = error[:, trusted].quantile(0.95, dim=-1)
        landmark = 1000 * (out.landmarks - goal.landmarks)[:, valid].norm(dim=-1).mean(-1)
    note = f"Converted from {source.name} to {target.name}: surfaces agree to {float(mean.mean()):.1f} mm on average."
    made = replace(bodies, model=target.name, params=params, vertices=out.vertices, landmarks=out.landmarks, warnings=(*bodies.warnings, note))
    return Converted(made, mean, high, landmark)
