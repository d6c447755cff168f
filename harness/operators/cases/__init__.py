"""Lists the small test cases of the seven operators, and of those that scope ``all`` adds.

Channel counts of 8 and 16 reach MKL-DNN's blocked kernels, odd ones its reference kernels and
its padding.
"""

from __future__ import annotations

from typing import Dict, Tuple

from harness.base.errors import HarnessError
from harness.operators.cases import (
    convolution,
    deconvolution,
    fully_connected,
    moving,
    normalisation,
    pointwise,
    pooling,
)
from harness.operators.cases.case import Case

__all__ = ["OPERATOR_CASES", "Case", "find_cases"]

OPERATOR_CASES: Dict[str, Tuple[Case, ...]] = {
    "activation": pointwise.ACTIVATION,
    "batch_norm": normalisation.BATCH_NORM,
    "convolution": convolution.CONVOLUTION,
    "deconvolution": deconvolution.DECONVOLUTION,
    "fully_connected": fully_connected.FULLY_CONNECTED,
    "lrn": normalisation.LRN,
    "pooling": pooling.POOLING,
    "concat": moving.CONCAT,
    "reorder": moving.REORDER,
    "softmax": pointwise.SOFTMAX,
    "sum": pointwise.SUM,
}


def find_cases(operator: str, quick: bool = False) -> Tuple[Case, ...]:
    """Return all cases of an operator, or the quick ones; HarnessError names the allowed words."""
    if operator not in OPERATOR_CASES:
        allowed = ", ".join(OPERATOR_CASES)
        raise HarnessError(f"unknown operator '{operator}': expected one of {allowed}")
    return tuple(case for case in OPERATOR_CASES[operator] if case.quick or not quick)
