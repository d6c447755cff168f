"""The tables command: writes Markdown and CSV from the records, and fills the documents' blocks.

A block is ``<!-- table: KIND RECORD… -->``, then its text, then ``<!-- end of table -->``; the text
is a table or a measured number in prose. Measures and types nothing.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Callable, Dict, List, Sequence

from harness.base import files, reading
from harness.base.console import shown
from harness.base.errors import HarnessError
from harness.base.layout import Layout, here
from harness.bench import alternation, extrapolation, rows
from harness.bench import tables as bench_tables
from harness.bench.record import load
from harness.bench.views import memory, releases
from harness.converge import record as converge_record
from harness.converge import table as converge_table
from harness.distributed import record as distributed_record
from harness.distributed import table as distributed_table
from harness.microbench import record as microbench_record
from harness.microbench import table as microbench_table
from harness.publish import overview
from harness.publish.options import add_efficiency, add_record, predicting, record_path
from harness.reliability import record as reliability_record
from harness.reliability import table as reliability_table
from harness.verify import record as verify_record
from harness.verify import table as verify_table

EXAMPLES = """examples:
  python -m harness tables
  python -m harness tables results/raw/bench-quick.jsonl --to /tmp/tables
"""

# The documents that have blocks.
DOCUMENTS = (
    "README.md",
    *(
        f"docs/{name}.md"
        for name in ("convergence", "distributed", "extrapolation", "performance", "reliability")
    ),
)
_BLOCK = re.compile(r"(<!-- table: (\S+) (\S[^\n]*) -->\n).*?(<!-- end of table -->)", re.DOTALL)


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
    run = load(record)
    other = predicting(run, args.record, results)
    names = bench_tables.write(run, folder, efficiency, other)
    if args.record is None:
        names += write_pages(layout, folder)
        write_documents(layout)
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


def _verification(path: Path) -> str:
    return verify_table.render(verify_record.load(path))


def _microbench(path: Path) -> str:
    record = microbench_record.load(path)
    head = f"# Cost of a hit\n\nRun {record.run_id} on {record.machine.cpu_model}.\n\n"
    return head + microbench_table.render(record)


def _releases(path: Path) -> str:
    run = load(path)
    title = "## Releases side by side"
    return bench_tables.bench_markdown(run, [title, "", *releases.table(run), ""])


_BENCH_PAGES = (
    *("small", "fresh-processes", "batch-1", "batch-32", "memory", "memory-threads"),
    *("maps", "gluoncv", "aa"),
    *("16-cores-16-threads", "16-cores-8-threads"),
)
_PAGES: Dict[str, Callable[[Path], str]] = {
    **{
        f"bench-{name}.jsonl": lambda path: bench_tables.bench_markdown(load(path))
        for name in _BENCH_PAGES
    },
    "bench-releases.jsonl": _releases,
    "converge.json": lambda path: converge_table.render(converge_record.load(path)),
    "microbench.json": _microbench,
    "reliability.json": _reliability,
    "reliability-training.json": _reliability,
    "verify.json": _verification,
    "verify-1.6.0.json": _verification,
}


def write_documents(layout: Layout) -> None:
    """Fill the blocks of every document again."""
    for name in DOCUMENTS:
        path = layout.root / name
        old = reading.text(path)
        new = fill(old, layout.root)
        if new != old:
            files.write_text(path, new)


def fill(document: str, root: Path) -> str:
    """Return a document with every block filled from its records; paths are relative to root.

    Raises HarnessError for an unknown kind or a record that cannot be read.
    """

    def block(found: re.Match) -> str:
        begin, kind, names, end = found.groups()
        if kind not in _KINDS:
            raise HarnessError(f"table: expected a kind of {', '.join(_KINDS)}, found '{kind}'")
        lines = _KINDS[kind]([root / name for name in names.split()])
        return "\n".join([begin.rstrip("\n"), *lines, end])

    return _BLOCK.sub(block, document)


def _rows(paths: Sequence[Path]) -> List[str]:
    """Return the table without its legend, for documents that explain it once."""
    run = load(paths[0])
    text = alternation.render(run) if run.alternates else rows.render(run)
    return text.split("\n\n")[0].splitlines()


def _convergence(paths: Sequence[Path]) -> List[str]:
    record = converge_record.load(paths[0])
    return [*converge_table.summary(record), "", converge_table.verdict(record)]


def _checks(paths: Sequence[Path]) -> List[str]:
    """Return a line each for those of verify, that of reliability, and that of converge."""
    *verified, tried, trained = paths
    runs = [verify_record.load(path) for path in verified]
    found = [f"{verify_table.summary(run)} on {', '.join(run.settings.scopes)}" for run in runs]
    return [
        f"- [verification](docs/verification.md): {'; '.join(found)}",
        f"- [reliability](docs/reliability.md): "
        f"{reliability_table.summary(reliability_record.load(tried))}",
        f"- [convergence](docs/convergence.md) on CIFAR-10: "
        f"{converge_table.verdict(converge_record.load(trained))}",
    ]


def _more_results(paths: Sequence[Path]) -> List[str]:
    """Return a line each for the records of other cores and of the releases, in this order."""
    elsewhere, side_by_side = map(load, paths)
    link = "[docs/performance.md](docs/performance.md#mxnet-13-to-19-side-by-side)"
    return [*overview.elsewhere(elsewhere), f"- {releases.line(side_by_side)}: {link}"]


_KINDS: Dict[str, Callable[[Sequence[Path]], List[str]]] = {
    "headline": lambda paths: overview.headline([load(path) for path in paths]),
    "overview": lambda paths: overview.table([load(path) for path in paths]),
    "report": lambda paths: overview.report(load(paths[0])),
    "elsewhere": lambda paths: extrapolation.elsewhere_table(*(load(path) for path in paths)),
    "more-results": _more_results,
    "checks": _checks,
    "rows": _rows,
    "memory": lambda paths: memory.spread(load(paths[0])),
    "releases": lambda paths: releases.table(load(paths[0])),
    "memory-threads": lambda paths: memory.by_threads(load(paths[0])),
    "targets": lambda paths: [
        f"- {line}" for line in microbench_table.targets(microbench_record.load(paths[0]))
    ],
    "distributed": lambda paths: distributed_table.render(
        distributed_record.load(paths[0])
    ).splitlines(),
    "convergence": _convergence,
    "reliability": lambda paths: [reliability_table.headline(paths[0])],
}
