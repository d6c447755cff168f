"""The reliability run: its record, its stages' interface, and what its tables say."""

from __future__ import annotations

import importlib
import re
import sys
import types
from pathlib import Path
from typing import Any, Callable, List

import pydantic
import pytest
from pytest import MonkeyPatch

from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.build.toolchain import load_toolchain
from harness.publish import tables
from harness.reliability import command, table, threads
from harness.reliability.context import Context, finding
from harness.reliability.record import Finding, load
from harness.reliability.stages import STAGES, Stage
from harness.verify.faults import faulty
from tests.support.records.reliability import record


@pytest.fixture
def planted(monkeypatch: MonkeyPatch) -> Callable[..., Stage]:
    """Make a stage of a function."""

    def plant(name: str, run: Callable[[Context], List[Finding]]) -> Stage:
        module: Any = types.ModuleType(f"planted_{name}")
        module.run = run
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return Stage(name, module.__name__, name.title())

    return plant


def passes(name: str) -> Callable[[Context], List[Finding]]:
    return lambda context: [finding(name, f"seed {context.seed}", "pass", "sound")]


def test_every_stage_has_its_module() -> None:
    assert len({stage.name for stage in STAGES}) == len(STAGES)
    for stage in STAGES:
        assert callable(importlib.import_module(stage.module).run), stage.name
    with pytest.raises(pydantic.ValidationError):
        finding("it", "growth", "pass", "sound", figures={"bytes": float("nan")})


def test_every_stage_is_saved(
    layout: Layout, tmp_path: Path, planted: Callable[..., Stage]
) -> None:
    path = tmp_path / "reliability.json"

    def sees_the_first(context: Context) -> List[Finding]:
        assert list(context.scratch.iterdir()) == []
        found = [each.stage for each in load(path).findings]
        return [finding("second", ",".join(found), "pass", "sound")]

    stages = [planted("first", passes("first")), planted("second", sees_the_first)]
    run = command.run_stages(layout, record("first", "second"), path, stages)
    assert [each.subject for each in run.findings] == ["seed 5", "first"]
    assert load(path) == run
    assert sorted(run.seconds) == ["first", "second"]


def test_finished_stages_are_not_repeated(
    layout: Layout, tmp_path: Path, planted: Callable[..., Stage]
) -> None:
    path = tmp_path / "reliability.json"
    outcomes = iter(["fail", "pass"])

    def once(context: Context) -> List[Finding]:
        return [finding("mended", "it", next(outcomes), "as planted")]  # type: ignore[arg-type]

    first = iter([passes("kept")])
    stages = [
        planted("kept", lambda context: next(first)(context)),
        planted("mended", once),
    ]
    run = command.run_stages(layout, record("kept", "mended"), path, stages)
    assert [each.summary for each in run.failures] == ["as planted"]
    run = command.run_stages(layout, command.without_failures(run), path, stages)
    assert [(each.stage, each.outcome) for each in run.findings] == [
        ("kept", "pass"),
        ("mended", "pass"),
    ]


def test_findings_name_no_folder(
    layout: Layout, tmp_path: Path, planted: Callable[..., Stage]
) -> None:
    said = f"{layout.root}/build/x failed"
    run = [finding("it", "it", "skip", said, details=["", f"again: env A={layout.root}/build b"])]
    found = command.run_stages(
        layout, record("it"), tmp_path / "r.json", [planted("it", lambda context: run)]
    )
    assert found.findings[0].summary == "build/x failed"
    assert found.findings[0].details == ["", "again: env A=build b"]


@pytest.mark.parametrize(
    ("found", "summary"),
    [
        ([], "no findings"),
        ([finding("other", "it", "pass", "sound")], "findings of other"),
        (HarnessError("build first\nthen again"), "did not finish"),
    ],
)
def test_stage_without_findings_fails(
    layout: Layout, tmp_path: Path, planted: Callable[..., Stage], found: Any, summary: str
) -> None:
    def run(context: Context) -> List[Finding]:
        if isinstance(found, HarnessError):
            raise found
        return list(found)

    run_ = command.run_stages(layout, record("it"), tmp_path / "r.json", [planted("it", run)])
    assert [each.summary for each in run_.failures] == [summary]


def test_a_full_run_has_every_stage_and_host(layout: Layout) -> None:
    toolchain = load_toolchain(layout.toolchain)
    whole = command.resolve(toolchain, None, None, False, 1)
    assert whole.stages == [stage.name for stage in STAGES]
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


def result(digest: str, avoided: int = 3, finite: bool = True) -> Any:
    totals = {"primitives_avoided": avoided, "primitives_created": 2}
    hashes = {"output": digest, "weight": "same"}
    stats = {"totals": totals}
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
