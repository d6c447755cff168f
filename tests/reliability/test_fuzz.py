"""The fuzz stage: how it judges output, and a faulty library that it must refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.base.layout import Layout
from harness.build.compiling import make_cpp_test
from harness.build.toolchain import load_toolchain
from harness.reliability import fuzz
from harness.verify import faults
from harness.verify.faults import faulty

TOLD = {"ok": True, "seed": 3, "operations": 50, "hits": 7, "seconds": 0.5, "steps": {"run": 9}}


def test_figures_are_what_the_program_tells() -> None:
    ended = fuzz.Ended(0, f"said before\n{json.dumps(TOLD)}\nlast line\n")
    found = fuzz.judge(fuzz.CALLS, "", ended, 50)
    assert found.outcome == "pass"
    assert found.figures == {n: TOLD[n] for n in ("seed", "operations", "hits", "seconds")}
    assert found.details == ["run: 9"]


@pytest.mark.parametrize(
    ("code", "told"),
    [(1, TOLD), (-1, {}), (0, {}), (0, {**TOLD, "operations": 40}), (0, {**TOLD, "hits": 0})],
)
def test_less_than_wanted_fails(code: int, told: Any) -> None:
    found = fuzz.judge(fuzz.CALLS, "", fuzz.Ended(code, f"why\n{json.dumps(told)}\n"), 50)
    assert found.outcome == "fail"
    assert "why" in found.summary


GUIDED = """INFO: Loaded 1 modules   (3053 inline 8-bit counters): 3053 [0x1, 0x2),
#22051\tDONE   cov: 1100 ft: 5283 corp: 955/790Kb lim: 1600 exec/s: 537 rss: 36Mb
stat::number_of_executed_units: 22051
"""


def test_coverage_is_what_libfuzzer_tells() -> None:
    found = fuzz.judge_guided(fuzz.Ended(0, GUIDED))
    assert found.outcome == "pass"
    assert (found.figures["edges_covered"], found.figures["edges"]) == (1100, 3053)
    assert fuzz.judge_guided(fuzz.Ended(77, GUIDED)).outcome == "fail"
    assert fuzz.judge_guided(fuzz.Ended(0, "nothing")).outcome == "fail"


def test_a_library_with_a_fault_fails_with_the_shortest_sequence(built: Layout) -> None:
    program = make_cpp_test(built, load_toolchain(built.toolchain), "fuzz")
    ended = fuzz.on_mkldnn(
        faulty(built, "SKIP_REBIND"),
        [str(program), "--operations", "20000"],
        str(built.build / "tests-cpp" / "fake"),
    )
    found = fuzz.judge(fuzz.CALLS, "", ended, 20000)
    assert found.outcome == "fail"
    assert any("the shortest that fails" in line for line in found.details)


def test_planted_faults_are_found(built: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    program = make_cpp_test(built, load_toolchain(built.toolchain), "fuzz")
    fake = str(built.build / "tests-cpp" / "fake")
    known = [each for each in faults.planted() if each.name == "SKIP_REBIND"]
    found = fuzz.planted(built, program, fake, known)
    assert (found.outcome, list(found.figures)) == ("pass", ["SKIP_REBIND"])
    # In a library without the fault nothing is found.
    monkeypatch.setattr(faults, "faulty", lambda layout, _: layout)
    found = fuzz.planted(built, program, fake, known)
    assert found.outcome == "fail"
    assert len(found.details) == 2
    kept = [str(program), *map(str, fuzz.corpus(built).iterdir())]
    assert fuzz.on_mkldnn(built, kept, fake).code == 0
