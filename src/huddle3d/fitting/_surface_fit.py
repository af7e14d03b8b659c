"""A body model fitted to points of a known surface: the solver behind the conversion between body models."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.geometry import so3_exp, so3_log, umeyama
from huddle3d.progress import Progress, silent
from huddle3d.scene import BodyParams

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel
    from huddle3d.bodies._points import SkinnedPoints

__all__ = ["SurfaceFitConfig", "SurfaceTarget", "fit_to_surface"]


@dataclass(frozen=True)
class SurfaceFitConfig:
    """Settings of :func:`fit_to_surface`."""

    steps_landmarks: int = 60
    """Iterations on landmarks alone."""
    steps_surface: int = 120
    """Iterations on surface points: the first half plain least squares, the second robust."""
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

    Three stages of L-BFGS: landmarks, surface points, surface points with Geman-McClure's function, so that wrong correspondences lose their pull.
    Rotations stay about their limits, shapes inside their range. The bodies are independent of each other.

    Args:
        body: the model.
        target: places of its vertices and landmarks.
        config: weights and steps.
        start: where to begin; None turns and places average bodies by their landmarks.
        progress: receives the share done.
    """
    config = config or SurfaceFitConfig()
    start = start or _placed(body, target)
    done = []
    for k in range(len(target.points)):
        one = SurfaceTarget(target.rows, target.points[k : k + 1], target.weights, target.landmarks[k : k + 1], target.landmark_valid)
        fitter = _Fitter.of(body, one, config, BodyParams(**{f.name: getattr(start, f.name)[k : k + 1] for f in fields(BodyParams)}))
        if bool(target.landmark_valid.any()):
            fitter.run(config.steps_landmarks, None, robust=False)
        if len(target.rows):
            points = body.surface.select(target.rows)
            fitter.run(config.steps_surface // 2, points, robust=False)
            fitter.run(config.steps_surface - config.steps_surface // 2, points, robust=True)
        done.append(fitter.params(detached=True))
        progress((k + 1) / len(target.points), "surface")
    return BodyParams(**{f.name: torch.cat([getattr(d, f.name) for d in done]) for f in fields(BodyParams)})


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


def _spread(body: BodyModel) -> Float[Tensor, "S"]:
    """Range of the shape parameters: the unit in which they are optimised."""
    return (body.shape_limits[:, 1] - body.shape_limits[:, 0]).clamp_min(1e-6)


@dataclass
class _Fitter:
    """One body on its way."""

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
            "shape": (start.shape.detach() - body.neutral_shape) / _spread(body),
            "translation": start.translation.detach().clone(),
        }
        return _Fitter(body, target, config, so3_exp(start.pose[:, 0].detach()), {k: v.requires_grad_() for k, v in leaves.items()})

    def params(self, *, detached: bool = False) -> BodyParams:
        """The bodies as they stand."""
        v = {k: x.detach() if detached else x for k, x in self.leaves.items()}
        turn = so3_log(self.R_base @ so3_exp(v["turn"]))
        low, high = self.body.shape_limits.unbind(-1)
        pose = torch.cat([turn[:, None], v["pose"]], 1)
        shape = (self.body.neutral_shape + v["shape"] * _spread(self.body)).clamp(low, high)
        return BodyParams(shape, pose, v["translation"], shape[:, :0])

    def run(self, steps: int, points: SkinnedPoints | None, *, robust: bool) -> None:
        """One stage; without ``points`` on landmarks alone."""
        if steps <= 0:
            return
        optimiser = torch.optim.LBFGS(
            list(self.leaves.values()), max_iter=steps, history_size=30, line_search_fn="strong_wolfe", tolerance_grad=1e-8, tolerance_change=1e-10
        )

        def closure() -> Tensor:
            optimiser.zero_grad(set_to_none=True)
            energy = self._energy(points, robust)
            energy.backward()
            return energy

        optimiser.step(closure)

    def _energy(self, points: SkinnedPoints | None, robust: bool) -> Float[Tensor, ""]:
        body, target, c = self.body, self.target, self.config
        v = self.leaves
        turn = self.R_base @ so3_exp(v["turn"])
        low, high = body.shape_limits.unbind(-1)
        shape = (body.neutral_shape + v["shape"] * _spread(body)).clamp(low, high)
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
            total = total + ((error / (1 + error) if robust else error) * target.weights).sum(-1).div(target.weights.sum().clamp_min(1e-6)).sum()
        limits = body.joint_limits[1:]
        beyond = (v["pose"] - limits[..., 1]).clamp_min(0) + (limits[..., 0] - v["pose"]).clamp_min(0)
        total = total + c.weight_limits * beyond.square().sum() + c.weight_pose * v["pose"].square().sum()
        outside = (body.neutral_shape + v["shape"] * _spread(body) - shape).square().sum()  # where the clamp gives no gradient
        return total + c.weight_shape * v["shape"].square().sum() + outside
