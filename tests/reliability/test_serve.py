"""The stage of a prediction service: its judgement, and a service whose answers differ."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import pytest

from harness.base.layout import Layout
from harness.reliability import serve
from harness.reliability.context import Context
from harness.verify.faults import VARIANT, faulty

HOST = "1.4.1"
PLAN = serve.Plan(threads=4, settled=2, rounds=8, hosts=(HOST,))
AVOIDED = ("primitives_avoided", "descriptors_avoided")


def served(
    late_ms: float = 2, sizes_mib: Sequence[int] = (90, 100, 101, 102), on_trial: int = 3
) -> Dict[str, Any]:
    """Return what a worker hands over: one answer in a hundred is late."""
    return {
        "latency_ns": [1_000_000] * 98 + [int(late_ms * 1e6)] * 2,
        "digest": "00",
        "finite": True,
        "samples": [
            {"threads": number, "resident_bytes": size * 2**20}
            for number, size in enumerate(sizes_mib, start=1)
        ],
        "stats": {
            "totals": {"primitives_avoided": 5, "descriptors_avoided": 0},
            "bypasses": {"trial": on_trial} if on_trial else {},
        },
    }


def summaries(
    stock: Dict[str, Any], cached: Dict[str, Any], every: Optional[Dict[str, Any]] = None
) -> List[str]:
    every = every or served(on_trial=0)
    found = serve.judge(PLAN, HOST, [stock] * PLAN.rounds, [cached] * PLAN.rounds, every)
    return [f"{each.outcome} {each.subject}: {each.summary}" for each in found]


def test_a_service_as_stocks_passes() -> None:
    assert summaries(served(), served(1.9)) == [
        "pass memory: +2.0 % from 2 to 4 threads",
        "pass bits: equal answers in all processes",
        "pass latency: p99 1.90 ms, 2.00 ms of stock",
    ]


@pytest.mark.parametrize(
    ("cached", "summary"),
    [
        (served(2.1), "fail latency: p99 2.10 ms, 2.00 ms of stock: later"),
        (
            served(sizes_mib=(90, 100, 108, 106)),
            "fail memory: +8.0 % from 2 to 4 threads, expected at most 7 %",
        ),
        ({**served(), "digest": "01"}, "fail bits: the answers of the processes differ"),
        (
            {**served(), "stats": {**served()["stats"], "totals": dict.fromkeys(AVOIDED, 0)}},
            "fail bits: no creation was avoided: nothing was put to the test",
        ),
        (
            served(on_trial=1),
            f"fail bits: threads on trial: expected most, and then none, found {[1] * 8} and 0",
        ),
    ],
)
def test_what_is_worse_than_stock_fails(cached: Dict[str, Any], summary: str) -> None:
    assert [each for each in summaries(served(), cached) if each.startswith("fail")] == [summary]


def test_few_processes_tell_nothing_of_latency() -> None:
    found = serve.judge(PLAN, HOST, [served()] * 6, [served(3)] * 6, served(on_trial=0))
    assert [each.outcome for each in found] == ["pass"] * 3


def test_a_process_that_crashed_fails() -> None:
    crash = "worker ended with SIGSEGV\n  last line"
    for cached, every in (([crash], served()), ([served()], crash)):
        (found,) = serve.judge(PLAN, HOST, [served()], cached, every)
        assert (found.outcome, found.summary) == ("fail", "worker ended with SIGSEGV")


def test_threads_that_all_cache_are_judged_but_for_their_latency() -> None:
    rows = ("memory", "bits", "latency")

    def failed(**changes: Any) -> List[str]:
        found = summaries(served(), served(), {**served(9, on_trial=0), **changes})
        return [row for row, each in zip(rows, found) if each.startswith(f"fail {row}")]

    assert failed() == []
    assert failed(digest="01") == ["bits"]
    assert failed(stats=served()["stats"]) == ["bits"]
    assert failed(samples=served(sizes_mib=(90, 100, 101, 120))["samples"]) == ["memory"]


def test_another_host_is_skipped_with_a_word(built: Layout, tmp_path: Path) -> None:
    (found,) = serve.run(Context(built, True, 1, ("1.3.1",), tmp_path))
    assert (found.outcome, found.summary) == ("skip", "runs on 1.4.1 only")


def test_a_dropped_key_field_is_caught(built: Layout) -> None:
    layout = faulty(built, "DROP-op.alg_kind")
    plan = dataclasses.replace(serve.QUICK, threads=20, settled=10)
    memory, bits, _ = serve.run_plan(layout, plan, HOST, 1, VARIANT)
    assert memory.outcome == "pass"
    assert (bits.outcome, bits.summary) == ("fail", "the answers of the processes differ")
