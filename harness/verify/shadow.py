"""Shadow mode over whole networks: every hit is compared with a newly created primitive."""

from __future__ import annotations

from typing import Any, List, Mapping

from harness.trials.jobs import HashJob
from harness.verify.context import Check, Context, Task, check

RATE = "1"
_SHOWN = 3


def run(context: Context, task: Task) -> List[Check]:
    """Train a network with scope all in shadow mode."""
    case = context.settings.case(task.subject)
    job = HashJob(**case.model_dump(), seed=context.settings.seed, steps=context.settings.steps)
    result = context.run(job, task.host, "all", {"MKLDNN_OPCACHE_SHADOW": RATE})
    found = result["stats"]["shadow"]
    problems = judge(found)
    if problems:
        said = reports(result["stderr"])
        return [check(task, "all", "fail", "; ".join(problems), said[:_SHOWN], shadow=found)]
    summary = f"{found['executions']} executions, {found['descriptors']} descriptors"
    return [check(task, "all", "pass", summary, shadow=found)]


def judge(found: Mapping[str, Any]) -> List[str]:
    """Return the faults that the counters of shadow mode show."""
    problems = []
    if found["mismatches"] > 0:
        problems.append(f"{found['mismatches']} mismatches")
    if found["executions"] == 0 or found["descriptors"] == 0:
        problems.append("nothing was compared")
    if found["skipped"] > 0:
        problems.append(f"{found['skipped']} executions could not be compared")
    return problems


def reports(stderr: str) -> List[str]:
    """Return the library's own lines about mismatches."""
    return [line for line in stderr.splitlines() if line.startswith("opcache: shadow: ")]
