"""Records: whole or refused, in one line that names both sides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest

from harness import record
from harness.errors import HarnessError
from tests import synthetic


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "run.json"
    record.save(synthetic.bench_record(), path)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(HarnessError) as caught:
        record.load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 300 + len(str(path))
    return message[len(f"{path}: ") :]


def changed(path: Path, **values: Any) -> Path:
    content: Dict[str, Any] = json.loads(path.read_text())
    content.update(values)
    path.write_text(json.dumps(content))
    return path


def test_round_trip(saved: Path) -> None:
    assert record.load(saved) == synthetic.bench_record()


def test_throughput_counts_slow_steps_too() -> None:
    sample = synthetic.bench_record().samples[0]
    slow = sample.model_copy(update={"step_ns": [100_000_000, 300_000_000]})
    assert slow.images_per_second == pytest.approx(2 * 2 / 0.4)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_truncated_file(saved: Path, share: float) -> None:
    data = saved.read_bytes()
    saved.write_bytes(data[: int(len(data) * share)])
    assert refusal(saved).startswith("truncated or not JSON: ")


@pytest.mark.parametrize("data", [b"\xff\xfe", b"[" * 100_000, b"not json"])
def test_not_json(saved: Path, data: bytes) -> None:
    saved.write_bytes(data)
    assert refusal(saved).startswith("truncated or not JSON: ")


@pytest.mark.parametrize("text", ["[]", "1", "null", '{"kind": "other"}'])
def test_foreign_json(saved: Path, text: str) -> None:
    saved.write_text(text)
    assert refusal(saved).startswith("expected opcache-bench schema 1, found ")


def test_foreign_schema(saved: Path) -> None:
    message = refusal(changed(saved, schema_version=7))
    assert message == "expected opcache-bench schema 1, found opcache-bench schema 7"


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent.json") == "No such file or directory"
    assert refusal(tmp_path) == "Is a directory"


def test_wrong_types(saved: Path) -> None:
    message = refusal(changed(saved, run_id=["a"] * 1000))
    assert message.startswith("run_id: Input should be a valid string, found ['a', 'a'")
    content = json.loads(saved.read_text())
    content["run_id"] = "run"
    content["samples"][1]["step_ns"] = [5, -3]
    saved.write_text(json.dumps(content))
    assert refusal(saved) == "samples.1.step_ns.1: Input should be greater than 0, found -3"


def test_other_machine_is_refused() -> None:
    ours = synthetic.bench_record()
    theirs = ours.model_copy(update={"machine": ours.machine.model_copy(update={"kernel": "L 1"})})
    with pytest.raises(record.IncompatibleRuns) as caught:
        record.check_compatible(theirs, ours)
    assert str(caught.value) == "machine.kernel: recorded=L 1, asked=Linux 0.0"


def test_other_settings_are_refused() -> None:
    ours = synthetic.bench_record()
    threads = ours.settings.threads.model_copy(update={"omp_num_threads": 4})
    other = ours.settings.model_copy(update={"threads": threads, "seed": 2})
    with pytest.raises(record.IncompatibleRuns) as caught:
        record.check_compatible(ours.model_copy(update={"settings": other}), ours)
    assert str(caught.value) == (
        "settings.seed: recorded=2, asked=1; settings.threads.omp_num_threads: recorded=4, asked=2"
    )


def test_equal_runs_are_compatible() -> None:
    record.check_compatible(synthetic.bench_record(taken=3), synthetic.bench_record(taken=0))
