"""L_pen, its frozen pairs and the attraction term."""

import math

import pytest
import torch
from contact_shapes import sphere

from huddle3d.contact import PenetrationConfig, PenetrationPairs, PenetrationTerm, attraction_loss, penetration_loss
from huddle3d.errors import InputError, ShapeError


def spheres(gap: float, count: int = 2, rings: int = 12):
    vertices, faces = sphere(rings, 0.1)
    return torch.stack([vertices + torch.tensor([(0.2 + gap) * k, 0, 0]).double() for k in range(count)]), faces


def test_formula_of_the_paper():
    d = torch.tensor([-0.03, 0.0, 0.02, 0.05], dtype=torch.float64)
    tol, t = 0.02, 0.005
    expected = 15 * sum(t * math.log(1 + math.exp((tol - x) / t)) for x in d.tolist()) / 4
    assert penetration_loss(d).item() == pytest.approx(expected, rel=1e-12)
    assert PenetrationConfig(30.0, 1e-6).temperature == 1e-5
    assert penetration_loss(torch.tensor([-10.0])).isfinite()
    assert penetration_loss(d[:0]) == 0


def test_loss_beyond_reach_is_nothing():
    config = PenetrationConfig()
    assert penetration_loss(torch.tensor([config.reach]).double(), config) < 1e-8


@pytest.mark.parametrize("backend", ["warp", "torch"])
def test_descent_separates_two_bodies(backend, monkeypatch):
    monkeypatch.setenv("HUDDLE3D_KERNELS", backend)
    vertices, faces = spheres(-0.06, rings=6)
    term = PenetrationTerm(faces)
    shift = torch.zeros(2, 1, 3, dtype=torch.float64, requires_grad=True)
    start = term(vertices + shift)
    optimiser = torch.optim.Adam([shift], lr=2e-3)
    for _ in range(40):
        optimiser.zero_grad()
        term(vertices + shift).backward()
        optimiser.step()
    assert term(vertices + shift) < 0.5 * start
    assert (vertices + shift)[1, :, 0].min() > (vertices + shift)[0, :, 0].max() - 0.01
    assert torch.allclose(shift[0], -shift[1], atol=2e-3)  # both give way


def test_term_is_zero_and_differentiable_when_apart():
    vertices, faces = spheres(1.0)
    vertices.requires_grad_()
    loss = PenetrationTerm(faces)(vertices)
    loss.backward()
    assert loss == 0
    assert torch.equal(vertices.grad, torch.zeros_like(vertices))


def test_term_ignores_pairs_that_are_apart():
    vertices, faces = spheres(-0.02, count=3)
    alone = PenetrationTerm(faces).distances(vertices[:2])
    row = PenetrationTerm(faces).distances(vertices)
    assert len(alone) > 0
    assert len(row) == 2 * len(alone)


def test_term_rejects_a_wrong_shape():
    vertices, faces = spheres(0.0)
    with pytest.raises(ShapeError):
        PenetrationTerm(faces)(vertices[0])


def test_frozen_pairs_match_the_signed_distance_where_frozen():
    vertices, faces = spheres(-0.03)
    pairs = PenetrationPairs.freeze(vertices, faces, radius=0.02)
    a, b = vertices.clone().requires_grad_(), vertices.clone().requires_grad_()
    frozen = pairs.distances(a)
    fresh = PenetrationTerm(faces, PenetrationConfig(30.0, 0.02 / 6)).distances(b)  # reach 0.02
    assert torch.allclose(frozen, fresh, atol=1e-6)
    (frozen**2).sum().backward()
    (fresh**2).sum().backward()
    assert torch.allclose(a.grad, b.grad, atol=1e-5)


def test_frozen_pairs_change_sign_as_the_bodies_part():
    vertices, faces = spheres(-0.03)
    pairs = PenetrationPairs.freeze(vertices, faces)
    deepest = int(pairs.distances(vertices).argmin())
    apart = vertices + torch.tensor([[[0.0, 0, 0]], [[0.05, 0, 0]]]).double()
    assert pairs.distances(vertices)[deepest].item() == pytest.approx(-0.03, abs=2e-3)
    assert pairs.distances(apart)[deepest].item() == pytest.approx(0.02, abs=2e-3)
    assert pairs.loss(apart) < pairs.loss(vertices)
    assert set(map(tuple, pairs.person.tolist())) == {(0, 1), (1, 0)}


def test_no_pairs_give_zero_with_a_graph():
    vertices, faces = spheres(1.0)
    pairs = PenetrationPairs.freeze(vertices, faces)
    assert len(pairs.vertex) == 0
    vertices.requires_grad_()
    loss = pairs.loss(vertices)
    loss.backward()
    assert loss == 0


def test_attraction_is_quadratic_near_and_saturates_far():
    a = torch.zeros(1, 3, dtype=torch.float64)
    near, far = attraction_loss(a, a + 1e-3), attraction_loss(a, a + 100.0)
    assert near.item() == pytest.approx(3e-6, rel=1e-3)
    assert far.item() == pytest.approx(0.01, rel=1e-3)
    assert attraction_loss(a[:0], a[:0]) == 0
    with pytest.raises(ShapeError):
        attraction_loss(a, torch.zeros(2, 3))
    with pytest.raises(InputError):
        attraction_loss(a, a, scale=0.0)
