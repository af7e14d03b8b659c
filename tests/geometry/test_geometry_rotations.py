"""SO(3): round trips over batch axes and types, gradients where formulas divide by zero, and signs by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from huddle3d.geometry import (
    matrix_from_quaternion,
    matrix_from_six_d,
    nearest_rotation,
    quaternion_from_matrix,
    rotation_angle,
    rotation_between,
    rotation_x,
    rotation_y,
    rotation_z,
    six_d_from_matrix,
    skew,
    so3_exp,
    so3_log,
)

BATCHES = [(), (1,), (3, 1, 2)]
# A product of a dozen operations loses a few units in the last place; near half turns the logarithm loses half of the digits of w, but
# not of the vector part, so the same tolerance holds.
TOLERANCE = {torch.float32: 3e-6, torch.float64: 3e-13}
DTYPES = list(TOLERANCE)


def random_rotvec(batch: tuple[int, ...], dtype: torch.dtype, longest: float = math.pi) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    axis = torch.nn.functional.normalize(torch.randn(*batch, 3, generator=generator, dtype=torch.float64), dim=-1)
    return (axis * longest * torch.rand(*batch, 1, generator=generator, dtype=torch.float64)).to(dtype)


def is_rotation(R: Tensor) -> None:
    eye = torch.eye(3, dtype=R.dtype).expand_as(R)
    torch.testing.assert_close(R @ R.transpose(-1, -2), eye, atol=TOLERANCE[R.dtype], rtol=0)
    torch.testing.assert_close(torch.linalg.det(R), torch.ones(R.shape[:-2], dtype=R.dtype), atol=TOLERANCE[R.dtype], rtol=0)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_and_log_are_inverse(batch: tuple[int, ...], dtype: torch.dtype) -> None:
    v = random_rotvec((*batch, 50), dtype, 3.1)
    R = so3_exp(v)
    assert R.shape == (*batch, 50, 3, 3) and R.dtype == dtype
    is_rotation(R)
    torch.testing.assert_close(so3_log(R), v, atol=TOLERANCE[dtype], rtol=0)
    torch.testing.assert_close(rotation_angle(R), v.norm(dim=-1), atol=TOLERANCE[dtype], rtol=0)


@given(
    st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda a: math.hypot(*a) > 1e-3),
    st.floats(-12, math.log10(math.pi)),
)
@settings(max_examples=200, deadline=None)
def test_exp_and_log_at_every_scale(axis: tuple[float, float, float], exponent: float) -> None:
    """Angles from 1e-12 to π: no scale falls between the series and the closed form."""
    v = torch.tensor(axis, dtype=torch.float64)
    v = v / v.norm() * 10**exponent
    R = so3_exp(v)
    is_rotation(R)
    back = so3_log(R)
    # At π itself v and −v are the same rotation.
    error = min((back - v).norm().item(), (back + v).norm().item() if v.norm() > 3.14159 else math.inf)
    assert error <= 1e-12 + 1e-9 * (v.norm().item() > 3.14)  # 10**exponent may pass π by one rounding


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_agrees_with_the_matrix_exponential(dtype: torch.dtype) -> None:
    for longest in (1e-6, 1e-3, 3.2e-3, 0.1, 3.0, 9.0):
        v = random_rotvec((20,), dtype, longest)
        torch.testing.assert_close(so3_exp(v), torch.linalg.matrix_exp(skew(v)), atol=3 * TOLERANCE[dtype], rtol=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_half_turns(dtype: torch.dtype) -> None:
    for axis in (
        *torch.eye(3, dtype=dtype),
        *torch.nn.functional.normalize(torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=dtype), dim=-1),
    ):
        R = 2 * axis[:, None] * axis - torch.eye(3, dtype=dtype)
        v = so3_log(R)
        assert v.norm().item() == pytest.approx(math.pi, abs=1e-5 if dtype == torch.float32 else 1e-7)
        torch.testing.assert_close(so3_exp(v), R, atol=1e-5 if dtype == torch.float32 else 1e-7, rtol=0)


@pytest.mark.parametrize("scale", [0.0, 1e-9, 1e-4, 1.0, 3.0])
def test_gradients(scale: float) -> None:
    v = (torch.tensor([[0.3, -0.5, 0.8]], dtype=torch.float64) * scale).requires_grad_()
    assert torch.autograd.gradcheck(so3_exp, v)
    if scale:
        assert torch.autograd.gradcheck(lambda v: so3_log(so3_exp(v)), v, atol=1e-5)
    (gradient,) = torch.autograd.grad(so3_log(so3_exp(v)).sum(), v)
    torch.testing.assert_close(gradient, torch.ones_like(v), atol=1e-6, rtol=0)  # the round trip is the identity
    assert torch.autograd.gradgradcheck(so3_exp, v, atol=1e-4)


def test_gradient_is_finite_in_single_precision_at_zero() -> None:
    v = torch.zeros(4, 3, requires_grad=True)
    so3_log(so3_exp(v)).sum().backward()
    torch.testing.assert_close(v.grad, torch.ones(4, 3))


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_quaternions(batch: tuple[int, ...], dtype: torch.dtype) -> None:
    R = so3_exp(random_rotvec((*batch, 40), dtype))
    q = quaternion_from_matrix(R)
    assert q.shape == (*batch, 40, 4) and (q[..., 0] >= 0).all()
    torch.testing.assert_close(matrix_from_quaternion(q), R, atol=TOLERANCE[dtype], rtol=0)
    torch.testing.assert_close(matrix_from_quaternion(-3 * q), R, atol=TOLERANCE[dtype], rtol=0)  # any length, either sign


def test_quaternion_order_and_sign_by_hand() -> None:
    half = math.sqrt(0.5)
    torch.testing.assert_close(quaternion_from_matrix(rotation_z(math.pi / 2)), torch.tensor([half, 0, 0, half]))  # wxyz
    for axis, R in enumerate((rotation_x(math.pi), rotation_y(math.pi), rotation_z(math.pi))):
        q = quaternion_from_matrix(R)
        assert q[1 + axis].abs().item() == pytest.approx(1) and q.isfinite().all()


def test_axis_rotations_turn_the_way_they_say() -> None:
    x, y, z = torch.eye(3)
    quarter = math.pi / 2
    for R, before, after in ((rotation_x(quarter), y, z), (rotation_y(quarter), z, x), (rotation_z(quarter), x, y)):
        torch.testing.assert_close(R @ before, after, atol=1e-6, rtol=0)
    assert rotation_y(torch.zeros(2, 3, dtype=torch.float64)).shape == (2, 3, 3, 3)
    torch.testing.assert_close(rotation_x(0), torch.eye(3))


def test_skew() -> None:
    a, b = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close((skew(a) @ b[..., None])[..., 0], torch.linalg.cross(a, b))


@pytest.mark.parametrize("layout", ["columns", "rows"])
@pytest.mark.parametrize("batch", BATCHES)
def test_six_d(layout: str, batch: tuple[int, ...]) -> None:
    R = so3_exp(random_rotvec(batch, torch.float64))
    x = six_d_from_matrix(R, layout)  # type: ignore[arg-type]
    torch.testing.assert_close(matrix_from_six_d(x, layout), R)  # type: ignore[arg-type]
    torch.testing.assert_close(matrix_from_six_d(x * 3, layout), R)  # type: ignore[arg-type]  # length does not matter
    noisy = x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(2), dtype=x.dtype)
    is_rotation(matrix_from_six_d(noisy, layout))  # type: ignore[arg-type]


def test_six_d_layouts_are_transposes() -> None:
    R = so3_exp(torch.tensor([0.3, 0.6, -0.9]))
    torch.testing.assert_close(six_d_from_matrix(R, "columns"), torch.cat([R[:, 0], R[:, 1]]))
    torch.testing.assert_close(six_d_from_matrix(R, "rows"), six_d_from_matrix(R.T, "columns"))
    torch.testing.assert_close(matrix_from_six_d(six_d_from_matrix(R, "rows"), "columns"), R.T)


def test_nearest_rotation() -> None:
    R = so3_exp(random_rotvec((20,), torch.float64))
    is_rotation(nearest_rotation(R + 0.05 * torch.randn(20, 3, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)))
    torch.testing.assert_close(nearest_rotation(3 * R), R)
    is_rotation(nearest_rotation(-R))  # a reflection is not answered by a reflection
    is_rotation(nearest_rotation(torch.diag(torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64))))


@pytest.mark.parametrize("dtype", DTYPES)
def test_rotation_between(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(4)
    a, b = (torch.nn.functional.normalize(torch.randn(30, 3, generator=generator, dtype=dtype), dim=-1) for _ in range(2))
    R = rotation_between(2 * a, 5 * b)
    is_rotation(R)
    torch.testing.assert_close((R @ a[..., None])[..., 0], b, atol=1e-5, rtol=0)
    angle = torch.atan2(torch.linalg.cross(a, b).norm(dim=-1), (a * b).sum(-1))
    torch.testing.assert_close(rotation_angle(R), angle, atol=1e-5, rtol=0)  # the smallest one
    for same, sign in ((a, 1), (torch.eye(3, dtype=dtype), 1), (a, -1), (torch.eye(3, dtype=dtype), -1), (-torch.eye(3, dtype=dtype), -1)):
        R = rotation_between(same, sign * same)
        is_rotation(R)
        torch.testing.assert_close((R @ same[..., None])[..., 0], sign * same, atol=1e-5, rtol=0)


def test_empty_batches() -> None:
    assert so3_exp(torch.zeros(0, 3)).shape == (0, 3, 3)
    assert so3_log(torch.zeros(0, 3, 3)).shape == (0, 3)
    assert nearest_rotation(torch.zeros(0, 3, 3)).shape == (0, 3, 3)
