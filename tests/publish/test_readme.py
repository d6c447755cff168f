"""Numbers in documents come from records, documents link to each other, and the README is short."""

from __future__ import annotations

import re
from pathlib import Path
from typing import List, Set

import pytest

from harness.base import statistics
from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.bench import alternation, extrapolation, pr11301
from harness.bench import record as bench_record
from harness.bench import tables as bench_tables
from harness.bench.views import ratios
from harness.converge import record as converge
from harness.converge.record import ACCURACY, partings
from harness.converge.table import minutes_to_reference
from harness.publish import overview, tables
from harness.publish.options import predicting, record_path
from harness.publish.report.command import render
from harness.trials.record import Case
from harness.verify import record as verify_record
from tests.support.records import bench

GLUONCV = "results/raw/bench-gluoncv.jsonl"


@pytest.mark.parametrize("name", tables.DOCUMENTS)
def test_documents_show_the_records(layout: Layout, name: str) -> None:
    text = (layout.root / name).read_text(encoding="utf-8")
    assert text.count("<!-- table: ") == text.count("<!-- end of table -->") > 0
    assert tables.fill(text, layout.root) == text


def test_every_document_with_blocks_is_filled(layout: Layout) -> None:
    pages = [layout.root / "README.md", *(layout.root / "docs").glob("*.md")]
    # maintaining.md shows the marker's form, in a line of prose.
    with_blocks = {
        path.relative_to(layout.root).as_posix()
        for path in pages
        if re.search(r"^<!-- table: ", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert with_blocks == set(tables.DOCUMENTS)


@pytest.mark.parametrize("name", tables.DOCUMENTS)
def test_no_measured_row_was_typed(layout: Layout, name: str) -> None:
    text = (layout.root / name).read_text(encoding="utf-8")
    typed = re.sub(r"<!-- table: .*?<!-- end of table -->", "", text, flags=re.DOTALL)
    assert not re.findall(r"^\|.*\dx(?!\d)", typed, re.MULTILINE)
    # Nor does the README's prose have numbers of its own.
    assert name != "README.md" or not re.findall(
        r"\d\.\d+x|\d+(?:\.\d+)? (?:%|img/s|MiB|ms|ns|times)", typed
    )


def test_a_number_that_was_typed_is_found(layout: Layout) -> None:
    text = (layout.root / "README.md").read_text(encoding="utf-8")
    marker = text.index("<!-- table: ")
    at = re.compile(r"\d\.\d\dx").search(text, marker)
    assert at is not None
    typed = f"{text[: at.start()]}9.99x{text[at.end() :]}"
    assert tables.fill(typed, layout.root) == text != typed


def test_a_later_record_takes_the_place_of_an_earlier_one(layout: Layout) -> None:
    raw = layout.root / "results" / "raw"
    full, again = (bench_record.load(raw / f"bench-{name}.jsonl") for name in ("full", "batch-1"))
    (group,) = ratios.groups(again)
    (mean,) = (mean for mean in group.means() if mean.variant == "all")
    shown = ratios.ratio_text(mean.ratio, mean.interval)
    row = [line for line in overview.table([full, again]) if line.startswith("| geometric mean")]
    cells = [cell.strip() for cell in row[0].split("|")]
    alone = [line for line in overview.table([full]) if line.startswith("| geometric mean")]
    assert shown in cells and shown not in alone[0]
    # Every other column is the first record's.
    assert len([cell for cell in cells if cell in alone[0]]) == len(cells) - 1


def test_the_readme_is_a_page_with_its_numbers_first(layout: Layout) -> None:
    lines = (layout.root / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    assert any(re.search(r"\d\.\d+x", line) for line in lines[:10])


def test_unknown_kinds_of_tables_are_refused(layout: Layout) -> None:
    text = "<!-- table: rations results/raw/bench-quick.jsonl -->\n<!-- end of table -->"
    with pytest.raises(HarnessError, match="expected a kind of headline, overview, report"):
        tables.fill(text, layout.root)


def test_the_headline_has_the_networks_of_gluoncv(layout: Layout, tmp_path: Path) -> None:
    text = f"<!-- table: headline {GLUONCV} -->\n<!-- end of table -->\n"
    with pytest.raises(HarnessError, match="gluoncv.jsonl"):
        tables.fill(text, tmp_path)
    assert "\n- GluonCV, geometric mean" in tables.fill(text, layout.root)


@pytest.mark.parametrize("batch_size", [1, 32])
def test_predictions_are_of_the_published_record_if_it_has_the_batch_size(
    tmp_path: Path, batch_size: int
) -> None:
    layout, results = Layout(tmp_path), tmp_path / "results"
    layout.raw.mkdir(parents=True)
    cases = [Case(model="googlenet", batch_size=batch_size, image_size=224)]
    run, fresh = bench.alternating_record(cases=cases), bench.full_record()
    bench_record.create(run, layout.raw / "bench-full.jsonl")
    assert predicting(run, None, results) == run  # there is no other
    bench_record.create(fresh, layout.raw / "bench-fresh-processes.jsonl")
    other = fresh if batch_size == 1 else run
    found = predicting(run, None, results)
    assert found is not None and found.settings == other.settings
    assert predicting(run, results, results) == run  # which was asked for
    bench_tables.write(run, tmp_path, predicting=found)
    page = (tmp_path / "bigger-machines.md").read_text(encoding="utf-8")
    assert page == bench_tables.bigger_machines(other, extrapolation.EFFICIENCY)


def test_tables_in_results_are_those_of_the_records(layout: Layout, tmp_path: Path) -> None:
    results = layout.root / "results"
    path = record_path(None, results)
    assert path is not None
    run = bench_record.load(path)
    other = predicting(run, None, results)
    names = bench_tables.write(run, tmp_path, predicting=other)
    names += tables.write_pages(layout, tmp_path)
    assert {"converge.md", "reliability.md", "verify.md", "microbench.md"} <= set(names)
    for name in names:
        written = (tmp_path / name).read_text(encoding="utf-8")
        assert written == (layout.root / "results" / name).read_text(encoding="utf-8"), name
    # The option reaches the page, whichever record it is of.
    bench_tables.write(run, tmp_path, 0.7, other)
    assert "efficiency 0.7**" in (tmp_path / "bigger-machines.md").read_text(encoding="utf-8")


def test_the_published_convergence_run_is_as_long_and_as_good_as_promised(layout: Layout) -> None:
    """The accuracy of PR #11301 is reached, and stock trained beside it with equal bits."""
    run = converge.load(layout.root / "results" / "raw" / "converge.json")
    assert run.settings.data.source == "CIFAR-10"
    assert partings(run) == []
    for number, training in enumerate(run.settings.trainings):
        stock, *patched = (run.curve(number, scope) for scope in training.scopes)
        for curve in patched:
            assert len(curve.epochs) == training.epochs
            assert len(stock.epochs) == training.last_epoch("stock")
            if training.subset is None:
                assert len(stock.epochs) >= 3
                assert minutes_to_reference(training.model, curve) is not None
                reached, promised = curve.epochs[-1].accuracy, ACCURACY[training.model]
                assert reached.top_1 >= promised.top_1 and reached.top_5 >= promised.top_5


def test_the_published_verification_has_the_networks_of_the_reference(layout: Layout) -> None:
    run = verify_record.load(layout.root / "results" / "raw" / "verify.json")
    assert {case.model for case in run.settings.networks} >= set(pr11301.throughput())


def test_the_report_counts_the_checks_of_all_verification_records(layout: Layout) -> None:
    results = layout.root / "results"
    records = [verify_record.load(path) for path in (results / "raw").glob("verify*.json")]
    passed = sum(check.status == "pass" for record in records for check in record.checks)
    html, _ = render(results, None, "1", "make bench")
    assert len(records) > 1 and f">{passed}<" in html


def test_the_page_says_how_often_off_equals_itself(layout: Layout) -> None:
    results = layout.root / "results"
    found = [
        row.interval
        for row in alternation.rows(bench_record.load(results / "raw" / "bench-aa.jsonl"))
        if row.interval is not None
    ]
    including = sum(not statistics.excludes_one(each) for each in found)
    text = (results / "README.md").read_text(encoding="utf-8")
    assert f"{including} of {len(found)} intervals include 1" in text


def test_links_between_documents_resolve(layout: Layout) -> None:
    assert broken_links(layout.root) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("[a](b.md) [c](#d) [e](#f-g)\n\n# F: G\n")
    assert broken_links(tmp_path) == ["README.md: b.md", "README.md: #d"]


def broken_links(root: Path) -> List[str]:
    """Return the relative links of documents whose file or heading does not exist."""
    pages = [
        path
        for folder in ("", "docs", "results", "results/reference")
        for path in sorted((root / folder).glob("*.md"))
    ]
    broken = []
    for page in pages:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            file, _, heading = link.partition("#")
            target = page.parent / file if file else page
            if "://" in link or (target.exists() and (not heading or heading in anchors(target))):
                continue
            broken.append(f"{page.relative_to(root).as_posix()}: {link}")
    return broken


def anchors(page: Path) -> Set[str]:
    """Return the names of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}
