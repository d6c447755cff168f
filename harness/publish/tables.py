"""The tables command: writes what people read, as Markdown and CSV, from the records.

Nothing is measured or typed here. A table in a document stands between markers that name the
record and the kind of table; the command writes it there anew.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Callable, Dict, List

from harness.base import files, reading
from harness.base.console import shown
from harness.base.errors import HarnessError
from harness.base.layout import Layout, here
from harness.bench import extrapolation, rows
from harness.bench.record import BenchRecord, load
from harness.bench.tables import beside, write
from harness.bench.views import memory, operators, ratios
from harness.converge import record as converge_record
from harness.converge import table as converge_table
from harness.publish.options import add_efficiency, add_record, record_path
from harness.reliability import table as reliability_table

EXAMPLES = """examples:
  python -m harness tables
  python -m harness tables results/raw/bench-quick.jsonl --to /tmp/tables
"""
# The documents that have tables between markers.
DOCUMENTS = ("README.md", "docs/performance.md", "docs/convergence.md", "docs/reliability.md")
_BLOCK = re.compile(r"(<!-- table: (\S+) (\S+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``tables``."""
    add_record(parser, "; then the tables in the documents are written anew too")
    parser.add_argument(
        "--to", type=Path, help="folder for the tables (default: beside a named record, or results)"
    )
    add_efficiency(parser)


def main(args: argparse.Namespace) -> int:
    """Write the tables, say where, and return 0."""
    layout = here()
    results = layout.root / "results"
    record = record_path(args.record, results)
    if record is None:
        raise HarnessError(f"{shown(results / 'raw', layout.root)}: no record: make bench")
    folder = args.to or (results if args.record is None else beside(args.record))
    run = load(record)
    names = write(run, folder, extrapolation.checked(args.efficiency))
    if args.record is None:
        names += write_converge(layout, folder) + write_reliability(layout, folder)
        write_documents(layout)
    print(f"{shown(folder, layout.root)}: {', '.join(names)}")
    return 0


def write_converge(layout: Layout, folder: Path) -> List[str]:
    """Write the tables of the published convergence run, where there is one."""
    path = layout.root / "results" / "raw" / "converge.json"
    if not path.is_file():
        return []
    files.write_text(folder / "converge.md", converge_table.render(converge_record.load(path)))
    return ["converge.md"]


def reliability_record(layout: Layout) -> Path:
    """Return the path of the published reliability record, which need not be there."""
    return layout.root / "results" / "raw" / "reliability.json"


def write_reliability(layout: Layout, folder: Path) -> List[str]:
    """Write the tables of the published reliability record, where there is one."""
    path = reliability_record(layout)
    if not path.is_file():
        return []
    text = f"# Reliability\n\n{reliability_table.published(path)}"
    files.write_text(folder / "reliability.md", text)
    return ["reliability.md"]


def write_documents(layout: Layout) -> None:
    """Write the tables between markers anew in every document."""
    for name in DOCUMENTS:
        path = layout.root / name
        old = reading.text(path)
        new = fill(old, layout.root)
        if new != old:
            files.write_text(path, new)


def fill(document: str, root: Path) -> str:
    """Return a document with every table between markers written anew from its record.

    A marker is ``<!-- table: KIND RECORD -->``, with ``<!-- end of table -->`` after the table.
    """

    def block(found: re.Match) -> str:
        begin, kind, name, end = found.groups()
        if kind not in _KINDS:
            raise HarnessError(f"table: expected a kind of {', '.join(_KINDS)}, found '{kind}'")
        return f"{begin}{_KINDS[kind](root / name)}{end}"

    return _BLOCK.sub(block, document)


def _of_bench(render: Callable[[BenchRecord], str]) -> Callable[[Path], str]:
    return lambda path: render(load(path))


def _rows_alone(run: BenchRecord) -> str:
    """Return the table without its legend, for documents that explain it once."""
    return rows.render(run).split("\n\n")[0] + "\n"


def _curves(path: Path) -> str:
    record = converge_record.load(path)
    return "\n".join([*converge_table.summary(record), "", converge_table.verdict(record), ""])


_KINDS: Dict[str, Callable[[Path], str]] = {
    "ratios": _of_bench(ratios.render),
    "rows": _of_bench(_rows_alone),
    "operators": _of_bench(operators.render),
    "memory": _of_bench(memory.render),
    "convergence": _curves,
    "reliability": reliability_table.published,
}
