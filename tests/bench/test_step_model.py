"""The model for more cores: its known limits, and that a wrong model does not have them."""

from __future__ import annotations

from typing import Callable

import pytest

from harness.bench import step_model
from harness.bench.step_model import Step

# 1 s on two cores, of it 0.2 s serial, of which the variant leaves 0.05 s.
STEP = Step(cores=2, stock_s=1.0, serial_s=0.2, serial_left_s=0.05)
CORES = (1, 2, 8, 28, 56)

Ratio = Callable[[Step, float, float], float]


def check_limits(ratio: Ratio) -> None:
    """Assert what holds of the ratio whatever the numbers are."""
    for efficiency in (0.0, 0.3, 1.0, 2.0):
        # Measured here: the step's own parts, 1 s against 0.85 s.
        assert ratio(STEP, STEP.cores, efficiency) == pytest.approx(1 / 0.85)
        predicted = [ratio(STEP, cores, efficiency) for cores in CORES]
        assert predicted == sorted(predicted), "more cores make the serial part weigh more"
        assert efficiency == 0 or len(set(predicted)) == len(CORES)
    # Cores that do not help change nothing; cores that take no time leave the serial parts.
    assert ratio(STEP, 56, 0.0) == pytest.approx(1 / 0.85)
    one = Step(cores=1, stock_s=1.0, serial_s=0.2, serial_left_s=0.05)
    assert ratio(one, 56, 1e12) == pytest.approx(0.2 / 0.05)
    assert ratio(one, 1, 0.7) == pytest.approx(1 / 0.85)
    nothing_saved = Step(cores=2, stock_s=1.0, serial_s=0.2, serial_left_s=0.2)
    slower = Step(cores=2, stock_s=1.0, serial_s=0.2, serial_left_s=0.3)
    for cores in CORES:
        assert ratio(nothing_saved, cores, 0.5) == pytest.approx(1)
        assert ratio(slower, cores, 0.5) < 1


def test_limits() -> None:
    check_limits(step_model.ratio)


def ratio_with_wrong_sign(step: Step, cores: float, efficiency: float) -> float:
    shared = step_model.execution_s(step, cores, efficiency)
    return (shared - step.serial_s) / (shared - step.serial_left_s)


def ratio_multiplied_by_cores(step: Step, cores: float, efficiency: float) -> float:
    up = step_model.speed_up(cores, efficiency) / step_model.speed_up(step.cores, efficiency)
    return (step.execution_s * up + step.serial_s) / (step.execution_s * up + step.serial_left_s)


def ratio_with_creation_divided(step: Step, cores: float, efficiency: float) -> float:
    up = step_model.speed_up(cores, efficiency) / step_model.speed_up(step.cores, efficiency)
    shared = step_model.execution_s(step, cores, efficiency)
    return (shared + step.serial_s / up) / (shared + step.serial_left_s / up)


def ratio_upside_down(step: Step, cores: float, efficiency: float) -> float:
    return 1 / step_model.ratio(step, cores, efficiency)


@pytest.mark.parametrize(
    "wrong",
    (
        ratio_with_wrong_sign,
        ratio_multiplied_by_cores,
        ratio_with_creation_divided,
        ratio_upside_down,
    ),
)
def test_a_wrong_model_does_not_have_the_limits(wrong: Ratio) -> None:
    with pytest.raises(AssertionError):
        check_limits(wrong)


def made_step(cores: int, execution_one_core_s: float, efficiency: float) -> Step:
    shared = execution_one_core_s / step_model.speed_up(cores, efficiency)
    return Step(cores, stock_s=shared + 0.2, serial_s=0.2, serial_left_s=0.05)


@pytest.mark.parametrize("efficiency", (0.1, 0.6, 1.0, 1.7))
def test_efficiency_is_found_again(efficiency: float) -> None:
    one, two = made_step(1, 3.0, efficiency), made_step(2, 3.0, efficiency)
    assert step_model.measured_efficiency(one, two) == pytest.approx(efficiency)
    # From one core the model then says what was made for two.
    assert step_model.ratio(one, 2, efficiency) == pytest.approx(
        step_model.ratio(two, 2, efficiency)
    )
    steps = [made_step(2, seconds, 0.9) for seconds in (1.0, 4.0, 9.0)]
    made = [step_model.ratio(step, 56, efficiency) for step in steps]
    assert step_model.fitted_efficiency(steps, made, 56) == pytest.approx(efficiency, rel=1e-3)


def test_ratio_at_a_known_step() -> None:
    assert step_model.ratio_at(stock_s=1.0, saved_s=0.2) == pytest.approx(1.25)
    with pytest.raises(ValueError, match="saved 1.0 s of 1.0 s"):
        step_model.ratio_at(1.0, 1.0)
    with pytest.raises(ValueError, match="expected 1 and more, found 2 and 2"):
        step_model.measured_efficiency(STEP, STEP)


@pytest.mark.parametrize(
    "parts", ((0, 1.0, 0.2, 0.0), (2, 1.0, 1.0, 0.0), (2, 1.0, -0.1, 0.0), (2, 1.0, 0.2, -0.1))
)
def test_impossible_steps_are_refused(parts: tuple) -> None:
    with pytest.raises(ValueError, match="not a step"):
        Step(*parts)
