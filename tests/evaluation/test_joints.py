"""Joint errors under motions whose effect on each measure is known."""

import pytest
import torch

from huddle3d.errors import InputError, ShapeError
from huddle3d.evaluation import body_metrics
from huddle3d.geometry import apply, se3, so3_exp


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
