"""Parses the text that MXNet's profiler prints. Pure; does not import mxnet."""

from __future__ import annotations

from typing import Any, Dict, Tuple

from harness.base.errors import HarnessError

# Called once in each training step.
_LOSS = "SoftmaxOutput"


def operator_times(text: str, steps: int) -> Dict[str, Dict[str, Any]]:
    """Return each operator's calls and total milliseconds over ``steps`` steps.

    MXNet 1.3 to 1.5 enter every call twice, as an operator's duration and as an engine's task, and
    add up both, calls and times: the loss, called once in a step, shows how often. HarnessError
    when its calls do not fit the steps, as when MXNet ran operators in bulk.
    """
    rows: Dict[str, Tuple[int, float]] = {}
    section, previous = "", ""
    for line in text.splitlines():
        if line.startswith("====="):
            section = previous.strip()
        previous, words = line, line.split()
        if section == "operator" and len(words) == 6 and words[1].isdigit():
            rows[words[0]] = (int(words[1]), float(words[2]))
    entered = rows.get(_LOSS, (0, 0.0))[0]
    if entered == 0 or entered % steps != 0:
        raise HarnessError(
            f"profiler: expected {_LOSS} once in each of {steps} steps, found {entered} calls "
            f"among the operators {', '.join(sorted(rows)) or 'none'}"
        )
    times = entered // steps
    return {
        name: {"calls": calls // times, "total_ms": total_ms / times}
        for name, (calls, total_ms) in rows.items()
    }
