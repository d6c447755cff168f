"""opcache stats: the tables of real statistics files, and files that are none."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Dict

import pytest
from mkldnn_opcache import stats_table
from mkldnn_opcache.__main__ import main
from pytest import CaptureFixture

from tests.support.records import bench


def report(**fields: Any) -> Dict[str, Any]:
    counters = bench.cache_stats("all", 1234)
    counters["operators"]["lrn"] = {**counters["totals"], "avoided_ns": 5_000_000}
    return {"schema": 1, **counters, **fields}


def run_of(*processes: Dict[str, Any]) -> Dict[str, Any]:
    found = [{"pid": number, "counters": each} for number, each in enumerate(processes, 7)]
    return {"kind": "opcache-run", "schema_version": 1, "processes": found}


def test_tables_of_processes(tmp_path: Path, capsys: CaptureFixture) -> None:
    path = tmp_path / "stats.json"
    path.write_text(json.dumps(run_of(report(), report(active=False, mkldnn=None))))
    assert main(["stats", str(path)]) == 0
    first, second = capsys.readouterr().out.rstrip("\n").split("\n\n")
    head, titles, units, *rows, total = first.splitlines()
    assert head == "process 7: active, MKL-DNN v0.14, scope all, 0 evicted"
    assert titles.split() == ["operator", "primitives", "descriptors", "time", "not"]
    assert units.split() == ["avoided", "created", "avoided", "created", "spent,", "s"]
    # The operator that gained most comes first.
    assert rows[0].split() == ["lrn", "1234", "4", "1234", "2", "0.005"]
    assert total.split() == ["total", "1234", "4", "1234", "2", "0.000"]
    assert len({len(line) for line in (titles, units, *rows, total)}) == 1
    assert second.startswith("process 8: not active, MKL-DNN unknown, ")


def test_a_file_of_the_library_itself(tmp_path: Path, capsys: CaptureFixture) -> None:
    path = tmp_path / "stats.json"
    path.write_text(json.dumps(report()))
    assert main(["stats", str(path)]) == 0
    assert capsys.readouterr().out.startswith("active, MKL-DNN v0.14, scope all, 0 evicted\n")
    assert stats_table.tables(run_of(), "x") == ["no process had loaded an MKL-DNN"]


SCHEMA = "expected a statistics file of opcache, schema 1, found kind "
COUNTERS = "expected counters of opcache, found others"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(json.dumps(report())[:-9], "truncated or not JSON: ", id="truncated"),
        pytest.param("", "truncated or not JSON: ", id="empty"),
        pytest.param("\x80", "truncated or not JSON: ", id="not UTF-8"),
        pytest.param("[" * 100_000, "truncated or not JSON: ", id="deep"),
        pytest.param("[1]", f"{SCHEMA}None, schema None", id="list"),
        pytest.param(json.dumps(report(schema=2)), f"{SCHEMA}None, schema 2", id="schema"),
        pytest.param(json.dumps({"kind": "opcache-bench"}), f"{SCHEMA}opcache-bench, ", id="kind"),
        pytest.param(json.dumps(report(operators=[])), COUNTERS, id="operators"),
        pytest.param(json.dumps(report(totals={})), COUNTERS, id="no totals"),
        pytest.param(json.dumps(run_of({})), COUNTERS, id="no counters"),
        pytest.param(json.dumps({**run_of(), "processes": 5}), COUNTERS, id="processes"),
        pytest.param(json.dumps(report(totals={"evictions": "x"})), COUNTERS, id="text"),
        pytest.param(json.dumps(report(totals={"evictions": math.nan})), COUNTERS, id="NaN"),
        pytest.param(json.dumps(report(totals={"evictions": math.inf})), COUNTERS, id="infinite"),
    ],
)
def test_other_files_are_refused(
    tmp_path: Path, capsys: CaptureFixture, content: str, message: str
) -> None:
    path = tmp_path / "stats.json"
    path.write_bytes(content.encode("latin-1"))
    assert main(["stats", str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert printed.err.startswith(f"opcache: error: {path}: {message}")


def test_special_files_are_refused(tmp_path: Path) -> None:
    assert main(["stats", str(tmp_path)]) == main(["stats", "/dev/zero"]) == 2
    assert main(["stats", str(tmp_path / "absent")]) == 2
