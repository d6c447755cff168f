"""A made-up record of a benchmark, and a folder like results/ with what is made of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.base.layout import Layout
from harness.bench import tables
from harness.bench.record import BenchRecord
from harness.publish.plots import cores, operators, ratios, style
from harness.publish.plots.source import Source
from harness.publish.report import command as report
from tests.support.records import bench

WIDE_TABLE = "\n".join(
    [
        "# Wide",
        "",
        "| model | " + " | ".join(f"column number {number}" for number in range(20)) + " |",
        "|---" * 21 + "|",
        *("| resnet-50 " + "| 0.95 to 1.10 ~ " * 20 + "|" for _ in range(40)),
    ]
)


@pytest.fixture(scope="session")
def run() -> BenchRecord:
    return bench.full_record()


@pytest.fixture(scope="session")
def source(run: BenchRecord, tmp_path_factory: pytest.TempPathFactory) -> Source:
    return Source(tmp_path_factory.mktemp("results"), run, efficiency=0.5)


@pytest.fixture(scope="session")
def results(layout: Layout, run: BenchRecord, source: Source) -> Path:
    """The folder with the record's tables, three of its figures and two other tables."""
    tables.write(run, source.results)
    for family in (ratios, operators, cores):
        style.write(family.draw(source)[0], source.results / "figures")
    (source.results / "wide.md").write_text(WIDE_TABLE, encoding="utf-8")
    shutil.copy(layout.root / "results" / "verify.md", source.results)
    (source.results / "README.md").write_text("not a result", encoding="utf-8")
    return source.results


@pytest.fixture(scope="session")
def html(run: BenchRecord, results: Path) -> str:
    """The report of the record and the folder."""
    return report.render(results, run, "0.0.0", "make bench ARGS='--out a.jsonl'")[0]
