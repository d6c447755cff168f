"""Threads on real MXNet: stock's bits, whichever threads call MKL-DNN, and avoided creations.

Stock runs several times: where it does not repeat its bits, the outcome with the cache must be one
of stock's (docs/determinism.md). Cases in which stock itself fails are skipped.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

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
from harness.trials.jobs import ScenarioJob
from harness.trials.variants import STOCK
from patches.python.mkldnn_opcache.variables import TRIAL

STAGE = "threads"
CACHED = "all"
# Starting MXNet and a few steps take seconds: a process that still runs then hangs.
TIMEOUT_S = 90.0


@dataclass(frozen=True)
class ThreadUse:
    """One way to use threads: a scenario in an environment, on ``hosts``, or on all of them."""

    name: str
    scenario: str
    environment: Tuple[Tuple[str, str], ...] = ()
    omp_num_threads: int = 1
    steps: int = 4
    hosts: Optional[Tuple[str, ...]] = None
    quick_hosts: Tuple[str, ...] = ()
    timeout_s: float = TIMEOUT_S


NAIVE = (("MXNET_ENGINE_TYPE", "NaiveEngine"),)


def _workers(count: int) -> Tuple[Tuple[str, str], ...]:
    return (("MXNET_CPU_WORKER_NTHREADS", str(count)),)


CASES = (
    *(
        ThreadUse(
            f"four networks at once, {count} engine worker{'s' * (count > 1)}",
            "threads-side-by-side",
            _workers(count),
            quick_hosts=("1.3.1",) if count == 8 else (),
        )
        for count in (1, 2, 4, 8)
    ),
    ThreadUse(
        "four networks at once, 2 engine workers of 2 OpenMP threads",
        "threads-side-by-side",
        _workers(2),
        omp_num_threads=2,
        # The batch normalisation of 1.3.1 does not repeat its bits on two.
        hosts=("1.4.1", "1.5.1.post0", "1.6.0"),
    ),
    ThreadUse("naive engine", "imperative", NAIVE),
    ThreadUse("threads come and go, 4 engine workers", "threads-come-and-go", _workers(4)),
    ThreadUse(
        "threads come and go, naive engine",
        "threads-come-and-go",
        NAIVE,
        quick_hosts=("1.5.1.post0",),
    ),
    ThreadUse(
        "threads on trial come and go, naive engine",
        "threads-come-and-go",
        (*NAIVE, (TRIAL, "100")),
        steps=8,
        quick_hosts=("1.3.1",),
    ),
    ThreadUse(
        "destroyed on another thread, naive engine",
        "threads-destroyed-elsewhere",
        NAIVE,
        quick_hosts=("1.4.1",),
    ),
    ThreadUse(
        "OpenMP threads and shapes change",
        "omp-threads-and-shapes-change",
        NAIVE,
        omp_num_threads=4,
        steps=9,
        quick_hosts=("1.4.1",),
    ),
    # Stock 1.4.1, 1.5.1 and 1.6.0 crash or hang: their own cache ignores the number of threads.
    ThreadUse("OpenMP threads rise", "omp-threads-rise", NAIVE, 4, steps=8, timeout_s=45),
    ThreadUse("OpenMP threads fall", "omp-threads-fall", NAIVE, 4, steps=6, timeout_s=45),
)


def run(context: Context) -> List[Finding]:
    """Run every case on its hosts, on stock and with the cache."""
    return run_cases(context, CASES)


def run_cases(context: Context, cases: Sequence[ThreadUse]) -> List[Finding]:
    """Run the cases of a full or a quick run, some side by side."""
    pairs = [
        (case, host)
        for case, host in context.on_hosts(cases)
        if case.hosts is None or host in case.hosts
    ]
    with ThreadPoolExecutor(PROCESSES) as pool:
        return list(pool.map(lambda pair: run_case(context, *pair), pairs))


def run_case(context: Context, case: ThreadUse, host: str, cached: str = CACHED) -> Finding:
    """Run a case on stock and on the variant ``cached``, and judge."""
    stock_runs = 1 if context.quick else 3
    stock: List[Result] = []
    # A hang takes long, so it is not repeated.
    while len(stock) < stock_runs and not any(isinstance(each, str) for each in stock):
        stock.append(_result(context, case, host, STOCK))
    return judge(case, host, stock, _result(context, case, host, cached))


def _result(context: Context, case: ThreadUse, host: str, word: str) -> Result:
    job = ScenarioJob(case.scenario, seed=context.seed, steps=case.steps)
    environment = {**EVERY_THREAD, **dict(case.environment)}
    return attempt(
        context.layout, job, host, word, environment, case.timeout_s, case.omp_num_threads
    )


def judge(case: ThreadUse, host: str, stock: Sequence[Result], cached: Result) -> Finding:
    """Judge the results of a case on stock and with the cache."""
    outcomes = {each["digest"] for each in stock if not isinstance(each, str)}
    figures: Dict[str, Any] = {"stock_runs": len(stock), "stock_outcomes": len(outcomes)}
    hung = [each for each in stock if isinstance(each, str)]
    if isinstance(cached, str):
        if hung:
            # The fault of stock, not of the cache.
            summary = f"stock MXNet fails here too ({len(hung)} of {len(stock)} runs)"
            return finding(STAGE, case.name, "skip", summary, host, figures, hung[0].splitlines())
        lines = cached.splitlines()
        return finding(STAGE, case.name, "fail", lines[0], host, figures, lines)
    totals = cached["stats"]["totals"]
    figures["arrays"] = len(cached["hashes"])
    figures["primitives_avoided"] = totals["primitives_avoided"]
    figures["primitives_created"] = totals["primitives_created"]
    problems = idle_comparison(cached["finite"], totals["primitives_avoided"])
    figures["threads_on_trial"] = on_trial = cached["stats"]["bypasses"].get("trial", 0)
    if (on_trial > 0) != (TRIAL in dict(case.environment)):
        problems.append(f"{on_trial} threads were on trial")
    if outcomes and cached["digest"] not in outcomes:
        differing = _differing(stock, cached)
        problems.append(f"{len(differing)} arrays differ from stock")
        problems += [f"differs: {name}" for name in differing]
    if not problems and not outcomes:
        summary = "stock MXNet fails in every run; with the cache it does not"
        return finding(STAGE, case.name, "skip", summary, host, figures, hung[0].splitlines())
    return verdict(STAGE, case.name, problems, "equal bits", host, figures)


def _differing(stock: Sequence[Result], cached: Mapping[str, Any]) -> List[str]:
    """Return the names of arrays whose bits equal those of no run of stock."""
    names = sorted(cached["hashes"])
    wholes = [each["hashes"] for each in stock if not isinstance(each, str)]
    found = [n for n in names if cached["hashes"][n] not in {whole.get(n) for whole in wholes}]
    return found or ["the combination: each array equals one of stock's, but of different runs"]
