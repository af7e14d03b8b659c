"""Medians, bootstrap intervals and paired tests against hand values and scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huddle3d.errors import InputError
from huddle3d.evaluation import median_interval, paired_comparison


def test_three_values_by_hand():
    # The median of 3 draws from (1, 2, 4): P(1) = P(4) = 7/27 = 0.259, P(2) = 13/27. Quantiles .025 and .975 are 1 and 4; .3 and .7 are both 2.
    wide, narrow = median_interval([4, 1, 2]), median_interval([4, 1, 2], level=0.4)
    assert (wide.median, wide.low, wide.high, wide.count) == (2, 1, 4, 3)
    assert (narrow.low, narrow.high) == (2, 2)


def test_five_values_by_hand():
    # P(median of 5 draws from 1..5 is <= 1) = .058, <= 2: .317, <= 3: .683: quantiles .2 and .8 are 2 and 4.
    found = median_interval([1, 2, 3, 4, 5], level=0.6)
    assert (found.low, found.high) == (2, 4)


def test_interval_equals_scipy():
    from scipy.stats import bootstrap

    values = np.random.default_rng(1).normal(5, 2, 60)
    got = median_interval(values.tolist(), resamples=20_000)
    peer = bootstrap((values,), np.median, n_resamples=20_000, method="percentile", rng=np.random.default_rng(7)).confidence_interval
    # Two Monte-Carlo estimates of the same quantiles among discrete order statistics: at most one gap between neighbours (about 0.1) apart.
    assert got.low == pytest.approx(peer.low, abs=0.12) and got.high == pytest.approx(peer.high, abs=0.12)
    assert got.high - got.low > 0.5


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_order_does_not_matter_and_the_interval_holds_the_median(values, random):
    base = median_interval(values, resamples=200)
    shuffled = list(values)
    random.shuffle(shuffled)
    assert median_interval(shuffled, resamples=200) == base
    assert min(values) <= base.low <= base.high <= max(values) and base.low <= base.median <= base.high


def test_the_seed_counts():
    values = np.random.default_rng(0).normal(size=25).tolist()
    assert median_interval(values, seed=3) == median_interval(values, seed=3)
    assert any(median_interval(values, resamples=50, seed=k) != median_interval(values, resamples=50) for k in range(1, 6))


def test_wilcoxon_by_hand():
    # Six scenes, all better by different amounts: 2 of the 2^6 sign patterns are as extreme.
    a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    b = [x - 0.1 * (k + 1) for k, x in enumerate(a)]
    found = paired_comparison(a, b)
    assert found.p_value == pytest.approx(2 / 64) and found.count == 6
    assert found.median_difference == pytest.approx(-0.35)
    assert paired_comparison(b, a).median_difference == pytest.approx(0.35) and paired_comparison(b, a).p_value == found.p_value


def test_equal_variants_do_not_differ():
    found = paired_comparison([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert (found.median_difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_scenes_without_a_value_are_left_out():
    assert paired_comparison([1.0, None, 3.0], [2.0, 5.0, None]).count == 1


def test_bad_input():
    for call in (
        lambda: median_interval([]),
        lambda: median_interval([1.0, float("nan")]),
        lambda: median_interval([1.0], level=1.0),
        lambda: paired_comparison([1.0], [1.0, 2.0]),
        lambda: paired_comparison([None], [1.0]),
        lambda: paired_comparison([float("inf")], [1.0]),
    ):
        with pytest.raises(InputError):
            call()
