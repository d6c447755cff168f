"""What the bitwise comparisons share: running a job, and telling whose bits differ."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Dict, List, Mapping, Tuple

from harness.base.layout import Layout
from harness.operators.cases import OPERATOR_CASES
from harness.trials.jobs import Job, OperatorsJob
from harness.trials.launch import run_worker
from harness.trials.record import Threads
from harness.trials.variants import parse_variant

TIMEOUT_S = 300
# In one process, because starting MXNet takes longer than the quick cases of an operator.
EVERY_OPERATOR = OperatorsJob("+".join(OPERATOR_CASES), quick=True)


@lru_cache(maxsize=None)
def result_of(
    job: Job,
    layout: Layout,
    host: str,
    word: str,
    omp: int = 1,
    overrides: Tuple[Tuple[str, str], ...] = (),
) -> Dict[str, Any]:
    """Run a job once per session: stock's result is compared with every scope's."""
    threads = Threads(omp_num_threads=omp, kmp_affinity=None, kmp_blocktime=None)
    variant = parse_variant(word)
    return run_worker(
        job, layout, host, variant, threads, TIMEOUT_S, dict(overrides), expect_hits=False
    )


def differences(stock: Mapping[str, Any], other: Mapping[str, Any]) -> List[str]:
    """Return the names of the arrays whose bits differ, in order."""
    assert sorted(stock["hashes"]) == sorted(other["hashes"])
    return [name for name, digest in stock["hashes"].items() if other["hashes"][name] != digest]


def avoided(result: Mapping[str, Any], operator: str) -> Tuple[int, int]:
    """Return how many primitives and descriptors of an operator were not created."""
    counters = result["stats"]["operators"].get(operator, {})
    return counters.get("primitives_avoided", 0), counters.get("descriptors_avoided", 0)
