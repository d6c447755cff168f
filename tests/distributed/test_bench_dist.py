"""The bench-dist command: real trainings with equal bits, and faults that it must report."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any, Callable, List

from pytest import CaptureFixture, MonkeyPatch

from harness import __main__
from harness.base.layout import Layout
from harness.distributed import command as bench_dist
from harness.distributed import record as bench_dist_record
from harness.distributed import table as bench_dist_table
from harness.trials.group import Member
from harness.trials.jobs import HashJob
from harness.trials.record import Case
from harness.verify.faults import faulty
from tests.support.bits import result_of
from tests.support.commands import harness_words
from tests.support.own_builds import OwnPair
from tests.support.processes import alive, children, listening, wait_until
from tests.support.records import distributed

SMALL = ["--model", "seven-ops", "--image-size", "32", "--steps", "3"]


def test_busy_port_is_refused_before_anything_starts(
    built: Layout, error_of: Callable[..., str], tmp_path: Path
) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        assert error_of("bench-dist", "--port", port, "--out", tmp_path / "run.json") == (
            f"--port: expected a free port of 127.0.0.1, found {port}: Address already in use"
        )
    assert not (tmp_path / "run.json").exists()


def test_two_workers_have_the_bits_of_stock(
    built: Layout, host: str, capsys: CaptureFixture, tmp_path: Path
) -> None:
    out = tmp_path / "run.json"
    options = [*SMALL, "--host", host, "--rounds", "2", "--out", str(out)]
    assert __main__.main(["bench-dist", *options]) == 0
    run = bench_dist_record.load(out)
    assert capsys.readouterr().out == f"{bench_dist_table.render(run)}\nrecord: {out}\n"
    assert [sample.variant for sample in run.samples] == ["stock", "all", "all", "stock"]
    assert [row.bits for row in bench_dist_table.rows(run)] == ["equal", "equal"]
    for sample in run.samples:
        first, second = sample.workers
        # Each rank has batches of its own, or two workers would prove no more than one.
        assert first.own["output"] != second.own["output"]
        for worker in sample.workers:
            assert len(worker.step_ns) == 3
            assert worker.versions["mxnet"] == host.split(".post")[0]
            if worker.stats is not None:
                assert worker.still_missing is False
                assert worker.stats["totals"]["primitives_avoided"] > 0


def test_two_builds(own_pair: OwnPair, capsys: CaptureFixture, tmp_path: Path) -> None:
    out = tmp_path / "run.json"
    options = [*SMALL, "--workers", "1", "--rounds", "1", "--out", str(out), *own_pair.options]
    assert __main__.main(["bench-dist", *options]) == 0
    run = bench_dist_record.load(out)
    assert [sample.variant for sample in run.samples] == [own_pair.against, "all"]
    assert [row.bits for row in bench_dist_table.rows(run)] == ["one run", "equal"]
    assert f"ratio: to {own_pair.against}," in capsys.readouterr().out
    assert own_pair.has_no_path(out)


def test_one_worker_learns_what_training_without_servers_does(built: Layout) -> None:
    """The servers do apply the optimizer: their weights are those of a local update."""
    asked = distributed.record(workers=1).settings
    case = Case(model="seven-ops", batch_size=2, image_size=32)
    asked = asked.model_copy(update={"case": case, "timed_steps": 3, "servers": 2})
    with bench_dist.reserved_port(None) as port:
        sample = bench_dist.sample(built, asked, "stock", 0, port, timeout_s=120)
    local = result_of(HashJob("seven-ops", 2, 32, steps=4), built, "1.3.1", "stock")
    (worker,) = sample.workers
    assert {**worker.parameters, **worker.own} == {
        name: digest[:16]
        for name, digest in local["hashes"].items()
        if not name.startswith("gradient-")
    }


def with_last_worker(monkeypatch: MonkeyPatch, change: Callable[[Member], Member]) -> None:
    """Have the last worker of every training changed before it starts."""
    sound = bench_dist.members

    def members(*arguments: Any) -> List[Member]:
        found = sound(*arguments)
        return [*found[:-1], change(found[-1])]

    monkeypatch.setattr(bench_dist, "members", members)


def test_faulty_library_in_one_worker(
    built: Layout, monkeypatch: MonkeyPatch, capsys: CaptureFixture, tmp_path: Path
) -> None:
    library = str(faulty(built, "SKIP_REBIND").library)

    def with_fault(member: Member) -> Member:
        environment = dict(member.environment)
        if "LD_PRELOAD" in environment:
            environment["LD_PRELOAD"] = library
        return dataclasses.replace(member, environment=environment)

    with_last_worker(monkeypatch, with_fault)
    options = [*SMALL, "--scopes", "stock,preload:all", "--rounds", "1"]
    assert __main__.main(["bench-dist", *options, "--out", str(tmp_path / "run.json")]) == 2
    printed = capsys.readouterr()
    assert " DIFFER " in printed.out
    assert "opcache: error: bits of the trainings differ that must be equal:" in printed.err
    assert "preload:all round 0: rank 0 has other bits than stock round 0: " in printed.err


def test_failed_worker_ends_the_others(
    built: Layout, monkeypatch: MonkeyPatch, capsys: CaptureFixture, tmp_path: Path
) -> None:
    def with_no_pixels(member: Member) -> Member:
        job = json.loads(Path(member.command[-2]).read_text())
        path = tmp_path / "job.json"
        path.write_text(json.dumps({**job, "image_size": 0}))
        command = (*member.command[:-2], str(path), member.command[-1])
        return dataclasses.replace(member, command=command)

    with_last_worker(monkeypatch, with_no_pixels)
    assert __main__.main(["bench-dist", *SMALL, "--out", str(tmp_path / "run.json")]) == 2
    printed = capsys.readouterr().err
    assert (
        "opcache: error: training (host 1.3.1, stock, round 0): worker 2 ended with exit code 1; "
        "the last lines of worker 2:\n" in printed
    )
    assert not (tmp_path / "run.json").exists()


def test_loopback_only_and_a_killed_worker_ends_it_all(built: Layout, tmp_path: Path) -> None:
    options = [*SMALL[:-1], "1000000", "--out", tmp_path / "run.json"]
    run = subprocess.Popen(
        harness_words("bench-dist", *options),
        cwd=built.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(lambda: len(listening(list(children(run.pid)))) == 4)
        processes = children(run.pid)
        # Of scheduler, server and two workers none can be reached from elsewhere.
        assert listening(list(processes)) == ["0100007F"] * 4
        worker = next(pid for pid, line in processes.items() if "harness.worker" in line)
        os.kill(worker, signal.SIGKILL)
        _, printed = run.communicate(timeout=60)
    finally:
        run.kill()
        run.wait()
    assert run.returncode == 2
    assert (
        "opcache: error: training (host 1.3.1, stock, round 0): "
        "worker 1 ended with signal 9 (SIGKILL); " in printed
    )
    assert len(processes) == 4
    assert not any(map(alive, processes))
