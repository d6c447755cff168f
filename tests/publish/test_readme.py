"""The figures in the documents are the records' own: nobody types a number into a table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Set

import pytest

from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.bench import record as bench_record
from harness.bench import tables as bench_tables
from harness.converge import record as converge
from harness.converge.pr11301 import ACCURACY
from harness.converge.record import partings
from harness.converge.table import minutes_to_reference
from harness.publish import tables
from harness.publish.options import record_path
from harness.trials import record
from harness.verify.record import KIND, SCHEMA_VERSION, VerifyRecord
from harness.verify.table import overview, render, summary
from models.registry import REFERENCE_NETWORKS


def table_rows(text: str) -> Set[str]:
    return {line for line in text.splitlines() if line.startswith("|")}


@pytest.mark.parametrize("name", tables.DOCUMENTS)
def test_documents_show_the_records(layout: Layout, name: str) -> None:
    text = (layout.root / name).read_text(encoding="utf-8")
    assert text.count("<!-- table: ") == text.count("<!-- end of table -->") > 0
    assert tables.fill(text, layout.root) == text


def test_no_measured_row_of_the_readme_was_typed(layout: Layout) -> None:
    text = (layout.root / "README.md").read_text(encoding="utf-8")
    typed = re.sub(r"<!-- table: .*?<!-- end of table -->", "", text, flags=re.DOTALL)
    assert [line for line in table_rows(text) if re.search(r"\dx", line)]
    assert not [line for line in table_rows(typed) if re.search(r"\dx", line)]


def test_a_number_that_was_typed_is_found(layout: Layout) -> None:
    text = (layout.root / "README.md").read_text(encoding="utf-8")
    marker = text.index("<!-- table: ")
    at = re.compile(r"\d\.\d\dx").search(text, marker)
    assert at is not None
    typed = f"{text[: at.start()]}9.99x{text[at.end() :]}"
    assert tables.fill(typed, layout.root) == text != typed


def test_unknown_kinds_of_tables_are_refused(layout: Layout) -> None:
    text = "<!-- table: rations results/raw/bench-quick.jsonl -->\n<!-- end of table -->"
    with pytest.raises(HarnessError, match="expected a kind of ratios, rows, operators, memory"):
        tables.fill(text, layout.root)


def test_tables_in_results_are_those_of_the_record(layout: Layout, tmp_path: Path) -> None:
    path = record_path(None, layout.root / "results")
    assert path is not None
    run = bench_record.load(path)
    for name in bench_tables.write(run, tmp_path):
        written = (tmp_path / name).read_text(encoding="utf-8")
        assert written == (layout.root / "results" / name).read_text(encoding="utf-8"), name


def test_tables_of_the_convergence_run_are_those_of_the_record(
    layout: Layout, tmp_path: Path
) -> None:
    assert tables.write_converge(layout, tmp_path) == ["converge.md"]
    written = (tmp_path / "converge.md").read_text(encoding="utf-8")
    assert written == (layout.root / "results" / "converge.md").read_text(encoding="utf-8")


def test_tables_of_reliability_are_those_of_the_record(layout: Layout, tmp_path: Path) -> None:
    names = tables.write_reliability(layout, tmp_path)
    assert bool(names) == tables.reliability_record(layout).is_file()
    for name in names:
        written = (tmp_path / name).read_text(encoding="utf-8")
        assert written == (layout.root / "results" / name).read_text(encoding="utf-8")


def test_the_published_convergence_run_is_as_long_and_as_good_as_promised(layout: Layout) -> None:
    """The accuracy of the change of 2018 is reached, and stock was beside it with equal bits."""
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


def test_the_verification_is_shown_as_it_was_recorded(layout: Layout) -> None:
    path = layout.root / "results" / "raw" / "verify.json"
    run = record.load_as(VerifyRecord, KIND, SCHEMA_VERSION, path)
    assert (layout.root / "results" / "verify.md").read_text(encoding="utf-8") == render(run)
    readme = (layout.root / "README.md").read_text(encoding="utf-8")
    assert set(overview(run)) <= table_rows(readme)
    assert summary(run) in readme
    # The networks that the change of 2018 was tried on are all there.
    assert {case.model for case in run.settings.networks} >= set(REFERENCE_NETWORKS)
