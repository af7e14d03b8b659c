"""What a detector would report of the people of a view: key points, 3D landmarks and masks, exact or with measured errors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from huddle3d.fitting._observations import BONES, bone_matrix
from huddle3d.fitting.regressor import MAP, POINTS, Sights
from huddle3d.perception.keypoint_noise import load_keypoint_noise, spoil
from huddle3d.scene.landmarks import LANDMARK_INDEX, NUM_LANDMARKS
from huddle3d.training.pair_views import PairViews

__all__ = ["NoiseMix", "bone_ends", "observed", "true_bones"]

_HIDDEN = 0.3
"""Confidence of hidden points in the truth."""
_HIPS = [POINTS.index(LANDMARK_INDEX[f"{s}_hip"]) for s in ("left", "right")]


@dataclass(frozen=True)
class NoiseMix:
    """Shares of kinds of observations."""

    noisy: float = 0.6
    """Key points with the measured errors and drop-outs; the others are exact, hidden ones with confidence 0.3."""
    blind: float = 0.5
    """Without 3D landmarks."""
    forgotten: float = 0.35
    """Hidden points are not given at all."""
    no_mask: float = 0.1
    """Without masks."""
    alone: float = 0.12
    """Only one of the two people is known."""
    soft: float = 0.02
    """Standard deviation of the window's middle and of the logarithm of its side, relative to its side."""


@lru_cache(maxsize=1)
def bone_ends() -> tuple[Float[Tensor, "bones N"], Bool[Tensor, "bones"]]:
    """Which points each bone ends in, and whether it is one of the arms or legs."""
    ends = (bone_matrix()[:, list(POINTS)] != 0).float()
    limb = torch.tensor([any(part in b[0] for part in ("elbow", "wrist", "knee", "ankle")) and "1" not in b[0] for _, b in BONES])
    return ends, limb


def true_bones(views: PairViews) -> Float[Tensor, "V 2 bones 3"]:
    """Unit directions of :data:`~huddle3d.fitting._observations.BONES` in view axes."""
    bones = bone_matrix()[:, list(POINTS)] @ views.points
    return torch.nn.functional.normalize(bones, dim=-1) * torch.tensor([1.0, -1.0, -1.0])


def observed(views: PairViews, mix: NoiseMix, generator: torch.Generator) -> Sights:
    """Draw what is reported of each view's people."""
    count = len(views)

    def chance(share: float) -> Tensor:
        return torch.rand(count, generator=generator) < share

    z = views.points[..., 2:].clamp_min(0.05)
    rays = views.points[..., :2] / z
    shown = torch.where(views.state == 2, 1.0, torch.where(views.state == 1, _HIDDEN, 0.0))
    points3d = views.points - views.points[:, :, _HIPS].mean(2, keepdim=True)
    exact = torch.cat([rays, shown[..., None]], -1)
    solid = torch.cat([points3d, torch.ones_like(shown)[..., None]], -1)
    noisy = chance(mix.noisy)
    if bool(noisy.any()):
        exact[noisy], solid[noisy] = _spoilt(exact[noisy], solid[noisy], views.points[noisy], generator)
    forgotten = ~noisy & chance(mix.forgotten)
    exact[..., 2] = torch.where(forgotten[:, None, None] & (views.state < 2), 0.0, exact[..., 2])
    solid[..., 3] = torch.where(forgotten[:, None, None] & (views.state < 2), 0.0, solid[..., 3])
    solid[..., 3] = torch.where(chance(mix.blind)[:, None, None], 0.0, solid[..., 3])
    maps = torch.stack([views.owner == k for k in range(2)], 1).float()
    maps = maps * (~chance(mix.no_mask))[:, None, None, None]
    paired = ~chance(mix.alone)
    window = views.window.clone()
    window[:, :2] += mix.soft * window[:, 2:] * torch.randn(count, 2, generator=generator)
    window[:, 2] *= (mix.soft * torch.randn(count, generator=generator)).exp()
    lone = _lone(views)
    window = torch.where(paired[:, None], window, lone)
    maps = torch.where(paired[:, None, None, None], maps, _resampled(maps, views.window, lone))
    return Sights(exact[..., :2], exact[..., 2], solid[..., :3], solid[..., 3], maps, window, paired)


def _spoilt(points: Tensor, points3d: Tensor, places: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Measured errors; the table knows all landmarks, of which these are some."""
    count, rows = len(points), list(POINTS)
    full, full3d = torch.zeros(2 * count, NUM_LANDMARKS, 3), torch.zeros(2 * count, NUM_LANDMARKS, 4)
    full[:, rows], full3d[:, rows] = points.flatten(0, 1), points3d.flatten(0, 1)
    scale = 1 / places[:, :, :17, 2].mean(-1).clamp_min(0.1).flatten()
    full, full3d = spoil(full, full3d, scale, load_keypoint_noise(), generator)
    return full[:, rows].reshape(points.shape), full3d[:, rows].reshape(points3d.shape)


def _lone(views: PairViews) -> Float[Tensor, "V 3"]:
    """The window around person 0 alone, from the pixels that are seen of it."""
    mine = views.owner == 0
    at = (torch.arange(MAP) + 0.5) / MAP * 2 - 1
    low, high = torch.zeros(len(views), 2), torch.zeros(len(views), 2)
    for axis, other in ((0, 1), (1, 2)):
        used = mine.any(other)
        low[:, axis] = torch.where(used, at, 2.0).amin(-1).clamp_max(1)
        high[:, axis] = torch.where(used, at, -2.0).amax(-1).clamp_min(-1)
    half = (high - low).amax(-1).clamp_min(0.1) / 2 * 1.05
    side = views.window[:, 2:]
    return torch.cat([views.window[:, :2] + side * (low + high) / 2, side * half[:, None]], -1)


def _resampled(maps: Tensor, old: Float[Tensor, "V 3"], new: Float[Tensor, "V 3"]) -> Tensor:
    """The maps of the old windows in the new ones."""
    theta = torch.zeros(len(maps), 2, 3)
    scale = new[:, 2] / old[:, 2]
    theta[:, 0, 0] = theta[:, 1, 1] = scale
    theta[:, :, 2] = (new[:, :2] - old[:, :2]) / old[:, 2:]
    grid = torch.nn.functional.affine_grid(theta, list(maps.shape), align_corners=False)
    return torch.nn.functional.grid_sample(maps, grid, align_corners=False)
