"""What the stages of C++ fault tests make of a program's output."""

from __future__ import annotations

import pytest

from harness.reliability import faults

CALLS = faults.PARTS[1]


def test_counts_are_added_up_per_function() -> None:
    output = (
        "injected: 3 of stream_create\ninjected: 2 of stream_wait\ninjected: 4 of stream_create\n"
        "injected: 0 of engine_destroy\ntest_calls: 2 passed, 0 failed\n"
    )
    found = faults.judge(CALLS, 0, output, 1.25)
    assert found.outcome == "pass"
    assert found.summary.startswith("9 made to fail of 3 functions")
    assert found.figures == {
        "tests": 2,
        "seconds": 1.2,
        "stream_create": 7,
        "stream_wait": 2,
        "injected": 9,
    }


@pytest.mark.parametrize(
    ("code", "output", "summary"),
    [
        (
            1,
            "injected: 3 of x\nFAILED cold (exit code 1)\ntest_calls: 0 passed, 1 failed\n",
            "FAIL",
        ),
        (-11, "", "no output"),
        (-1, "hangs: it was still running after 600 s", "hangs"),
        (0, "", "no output"),
        (0, "test_calls: 2 passed, 0 failed\n", "nothing was made to fail"),
    ],
)
def test_what_did_not_pass_fails(code: int, output: str, summary: str) -> None:
    found = faults.judge(CALLS, code, output, 1.0)
    assert found.outcome == "fail"
    assert summary in found.summary
