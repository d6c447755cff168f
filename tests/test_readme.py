"""The figures in the documents are the records' own: nobody types a number into a table."""

from __future__ import annotations

from typing import Set

import pytest

from harness import record, table
from harness.layout import Layout
from harness.verify.record import KIND, SCHEMA_VERSION, VerifyRecord
from harness.verify.table import overview, render, summary
from models.registry import REFERENCE_NETWORKS

# Which document shows which record's whole table.
SHOWN = (
    ("README.md", "bench-quick.json"),
    ("README.md", "small-mobilenet-1.0-b1-64.json"),
    ("README.md", "small-resnet-18-b8-32.json"),
    ("docs/performance.md", "small-mobilenet-1.0-b1-64.json"),
    ("docs/performance.md", "small-resnet-18-b8-32.json"),
)


def table_rows(text: str) -> Set[str]:
    return {line for line in text.splitlines() if line.startswith("|")}


@pytest.mark.parametrize(("document", "name"), SHOWN)
def test_document_shows_the_record(layout: Layout, document: str, name: str) -> None:
    run = record.load(layout.root / "results" / "raw" / name)
    shown = table_rows((layout.root / document).read_text(encoding="utf-8"))
    assert table_rows(table.render(run)) <= shown


def test_every_measured_row_of_the_readme_is_in_a_record(layout: Layout) -> None:
    measured = [
        line
        for line in table_rows((layout.root / "README.md").read_text(encoding="utf-8"))
        if "x |" in line and " 1.3.1 |" in line
    ]
    records = {name for document, name in SHOWN if document == "README.md"}
    known: Set[str] = set()
    for name in records:
        known |= table_rows(table.render(record.load(layout.root / "results" / "raw" / name)))
    assert measured and set(measured) <= known


def test_the_verification_is_shown_as_it_was_recorded(layout: Layout) -> None:
    path = layout.root / "results" / "raw" / "verify.json"
    run = record.load_as(VerifyRecord, KIND, SCHEMA_VERSION, path)
    assert (layout.root / "results" / "verify.md").read_text(encoding="utf-8") == render(run)
    readme = (layout.root / "README.md").read_text(encoding="utf-8")
    assert set(overview(run)) <= table_rows(readme)
    assert summary(run) in readme
    # The networks that the change of 2018 was tried on are all there.
    assert {case.model for case in run.settings.networks} >= set(REFERENCE_NETWORKS)
