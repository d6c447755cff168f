"""Series that are added to a record of the bench command."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Any, Dict

import pytest

from harness.base import jsonl
from harness.base.differences import IncompatibleRuns
from harness.bench import record
from tests.support.commands import refusal
from tests.support.records import MACHINE, bench

VERSIONS = {**bench.record().versions, "1.3.1 lib": "00"}
MORE = bench.series(name="more", variants={"1.4.1": ["off", "all"]})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A record of three processes in the series ``throughput``."""
    path = tmp_path / "run.jsonl"
    record.create(bench.record(taken=3).model_copy(update={"versions": VERSIONS}), path)
    return path


def asked(*series: record.Series, **changes: Any) -> record.BenchRecord:
    new = {"settings": bench.settings(*series), "versions": VERSIONS, "finished": [], **changes}
    return bench.record().model_copy(update=new)


def test_a_record_gets_the_series_that_it_lacks(path: Path) -> None:
    lines = path.read_bytes().splitlines()
    more = asked(MORE, versions={**bench.record().versions, "1.4.1 lib": "11"})
    record.add_series(more, path)
    assert path.read_bytes().splitlines()[1:] == lines[1:]
    found = record.load(path)
    assert [each.name for each in found.settings.series] == ["throughput", "more"]
    assert found.versions == {**VERSIONS, "1.4.1 lib": "11"}
    # Either series, or both, are continued from here on; a record that has them stays as it is.
    before = path.stat()
    for again in (asked(), more, asked(MORE, bench.series())):
        record.add_series(again, path)
    assert path.stat() == before


def test_a_record_that_another_process_writes_stays_as_it_is(path: Path) -> None:
    before = path.read_bytes()
    with jsonl.Appender(path):
        message = refusal(record.add_series, asked(MORE), path)
    assert message == f"{path}: another process is writing it"
    assert path.read_bytes() == before


def test_a_writer_sees_that_the_record_was_replaced(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted fault is a header written between the opening of the file and its lock."""
    flock = fcntl.flock

    def late(*arguments: Any) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        record.add_series(asked(MORE), path)
        flock(*arguments)

    monkeypatch.setattr(fcntl, "flock", late)
    message = refusal(jsonl.Appender, path)
    assert message == f"{path}: another process has just replaced it"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"machine": MACHINE.model_copy(update={"kernel": "L 1"})},
            "machine.kernel: recorded=Linux 0.0, asked=L 1",
        ),
        (
            {"versions": {**VERSIONS, "1.3.1 lib": "11"}},
            "versions.1.3.1 lib: recorded=00, asked=11",
        ),
        (
            {"settings": bench.settings(MORE, bench.series(5))},
            "settings.series.0.rounds_max: recorded=6, asked=5; "
            "settings.series.0.rounds_min: recorded=6, asked=5",
        ),
        (
            {"run_id": "bench-other-20000101T000000Z"},
            "settings.series.0.name: recorded=throughput, asked=more; "
            "settings.series.0.variants.1.3.1: recorded=['stock', 'off', 'backward'], asked=None; "
            "settings.series.0.variants.1.4.1: recorded=None, asked=['off', 'all']",
        ),
        (
            {"settings": bench.settings(MORE).model_copy(update={"seed": 2})},
            "settings.seed: recorded=1, asked=2",
        ),
    ],
)
def test_series_of_another_run_are_refused(
    path: Path, changes: Dict[str, Any], message: str
) -> None:
    before = path.read_bytes()
    other = asked(MORE, **changes)
    assert refusal(record.add_series, other, path, kind=IncompatibleRuns) == message
    assert path.read_bytes() == before
