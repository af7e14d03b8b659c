"""SO(3): rotation matrices, rotation vectors, quaternions (wxyz) and the 6D form.

Inside the package a rotation is a 3×3 matrix. The 6D form of Zhou et al. (CVPR 2019) is used only at a network's edge.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = [
    "matrix_from_quaternion",
    "matrix_from_six_d",
    "nearest_rotation",
    "quaternion_from_matrix",
    "rotation_angle",
    "rotation_between",
    "rotation_x",
    "rotation_y",
    "rotation_z",
    "six_d_from_matrix",
    "skew",
    "so3_exp",
    "so3_log",
]


def skew(v: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Cross-product matrix: ``skew(a) @ b == cross(a, b)``."""
    x, y, z = v.unbind(-1)
    o = torch.zeros_like(x)
    return torch.stack([o, -z, y, z, o, -x, -y, x, o], -1).reshape(*v.shape[:-1], 3, 3)


def so3_exp(rotvec: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrix of a rotation vector [rad] by Rodrigues' formula; smooth (also in its gradient) at zero.

    Example:
        A quarter turn about z takes x to y.

        >>> quarter = so3_exp(torch.tensor([0.0, 0.0, torch.pi / 2]))
        >>> (quarter @ torch.tensor([1.0, 0.0, 0.0])).round(decimals=3).tolist()
        [0.0, 1.0, 0.0]
    """
    sq = (rotvec * rotvec).sum(-1)
    tiny = sq < 1e-8 if rotvec.dtype == torch.float64 else sq < 1e-5
    safe = torch.where(tiny, torch.ones_like(sq), sq)
    angle = safe.sqrt()
    a = torch.where(tiny, 1 - sq / 6 + sq * sq / 120, torch.sin(angle) / angle)
    b = torch.where(tiny, 0.5 - sq / 24 + sq * sq / 720, (1 - torch.cos(angle)) / safe)
    k = skew(rotvec)
    eye = torch.eye(3, dtype=rotvec.dtype, device=rotvec.device)
    return eye + a[..., None, None] * k + b[..., None, None] * (k @ k)


def quaternion_from_matrix(R: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 4"]:
    """Unit quaternion (wxyz, w ≥ 0) of a rotation matrix; the largest of four candidate forms is used, so it is stable everywhere."""
    m = R.flatten(-2)
    m00, m01, m02, m10, m11, m12, m20, m21, m22 = m.unbind(-1)
    four = torch.stack([1 + m00 + m11 + m22, 1 + m00 - m11 - m22, 1 - m00 + m11 - m22, 1 - m00 - m11 + m22], -1)
    rows = torch.stack(
        [
            torch.stack([four[..., 0], m21 - m12, m02 - m20, m10 - m01], -1),
            torch.stack([m21 - m12, four[..., 1], m10 + m01, m02 + m20], -1),
            torch.stack([m02 - m20, m10 + m01, four[..., 2], m12 + m21], -1),
            torch.stack([m10 - m01, m20 + m02, m21 + m12, four[..., 3]], -1),
        ],
        -2,
    )
    best = four.argmax(-1)
    q = torch.gather(rows, -2, best[..., None, None].expand(*best.shape, 1, 4)).squeeze(-2)
    q = q / q.norm(dim=-1, keepdim=True)
    return torch.where(q[..., :1] < 0, -q, q)


def matrix_from_quaternion(q: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrix of a quaternion (wxyz). It is normalised first; a zero quaternion gives NaN."""
    w, x, y, z = (q / q.norm(dim=-1, keepdim=True)).unbind(-1)
    return torch.stack(
        [
            1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
            2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
            2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
        ],
        -1,
    ).reshape(*q.shape[:-1], 3, 3)  # fmt: skip


def so3_log(R: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """Rotation vector [rad], length in [0, π], of a rotation matrix; inverse of :func:`so3_exp`."""
    q = quaternion_from_matrix(R)
    w, v = q[..., :1], q[..., 1:]
    sq = (v * v).sum(-1, keepdim=True)
    tiny = sq < 1e-12
    n = torch.where(tiny, torch.ones_like(sq), sq).sqrt()
    factor = torch.where(tiny, 2 / w.clamp_min(0.5), 2 * torch.atan2(n, w) / n)
    return factor * v


def rotation_angle(R: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch"]:
    """Geodesic angle [rad] between ``R`` and the identity."""
    q = quaternion_from_matrix(R)
    return 2 * torch.atan2(q[..., 1:].norm(dim=-1), q[..., 0])


def matrix_from_six_d(x: Float[Tensor, "*batch 6"], layout: Literal["columns", "rows"] = "columns") -> Float[Tensor, "*batch 3 3"]:
    """Rotation from two 3-vectors by Gram-Schmidt (Zhou et al. 2019).

    Args:
        x: the two vectors, one after the other.
        layout: whether they are the first two columns (the paper) or the first two rows (PyTorch3D, BUDDI) of the matrix.
    """
    a, b = x[..., :3], x[..., 3:]
    e1 = torch.nn.functional.normalize(a, dim=-1)
    e2 = torch.nn.functional.normalize(b - (e1 * b).sum(-1, keepdim=True) * e1, dim=-1)
    return torch.stack([e1, e2, torch.linalg.cross(e1, e2)], -1 if layout == "columns" else -2)


def six_d_from_matrix(R: Float[Tensor, "*batch 3 3"], layout: Literal["columns", "rows"] = "columns") -> Float[Tensor, "*batch 6"]:
    """The first two columns (or rows) of a rotation matrix, one after the other."""
    return torch.cat([R[..., :, 0], R[..., :, 1]] if layout == "columns" else [R[..., 0, :], R[..., 1, :]], -1)


def nearest_rotation(M: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The rotation nearest to ``M`` in the Frobenius norm (orthogonal Procrustes); never a reflection."""
    U, _, Vh = torch.linalg.svd(M)
    sign = torch.ones_like(M[..., 0])
    sign[..., 2] = torch.linalg.det(U @ Vh)
    return U @ (sign[..., None] * Vh)


def rotation_between(a: Float[Tensor, "*batch 3"], b: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The smallest rotation that takes direction ``a`` to direction ``b``; any half turn about a normal axis if they are opposite."""
    a = torch.nn.functional.normalize(a, dim=-1)
    b = torch.nn.functional.normalize(b, dim=-1)
    w = 1 + (a * b).sum(-1, keepdim=True)
    helper = torch.where(a[..., :1].abs() < 0.9, torch.tensor([1.0, 0, 0]).to(a), torch.tensor([0.0, 1, 0]).to(a))
    axis = torch.where(w < 1e-6, torch.linalg.cross(a, helper.expand_as(a)), torch.linalg.cross(a, b))
    return matrix_from_quaternion(torch.cat([torch.where(w < 1e-6, torch.zeros_like(w), w), axis], -1))


def _axis_rotation(angle: Float[Tensor, "*batch"] | float, axis: int) -> Float[Tensor, "*batch 3 3"]:
    angle = torch.as_tensor(angle)
    v = torch.zeros(*angle.shape, 3, dtype=angle.dtype if angle.is_floating_point() else torch.float32, device=angle.device)
    v[..., axis] = 1.0
    return so3_exp(v * angle[..., None])


def rotation_x(angle: Float[Tensor, "*batch"] | float) -> Float[Tensor, "*batch 3 3"]:
    """Rotation about x by ``angle`` [rad] (y towards z)."""
    return _axis_rotation(angle, 0)


def rotation_y(angle: Float[Tensor, "*batch"] | float) -> Float[Tensor, "*batch 3 3"]:
    """Rotation about y by ``angle`` [rad] (z towards x)."""
    return _axis_rotation(angle, 1)


def rotation_z(angle: Float[Tensor, "*batch"] | float) -> Float[Tensor, "*batch 3 3"]:
    """Rotation about z by ``angle`` [rad] (x towards y)."""
    return _axis_rotation(angle, 2)
