"""The linear problem of a repair step: against closed forms, and against scipy where rows are bounds."""

import pytest
import torch
from scipy.optimize import minimize

from huddle3d.synthesis.poses.least_motion import least_motion

N = 7


def draw(seed, rows=12):
    generator = torch.Generator().manual_seed(seed)
    A, b = torch.randn(rows, N, generator=generator), torch.randn(rows, generator=generator)
    stiff = torch.rand(N, generator=generator) + 0.1
    return A, b, torch.diag(stiff)


def everywhere(value):
    return torch.full((N,), value)


def test_equations_are_the_normal_equations():
    A, b, K = draw(0)
    found = least_motion(A, b, K, torch.ones(N, dtype=torch.bool), everywhere(-9.0), everywhere(9.0), bounds=False)
    assert torch.allclose(found, torch.linalg.solve(A.T @ A + K, A.T @ b), atol=1e-5)


@pytest.mark.parametrize("seed", range(8))
def test_bounds_reach_the_least_sum(seed):
    """The sum counts only rows that fall short; scipy minimises the same convex function."""
    A, b, K = draw(seed)

    def total(x):
        short = (b - A @ torch.as_tensor(x, dtype=torch.float32)).clamp(min=0)
        return float(short.square().sum() + torch.as_tensor(x, dtype=torch.float32) @ K @ torch.as_tensor(x, dtype=torch.float32))

    found = least_motion(A, b, K, torch.ones(N, dtype=torch.bool), everywhere(-9.0), everywhere(9.0), bounds=True)
    reference = minimize(total, [0.0] * N, method="Powell", options={"xtol": 1e-6, "ftol": 1e-9, "maxiter": 20_000})
    assert total(found) <= reference.fun + 1e-3
    assert total(found) < total([0.0] * N)


def test_rows_that_hold_are_kept_from_breaking():
    """One unknown moved by a wish would break what holds: as an equation nobody watches it, as a bound it stops the motion half-way."""
    A, b = torch.tensor([[1.0], [-1.0]]), torch.tensor([1.0, -0.5])  # x ≥ 1 is wanted, x ≤ 0.5 holds
    one = torch.ones(1)
    alone = least_motion(A[:1], b[:1], 1e-6 * torch.eye(1), one > 0, -9 * one, 9 * one, bounds=True)
    both = least_motion(A, b, 1e-6 * torch.eye(1), one > 0, -9 * one, 9 * one, bounds=True)
    assert float(alone) == pytest.approx(1.0, abs=1e-4) and float(both) == pytest.approx(0.75, abs=1e-4)


def test_bounds_of_the_unknowns_and_fixed_ones_are_kept():
    A, b, K = draw(3)
    free = torch.ones(N, dtype=torch.bool)
    free[2] = False
    found = least_motion(A, b, K, free, everywhere(-0.05), everywhere(0.05), bounds=True)
    assert float(found[2]) == 0.0 and float(found.abs().max()) <= 0.05 + 1e-7 and float(found.abs().max()) > 0.04


def test_nothing_violated_nothing_moves():
    A, b, K = draw(4)
    assert torch.equal(least_motion(A, -b.abs(), K, torch.ones(N, dtype=torch.bool), everywhere(-1.0), everywhere(1.0), bounds=True), torch.zeros(N))
