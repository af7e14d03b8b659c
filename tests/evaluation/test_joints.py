"""Joint errors under motions whose effect on each measure is known."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from huddle3d.errors import InputError, ShapeError
from huddle3d.evaluation import body_metrics
from huddle3d.geometry import apply, se3, so3_exp

from .shapes import cube


@pytest.fixture
def truth(rng):
    return torch.randn(2, 75, 3, generator=rng)


def test_translation_counts_only_without_alignment(truth):
    m = body_metrics(truth + torch.tensor([0.03, 0.04, 0.0]), truth)
    assert m.absolute_mpjpe_mm == pytest.approx(50, rel=1e-4)
    assert max(m.mpjpe_mm, m.pa_mpjpe_mm, m.joint_pa_mpjpe_mm) < 1e-2


def test_people_moved_apart_count_for_the_group_but_not_for_each(truth):
    moved = truth.clone()
    moved[1, :, 0] += 0.5
    m = body_metrics(moved, truth)
    assert m.absolute_mpjpe_mm == pytest.approx(250, rel=1e-4)
    assert m.pa_mpjpe_mm < 1e-2 and m.mpjpe_mm < 1e-2
    assert 50 < m.joint_pa_mpjpe_mm < 250


def test_a_similarity_of_each_person_counts_only_without_procrustes(truth):
    T = se3(so3_exp(torch.tensor([0.0, 0.5, 0.2])), torch.zeros(3))
    m = body_metrics(1.2 * apply(T, truth), truth)
    assert m.pa_mpjpe_mm < 1e-2 and m.joint_pa_mpjpe_mm < 1e-2 and m.mpjpe_mm > 100


def test_a_reflection_is_not_a_similarity(truth):
    assert body_metrics(truth * torch.tensor([-1.0, 1, 1]), truth).pa_mpjpe_mm > 100


def test_one_joint_off_by_17_mm_is_1_mm_in_the_mean(truth):
    moved = truth[:1].clone()
    moved[0, 0, 0] += 0.017
    assert body_metrics(moved, truth[:1]).absolute_mpjpe_mm == pytest.approx(1.0, rel=1e-3)


def test_bad_input(truth):
    with pytest.raises(ShapeError):
        body_metrics(truth[:1], truth)
    with pytest.raises(InputError):
        body_metrics(truth[:0], truth[:0])


def test_procrustes_errors_equal_scipy(truth, rng):
    from scipy.spatial.transform import Rotation

    noisy = 0.7 * truth + 0.1 * torch.randn(truth.shape, generator=rng)
    got = body_metrics(noisy, truth)

    def peer(p, t):
        p, t = p - p.mean(0), t - t.mean(0)
        R = Rotation.align_vectors(t, p)[0].as_matrix()  # Kabsch
        scale = float(((p @ R.T) * t).sum() / (p * p).sum())
        return np.linalg.norm(scale * p @ R.T - t, axis=1)

    p, t = (x[:, :17].double().numpy() for x in (noisy, truth))
    assert got.pa_mpjpe_mm == pytest.approx(1000 * np.mean([peer(a, b) for a, b in zip(p, t)]), rel=1e-3)
    assert got.joint_pa_mpjpe_mm == pytest.approx(1000 * peer(p.reshape(-1, 3), t.reshape(-1, 3)).mean(), rel=1e-3)
    hips = [(x[:, 11] + x[:, 12])[:, None] / 2 for x in (p, t)]
    assert got.mpjpe_mm == pytest.approx(1000 * np.linalg.norm(p - hips[0] - t + hips[1], axis=-1).mean(), rel=1e-3)


def test_vertex_errors(truth, rng):
    vertices = torch.randn(2, 40, 3, generator=rng)
    far = torch.tensor([0.3, 0.0, 0.4])
    m = body_metrics(truth + far, truth, predicted_vertices=vertices + far, true_vertices=vertices)
    assert m.mve_mm < 1e-2 and m.pa_mve_mm < 1e-2  # the hips moved with the body
    m = body_metrics(truth, truth, predicted_vertices=vertices + far, true_vertices=vertices)
    assert m.mve_mm == pytest.approx(500, rel=1e-4) and m.pa_mve_mm < 1e-2
    m = body_metrics(truth, truth, predicted_vertices=1.5 * vertices, true_vertices=vertices)
    assert m.mve_mm == pytest.approx(500 * float(vertices.norm(dim=-1).mean()), rel=1e-4) and m.pa_mve_mm < 1e-2
    assert math.isnan(body_metrics(truth, truth).mve_mm)


def test_bodies_that_collide(truth):
    small, big = cube((0.0, 0.57, 0.0), 0.2), cube()
    vertices = torch.stack([small[0], big[0]])
    m = body_metrics(truth, truth, predicted_vertices=vertices, faces=small[1])
    assert m.penetration_max_mm == pytest.approx(30, abs=0.05) and m.penetration_mean_mm == pytest.approx(30, abs=0.05)
    assert m.penetration_volume_cm3 == pytest.approx(1200, rel=0.01)
    assert math.isnan(body_metrics(truth[:1], truth[:1], predicted_vertices=vertices[:1], faces=small[1]).penetration_max_mm)


def test_nan_is_refused(truth):
    with pytest.raises(InputError):
        body_metrics(truth * torch.nan, truth)
    with pytest.raises(InputError):
        body_metrics(truth, truth, predicted_vertices=truth * torch.inf, true_vertices=truth)
    with pytest.raises(ShapeError):
        body_metrics(truth, truth, predicted_vertices=truth[:, :5], true_vertices=truth)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.3, 3), st.permutations(range(3)))
def test_invariances(seed, scale, order):
    rng = torch.Generator().manual_seed(seed)
    truth, noise = torch.randn(3, 75, 3, generator=rng), torch.randn(3, 75, 3, generator=rng)
    T = se3(so3_exp(torch.randn(3, generator=rng)), torch.randn(3, generator=rng))
    base = body_metrics(truth + 0.1 * noise, truth)
    moved = body_metrics(apply(T, truth + 0.1 * noise), apply(T, truth))
    shuffled = body_metrics((truth + 0.1 * noise)[list(order)], truth[list(order)])
    mirrored = body_metrics((truth + 0.1 * noise) * torch.tensor([-1.0, 1, 1]), truth * torch.tensor([-1.0, 1, 1]))
    for other in (moved, shuffled, mirrored):
        for name in ("absolute_mpjpe_mm", "mpjpe_mm", "pa_mpjpe_mm", "joint_pa_mpjpe_mm"):
            assert getattr(other, name) == pytest.approx(getattr(base, name), rel=1e-3)
    scaled = body_metrics(scale * apply(T, truth + 0.1 * noise), truth)
    assert scaled.pa_mpjpe_mm == pytest.approx(base.pa_mpjpe_mm, rel=1e-3)
    assert scaled.joint_pa_mpjpe_mm == pytest.approx(base.joint_pa_mpjpe_mm, rel=1e-3)
    assert base.pa_mpjpe_mm <= base.joint_pa_mpjpe_mm * 1.05  # more freedom, up to least squares against mean distances
