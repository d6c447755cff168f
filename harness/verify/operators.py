"""Single operators: close to the NumPy reference, and equal to stock bit for bit."""

from __future__ import annotations

import collections
import functools
import threading
from typing import Any, Dict, List, Mapping, Optional

from harness.operators.judge import judge, known_faults
from harness.trials.jobs import OperatorsJob
from harness.trials.launch import WorkerFailed
from harness.verify.bitwise import differing
from harness.verify.context import Check, Context, Task, check

_SHOWN = 5


# Of processes that several operators share: who comes later waits for the result.
_LOCKS: Dict[str, threading.Lock] = collections.defaultdict(threading.Lock)


def run(context: Context, task: Task) -> List[Check]:
    """Run an operator's cases on the baseline and on every scope of the host."""
    baseline = context.baseline
    stock = _result(context, task, baseline)
    checks = [_check(task, baseline, stock, stock, baseline)]
    for scope in context.scopes(task.host):
        checks.append(_check(task, scope, _result(context, task, scope), stock, baseline))
    return checks


def _result(context: Context, task: Task, variant: str) -> Dict[str, Any]:
    """Return what the operator's cases gave; quick cases of all operators share a process."""
    if context.settings.quick:
        with _LOCKS[task.host]:
            found = _together(context, task.host, variant)
        if found is not None:
            own = {
                part: {n: v for n, v in found[part].items() if n.split("/")[0] == task.subject}
                for part in ("hashes", "errors", "calls")
                if found[part] is not None
            }
            return {**found, **own}
    return context.run(_job(context, task.subject), task.host, variant)


@functools.lru_cache(maxsize=None)
def _together(context: Context, host: str, variant: str) -> Optional[Dict[str, Any]]:
    """Return the result of all operators in one process, None where each needs its own."""
    try:
        return context.run(_job(context, "+".join(context.settings.operators)), host, variant)
    except WorkerFailed:
        return None


def _job(context: Context, operators: str) -> OperatorsJob:
    return OperatorsJob(operators, seed=context.settings.seed, quick=context.settings.quick)


def _check(
    task: Task, variant: str, result: Mapping[str, Any], stock: Mapping[str, Any], baseline: str
) -> Check:
    wrong = judge(result)
    unequal = differing(stock, result)
    lines = [*wrong[:_SHOWN], *(f"{name}: differs from {baseline}" for name in unequal[:_SHOWN])]
    closest = worst(result)
    detail: Dict[str, Any] = {
        "arrays": len(result["hashes"]),
        "worst": closest,
        "stock_faults": known_faults(result),
    }
    if wrong or unequal:
        summary = f"{len(wrong)} wrong, {len(unequal)} of {detail['arrays']} arrays differ"
        return check(task, variant, "fail", summary, lines, **detail)
    summary = f"{detail['arrays']} arrays, {closest['share']:.0%} of tolerance"
    if detail["stock_faults"]:
        summary += f", {len(detail['stock_faults'])} wrong on stock"
    equal = "" if variant == baseline else "equal, "
    return check(task, variant, "pass", equal + summary, **detail)


def worst(result: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the array with the largest error in units of its tolerance, and that share.

    Arrays that stock itself computes wrong are left out.
    """
    left_out = {line.split(": ")[0] for line in known_faults(result)}
    shares = {
        name: found["error"] / found["tolerance"]
        for name, found in result["errors"].items()
        if found["error"] is not None and name not in left_out
    }
    name = max(shares, key=lambda n: shares[n])
    return {"array": name, "share": shares[name]}
