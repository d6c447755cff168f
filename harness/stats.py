"""Statistics of interleaved samples: pure functions of numbers, drawn from SciPy.

Samples are compared in pairs of the same round, because a machine's speed drifts over minutes
by more than the effects that are looked for.
"""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

import numpy
import scipy.stats

CONFIDENCE = 0.95
# The bootstrap knows no values but the sampled ones: of two pairs it makes no interval.
FEWEST_PAIRS = 3
# The range of n pairs holds the true median with probability 1 - 2 * 0.5**n, and a bootstrap
# interval is never wider than the range: below 6 it cannot reach 95 %.
ENOUGH_PAIRS = 6
_RESAMPLES = 9999
_SEED = 1


def ratios(baseline: Sequence[float], candidate: Sequence[float]) -> List[float]:
    """Return candidate / baseline pair by pair; both have the same length and are positive."""
    if len(baseline) != len(candidate):
        raise ValueError(f"pairs: baseline={len(baseline)}, candidate={len(candidate)}")
    return [new / old for old, new in zip(baseline, candidate)]


def median(values: Sequence[float]) -> float:
    """Return the median of at least one value."""
    return float(numpy.median(values))


def median_interval(values: Sequence[float]) -> Optional[Tuple[float, float]]:
    """Return the 95 % percentile-bootstrap interval of the median; None with too few values."""
    if len(values) < FEWEST_PAIRS:
        return None
    result = scipy.stats.bootstrap(
        (numpy.asarray(values, dtype=float),),
        numpy.median,
        confidence_level=CONFIDENCE,
        n_resamples=_RESAMPLES,
        method="percentile",
        random_state=numpy.random.default_rng(_SEED),
    )
    interval = result.confidence_interval
    return float(interval.low), float(interval.high)


def relative_iqr(values: Sequence[float]) -> float:
    """Return the interquartile range over the median: 0.1 means that half lie within 10 %."""
    low, middle, high = numpy.percentile(values, (25, 50, 75))
    return float((high - low) / middle)
