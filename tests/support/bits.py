"""Jobs whose bits are compared: how to run one, and which arrays differ."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Dict, List, Mapping, Tuple

from harness.base.layout import Layout
from harness.operators.cases import OPERATOR_CASES
from harness.trials.jobs import Job, OperatorsJob
from harness.trials.launch import run_worker
from harness.trials.record import threads
from harness.trials.variants import parse_variant

TIMEOUT_S = 300
# In one process, because starting MXNet takes longer than the quick cases of an operator.
EVERY_OPERATOR = OperatorsJob("+".join(OPERATOR_CASES), quick=True)


def run_job(
    job: Job,
    layout: Layout,
    host: str,
    word: str,
    omp: int = 1,
    overrides: Tuple[Tuple[str, str], ...] = (),
    timeout_s: float = TIMEOUT_S,
) -> Dict[str, Any]:
    """Run a job in a process of its own and return its result."""
    arguments = (layout, host, parse_variant(word), threads(omp), timeout_s, dict(overrides))
    return run_worker(job, *arguments, expect_hits=False)


# A job is run once per session: the result of stock is compared with that of every scope.
result_of = lru_cache(maxsize=None)(run_job)


def differences(stock: Mapping[str, Any], other: Mapping[str, Any]) -> List[str]:
    """Return the names of the arrays whose bits differ, in order."""
    assert sorted(stock["hashes"]) == sorted(other["hashes"])
    return [name for name, digest in stock["hashes"].items() if other["hashes"][name] != digest]


def avoided(result: Mapping[str, Any], operator: str) -> Tuple[int, int]:
    """Return how many primitives and descriptors of an operator were not created."""
    counters = result["stats"]["operators"].get(operator, {})
    return counters.get("primitives_avoided", 0), counters.get("descriptors_avoided", 0)
