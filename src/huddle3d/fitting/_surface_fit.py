"""A body model fitted to points of a known surface: the solver behind the conversion between body models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.geometry import so3_exp, so3_log, umeyama
from huddle3d.progress import Progress, silent
from huddle3d.scene import BodyParams

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["SurfaceFitConfig", "SurfaceTarget", "fit_to_surface"]


@dataclass(frozen=True)
class SurfaceFitConfig:
    """Settings of :func:`fit_to_surface`."""

    steps_landmarks: int = 150
    """Adam steps on landmarks alone."""
    steps_surface: int = 250
    """Adam steps on surface points."""
    learning_rate: float = 0.04
    """Of rotations [rad]; shape and translation scale with it."""
    weight_landmarks: float = 0.1
    """Landmarks beside surface points: models place joints differently, so they only hold what the surface leaves open."""
    weight_limits: float = 0.02
    """Joint limits: squared violation [rad²] in units of the squared point error [dm²]."""
    weight_pose: float = 2e-4
    """Rest pose for what neither landmarks nor surface say."""
    weight_shape: float = 2e-4
    """Average shape, in units of the parameters' ranges."""


@dataclass(frozen=True)
class SurfaceTarget:
    """Where points of K bodies have to come to lie."""

    rows: Int[Tensor, "n"]
    """Vertices of the model that is fitted, each at most once."""
    points: Float[Tensor, "K n 3"]
    """Their places [m]."""
    weights: Float[Tensor, "n"]
    """Trust in each, in [0, 1]."""
    landmarks: Float[Tensor, "K L 3"]
    """Landmarks of the bodies [m]."""
    landmark_valid: Bool[Tensor, "L"]
    """Which of them both models define."""


def fit_to_surface(
    body: BodyModel,
    target: SurfaceTarget,
    config: SurfaceFitConfig | None = None,
    *,
    start: BodyParams | None = None,
    progress: Progress = silent,
) -> BodyParams:
    """Parameters of ``body`` whose surface and landmarks come nearest to the target; deterministic, no random numbers.

    Two stages of Adam: landmarks, then surface points (Geman-McClure, so that wrong correspondences lose their pull). Rotations stay about their
    limits, shapes inside their range.

    Args:
        body: the model.
        target: places of its vertices and landmarks.
        config: weights and steps.
        start: where to begin; None turns and places average bodies by their landmarks.
        progress: receives the share done.
    """
    config = config or SurfaceFitConfig()
    start = start or _placed(body, target)
    fitter = _Fitter.of(body, target, config, start)
    if len(target.landmark_valid.nonzero()):
        fitter.run(config.steps_landmarks, surface=False, progress=lambda f, note="": progress(0.35 * f, "landmarks"))
    if len(target.rows):
        fitter.run(config.steps_surface, surface=True, progress=lambda f, note="": progress(0.35 + 0.65 * f, "surface"))
    return fitter.params(detached=True)


def _placed(body: BodyModel, target: SurfaceTarget) -> BodyParams:
    """Average bodies, each moved rigidly onto its landmarks (or points)."""
    params = body.neutral(len(target.points))
    out = body(params)
    valid = target.landmark_valid
    a, b = (out.landmarks[:, valid], target.landmarks[:, valid]) if int(valid.sum()) >= 3 else (out.vertices[:, target.rows], target.points)
    T = umeyama(a.double(), b.double(), with_scale=False).to(body.dtype)
    pose = params.pose.clone()
    pose[:, 0] = so3_log(T[:, :3, :3])
    return BodyParams(params.shape, pose, T[:, :3, 3] + (T[:, :3, :3] @ params.translation[..., None])[..., 0], params.expression)


@dataclass
class _Fitter:
    body: BodyModel
    target: SurfaceTarget
    config: SurfaceFitConfig
    R_base: Tensor
    """Global orientation at the start; the optimised turn stays small."""
    leaves: dict[str, Tensor]

    @staticmethod
    def of(body: BodyModel, target: SurfaceTarget, config: SurfaceFitConfig, start: BodyParams) -> _Fitter:
        leaves = {
            "turn": torch.zeros_like(start.pose[:, 0]),
            "pose": start.pose[:, 1:].detach().clone(),
            "shape": start.shape.detach().clone(),
            "translation": start.translation.detach().clone(),
        }
        return _Fitter(body, target, config, so3_exp(start.pose[:, 0].detach()), {k: v.requires_grad_() for k, v in leaves.items()})

    def params(self, *, detached: bool = False) -> BodyParams:
        """The bodies as they stand."""
        v = {k: x.detach() if detached else x for k, x in self.leaves.items()}
        turn = so3_log(self.R_base @ so3_exp(v["turn"]))
        low, high = self.body.shape_limits.unbind(-1)
        pose = torch.cat([turn[:, None], v["pose"]], 1)
        return BodyParams(v["shape"].clamp(low, high), pose, v["translation"], v["shape"].new_zeros(len(turn), 0))

    def run(self, steps: int, *, surface: bool, progress: Progress) -> None:
        """One stage of Adam with a rate that falls by a cosine."""
        rates = {"turn": 1.0, "pose": 1.0, "shape": 0.5 * self._range(), "translation": 0.3}
        base = [self.config.learning_rate * rates[name] * (0.5 if surface else 1.0) for name in self.leaves]
        optimiser = torch.optim.Adam([{"params": [leaf], "lr": lr} for leaf, lr in zip(self.leaves.values(), base, strict=True)])
        points = self.body.surface.select(self.target.rows) if surface else None
        for step in range(steps):
            factor = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps))
            for group, lr in zip(optimiser.param_groups, base, strict=True):
                group["lr"] = lr * factor
            optimiser.zero_grad(set_to_none=True)
            self._energy(points).backward()
            for leaf in self.leaves.values():
                if leaf.grad is not None:
                    leaf.grad.nan_to_num_(0.0, 0.0, 0.0)
            optimiser.step()
            progress((step + 1) / steps)

    def _range(self) -> float:
        """Half the range of the shape parameters (phenotypes: 0.5; betas: 5), so that steps are of similar effect."""
        return float((self.body.shape_limits[:, 1] - self.body.shape_limits[:, 0]).mean()) / 2 * 0.4

    def _energy(self, points) -> Float[Tensor, ""]:
        body, target, c = self.body, self.target, self.config
        v = self.leaves
        turn = self.R_base @ so3_exp(v["turn"])
        low, high = body.shape_limits.unbind(-1)
        shape = v["shape"].clamp(low, high)
        local = BodyParams(shape, torch.cat([torch.zeros_like(v["turn"])[:, None], v["pose"]], 1), torch.zeros_like(v["translation"]), shape[:, :0])

        def place(x: Tensor) -> Tensor:
            return x @ turn.transpose(-1, -2) + v["translation"][:, None]

        total = v["pose"].new_zeros(())
        valid = target.landmark_valid
        if bool(valid.any()):
            error = (place(body.landmarks(local))[:, valid] - target.landmarks[:, valid]).square().sum(-1) * 100
            total = total + (c.weight_landmarks if points is not None else 1.0) * error.mean(-1).sum()
        if points is not None:
            coefficients = body.shape_space.coefficients(local.shape, local.expression)
            pose = body.skeleton.pose(coefficients, local.pose, local.translation)
            error = (place(points.posed(coefficients, local.expression, pose)) - target.points).square().sum(-1) * 100
            total = total + ((error / (1 + error)) * target.weights).sum(-1).div(target.weights.sum().clamp_min(1e-6)).sum()
        limits = body.joint_limits[1:]
        beyond = (v["pose"] - limits[..., 1]).clamp_min(0) + (limits[..., 0] - v["pose"]).clamp_min(0)
        spread = (high - low).clamp_min(1e-6)
        total = total + c.weight_limits * beyond.square().sum() + c.weight_pose * v["pose"].square().sum()
        return total + c.weight_shape * ((v["shape"] - body.neutral_shape) / spread).square().sum()
