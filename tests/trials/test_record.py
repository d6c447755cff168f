"""Records: whole or refused, in one line that names both sides."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, List

import pytest

from harness.base import jsonl
from harness.base.differences import IncompatibleRuns
from harness.bench import record as bench_record
from harness.trials import record
from harness.trials.record import threads
from tests.support import commands
from tests.support.records import MACHINE, bench

TYPES = "train, profile, memory, created, alternate, failure"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "run.jsonl"
    bench_record.create(bench.record(), path)
    return path


def refusal(path: Path) -> str:
    message = commands.refusal(bench_record.load, path)
    assert "\n" not in message
    assert len(message) < 300 + len(str(path))
    return message[len(f"{path}: ") :]


def test_all_kinds_of_processes_round_trip(saved: Path, tmp_path: Path) -> None:
    run, alternating = bench.record(), bench.alternating_record()
    assert bench_record.load(saved) == run
    bench_record.create(alternating, tmp_path / "alternating.jsonl")
    assert bench_record.load(tmp_path / "alternating.jsonl") == alternating
    key = run.finished[0].key
    profile, failure = bench.profile_sample(key, {"Convolution": 2.0}), bench.failure(key, "memory")
    run = run.model_copy(update={"finished": [profile, failure, bench.train_sample(key)]})
    path = tmp_path / "run.jsonl"
    bench_record.create(run, path)
    loaded = bench_record.load(path)
    assert loaded == run
    found = [loaded.samples, loaded.profiles, loaded.failures]
    assert [len(each) for each in found] == [1, 1, 1]
    assert loaded.profiles[0].operator_ms() == {"Convolution": 2.0}


def test_throughput_counts_slow_steps_too() -> None:
    sample = bench.record().samples[0]
    slow = sample.model_copy(update={"step_ns": [100_000_000, 300_000_000]})
    assert slow.images_per_second == pytest.approx(2 * 2 / 0.4)


def test_a_torn_end_is_dropped_wherever_it_was_torn(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    run = bench.record(taken=2)
    bench_record.create(run, path)
    data = path.read_bytes()
    start = data[:-1].rfind(b"\n") + 1
    for length in range(start, len(data)):
        path.write_bytes(data[:length])
        assert bench_record.load(path).finished == run.finished[:1]
    path.write_bytes(data)
    assert bench_record.load(path).finished == run.finished


def test_appending_after_a_torn_end(saved: Path) -> None:
    data = saved.read_bytes()
    saved.write_bytes(data[:-10])
    last = bench.record().finished[-1]
    with jsonl.Appender(saved) as file:
        file.append(last.model_dump())
    assert saved.read_bytes() == data


def test_opening_alone_changes_nothing(saved: Path) -> None:
    data = saved.read_bytes()[:-10]
    saved.write_bytes(data)
    with jsonl.Appender(saved):
        pass
    assert saved.read_bytes() == data
    with jsonl.Appender(saved):
        assert commands.refusal(jsonl.Appender, saved) == f"{saved}: another process is writing it"
    with jsonl.Appender(saved):
        pass


def test_damage_before_the_end_is_refused(saved: Path) -> None:
    lines = saved.read_bytes().splitlines(keepends=True)
    saved.write_bytes(b"".join([*lines[:3], lines[3][:20] + b"\n", *lines[4:]]))
    assert refusal(saved).startswith("line 4: not JSON: ")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xfe\n", "line 1: not JSON: "),
        (b"not json\n", "line 1: not JSON: "),
        (b"", "not a file of JSON lines: no line is finished"),
        (b"precious", "not a file of JSON lines: no line is finished"),
        (b"[]\n", "expected opcache-bench schema 2, found "),
        (b'{"kind": "other"}\n', "expected opcache-bench schema 2, found "),
    ],
)
def test_foreign_files(saved: Path, data: bytes, message: str) -> None:
    saved.write_bytes(data)
    assert refusal(saved).startswith(message)


@pytest.mark.parametrize(
    ("number", "values", "message"),
    [
        (1, {"schema_version": 7}, "expected opcache-bench schema 2, found opcache-bench schema 7"),
        (1, {"run_id": ["a"] * 1000}, r"line 1: run_id: .* a valid string, found \['a', 'a'.*"),
        (2, {"series": "another"}, "line 2: series: expected one of .*, found 'another'"),
        (3, {"step_ns": [5, -3]}, "line 3: step_ns.1: Input should be greater than 0, found -3"),
        (3, {"type": "a"}, f"line 3: expected a type of {TYPES}"),
    ],
)
def test_wrong_values(saved: Path, number: int, values: Dict[str, Any], message: str) -> None:
    lines = saved.read_text().splitlines()
    lines[number - 1] = json.dumps({**json.loads(lines[number - 1]), **values})
    saved.write_text("\n".join(lines) + "\n")
    assert re.fullmatch(message, refusal(saved))


def refused(**changes: Any) -> List[str]:
    ours = bench.record()
    theirs = ours.model_copy(update=changes)
    message = commands.refusal(record.check_compatible, theirs, ours, kind=IncompatibleRuns)
    return message.split("; ")


def test_other_machines_libraries_and_settings_are_refused() -> None:
    other = MACHINE.model_copy(update={"kernel": "L 1"})
    assert refused(machine=other) == ["machine.kernel: recorded=L 1, asked=Linux 0.0"]
    versions = {"opcache": "0.0.0", "python": "3.8.0", "1.3.1 lib": "00"}
    assert refused(versions=versions) == ["versions.1.3.1 lib: recorded=00, asked=None"]
    settings = bench.settings(bench.series(threads=threads(4)))
    assert refused(settings=settings.model_copy(update={"seed": 2})) == [
        "settings.seed: recorded=2, asked=1",
        "settings.series.0.threads.omp_num_threads: recorded=4, asked=2",
    ]
    record.check_compatible(bench.record(taken=3), bench.record(taken=0))
