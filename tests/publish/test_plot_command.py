"""From a benchmark's record to figures and to the report: what it says is what they show."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, List

import pytest

from harness.__main__ import parse
from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.bench import pr11301, tables
from harness.bench import record as bench_record
from harness.bench import rows as table
from harness.bench.record import BenchRecord
from harness.bench.views import operators as operator_table
from harness.bench.views import ratios as bench_summary
from harness.publish.plots import command, cores, operators, ratios, shares, style
from harness.publish.plots.source import Missing, Source
from harness.publish.report import command as report
from harness.publish.report import measured
from tests.support import browser
from tests.support.browser import WIDTHS, colours, external
from tests.support.records import MACHINE, bench
from tests.support.sample_figures import outside, rectangles


@pytest.fixture(scope="module")
def run() -> BenchRecord:
    return bench.full_record()


@pytest.fixture(scope="module")
def source(run: BenchRecord, tmp_path_factory: pytest.TempPathFactory) -> Source:
    return Source(tmp_path_factory.mktemp("results"), run, efficiency=0.5)


def test_ratios_are_the_tables(run: BenchRecord, source: Source) -> None:
    drawn = ratios.draw(source)
    names = [each.name for each in drawn]
    assert names == ["ratios-batch-1", "ratios-batch-32", "ratios-batch-1-threads-1"]
    for each, group in zip(drawn, bench_summary.groups(run)):
        bars = rectangles(each.figure)
        rows = [row for one in group.runs for row in group.rows(one)]
        assert len(bars) == len(rows) + len(group.means())
        for row in rows:
            bar = bars[f"{row.case.model} {row.host} {row.variant}"]
            assert 1 + bar.get_width() == pytest.approx(row.ratio)
        for mean in group.means():
            bar = bars[f"{ratios.MEAN} {mean.host} {mean.variant}"]
            assert 1 + bar.get_width() == pytest.approx(mean.ratio)
    assert outside(drawn[2].figure) == []


def test_operators_are_the_tables(run: BenchRecord, source: Source) -> None:
    (drawn,) = operators.draw(source)
    assert drawn.name == "operators-1.3.1-batch-1"
    bars = rectangles(drawn.figure)
    for each in operator_table.tables(run):
        whole = sum(row.ms.get("stock", 0.0) for row in each.rows)
        for row in each.rows:
            for variant, ms in row.ms.items():
                bar = bars[f"{each.model} {variant} {row.operator}"]
                assert bar.get_width() == pytest.approx(100 * ms / whole)


def test_shares_are_the_counters(source: Source) -> None:
    drawn = {each.name: each for each in shares.draw(source)}
    assert sorted(drawn) == [
        f"shares-{host}-batch-{size}" for host in ("1.3.1", "1.4.1") for size in (1, 32)
    ]
    bars = rectangles(drawn["shares-1.3.1-batch-1"].figure)
    step = 1.01 * bench.step_ms("googlenet", 1, "1.3.1", "stock", threads=2)
    stock = bars[f"googlenet stock {shares.CREATION}"]
    assert stock.get_width() == pytest.approx(100 * 60 / step)
    assert bars[f"googlenet all {shares.CREATION}"].get_width() == 0
    parts = [
        bar.get_width() for name, bar in bars.items() if name.startswith("googlenet backward ")
    ]
    assert sum(parts) == pytest.approx(100)


def test_predictions_have_the_published_points(source: Source) -> None:
    drawn = cores.draw(source)
    assert [d.name for d in drawn] == ["cores-1.3.1-backward", "cores-1.3.1-all", "cores-1.4.1-all"]
    points = [
        line.get_ydata()[0]
        for axes in drawn[0].figure.axes
        for line in axes.lines
        if (line.get_gid() or "").endswith("published")
    ]
    known = pr11301.throughput()
    assert points == [known[model].ratio for model in bench.NETWORKS]
    assert outside(drawn[0].figure) == []


@pytest.mark.parametrize("family", (ratios, operators, shares, cores))
def test_what_is_missing_is_named(source: Source, family: Any) -> None:
    with pytest.raises(Missing, match="make bench"):
        family.draw(Source(source.results, None, 0.5))
    empty = source.bench.model_copy(update={"finished": []})
    with pytest.raises(Missing, match="the record has no"):
        family.draw(Source(source.results, empty, 0.5))


def arguments(*words: str) -> argparse.Namespace:
    return parse(["plot", *words])


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
    assert command.main(arguments("--results", str(tmp_path))) == 0
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    expected: List[str] = ["ratios-batch-1.svg", "ratios-batch-32.svg"]
    expected += [f"shares-{host}-batch-{n}.svg" for host in ("1.3.1", "1.4.1") for n in (1, 32)]
    assert names == sorted(expected)
    said = capsys.readouterr().err
    assert "no figure of operators: the record has no profile" in said
    assert "no figure of cores: the record has no case with stock" in said


def test_command_without_any_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(arguments("--results", str(tmp_path))) == 1
    assert "no record of a benchmark" in capsys.readouterr().err


@pytest.fixture(scope="module")
def page(run: BenchRecord, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of the made-up record, with its tables and two of its figures."""
    results = tmp_path_factory.mktemp("results")
    tables.write(run, results)
    source = Source(results, run, 0.5)
    for drawn in (ratios.draw(source)[0], cores.draw(source)[0]):
        style.write(drawn, results / "figures")
    return report.render(results, run, "0.0.0", "make bench ARGS='--out a.jsonl'")[0]


def check_slowdowns(run: BenchRecord, html: str) -> None:
    """Assert that the page has a line for every ratio below 1 of a cached variant."""
    rows = [r for r in table.rows(run) if r.ratio is not None and r.variant != "stock-again"]
    below = [row for row in rows if row.ratio is not None and row.ratio < 1]
    assert below, "the made-up record has a slowdown"
    for row in below:
        line = f"{row.case.model}, batch size {row.case.batch_size}, 2 threads, {row.host} "
        assert f"{line}{row.variant}: {row.ratio:.3f}x" in html


def test_slowdowns_are_not_hidden(run: BenchRecord, page: str) -> None:
    check_slowdowns(run, page)
    assert f"Of {len(measured_ratios(run))} ratios, 1 lie below 1 with their whole" in page


def measured_ratios(run: BenchRecord) -> List[float]:
    return [
        row.ratio
        for row in table.rows(run)
        if row.ratio is not None and row.variant != "stock-again"
    ]


def test_a_hidden_slowdown_is_caught(run: BenchRecord, page: str) -> None:
    with pytest.raises(AssertionError):
        check_slowdowns(run, page.replace("vgg-16, batch size 1", "vgg-16, batch size 9"))


def test_the_page_begins_with_the_means(run: BenchRecord, page: str) -> None:
    first, *_ = measured.cards(run)
    group = bench_summary.groups(run)[0]
    (mean,) = (m for m in group.means() if (m.host, m.variant) == ("1.4.1", "all"))
    assert first.value == f"{mean.ratio:.2f}x" and first.value in page
    assert MACHINE.cpu_model in page
    assert "make bench ARGS=&#39;--out a.jsonl&#39;\nmake tables\nmake plot" in page
    assert external(page) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_report_of_a_record_in_a_browser(
    window: browser.Browser, tmp_path: Path, page: str, width: int
) -> None:
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    seen = window.look(path, width)
    assert (seen.faults, seen.requests) == ([], [])
    assert colours(seen.png) > 100


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
