"""Similarities: composition, inverses, and alignment of known transforms."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from huddle3d.geometry import apply, apply_direction, inverse, scale_of, se3, similarity, so3_exp, umeyama


def example(batch: tuple[int, ...], scale: float = 2.5, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    v, t = (torch.randn(*batch, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    return similarity(scale, so3_exp(v), t)


def points(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("batch", [(), (1,), (2, 3)])
def test_inverse_and_composition(batch: tuple[int, ...]) -> None:
    T, S = example(batch), example(batch, 0.3, 5)
    p = points(*batch, 7)
    torch.testing.assert_close(inverse(T) @ T, torch.eye(4, dtype=torch.float64).expand(*batch, 4, 4))
    torch.testing.assert_close(apply(inverse(T), apply(T, p)), p)
    torch.testing.assert_close(apply(S @ T, p), apply(S, apply(T, p)))
    torch.testing.assert_close(scale_of(T), torch.full(batch, 2.5, dtype=torch.float64))


def test_apply_by_hand() -> None:
    T = se3(torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), torch.tensor([10.0, 20, 30]))
    assert apply(T, torch.tensor([1.0, 0, 0])).tolist() == [10, 21, 30]  # one transform, one point
    assert apply(T, torch.tensor([[[1.0, 0, 0]]])).tolist() == [[[10, 21, 30]]]  # any shape of points
    assert apply_direction(T, torch.tensor([1.0, 0, 0])).tolist() == [0, 1, 0]  # no translation


def test_directions_stay_unit_under_scale() -> None:
    T, n = example((4,)), torch.nn.functional.normalize(points(4, 6), dim=-1)
    torch.testing.assert_close(apply_direction(T, n).norm(dim=-1), torch.ones(4, 6, dtype=torch.float64))
    # a direction is the difference of two transformed points, by the scale
    torch.testing.assert_close(apply_direction(T, n), (apply(T, n) - apply(T, 0 * n)) / 2.5)


def test_se3_broadcasts_its_parts() -> None:
    assert se3(torch.eye(3), torch.zeros(5, 3)).shape == (5, 4, 4)
    assert se3(torch.eye(3).expand(5, 3, 3), torch.zeros(3)).shape == (5, 4, 4)
    assert similarity(torch.ones(5), torch.eye(3).expand(5, 3, 3), torch.zeros(5, 3)).shape == (5, 4, 4)


@given(st.floats(0.01, 100), st.integers(0, 1000), st.booleans())
@settings(max_examples=60, deadline=None)
def test_umeyama_recovers_a_known_similarity(scale: float, seed: int, flat: bool) -> None:
    T = example((2,), scale, seed)
    source = points(2, 9, seed=seed + 1)
    if flat:
        source[..., 2] = 0.0  # coplanar points: a reflection would fit as well and must not be taken
    found = umeyama(source, apply(T, source))
    torch.testing.assert_close(found, T, atol=1e-8 * max(1, scale), rtol=1e-7)
    assert (torch.linalg.det(found[..., :3, :3]) > 0).all()


def test_umeyama_without_scale_is_rigid() -> None:
    T = example((), 1.7)
    found = umeyama(points(20), apply(T, points(20)), with_scale=False)
    assert scale_of(found).item() == pytest.approx(1.0)
    torch.testing.assert_close(found[:3, :3] * 1.7, T[:3, :3])


def test_umeyama_never_mirrors() -> None:
    source = points(30)
    found = umeyama(source, source * torch.tensor([-1.0, 1, 1], dtype=torch.float64))
    assert torch.linalg.det(found[:3, :3]) > 0


def test_umeyama_is_least_squares() -> None:
    """No small change of the answer fits better."""
    source = points(30)
    target = apply(example(()), source) + 0.2 * points(30, seed=9)
    best = umeyama(source, target)

    def error(T: torch.Tensor) -> float:
        return (apply(T, source) - target).square().sum().item()

    for k in range(7):
        step = torch.zeros(7, dtype=torch.float64)
        for step[k] in (1e-3, -1e-3):
            assert error(similarity(1 + step[6], so3_exp(step[:3]), step[3:6]) @ best) > error(best)


def test_umeyama_of_one_point() -> None:
    found = umeyama(torch.ones(5, 3), torch.full((5, 3), 4.0))
    assert scale_of(found).item() == pytest.approx(1) and torch.allclose(apply(found, torch.ones(3)), torch.full((3,), 4.0))


def test_umeyama_gradient() -> None:
    target = apply(example(()), points(8)).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: umeyama(points(8), t), target)
