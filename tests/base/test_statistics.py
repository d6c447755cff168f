"""The statistics, against values that can be worked out by hand."""

from __future__ import annotations

import itertools

import pytest
import scipy.stats

from harness.base import statistics


def test_ratios_are_pairwise() -> None:
    # The medians' ratio would be 1: only pairs show that each candidate is twice its baseline.
    assert statistics.ratios([1.0, 2.0, 4.0], [2.0, 4.0, 8.0]) == [2.0, 2.0, 2.0]
    assert statistics.median(statistics.ratios([10.0, 20.0, 40.0], [15.0, 20.0, 80.0])) == 1.5
    with pytest.raises(ValueError, match="baseline=2, candidate=1"):
        statistics.ratios([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        # The resampled median of 1..n is at most k when at least (n + 1) / 2 of n draws are;
        # for n = 5 that happens for k = 1 with p = 0.058, for n = 9 with p = 0.001 (k = 1) and
        # 0.030 (k = 2). The interval ends where p passes 0.025.
        (5, (1.0, 5.0)),
        (9, (2.0, 8.0)),
    ],
)
def test_interval_of_median(count: int, expected: tuple) -> None:
    values = [float(value) for value in range(1, count + 1)]
    assert statistics.median_interval(values) == expected
    assert statistics.median_interval(values[::-1]) == expected


def test_few_or_equal_values() -> None:
    assert statistics.median_interval([1.5] * 6) == (1.5, 1.5)
    assert statistics.median_interval([1.0, 2.0]) is None
    assert statistics.median_interval([]) is None


def test_spread_and_geometric_mean() -> None:
    assert statistics.relative_iqr([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2 / 3)
    assert statistics.relative_iqr([7.0, 7.0, 7.0]) == 0.0
    assert statistics.geometric_mean([0.5, 2.0]) == pytest.approx(1.0)
    assert statistics.geometric_mean([1.0, 10.0, 100.0]) == pytest.approx(10.0)


def test_interval_of_geometric_mean() -> None:
    # Of samples without spread it is a point, whatever their sizes.
    assert statistics.geometric_mean_interval([[0.5] * 3, [2.0] * 7]) == pytest.approx((1.0, 1.0))
    # One sample: its median's own interval.
    values = [float(value) for value in range(1, 10)]
    assert statistics.geometric_mean_interval([values]) == pytest.approx((2.0, 8.0))
    assert statistics.geometric_mean_interval([values, [1.0, 2.0]]) is None
    assert statistics.geometric_mean_interval([]) is None


def test_interval_of_a_ratio_of_medians() -> None:
    values = [float(value) for value in range(1, 10)]
    assert statistics.ratio_of_medians_interval([2.0] * 5, values) == pytest.approx((1.0, 4.0))
    assert statistics.ratio_of_medians_interval(values, [8.0] * 5) == pytest.approx((1.0, 4.0))
    assert statistics.ratio_of_medians_interval([1.0, 2.0], values) is None


def test_mean_of_means_is_welchs() -> None:
    # Of two samples the ends are where SciPy's own test of Welch has a probability of 5 %.
    first, second = [1.0, 1.2, 0.9, 1.1], [3.0, 2.0, 2.4]
    low, high = statistics.mean_of_means_interval([first, second])
    minus = [-value for value in second]
    for end in (low, high):
        shifted = [value - 2 * end for value in first]
        assert scipy.stats.ttest_ind(shifted, minus, equal_var=False).pvalue == pytest.approx(0.05)
    assert statistics.mean_of_means_interval([[1.0, 1.0], [2.0, 2.0]]) == (1.5, 1.5)
    assert statistics.mean_of_means_interval([first, [1.0]]) is None


def test_higher_is_the_sign_test() -> None:
    assert statistics.higher([2] * 8, [1] * 8) == pytest.approx(0.5**8)
    assert statistics.higher([2] * 7 + [0], [1] * 8) == pytest.approx(9 * 0.5**8)
    assert statistics.higher([0] * 8, [1] * 8) == 1
    assert statistics.higher([1, 1], [1, 1]) == 1
    assert statistics.higher([2], [1]) == 0.5


def test_more_often_is_fishers() -> None:
    # At least 7 of the 9 events on one side: the hypergeometric tail.
    tail = scipy.stats.hypergeom.sf(6, 40, 9, 20)
    assert statistics.more_often(7, 2, 20) == pytest.approx(tail)
    assert statistics.more_often(2, 7, 20) > 0.9
    assert statistics.more_often(0, 0, 20) == 1


def test_bound_of_a_difference_of_rates() -> None:
    # Of no event at all: the end of a Wilson interval.
    assert statistics.most_above(0, 0, 500) == pytest.approx(2.706 / 502.706, rel=1e-3)
    # It holds in 95 % of all experiments.
    trials, rates = range(16), (0.2, 0.1)
    chance = [scipy.stats.binom(trials[-1], rate).pmf(trials) for rate in rates]
    holds = sum(
        chance[0][events] * chance[1][baseline]
        for events, baseline in itertools.product(trials, trials)
        if statistics.most_above(events, baseline, trials[-1]) >= rates[0] - rates[1]
    )
    assert holds == pytest.approx(0.95, abs=0.03)
