"""The model of docs/extrapolation.md: from a step measured on few cores to a ratio on many.

Numbers in, numbers out; knows nothing of records. A step is serial work (creating and
destroying primitives, and the cache) that takes the same time on any machine, and execution,
which is divided over the cores.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Sequence

import numpy
import scipy.optimize

# The range of the fit: from cores that hardly help to cores four times as fast as those here.
_EFFICIENCIES = (0.01, 4.0)


@dataclass(frozen=True)
class Step:
    """One training step as measured on ``cores`` cores, in seconds.

    ``serial_s`` is stock's time in creating and destroying primitives and descriptors,
    ``serial_left_s`` that of the cached variant, the cache itself included.
    """

    cores: int
    stock_s: float
    serial_s: float
    serial_left_s: float

    def __post_init__(self) -> None:
        if self.cores < 1 or not 0 <= self.serial_s < self.stock_s or self.serial_left_s < 0:
            raise ValueError(f"not a step: {self}")

    @property
    def execution_s(self) -> float:
        """The time that the cores share: all but the serial part."""
        return self.stock_s - self.serial_s

    @property
    def saved_s(self) -> float:
        """The time that the cached variant saves."""
        return self.serial_s - self.serial_left_s


def speed_up(cores: float, efficiency: float) -> float:
    """Return how much faster ``cores`` execute than one core here.

    ``efficiency`` is the gain of each further core, in units of one core here: 1 is ideal scaling
    on cores like these, 0 none. Faster cores raise it.
    """
    return 1 + efficiency * (cores - 1)


def execution_s(step: Step, cores: float, efficiency: float) -> float:
    """Return the execution time of the step on ``cores`` cores."""
    return step.execution_s * speed_up(step.cores, efficiency) / speed_up(cores, efficiency)


def ratio(step: Step, cores: float, efficiency: float) -> float:
    """Return the predicted throughput of the cached variant over stock's on ``cores`` cores.

    On the measured number of cores it follows from the step's own parts, whatever the efficiency.
    """
    shared = execution_s(step, cores, efficiency)
    return (shared + step.serial_s) / (shared + step.serial_left_s)


def ratio_at(stock_s: float, saved_s: float) -> float:
    """Return the ratio for a known step of stock that becomes shorter by ``saved_s``."""
    if not saved_s < stock_s:
        raise ValueError(f"saved {saved_s} s of {stock_s} s")
    return stock_s / (stock_s - saved_s)


def measured_efficiency(one: Step, more: Step) -> float:
    """Return the efficiency with which ``more`` cores executed the step that ``one`` executed."""
    if not one.cores == 1 < more.cores:
        raise ValueError(f"cores: expected 1 and more, found {one.cores} and {more.cores}")
    return (one.execution_s / more.execution_s - 1) / (more.cores - 1)


def fitted_efficiency(steps: Sequence[Step], ratios: Sequence[float], cores: int) -> float:
    """Return the efficiency that fits the model best to ``ratios`` on ``cores``.

    Least squares of the relative errors; one ratio for each step.
    """
    if len(steps) != len(ratios) or not steps:
        raise ValueError(f"steps={len(steps)}, ratios={len(ratios)}")

    def squares(logarithm: float) -> float:
        efficiency = math.exp(logarithm)
        predicted = numpy.array([ratio(step, cores, efficiency) for step in steps])
        return float(numpy.sum((predicted / numpy.asarray(ratios) - 1) ** 2))

    bounds = tuple(math.log(value) for value in _EFFICIENCIES)
    found = scipy.optimize.minimize_scalar(squares, bounds=bounds, method="bounded")
    return math.exp(float(found.x))
