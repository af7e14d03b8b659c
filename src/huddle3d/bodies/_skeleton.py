"""Joints of the shaped body and forward kinematics."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.geometry import nearest_rotation, skew, so3_exp

__all__ = ["Orientation", "Skeleton", "SkeletonPose", "kinematic_levels"]


@dataclass(frozen=True)
class Orientation:
    """Rest orientations of Anny's bones: they turn with the body's shape, and the pose is defined on fixed reference orientations.

    So a thin and a heavy body in the same pose have their limbs in the same directions, although their rest meshes do not.
    """

    template: Float[Tensor, "J 3 3"]
    """Cross-covariances of each bone at zero coefficients; the nearest rotation is the bone's rest orientation."""
    basis: Float[Tensor, "C J 3 3"]
    """Their change with the shape coefficients."""
    reference: Float[Tensor, "J 3 3"]
    """Orientations that identity pose stands for."""

    def to_reference(self, coefficients: Float[Tensor, "K C"]) -> Float[Tensor, "K J 3 3"]:
        """Rotation of each bone from its rest orientation at this shape to the reference orientation."""
        M = self.template + torch.einsum("kc,cjab->kjab", coefficients, self.basis)
        return self.reference @ _procrustes(M).transpose(-1, -2)


def _procrustes(M: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Nearest rotation, with the gradient of implicit differentiation.

    With ``S = RᵀM`` symmetric, ``dR = R [ω]ₓ`` and ``(tr(S) I - S) ω = vee(Rᵀ dM - dMᵀ R)``: finite where the gradient of the singular
    vectors is not (equal singular values). First derivatives only.
    """
    with torch.no_grad():
        R = nearest_rotation(M)
        S = R.transpose(-1, -2) @ M
        eye = torch.eye(3, dtype=M.dtype, device=M.device)
        inverse = torch.linalg.inv(S.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None] * eye - S)
    if not M.requires_grad:
        return R
    B = R.transpose(-1, -2) @ M
    A = B - B.transpose(-1, -2)
    vee = torch.stack([A[..., 2, 1], A[..., 0, 2], A[..., 1, 0]], -1)
    omega = (inverse @ (vee - vee.detach())[..., None])[..., 0]
    return R + R @ skew(omega)


@dataclass(frozen=True)
class SkeletonPose:
    """Posed joints of K bodies."""

    R: Float[Tensor, "K J 3 3"]
    """Joint orientations in the world; identity at identity pose."""
    t: Float[Tensor, "K J 3"]
    """Joint positions in the world."""
    skin_R: Float[Tensor, "K J 3 3"]
    """Rotation of the skinning transform, rest surface to world."""
    skin_t: Float[Tensor, "K J 3"]
    """Translation of the skinning transform."""
    delta: Float[Tensor, "K J 3 3"]
    """Local rotations."""


@dataclass(frozen=True)
class Skeleton:
    """A kinematic tree whose joints depend linearly on the shape coefficients."""

    parents: tuple[int, ...]
    """Parent of each joint, -1 for joint 0."""
    levels: tuple[Int[Tensor, "n"], ...]
    """Joints by depth, from :func:`kinematic_levels`."""
    head_template: Float[Tensor, "J 3"]
    """Joint positions at zero coefficients [m]."""
    head_basis: Float[Tensor, "C J 3"]
    """Their change with the coefficients."""
    orientation: Orientation | None = None
    """Only for models whose rest orientations depend on the shape."""

    def rest_heads(self, coefficients: Float[Tensor, "K C"]) -> Float[Tensor, "K J 3"]:
        """Joint positions of the shaped, unposed body."""
        return self.head_template + torch.einsum("kc,cjd->kjd", coefficients, self.head_basis)

    def pose(self, coefficients: Float[Tensor, "K C"], rotvec: Float[Tensor, "K J 3"], root: Float[Tensor, "K 3"]) -> SkeletonPose:
        """Forward kinematics.

        ``R_c = R_p D_c`` and ``t_c = t_p + R_p A_p (h_c - h_p)``; the surface bound to joint c moves by ``x -> R_c A_c (x - h_c) + t_c``,
        ``A`` being the turn from rest to reference orientation (identity without :class:`Orientation`, and for the root's own offset).

        Args:
            coefficients: shape.
            rotvec: rotations about world-aligned rest axes [rad]; row 0 is the global orientation.
            root: world position of joint 0.
        """
        heads = self.rest_heads(coefficients)
        parent = torch.tensor([max(p, 0) for p in self.parents], device=heads.device)
        offset = heads - heads[:, parent]
        D = so3_exp(rotvec)
        turn = None
        if self.orientation is not None:
            turn = self.orientation.to_reference(coefficients)
            offset = (turn[:, parent] @ offset[..., None])[..., 0]
        R_levels, t_levels = [D[:, :1]], [root[:, None]]
        position = torch.zeros(len(self.parents), dtype=torch.long, device=heads.device)
        for level in self.levels[1:]:
            up = position[parent[level]]
            R_up = R_levels[-1][:, up]
            R_levels.append(R_up @ D[:, level])
            t_levels.append(t_levels[-1][:, up] + (R_up @ offset[:, level, :, None])[..., 0])
            position[level] = torch.arange(len(level), device=heads.device)
        order = torch.argsort(torch.cat(self.levels))
        R, t = torch.cat(R_levels, 1)[:, order], torch.cat(t_levels, 1)[:, order]
        skin_R = R if turn is None else R @ turn
        return SkeletonPose(R=R, t=t, skin_R=skin_R, skin_t=t - (skin_R @ heads[..., None])[..., 0], delta=D)


def kinematic_levels(parents: tuple[int, ...], device: torch.device | str = "cpu") -> tuple[Tensor, ...]:
    """Joints grouped by depth; every parent lies in the group before."""
    depth = [0] * len(parents)
    for joint, parent in enumerate(parents):
        depth[joint] = 0 if parent < 0 else depth[parent] + 1
    return tuple(torch.tensor([j for j, d in enumerate(depth) if d == k], device=device) for k in range(max(depth) + 1))
