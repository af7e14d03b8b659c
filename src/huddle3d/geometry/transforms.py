"""SE(3) and similarities as 4×4 matrices named ``T_to_from``: ``apply(T_world_cam, p_cam)`` is ``p_world``."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["apply", "apply_direction", "inverse", "scale_of", "se3", "similarity", "umeyama"]


def se3(R: Float[Tensor, "*batch 3 3"], t: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 4 4"]:
    """Rigid transform ``x -> R x + t``."""
    batch = torch.broadcast_shapes(R.shape[:-2], t.shape[:-1])
    top = torch.cat([R.expand(*batch, 3, 3), t.expand(*batch, 3)[..., None]], -1)
    bottom = torch.tensor([0.0, 0, 0, 1], dtype=top.dtype, device=top.device).expand(*batch, 1, 4)
    return torch.cat([top, bottom], -2)


def similarity(scale: Float[Tensor, "*batch"] | float, R: Float[Tensor, "*batch 3 3"], t: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 4 4"]:
    """Similarity ``x -> scale R x + t``, ``scale`` > 0."""
    scale = torch.as_tensor(scale, dtype=R.dtype, device=R.device)
    return se3(scale[..., None, None] * R, t)


def scale_of(T: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch"]:
    """Scale factor of a similarity (1 for a rigid transform)."""
    return torch.linalg.det(T[..., :3, :3]).abs().pow(1 / 3)


def inverse(T: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 4 4"]:
    """Inverse of a similarity (a rigid transform is one): ``A = s R`` has the inverse ``Aᵀ / s²``."""
    A, t = T[..., :3, :3], T[..., :3, 3]
    inv = A.transpose(-1, -2) / scale_of(T).square()[..., None, None]
    return se3(inv, -(inv @ t[..., None])[..., 0])


def apply(T: Float[Tensor, "*batch 4 4"], points: Float[Tensor, "*points 3"]) -> Float[Tensor, "*points 3"]:
    """Transform points: ``(*batch, 4, 4)`` with ``(*batch, N, 3)``, or one transform with points of any shape ``(..., 3)``."""
    if T.ndim == 2:
        return points @ T[:3, :3].T + T[:3, 3]
    return points @ T[..., :3, :3].transpose(-1, -2) + T[..., None, :3, 3]


def apply_direction(T: Float[Tensor, "*batch 4 4"], directions: Float[Tensor, "*points 3"]) -> Float[Tensor, "*points 3"]:
    """Rotate directions (unit normals stay unit) by the rotation of a similarity; batching as in :func:`apply`."""
    R = T[..., :3, :3] / scale_of(T)[..., None, None]
    return directions @ (R.T if T.ndim == 2 else R.transpose(-1, -2))


def umeyama(source: Float[Tensor, "*batch n 3"], target: Float[Tensor, "*batch n 3"], *, with_scale: bool = True) -> Float[Tensor, "*batch 4 4"]:
    """Least-squares similarity ``T_target_source`` (Umeyama 1991, eqs. 40–43); the rotation is never a reflection.

    Degenerate: if all source points coincide the scale is 1.

    Example:
        >>> triangle = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        >>> T = umeyama(triangle, 2 * triangle + torch.tensor([0.0, 0.0, 5.0]))
        >>> round(scale_of(T).item(), 4), round(T[2, 3].item(), 4)
        (2.0, 5.0)
    """
    mu_s, mu_t = source.mean(-2, keepdim=True), target.mean(-2, keepdim=True)
    s, t = source - mu_s, target - mu_t
    U, D, Vh = torch.linalg.svd(t.transpose(-1, -2) @ s)
    sign = torch.ones_like(D)
    sign[..., 2] = torch.linalg.det(U @ Vh).sign()
    R = U @ (sign[..., None] * Vh)
    var = s.square().sum((-1, -2))
    scale = torch.where(var > 1e-12, (D * sign).sum(-1) / var.clamp_min(1e-12), torch.ones_like(var)) if with_scale else torch.ones_like(var)
    translation = mu_t[..., 0, :] - scale[..., None] * (R @ mu_s.transpose(-1, -2))[..., 0]
    return similarity(scale, R, translation)
