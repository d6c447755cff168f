"""The reliability run: its record, its stages' interface, and what its tables say."""

from __future__ import annotations

import importlib
import re
import sys
import types
from pathlib import Path
from typing import Any, Callable, List, Optional

import pydantic
import pytest
from pytest import MonkeyPatch

from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.build.toolchain import load_toolchain
from harness.publish import tables
from harness.reliability import command, table, threads
from harness.reliability.context import Context, finding
from harness.reliability.record import Finding, ReliabilityRecord, load
from harness.reliability.stages import STAGES, Stage
from harness.verify.faults import faulty
from tests.support.records.reliability import record


@pytest.fixture
def run_planted(
    layout: Layout, tmp_path: Path, monkeypatch: MonkeyPatch
) -> Callable[..., ReliabilityRecord]:
    """Run functions as the stages of their names, and save the record in reliability.json."""

    def run_planted(
        earlier: Optional[ReliabilityRecord] = None, **functions: Callable[[Context], Any]
    ) -> ReliabilityRecord:
        stages = []
        for name, run in functions.items():
            module: Any = types.ModuleType(f"planted_{name}")
            module.run = run
            monkeypatch.setitem(sys.modules, module.__name__, module)
            stages.append(Stage(name, module.__name__, name.title()))
        path = tmp_path / "reliability.json"
        return command.run_stages(layout, earlier or record(*functions), path, stages)

    return run_planted


def test_every_stage_has_its_module() -> None:
    assert len({stage.name for stage in STAGES}) == len(STAGES)
    for stage in STAGES:
        assert callable(importlib.import_module(stage.module).run), stage.name
    with pytest.raises(pydantic.ValidationError):
        finding("it", "growth", "pass", "sound", figures={"bytes": float("nan")})


def test_every_stage_is_saved(
    tmp_path: Path, run_planted: Callable[..., ReliabilityRecord]
) -> None:
    path = tmp_path / "reliability.json"

    def sees_the_first(context: Context) -> List[Finding]:
        assert list(context.scratch.iterdir()) == []
        found = [each.stage for each in load(path).findings]
        return [finding("second", ",".join(found), "pass", "sound")]

    run = run_planted(
        first=lambda context: [finding("first", f"seed {context.seed}", "pass", "sound")],
        second=sees_the_first,
    )
    assert [each.subject for each in run.findings] == ["seed 5", "first"]
    assert load(path) == run
    assert sorted(run.seconds) == ["first", "second"]


def test_finished_stages_are_not_repeated(run_planted: Callable[..., ReliabilityRecord]) -> None:
    mended = finding("mended", "it", "pass", "sound")
    passes = [finding("kept", "it", "pass", "sound")]
    outcomes = {
        "kept": iter([passes]),
        "mended": iter([[finding("mended", "it", "fail", "as planted")], [mended]]),
    }
    stages = {name: lambda _, each=each: next(each) for name, each in outcomes.items()}
    run = run_planted(**stages)
    assert [each.summary for each in run.failures] == ["as planted"]
    run = run_planted(command.without_failures(run), **stages)
    assert run.findings == [*passes, mended]


def test_findings_name_no_folder(
    layout: Layout, run_planted: Callable[..., ReliabilityRecord]
) -> None:
    details = ["", f"again: env A={layout.root}/build b"]
    said = finding("it", "it", "skip", f"{layout.root}/build/x failed", details=details)
    (found,) = run_planted(it=lambda _: [said]).findings
    assert (found.summary, found.details) == ("build/x failed", ["", "again: env A=build b"])


def refuses(_: Context) -> List[Finding]:
    raise HarnessError("build first\nthen again")


@pytest.mark.parametrize(
    ("run", "summary"),
    [
        (lambda _: [], "no findings"),
        (lambda _: [finding("other", "it", "pass", "sound")], "findings of other"),
        (refuses, "did not finish"),
    ],
)
def test_stage_without_findings_fails(
    run_planted: Callable[..., ReliabilityRecord], run: Any, summary: str
) -> None:
    assert [each.summary for each in run_planted(it=run).failures] == [summary]


def test_a_full_run_has_every_stage_and_host(layout: Layout) -> None:
    toolchain = load_toolchain(layout.toolchain)
    whole = command.resolve(toolchain, None, None, False, 1)
    assert whole.stages == [stage.name for stage in STAGES if not stage.hours]
    assert command.resolve(toolchain, "training", None, False, 1).stages == ["training"]
    quick = command.resolve(toolchain, None, None, True, 1)
    assert quick.stages == [stage.name for stage in STAGES]
    assert whole.hosts == [host.version for host in toolchain.hosts]


def test_tables_show_every_finding() -> None:
    run = record("threads")
    figures = {"growth_bytes": 12345, "step_ms": [1.5, 0.25], "share": 0.123456, "on": "all"}
    findings = [
        finding("threads", "one", "pass", "sound", "1.3.1", figures),
        finding("threads", "two", "fail", "1 of 9 differ", details=["why"]),
        finding("threads", "three", "skip", "not here"),
    ]
    run = run.model_copy(update={"findings": findings})
    text = table.render(run)
    shown = "growth bytes: 12,345; step ms: 2 values, 0.25 to 1.5; share: 0.1235; on: all"
    assert re.search(rf"\| one +\| 1.3.1 +\| pass +\| sound +\| {shown} \|", text)
    assert re.search(r"\| two +\| - +\| FAIL +\| 1 of 9 differ", text)
    assert text.endswith("1 passed, 1 failed, 1 skipped\n")
    assert table.explanations(run) == ["threads two: 1 of 9 differ", "  why"]


def test_a_document_without_a_record_says_how_to_make_it(tmp_path: Path) -> None:
    text = "<!-- table: reliability raw/reliability.json -->\n<!-- end of table -->\n"
    filled = tables.fill(text, tmp_path)
    assert "make reliability ARGS='--out results/raw/reliability.json'" in filled


def result(digest: str, avoided: int = 3, finite: bool = True, on_trial: int = 0) -> Any:
    totals = {"primitives_avoided": avoided, "primitives_created": 2}
    hashes = {"output": digest, "weight": "same"}
    stats = {"totals": totals, "bypasses": {"trial": on_trial} if on_trial else {}}
    return {"digest": digest, "hashes": hashes, "finite": finite, "stats": stats}


def test_threads_are_judged_by_bits_and_hits() -> None:
    case = threads.CASES[0]

    def judged(stock: List[Any], cached: Any) -> Any:
        found = threads.judge(case, "1.3.1", stock, cached)
        return found.outcome, found.summary

    assert judged([result("a")], result("a")) == ("pass", "equal bits")
    # Where stock has several outcomes, one of them.
    assert judged([result("a"), result("b")], result("b")) == ("pass", "equal bits")
    assert judged([result("a")], result("c")) == ("fail", "1 arrays differ from stock")
    assert judged([result("a")], result("a", avoided=0))[0] == "fail"
    assert judged([result("a")], result("a", finite=False))[0] == "fail"
    assert judged([result("a")], result("a", on_trial=1)) == ("fail", "1 threads were on trial")
    hung = "worker (scenario, host 1.3.1, all) took longer than 90 s; its last lines:"
    assert judged([result("a")], hung) == ("fail", hung)
    assert judged([hung], hung)[0] == "skip"
    assert judged([hung], result("a")) == (
        "skip",
        "stock MXNet fails in every run; with the cache it does not",
    )
    # A run of stock that hung excuses a hang, not wrong bits.
    assert judged([hung, result("a")], hung)[0] == "skip"
    assert judged([hung, result("a")], result("c"))[0] == "fail"


def test_wrong_bits_on_threads_are_found(built: Layout, tmp_path: Path) -> None:
    """A library that leaves a reused primitive bound to an earlier caller's data."""
    context = Context(faulty(built, "SKIP_REBIND"), True, 1, ("1.3.1",), tmp_path)
    case = threads.ThreadUse(
        "two networks", "threads-python", (("MXNET_CPU_WORKER_NTHREADS", "2"),)
    )
    found = threads.run_case(context, case, "1.3.1", "preload:all")
    assert found.outcome == "fail"
    assert [line for line in found.details if line.startswith("differs: ")]
