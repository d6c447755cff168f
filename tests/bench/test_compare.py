"""Comparing two records: ratios with intervals, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest

from harness.base.differences import IncompatibleRuns
from harness.bench import compare
from harness.bench import record as bench_record
from harness.bench.record import BenchRecord
from tests.support.commands import harness, refusal
from tests.support.records import MACHINE, bench


def later(**versions: str) -> BenchRecord:
    """The made-up run with ``off`` twice as fast, by another library."""
    run = bench.record()
    finished = [
        s.model_copy(update={"step_ns": [ns // 2 for ns in s.step_ns]}) if s.variant == "off" else s
        for s in run.samples
    ]
    return run.model_copy(update={"finished": finished, "versions": {**run.versions, **versions}})


def test_ratios_are_b_over_a() -> None:
    found = compare.changes(bench.record(), later())
    assert [change.first.variant for change in found] == ["stock", "off", "backward"]
    assert [change.ratio for change in found] == pytest.approx([1.0, 2.0, 1.0])
    assert found[1].interval is not None
    low, high = found[1].interval
    assert 1.85 < low <= 2.0 <= high < 2.15
    nothing = bench.record(taken=0)
    assert "no variant in common" in refusal(compare.changes, bench.record(), nothing)


def test_alternating_scopes_are_compared_one_by_one() -> None:
    run = bench.alternating_record()
    found = compare.changes(run, run)
    assert len(found) == 20 and {change.ratio for change in found} == {1.0}
    assert "1.458x (1.422 to 1.495)" in compare.render(run, run)


def test_printed_on_the_command_line(tmp_path: Path) -> None:
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for path, run in zip(paths, (bench.record(), later(opcache="0.0.1"))):
        bench_record.create(run, path)
    done = harness("compare", *paths)
    assert (done.returncode, done.stderr) == (0, "")
    first, empty, *table = done.stdout.splitlines()
    assert (first, empty) == ("opcache: A=0.0.0, B=0.0.1", "")
    assert len([line for line in table if line.startswith("| resnet-18 ")]) == 3
    assert "| 2.000x |" in table[3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"machine": MACHINE.model_copy(update={"logical_cpus": 56})},
            "machine.logical_cpus: A=2, B=56",
        ),
        (
            {"settings": bench.settings(bench.series(5))},
            "settings.series.0.rounds_max: A=6, B=5; settings.series.0.rounds_min: A=6, B=5",
        ),
    ],
)
def test_other_machines_and_settings_are_refused(changes: Dict[str, Any], message: str) -> None:
    other = later().model_copy(update=changes)
    assert refusal(compare.changes, bench.record(), other, kind=IncompatibleRuns) == message
