"""Threads on real MXNet: the same bits as stock, whichever threads call MKL-DNN, and hits.

Stock runs several times: where it does not repeat its bits, the outcome with the cache must be one
of stock's (docs/determinism.md). What stock cannot do itself is skipped, and said.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from harness.reliability.context import Context, finding
from harness.reliability.record import Finding
from harness.trials.jobs import ScenarioJob
from harness.trials.launch import WorkerFailed, run_worker
from harness.trials.proof import NotProven
from harness.trials.record import Threads
from harness.trials.variants import STOCK, parse_variant

STAGE = "threads"
CACHED = "all"
# Starting MXNet and a few steps take seconds: what is still running then, hangs.
TIMEOUT_S = 90.0
_PROCESSES = 2

# A worker's result, or why there is none.
Result = Union[Mapping[str, Any], str]


@dataclass(frozen=True)
class Case:
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
        Case(
            f"four networks at once, {count} engine worker{'s' * (count > 1)}",
            "threads-side-by-side",
            _workers(count),
            quick_hosts=("1.3.1",) if count == 8 else (),
        )
        for count in (1, 2, 4, 8)
    ),
    Case(
        "four networks at once, 2 engine workers of 2 OpenMP threads",
        "threads-side-by-side",
        _workers(2),
        omp_num_threads=2,
        # The batch normalisation of 1.3.1 does not repeat its bits on two.
        hosts=("1.4.1", "1.5.1.post0"),
    ),
    Case("naive engine", "imperative", NAIVE),
    Case("threads come and go, 4 engine workers", "threads-come-and-go", _workers(4)),
    Case(
        "threads come and go, naive engine",
        "threads-come-and-go",
        NAIVE,
        quick_hosts=("1.5.1.post0",),
    ),
    Case(
        "destroyed on another thread, naive engine",
        "threads-destroyed-elsewhere",
        NAIVE,
        quick_hosts=("1.4.1",),
    ),
    Case(
        "OpenMP threads and shapes change",
        "omp-threads-and-shapes-change",
        NAIVE,
        omp_num_threads=4,
        steps=9,
        quick_hosts=("1.4.1",),
    ),
    # On 1.4.1 and 1.5.1 stock crashes or hangs: its own cache does not know the number of threads.
    Case("OpenMP threads rise", "omp-threads-rise", NAIVE, 4, steps=8, timeout_s=45),
    Case("OpenMP threads fall", "omp-threads-fall", NAIVE, 4, steps=6, timeout_s=45),
)


def run(context: Context) -> List[Finding]:
    """Run every case on its hosts, on stock and with the cache."""
    return run_cases(context, CASES)


def run_cases(context: Context, cases: Sequence[Case]) -> List[Finding]:
    """Run those of the cases that a full or a quick run has, some at the same time."""
    pairs = [
        (case, host)
        for case in cases
        for host in context.hosts
        if (case.hosts is None or host in case.hosts)
        and (host in case.quick_hosts or not context.quick)
    ]
    with ThreadPoolExecutor(_PROCESSES) as pool:
        return list(pool.map(lambda pair: run_case(context, *pair), pairs))


def run_case(context: Context, case: Case, host: str, cached: str = CACHED) -> Finding:
    """Run a case on stock and on the variant ``cached``, and judge."""
    stock_runs = 1 if context.quick else 3
    stock: List[Result] = []
    # What hangs takes its time, so it is not asked again.
    while len(stock) < stock_runs and not any(isinstance(each, str) for each in stock):
        stock.append(_result(context, case, host, STOCK))
    return judge(case, host, stock, _result(context, case, host, cached))


def _result(context: Context, case: Case, host: str, word: str) -> Result:
    threads = Threads(omp_num_threads=case.omp_num_threads, kmp_affinity=None, kmp_blocktime=None)
    job = ScenarioJob(case.scenario, seed=context.seed, steps=case.steps)
    try:
        return run_worker(
            job,
            context.layout,
            host,
            parse_variant(word),
            threads,
            case.timeout_s,
            dict(case.environment),
            expect_hits=False,
        )
    except (WorkerFailed, NotProven) as error:
        return str(error)


def judge(case: Case, host: str, stock: Sequence[Result], cached: Result) -> Finding:
    """Return what the results of a case say; each is a worker's result, or why there is none."""
    outcomes = {each["digest"] for each in stock if not isinstance(each, str)}
    figures: Dict[str, Any] = {"stock_runs": len(stock), "stock_outcomes": len(outcomes)}
    hung = [each for each in stock if isinstance(each, str)]
    if isinstance(cached, str):
        if hung:
            # Stock's own fault, told apart from the cache's.
            summary = f"stock did not end well in {len(hung)} of {len(stock)} runs, nor does this"
            return finding(STAGE, case.name, "skip", summary, host, figures, hung[0].splitlines())
        problems = cached.splitlines()
        return finding(STAGE, case.name, "fail", problems[0], host, figures, problems)
    totals = cached["stats"]["totals"]
    figures["arrays"] = len(cached["hashes"])
    figures["primitives_avoided"] = totals["primitives_avoided"]
    figures["primitives_created"] = totals["primitives_created"]
    problems = []
    if not cached["finite"]:
        problems.append("not finite: an oracle of NaNs compares nothing")
    if totals["primitives_avoided"] == 0:
        problems.append("no creation was avoided: nothing was put to the test")
    if outcomes and cached["digest"] not in outcomes:
        differing = _differing(stock, cached)
        problems.append(f"{len(differing)} arrays differ from stock")
        problems += [f"differs: {name}" for name in differing]
    if problems:
        return finding(STAGE, case.name, "fail", problems[0], host, figures, problems)
    if not outcomes:
        summary = "stock did not end well in any run; this does"
        return finding(STAGE, case.name, "skip", summary, host, figures, hung[0].splitlines())
    return finding(STAGE, case.name, "pass", "equal bits", host, figures)


def _differing(stock: Sequence[Result], cached: Mapping[str, Any]) -> List[str]:
    """Return the names of arrays that have a value that stock never had."""
    names = sorted(cached["hashes"])
    wholes = [each["hashes"] for each in stock if not isinstance(each, str)]
    found = [n for n in names if cached["hashes"][n] not in {whole.get(n) for whole in wholes}]
    return found or ["the combination: every array is one of stock's, not together"]
