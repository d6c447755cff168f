"""The bench command: its plan, its errors on the real command line, and small real runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import List

import pytest

from harness import bench, record, table
from harness.bench_config import scopes_by_host
from harness.layout import Layout
from models.registry import NETWORKS
from tests import synthetic


def command(*options: str) -> List[str]:
    return [sys.executable, "-m", "harness", "bench", *options]


def bench_command(layout: Layout, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*options), cwd=layout.root, capture_output=True, text=True, timeout=120
    )


def test_plan_is_interleaved_and_rotates() -> None:
    planned = bench.plan(synthetic.settings(samples=4))
    assert [(p.round, p.variant) for p in planned] == [
        (0, "stock"),
        (0, "off"),
        (0, "backward"),
        (1, "off"),
        (1, "backward"),
        (1, "stock"),
        (2, "backward"),
        (2, "stock"),
        (2, "off"),
        (3, "stock"),
        (3, "off"),
        (3, "backward"),
    ]
    assert len({p.key for p in planned}) == 12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--models", "mobilenet-2"),
            f"unknown model 'mobilenet-2': expected one of {', '.join(NETWORKS)}",
        ),
        (
            ("--scopes", "stock,bakward"),
            "unknown scope 'bakward': expected stock, off, backward, all, operators joined by + "
            "(activation, batch_norm, convolution, deconvolution, fully_connected, lrn, pooling, "
            "concat, reorder, softmax, sum, forward), or preload: before one of these",
        ),
        (("--hosts", "1.9.9"), "unknown host '1.9.9': expected one of 1.3.1, 1.4.1, 1.5.1.post0"),
        (
            ("--models", "alexnet", "--image-size", "62"),
            "image size 62 is too small for alexnet: expected at least 63",
        ),
        (("--image-size", "x"), "--image-size: expected a positive integer, found 'x'"),
        (("--samples", "0"), "--samples: expected a positive integer, found '0'"),
        (("--samples", "9" * 50), f"--samples: expected a positive integer, found '{'9' * 50}'"),
        (("--batch-size", "1,-1"), "--batch-size: expected a positive integer, found '-1'"),
        (
            ("--models", "alexnet,,vgg-16"),
            "--models: expected different words separated by commas: 'alexnet,,vgg-16'",
        ),
        (
            ("--scopes", "off,off"),
            "--scopes: expected different words separated by commas: 'off,off'",
        ),
        (("--config", "absent.toml"), "absent.toml: No such file or directory"),
    ],
)
def test_wrong_options_are_one_line(layout: Layout, options: List[str], message: str) -> None:
    done = bench_command(layout, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"opcache: error: {message}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models = [", "not a TOML file: Invalid value (at end of document)"),
        ("color = 1", "models: Field required"),
    ],
)
def test_wrong_configuration(layout: Layout, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bench.toml"
    path.write_text(text)
    done = bench_command(layout, "--config", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"opcache: error: {path}: {message}\n"


@pytest.mark.parametrize("word", ["nan", "inf", "-inf"])
def test_learning_rate_must_be_finite(layout: Layout, tmp_path: Path, word: str) -> None:
    quick = (layout.root / "configs" / "bench-quick.toml").read_text()
    path = tmp_path / "bench.toml"
    path.write_text(quick.replace("learning_rate = 0.01", f"learning_rate = {word}"))
    done = bench_command(layout, "--config", str(path))
    assert done.stderr == (
        f"opcache: error: {path}: learning_rate: Input should be a finite number, found {word}\n"
    )


def small(host: str, *options: str) -> List[str]:
    return ["--models", "seven-ops", "--hosts", host, "--scopes", "stock", *options]


def test_existing_record_is_not_overwritten(
    layout: Layout, first_host: str, tmp_path: Path
) -> None:
    path = tmp_path / "run.json"
    path.write_text("precious")
    done = bench_command(layout, *small(first_host, "--out", str(path)))
    assert done.returncode == 2
    assert done.stderr == (
        f"opcache: error: {path} exists: continue it with --resume, or choose another --out\n"
    )
    assert path.read_text() == "precious"


def test_record_of_another_machine_is_not_resumed(
    layout: Layout, first_host: str, tmp_path: Path
) -> None:
    path = tmp_path / "run.json"
    record.save(synthetic.bench_record(taken=0), path)
    done = bench_command(layout, *small(first_host, "--resume", str(path)))
    assert done.returncode == 2
    assert done.stderr.startswith("opcache: error: machine.compiler: recorded=none, asked=")
    assert done.stderr.count("\n") == 1


def test_killed_run_is_resumed(layout: Layout, first_host: str, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    run = subprocess.Popen(
        command(*small(first_host, "--samples", "3", "--out", str(path))),
        cwd=layout.root,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not path.exists() and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    killed = record.load(path)
    assert 1 <= len(killed.samples) < 3

    refused = bench_command(layout, *small(first_host, "--samples", "2", "--resume", str(path)))
    assert refused.stderr == "opcache: error: settings.samples: recorded=3, asked=2\n"

    done = bench_command(layout, *small(first_host, "--samples", "3", "--resume", str(path)))
    assert done.returncode == 0, done.stderr
    finished = record.load(path)
    assert finished.samples[: len(killed.samples)] == killed.samples
    assert [sample.round for sample in finished.samples] == [0, 1, 2]
    assert done.stdout == f"{table.render(finished)}\nrecord: {path}\n"


def test_real_run(built: Layout, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    options = ["--models", "mobilenet-1.0", "--image-size", "64", "--samples", "2"]
    options += ["--hosts", "1.3.1", "--scopes", "stock,off,backward"]
    done = bench_command(built, *options, "--out", str(path))
    assert done.returncode == 0, done.stderr
    run = record.load(path)
    assert done.stdout == f"{table.render(run)}\nrecord: {path}\n"
    assert [s.variant for s in run.samples] == [
        *("stock", "off", "backward"),
        *("off", "backward", "stock"),
    ]
    for sample in run.samples:
        assert sample.finite
        assert len(sample.step_ns) == run.settings.timed_steps
        assert sample.versions["mxnet"] == "1.3.1"
        assert sample.libraries[0].build_id == "327b74456f70bbd8c01967faac05ca0295cbf4f9"
        assert (sample.stats is None) == (sample.variant == "stock")
        if sample.variant == "backward":
            # Warm: nothing is created any more, so that the cache alone is timed.
            assert sample.still_missing is False
            assert sample.stats is not None
            convolution = sample.stats["operators"]["_backward_Convolution"]
            assert convolution["primitives_created"] == 0
            assert convolution["primitives_avoided"] > 0
            assert convolution["primitives_avoided"] % run.settings.timed_steps == 0


def test_scopes_are_by_host_unless_asked_for() -> None:
    configured = {"1.3.1": ("stock", "off"), "1.4.1": ("stock", "all")}
    assert scopes_by_host(configured, None, None) == configured
    assert scopes_by_host(configured, ("1.4.1",), None) == {"1.4.1": ("stock", "all")}
    assert scopes_by_host(configured, ("1.5.1",), None) == {"1.5.1": ("stock", "off")}
    assert scopes_by_host(configured, None, ("stock",)) == dict.fromkeys(configured, ("stock",))
