"""Forks on real MXNet: parent and child continue with stock's bits and without growth.

MXNet stops its engine before every fork and restarts it in parent and child: the worker threads and
their caches end each time. On the NaiveEngine the forking thread's cache lives on in both.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from harness.reliability import threads
from harness.reliability.context import (
    EVERY_THREAD,
    PROCESSES,
    Context,
    Result,
    attempt,
    finding,
    idle_comparison,
    verdict,
)
from harness.reliability.record import Finding
from harness.trials.jobs import ForkJob
from harness.trials.variants import STOCK

STAGE = "fork"
# Of the resident set; the growth of stock is allowed in addition.
_GROWTH = 0.05


@dataclass(frozen=True)
class Forks:
    """A process that forks: its environment, its number of forks in a full and a quick run."""

    name: str
    environment: Tuple[Tuple[str, str], ...]
    full: int = 1000
    quick: int = 40
    quick_hosts: Tuple[str, ...] = ()


FORKS = (
    Forks("fork, both train on", (), quick_hosts=("1.4.1",)),
    Forks("fork, both train on, naive engine", threads.NAIVE, quick_hosts=("1.3.1",)),
)
BESIDE = (
    threads.ThreadUse("data loader's workers", "fork-data-loader", quick_hosts=("1.5.1.post0",)),
    threads.ThreadUse("subprocesses from another thread", "fork-subprocess-beside", steps=30),
    # On the default engine stock itself may hang: a fork stops the engine under the other thread.
    threads.ThreadUse(
        "forks from another thread, naive engine",
        "fork-from-a-thread",
        threads.NAIVE,
        steps=30,
        quick_hosts=("1.4.1",),
    ),
)


def run(context: Context) -> List[Finding]:
    """Run every case on its hosts, on stock and with the cache."""
    with ThreadPoolExecutor(PROCESSES) as pool:
        forked = list(pool.map(lambda pair: run_forks(context, *pair), context.on_hosts(FORKS)))
    beside = threads.run_cases(context, BESIDE)
    return [*forked, *(each.model_copy(update={"stage": STAGE}) for each in beside)]


def run_forks(context: Context, case: Forks, host: str, cached: str = threads.CACHED) -> Finding:
    """Fork on stock and on the variant ``cached``, and judge."""
    count = case.quick if context.quick else case.full
    job = ForkJob(count, seed=context.seed)
    timeout_s, environment = threads.TIMEOUT_S + count, {**EVERY_THREAD, **dict(case.environment)}
    stock, found = (
        attempt(context.layout, job, host, word, environment, timeout_s) for word in (STOCK, cached)
    )
    return judge(case.name, host, count, stock, found)


def judge(name: str, host: str, count: int, stock: Result, cached: Result) -> Finding:
    """Judge the results of ``count`` forks on stock and with the cache."""
    problems = [cached] if isinstance(cached, str) else _problems(count, stock, cached)
    figures: Dict[str, Any] = {} if isinstance(cached, str) else _figures(count, stock, cached)
    if isinstance(stock, str) or stock["exit_codes"] != {"0": count}:
        ended = stock.splitlines() if isinstance(stock, str) else [str(stock["exit_codes"])]
        if isinstance(stock, str) or problems:
            summary = "stock MXNet fails here too" if problems else "stock MXNet fails"
            return finding(STAGE, name, "skip", summary, host, figures, [*ended, *problems])
    lines = [line for problem in problems for line in problem.splitlines()]
    return verdict(STAGE, name, lines, "equal bits, no growth", host, figures)


def _problems(count: int, stock: Result, cached: Mapping[str, Any]) -> List[str]:
    problems = []
    if cached["exit_codes"] != {"0": count}:
        problems.append(f"children's exit codes: {cached['exit_codes']}, expected 0 of {count}")
    avoided = cached["children_avoided"] + cached["stats"]["totals"]["primitives_avoided"]
    problems += idle_comparison(cached["finite"], avoided)
    for what in ("primitives", "threads"):
        first, last = halves(cached[what])
        if max(last) > max(first):
            problems.append(f"{what} alive grow: {max(first)}, then {max(last)}")
    grown, allowed = growth(cached["resident_bytes"]), _GROWTH * cached["resident_bytes"][0]
    if not isinstance(stock, str):
        allowed += max(growth(stock["resident_bytes"]), 0)
        differ = [n for n, d in cached["hashes"].items() if stock["hashes"][n] != d]
        problems += [f"{name}: bits differ from stock" for name in differ]
    if grown > allowed:
        problems.append(f"resident memory grew by {grown:,} bytes, {allowed:,.0f} allowed")
    return problems


def _figures(count: int, stock: Result, cached: Mapping[str, Any]) -> Dict[str, Any]:
    grown: Optional[int] = None if isinstance(stock, str) else growth(stock["resident_bytes"])
    return {
        "forks": count,
        "children_exit_0": cached["exit_codes"].get("0", 0),
        "avoided_by_children": cached["children_avoided"],
        "avoided_by_parent": cached["stats"]["totals"]["primitives_avoided"],
        "most_primitives_alive": max(cached["primitives"]),
        "resident_growth_bytes": growth(cached["resident_bytes"]),
        **({} if grown is None else {"stock_growth_bytes": grown}),
        "resident_bytes": cached["resident_bytes"][-1],
    }


def halves(values: Sequence[int]) -> Tuple[Sequence[int], Sequence[int]]:
    """Return the first and the second half; both hold the middle one, so that neither is empty."""
    middle = len(values) // 2
    return values[: middle + 1], values[middle:]


def growth(resident_bytes: Sequence[int]) -> int:
    """Return the largest value of the last tenth minus the largest of the first third, in bytes."""
    first = resident_bytes[: max(len(resident_bytes) // 3, 1)]
    last = resident_bytes[-max(len(resident_bytes) // 10, 1) :]
    return max(last) - max(first)
