"""Computes statistics of interleaved samples. Pure functions of numbers, on SciPy.

Samples are compared in pairs of the same round, or of the same cycle in one process: over minutes a
machine's speed drifts by more than the effects to be measured.
"""

from __future__ import annotations

import math
from typing import Any, Callable, List, Optional, Sequence, Tuple

import numpy
import scipy.stats

CONFIDENCE = 0.95
# Samples are unstable above this ratio of the interquartile range to the median.
UNSTABLE_RELATIVE_IQR = 0.10
# The bootstrap draws from the sampled values only: two pairs give no useful interval.
FEWEST_PAIRS = 3
# The range of n pairs holds the true median with probability 1 - 2 * 0.5**n, and a bootstrap
# interval is never wider than the range: below 6 it cannot reach 95 %.
ENOUGH_PAIRS = 6
_RESAMPLES = 9999
_SEED = 1

Interval = Tuple[float, float]


def excludes_one(interval: Optional[Interval]) -> bool:
    """Tell whether the interval of a ratio shows a difference; None shows none."""
    return interval is not None and not interval[0] <= 1 <= interval[1]


def ratios(baseline: Sequence[float], candidate: Sequence[float]) -> List[float]:
    """Return candidate / baseline pair by pair; both have the same length and are positive."""
    if len(baseline) != len(candidate):
        raise ValueError(f"pairs: baseline={len(baseline)}, candidate={len(candidate)}")
    return [new / old for old, new in zip(baseline, candidate)]


def median(values: Sequence[float]) -> float:
    """Return the median of at least one value."""
    return float(numpy.median(values))


def median_interval(values: Sequence[float]) -> Optional[Interval]:
    """Return the 95 % percentile-bootstrap interval of the median; None with too few values."""
    if len(values) < FEWEST_PAIRS:
        return None
    return _bootstrap([numpy.asarray(values, dtype=float)], numpy.median)


def relative_iqr(values: Sequence[float]) -> float:
    """Return the interquartile range over the median: 0.1 means that half lie within 10 %."""
    low, middle, high = numpy.percentile(values, (25, 50, 75))
    return float((high - low) / middle)


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean of at least one positive value."""
    return float(scipy.stats.gmean(values))


def geometric_mean_interval(samples: Sequence[Sequence[float]]) -> Optional[Interval]:
    """Return the 95 % interval of the geometric mean of the samples' medians.

    Each sample, the ratios of one network, is resampled separately. None if one has too few values.
    """
    if not samples or min(len(values) for values in samples) < FEWEST_PAIRS:
        return None

    def statistic(*resampled: numpy.ndarray, axis: int) -> numpy.ndarray:
        medians = [numpy.median(values, axis=axis) for values in resampled]
        return numpy.exp(numpy.mean(numpy.log(medians), axis=0))

    return _bootstrap([numpy.asarray(values, dtype=float) for values in samples], statistic)


def log_ratio(baseline_ns: numpy.ndarray, candidate_ns: numpy.ndarray) -> numpy.ndarray:
    """Return the logarithm of the candidate's speed over the baseline's in one process.

    The arrays have the shape (..., cycles, blocks of a cycle) and hold the median step of each
    block. A cycle's value is the mean over its blocks, so that a linear drift cancels; the median
    over the cycles leaves out those that other work of the machine disturbed.
    """
    return numpy.median(cycle_log_ratios(baseline_ns, candidate_ns), axis=-1)


def cycle_log_ratios(baseline_ns: numpy.ndarray, candidate_ns: numpy.ndarray) -> numpy.ndarray:
    """Return the values of which ``log_ratio`` is the median; shape (..., cycles)."""
    return numpy.log(baseline_ns).mean(axis=-1) - numpy.log(candidate_ns).mean(axis=-1)


def mean_interval(log_ratios: Any) -> Optional[Interval]:
    """Return the 95 % t interval of the mean of the processes' log ratios; None of fewer than two.

    With equally many cycles in each process this is the interval of the mixed model with a random
    intercept per process, whatever happens inside the processes: their values are independent. It
    is exact if they are normal. If processes have two ratios, it covers their mean less often the
    fewer the processes: all of n are alike with a probability of 2 * 0.5**n.

    The processes are the last axis; of several samples the ends are arrays.
    """
    values = numpy.asarray(log_ratios, dtype=float)
    if values.shape[-1] < 2:
        return None
    found = scipy.stats.ttest_1samp(values, 0.0, axis=-1).confidence_interval(CONFIDENCE)
    return found.low, found.high


def mean_of_means_interval(samples: Sequence[Sequence[float]]) -> Optional[Interval]:
    """Return the 95 % t interval of the mean of the samples' means; None if one has under two.

    The samples are independent, and may have different numbers of values and different variances:
    the degrees of freedom are Welch's and Satterthwaite's (Biometrics Bulletin 2, 1946).
    """
    if min(map(len, samples)) < 2:
        return None
    free = numpy.array([len(values) - 1 for values in samples])
    squared = numpy.array([scipy.stats.sem(values) ** 2 for values in samples]) / len(samples) ** 2
    mean = float(numpy.mean([numpy.mean(values) for values in samples]))
    if not squared.any():
        return mean, mean
    freedom = squared.sum() ** 2 / (squared**2 / free).sum()
    low, high = scipy.stats.t.interval(
        CONFIDENCE, freedom, loc=mean, scale=math.sqrt(squared.sum())
    )
    return float(low), float(high)


def ratio_of_medians_interval(
    baseline: Sequence[float], candidate: Sequence[float]
) -> Optional[Interval]:
    """Return the 95 % interval of median(candidate) / median(baseline), samples of two runs.

    Unpaired, so each is resampled separately. None with too few values.
    """
    if min(len(baseline), len(candidate)) < FEWEST_PAIRS:
        return None

    def statistic(old: numpy.ndarray, new: numpy.ndarray, axis: int) -> numpy.ndarray:
        return numpy.median(new, axis=axis) / numpy.median(old, axis=axis)

    return _bootstrap([numpy.asarray(baseline), numpy.asarray(candidate)], statistic)


def more_often(events: int, baseline: int, trials: int) -> float:
    """Return the p value of Fisher's exact test, one-sided, of two counts in so many trials each.

    It is small if the events are more frequent than the baseline's.
    """
    table = [[events, trials - events], [baseline, trials - baseline]]
    return float(scipy.stats.fisher_exact(table, alternative="greater")[1])


def higher(values: Sequence[float], baseline: Sequence[float]) -> float:
    """Return the p value of the sign test, one-sided, of pairs; equal pairs do not count.

    It is small if the values are above the baseline's.
    """
    above = sum(value > other for value, other in zip(values, baseline))
    unequal = sum(value != other for value, other in zip(values, baseline))
    if not unequal:
        return 1.0
    return float(scipy.stats.binomtest(above, unequal, alternative="greater").pvalue)


def most_above(events: int, baseline: int, trials: int) -> float:
    """Return the upper bound, at 95 %, of the events' rate minus the baseline's.

    Newcombe's, from two Wilson intervals (Statistics in Medicine 17, 1998, method 10).
    """
    rates = [events / trials, baseline / trials]
    upper, lower = (
        scipy.stats.binomtest(count, trials).proportion_ci(2 * CONFIDENCE - 1, method="wilson")
        for count in (events, baseline)
    )
    width = math.hypot(upper.high - rates[0], rates[1] - lower.low)
    return float(rates[0] - rates[1] + width)


def _bootstrap(samples: Sequence[numpy.ndarray], statistic: Callable[..., Any]) -> Interval:
    result = scipy.stats.bootstrap(
        tuple(samples),
        statistic,
        vectorized=True,
        confidence_level=CONFIDENCE,
        n_resamples=_RESAMPLES,
        method="percentile",
        random_state=numpy.random.default_rng(_SEED),
    )
    interval = result.confidence_interval
    return float(interval.low), float(interval.high)
