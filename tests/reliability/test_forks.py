"""The stage about forks: what it takes for a failure, and a small run of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest

from harness.base.layout import Layout
from harness.reliability import fork
from harness.reliability.context import Context
from harness.verify.faults import faulty

MIB = 2**20


def result(**changes: Any) -> Any:
    """The result of a worker that forked 20 times; of stock with ``stats`` None."""
    sound: Dict[str, Any] = {
        "hashes": {"parent": "a", "children": "b"},
        "finite": True,
        "exit_codes": {"0": 20},
        "children_avoided": 40,
        "stats": {"totals": {"primitives_avoided": 10}},
        "resident_bytes": [100 * MIB] * 20,
        "primitives": [30] * 20,
        "threads": [1, 2] * 10,
    }
    return {**sound, **changes}


NO_HITS = {"totals": {"primitives_avoided": 0}}
GROWING = [(100 + i) * MIB for i in range(20)]


@pytest.mark.parametrize(
    ("stock", "cached", "outcome", "summary"),
    [
        (result(), result(), "pass", "equal bits, no growth"),
        (result(), result(hashes={"parent": "a", "children": "c"}), "fail", "children: bits"),
        (result(), result(hashes={"parent": "c", "children": "b"}), "fail", "parent: bits"),
        (result(), result(exit_codes={"0": 19, "-14": 1}), "fail", "children's exit codes"),
        (result(), result(resident_bytes=GROWING), "fail", "resident memory grew"),
        (result(), result(primitives=[*range(20)]), "fail", "primitives alive grow: 10, then 19"),
        (result(), result(threads=[*range(20)]), "fail", "threads alive grow"),
        (result(), result(children_avoided=0, stats=NO_HITS), "fail", "no creation was avoided"),
        (result(), "worker took longer than 90 s;\n  its last lines", "fail", "worker took longer"),
        # Failures of stock are not blamed on the cache.
        (result(resident_bytes=GROWING), result(resident_bytes=GROWING), "pass", "equal bits"),
        ("took too long", "took too long", "skip", "stock MXNet fails here too"),
        ("took too long", result(), "skip", "stock MXNet fails"),
        (result(exit_codes={"-11": 20}), result(exit_codes={"-11": 20}), "skip", "stock MXNet"),
    ],
)
def test_forks_are_judged(stock: Any, cached: Any, outcome: str, summary: str) -> None:
    found = fork.judge("it", "1.3.1", 20, stock, cached)
    assert (found.outcome, found.summary[: len(summary)]) == (outcome, summary)


FEW = fork.Forks("a few", fork.FORKS[1].environment, quick=4)


def test_parent_and_children_have_stocks_bits(built: Layout, tmp_path: Path) -> None:
    found = fork.run_forks(Context(built, True, 1, ("1.3.1",), tmp_path), FEW, "1.3.1")
    assert (found.outcome, found.details) == ("pass", [])
    assert found.figures["children_exit_0"] == 4
    # The forking thread's cache serves its child.
    assert found.figures["avoided_by_children"] > 0


def test_wrong_bits_after_a_fork_are_found(built: Layout, tmp_path: Path) -> None:
    context = Context(faulty(built, "SKIP_REBIND"), True, 1, ("1.3.1",), tmp_path)
    found = fork.run_forks(context, FEW, "1.3.1", "preload:all")
    assert found.outcome == "fail"
    assert any("bits differ from stock" in line for line in found.details)
