"""The learning rate of each training step.

Linear warm-up to a peak and linear decay to zero: Smith and Topin 2017, arXiv:1708.07120, as the
short CIFAR-10 trainings of DAWNBench use it.
"""

from __future__ import annotations


def learning_rate(step: int, steps: int, warm_up_steps: int, peak: float) -> float:
    """Return the rate of ``step`` (from 0) of ``steps``; the last one is just above zero.

    Raises ValueError for a step that is not one of ``steps``.
    """
    if not 0 <= step < steps:
        raise ValueError(f"step: expected 0 to {steps - 1}, found {step}")
    if step < warm_up_steps:
        return peak * (step + 1) / warm_up_steps
    return peak * (steps - step) / (steps - warm_up_steps)
