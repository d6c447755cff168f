"""The tables command: writes Markdown and CSV from the records, and fills the documents' blocks.

Measures and types nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Callable, Dict, List

from harness.base import files
from harness.base.console import shown
from harness.base.errors import HarnessError
from harness.base.layout import Layout, here
from harness.bench import extrapolation
from harness.bench import tables as bench_tables
from harness.bench.record import load
from harness.converge import record as converge_record
from harness.converge import table as converge_table
from harness.microbench import record as microbench_record
from harness.microbench import table as microbench_table
from harness.publish import documents
from harness.publish.options import add_efficiency, add_record, record_path
from harness.reliability import record as reliability_record
from harness.reliability import table as reliability_table
from harness.verify import record as verify_record
from harness.verify import table as verify_table

EXAMPLES = """examples:
  python -m harness tables
  python -m harness tables results/raw/bench-quick.jsonl --to /tmp/tables
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``tables``."""
    add_record(parser, "; then the pages of all records and the documents' blocks are written too")
    parser.add_argument(
        "--to", type=Path, help="folder for the tables (default: beside a named record, or results)"
    )
    add_efficiency(parser)


def main(args: argparse.Namespace) -> int:
    """Write the tables, print their names, and return 0."""
    layout = here()
    results = layout.root / "results"
    record = record_path(args.record, results)
    if record is None:
        raise HarnessError(f"{shown(results / 'raw', layout.root)}: no record: make bench")
    folder = args.to or (results if args.record is None else bench_tables.beside(args.record))
    efficiency = extrapolation.checked(args.efficiency)
    names = bench_tables.write(load(record), folder, efficiency)
    if args.record is None:
        names += write_pages(layout, folder)
        documents.write_documents(layout)
    print(f"{shown(folder, layout.root)}: {', '.join(names)}")
    return 0


def write_pages(layout: Layout, folder: Path) -> List[str]:
    """Write a page for every published record that exists; return the pages' names."""
    names = []
    for name, render in _PAGES.items():
        record = layout.raw / name
        if record.is_file():
            page = record.with_suffix(".md").name
            files.write_text(folder / page, render(record))
            names.append(page)
    return names


def _reliability(path: Path) -> str:
    record = reliability_record.load(path)
    head = f"# Reliability\n\n{reliability_table.title(record)}:\n\n"
    return head + reliability_table.render(record)


def _microbench(path: Path) -> str:
    record = microbench_record.load(path)
    head = f"# Cost of a hit\n\nRun {record.run_id} on {record.machine.cpu_model}.\n\n"
    return head + microbench_table.render(record)


_PAGES: Dict[str, Callable[[Path], str]] = {
    "bench-batch-1.jsonl": lambda path: bench_tables.bench_markdown(load(path)),
    "bench-batch-32.jsonl": lambda path: bench_tables.bench_markdown(load(path)),
    "bench-memory.jsonl": lambda path: bench_tables.bench_markdown(load(path)),
    "converge.json": lambda path: converge_table.render(converge_record.load(path)),
    "microbench.json": _microbench,
    "reliability.json": _reliability,
    "verify.json": lambda path: verify_table.render(verify_record.load(path)),
}
