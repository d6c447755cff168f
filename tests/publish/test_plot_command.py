"""From a benchmark's record to figures and to the report: what it says is what they show."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest

from harness.__main__ import parse
from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.bench import record as bench_record
from harness.bench import rows as table
from harness.bench.record import BenchRecord
from harness.bench.views import ratios as bench_summary
from harness.publish.plots import command, gluoncv, style
from harness.publish.plots.source import Source
from harness.publish.report import command as report
from harness.publish.report import measured
from tests.support.figures import outside
from tests.support.records import MACHINE, bench


def test_command_draws_what_it_can(
    run: BenchRecord,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    trained = [each for each in run.finished if each.series == "throughput"]
    bench_record.create(
        run.model_copy(update={"finished": trained}), tmp_path / "raw" / "bench-quick.jsonl"
    )
    monkeypatch.setattr(style, "encoded", lambda drawn: {"svg": drawn.alt.encode()})
    assert command.main(parse(["plot", "--results", str(tmp_path)])) == 0
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    expected: List[str] = ["ratios-batch-1.svg", "ratios-batch-32.svg"]
    expected += [f"shares-{host}-batch-{n}.svg" for host in ("1.3.1", "1.4.1") for n in (1, 32)]
    assert names == sorted(expected)
    said = capsys.readouterr().err
    assert "no figure of operators: the record has no profile" in said
    assert "no figure of gluoncv: no record bench-gluoncv.jsonl in results/raw: make bench" in said
    assert "no figure of cores: the record has no case with stock" in said


def test_command_without_any_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(parse(["plot", "--results", str(tmp_path)])) == 1
    assert "no record of a benchmark" in capsys.readouterr().err


def measured_rows(run: BenchRecord) -> List[table.Row]:
    return [r for r in table.rows(run) if r.ratio is not None and r.variant != "stock-again"]


def check_slowdowns(run: BenchRecord, html: str) -> None:
    """Assert that the page has a line for every ratio below 1 of a cached variant."""
    below = [row for row in measured_rows(run) if row.ratio < 1]
    assert below, "the made-up record has a slowdown"
    for row in below:
        line = f"{row.case.model}, batch size {row.case.batch_size}, 2 threads, {row.host} "
        assert f"{line}{row.variant}: {row.ratio:.3f}x" in html


def test_slowdowns_are_not_hidden(run: BenchRecord, html: str) -> None:
    check_slowdowns(run, html)
    assert f"Of {len(measured_rows(run))} ratios, 1 lie below 1 with their whole" in html


def test_networks_of_gluoncv_have_a_page_and_a_figure(run: BenchRecord, tmp_path: Path) -> None:
    path = tmp_path / "raw" / "bench-gluoncv.jsonl"
    path.parent.mkdir()
    made = bench.gluoncv_record()
    slow = []
    for each in made.alternates:
        step_ns = {"off": 10**9, "backward": 10**9 - each.round, "all": 2 * 10**9 + each.round}
        blocks = [b.model_copy(update={"step_ns": [step_ns[b.scope]] * 2}) for b in each.blocks]
        slow.append(each.model_copy(update={"blocks": blocks}))
    made = made.model_copy(update={"finished": slow})
    bench_record.create(made, path)
    (drawn,) = gluoncv.draw(Source(tmp_path, None, 0.5))
    assert drawn.name == "bench-gluoncv" and "GluonCV networks" in drawn.title
    assert outside(drawn.figure) == []
    # Its slowdowns stand beside those of the published record.
    text = report.render(tmp_path, run, "0.0.0", "make bench")[0]
    assert text.count("1.3.1 all: 0.500x (0.500 to 0.500)") == 2


def test_a_hidden_slowdown_is_caught(run: BenchRecord, html: str) -> None:
    with pytest.raises(AssertionError):
        check_slowdowns(run, html.replace("vgg-16, batch size 1", "vgg-16, batch size 9"))


def test_the_page_begins_with_the_means(run: BenchRecord, html: str) -> None:
    first, *_ = measured.cards(run)
    group = bench_summary.groups(run)[0]
    (mean,) = (m for m in group.means() if (m.host, m.variant) == ("1.4.1", "all"))
    assert first.value == f"{mean.ratio:.2f}x" and first.value in html
    assert MACHINE.cpu_model in html
    assert "make bench ARGS=&#39;--out a.jsonl&#39;\nmake tables\nmake plot" in html


def test_a_report_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="nothing to report"):
        report.render(tmp_path, None, "0.0.0", "make bench")


@pytest.mark.parametrize(
    ("name", "expected"),
    (
        (
            "bench-quick",
            "make bench "
            "ARGS='--config configs/bench-quick.toml --out results/raw/bench-quick.jsonl'",
        ),
        ("mine", "make bench ARGS='--out results/raw/mine.jsonl'"),
    ),
)
def test_the_command_of_a_record(layout: Layout, name: str, expected: str) -> None:
    path = layout.root / "results" / "raw" / f"{name}.jsonl"
    assert report.bench_command(layout, path) == expected
