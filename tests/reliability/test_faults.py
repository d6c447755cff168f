"""What the stages of C++ fault tests make of a program's output."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Tuple

import pytest

from harness.base.layout import Layout
from harness.build.compiling import make_cpp_test, make_faulty
from harness.build.toolchain import load_toolchain
from harness.reliability import exits, faults, sanitizers, unload
from harness.reliability.context import Context

CALLS = faults.PARTS[1]


def test_counts_are_added_up_per_function() -> None:
    output = (
        "injected: 3 of stream_create\ninjected: 2 of stream_wait\ninjected: 4 of stream_create\n"
        "injected: 0 of engine_destroy\ntest_calls: 2 passed, 0 failed\n"
    )
    found = faults.judge(CALLS, 0, output, 1.25)
    assert found.outcome == "pass"
    assert found.summary.startswith("9 made to fail of 3 functions")
    assert found.figures == {
        "tests": 2,
        "seconds": 1.2,
        "stream_create": 7,
        "stream_wait": 2,
        "injected": 9,
    }


@pytest.mark.parametrize(
    ("code", "output", "summary"),
    [
        (
            1,
            "injected: 3 of x\nFAILED cold (exit code 1)\ntest_calls: 0 passed, 1 failed\n",
            "FAIL",
        ),
        (-11, "", "no output"),
        (-1, "hangs: it was still running after 600 s", "hangs"),
        (0, "", "no output"),
        (0, "test_calls: 2 passed, 0 failed\n", "nothing was made to fail"),
    ],
)
def test_what_did_not_pass_fails(code: int, output: str, summary: str) -> None:
    found = faults.judge(CALLS, code, output, 1.0)
    assert found.outcome == "fail"
    assert summary in found.summary


def test_every_order_of_closing_is_tried() -> None:
    assert len(unload.cases(every_opening=True)) == 6 * 6 * len(unload.MODES)
    few = unload.cases(every_opening=False)
    assert {case.closed for case in few} == {case.closed for case in unload.cases(True)}
    assert {case.opened for case in few} == {unload.LIBRARIES}


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("exit 0", ""),
        ("exit 3", "exit code 3"),
        ("kill -SEGV $$", "exit code -11"),
        ("echo double free", "exit code 0: double free"),
        ("sleep 5", "hangs"),
    ],
)
def test_an_end_that_is_not_clean_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, problem: str
) -> None:
    monkeypatch.setattr(unload, "TIMEOUT_S", 1.0)
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    case = unload.cases(every_opening=False)[0]
    seen = unload.end_of(program, dict(os.environ), case)
    assert problem in seen
    found = unload.judge("1.3.1", [case], [seen])
    assert found.outcome == ("fail" if problem else "pass")


def test_a_library_that_can_be_unloaded_is_caught(layout: Layout) -> None:
    toolchain = load_toolchain(layout.toolchain)
    library = make_faulty(layout, "UNLOADABLE")
    program = make_cpp_test(layout, toolchain, "unload_program")
    client = make_cpp_test(layout, toolchain, "unload_client.so")
    fake = make_cpp_test(layout, toolchain, "fake/libmkldnn.so.0")
    environment = unload.environment_of(library, unload.FAKE, fake, client)
    case = unload.Order(unload.LIBRARIES, ("CLIENT", "OPCACHE", "MKLDNN"), "late")
    assert "exit code -11" in unload.end_of(program, environment, case)
    sound = unload.environment_of(layout.library, unload.FAKE, fake, client)
    assert unload.end_of(program, sound, case) == ""


@pytest.mark.parametrize(
    ("stock", "cached", "outcome"),
    [(15, 62, "fail"), (15, 14, "pass"), (0, 0, "pass"), (0, 6, "pass"), (0, 8, "fail")],
)
def test_more_bad_ends_than_stocks_fail(stock: int, cached: int, outcome: str) -> None:
    ends = exits.Ends(*(["crashed"] * bad + [""] * (280 - bad) for bad in (stock, cached)))
    found = exits.judge("1.3.1", ends)
    assert found.outcome == outcome
    assert found.summary.startswith(f"{cached} of 280 processes did not end cleanly, {stock} of")
    assert found.details[1:2] == (["crashed"] if outcome == "fail" else [])


@pytest.mark.parametrize(
    ("script", "bad_ends"),
    [
        ('case "$1" in OPCACHE*) kill -SEGV $$ ;; esac', (0, 8)),
        ('[ "$3" = busy ] || exit 1', (4, 4)),
    ],
)
def test_each_variant_ends_equally_often(
    tmp_path: Path, script: str, bad_ends: Tuple[int, int]
) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    ends = exits.take_turns(program, dict(os.environ), 8)
    assert [len(each) for each in ends] == [8, 8]
    assert tuple(sum(map(bool, each)) for each in ends) == bad_ends
    assert (exits.judge("1.3.1", ends).outcome == "fail") == (bad_ends[0] < bad_ends[1])


def test_processes_end_as_stocks_do(built: Layout, tmp_path: Path) -> None:
    hosts = ("1.4.1", "1.6.0")
    for found, host in zip(exits.run(Context(built, True, 1, hosts, tmp_path)), hosts):
        assert (found.host, found.outcome) == (host, "pass")
        assert found.figures["processes_of_each"] == exits.QUICK


def test_libraries_close_in_every_order_on_both_interfaces(built: Layout, tmp_path: Path) -> None:
    found = unload.run(Context(built, True, 1, ("1.6.0",), tmp_path))
    assert [(each.host, each.outcome) for each in found] == [("", "pass"), ("1.6.0", "pass")]


SANITIZED = (
    "test_key: 15 passed, 0 failed\nplanted leak: caught by LeakSanitizer\n"
    "intended leaks: every one still there\ntest_cache: 12 passed, 0 failed\n"
)


def test_sanitized_tests_are_counted() -> None:
    found = sanitizers.judge(0, SANITIZED, 240.0)
    assert found.outcome == "pass"
    assert found.figures["tests_passed"] == 27


@pytest.mark.parametrize(
    ("code", "output"),
    [
        (2, SANITIZED),
        (0, ""),
        (0, SANITIZED.replace("15 passed, 0 failed", "14 passed, 1 failed")),
        (0, SANITIZED.replace("planted leak: caught", "")),
        (0, SANITIZED.replace("intended leaks", "")),
    ],
)
def test_sanitized_tests_that_did_not_all_pass_fail(code: int, output: str) -> None:
    assert sanitizers.judge(code, output, 1.0).outcome == "fail"
