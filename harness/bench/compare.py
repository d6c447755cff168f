"""The compare command: two records of the same benchmark, variant by variant.

Shows the effect of another build of the library or of another state of the machine. Refuses runs
of different machines or settings, and names both sides.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

from harness.base import statistics
from harness.base.errors import HarnessError
from harness.base.markdown import Column, columns, interval_text
from harness.bench import alternation
from harness.bench.record import BenchRecord, Cell, load
from harness.bench.rows import Row, rows
from harness.trials.record import check_compatible

EXAMPLES = """examples:
  python -m harness compare results/raw/before.jsonl results/raw/after.jsonl
"""

LEGEND = (
    "B / A: medians of images per second, with a 95 % bootstrap interval; the two runs were not",
    "interleaved, so a machine that was busier shows here too; ~: the interval includes 1",
    "to stock A, B: each run's own ratio to its own stock, or to its first scope where scopes",
    "alternate, which a busier machine changes less",
)


class Change(NamedTuple):
    """One variant of one case in two runs: images per second of B over A."""

    first: Row
    second: Row
    ratio: float
    interval: Optional[statistics.Interval]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``compare``."""
    parser.add_argument("first", metavar="A", type=Path, help="record of a benchmark")
    parser.add_argument("second", metavar="B", type=Path, help="record of the same, measured later")


def main(args: argparse.Namespace) -> int:
    """Print the comparison and return 0."""
    first, second = load(args.first), load(args.second)
    print(render(first, second))
    return 0


def changes(first: BenchRecord, second: BenchRecord) -> List[Change]:
    """Return the variants that both runs sampled; HarnessError for runs that cannot be compared."""
    # Versions may differ: the comparison is about them.
    check_compatible(first, second, ("machine", "settings"), ("A", "B"))
    speeds = [_speeds(first), _speeds(second)]
    later = {_key(row): row for row in _rows(second)}
    found = []
    for row in _rows(first):
        if _key(row) in later:
            old, new = (each[_key(row)] for each in speeds)
            ratio = statistics.median(new) / statistics.median(old)
            interval = statistics.ratio_of_medians_interval(old, new)
            found.append(Change(row, later[_key(row)], ratio, interval))
    if not found:
        raise HarnessError("the two records have no variant in common that both have sampled")
    return found


def _rows(run: BenchRecord) -> List[Row]:
    return [*alternation.rows(run), *rows(run)]


def _key(row: Row) -> Cell:
    return row.series.name, row.case, row.host, row.variant


def _speeds(run: BenchRecord) -> Dict[Cell, List[float]]:
    found: Dict[Cell, List[float]] = {}
    for sample in run.samples:
        found.setdefault(sample.key[:4], []).append(sample.images_per_second)
    for process in run.alternates:
        for scope, each in alternation.measured(process).items():
            cell = (process.series, process.case, process.host, scope)
            found.setdefault(cell, []).append(process.images_per_step * 1e9 / each.step_ns)
    return found


_COLUMNS: Tuple[Column[Change], ...] = (
    ("model", lambda change: change.first.case.model),
    ("batch", lambda change: str(change.first.case.batch_size)),
    ("threads", lambda change: str(change.first.series.threads.omp_num_threads)),
    ("MXNet", lambda change: change.first.host),
    ("variant", lambda change: change.first.variant),
    ("A img/s", lambda change: f"{change.first.images_per_second:.2f}"),
    ("B img/s", lambda change: f"{change.second.images_per_second:.2f}"),
    ("B / A", lambda change: f"{change.ratio:.3f}x"),
    ("95 % interval", lambda change: interval_text(change.interval)),
    ("n A", lambda change: str(change.first.samples)),
    ("n B", lambda change: str(change.second.samples)),
    ("to stock A", lambda change: _to_stock(change.first)),
    ("to stock B", lambda change: _to_stock(change.second)),
)


def render(first: BenchRecord, second: BenchRecord) -> str:
    """Return the versions that differ and the table, as Markdown."""
    names = sorted({*first.versions, *second.versions})
    lines = [
        f"{name}: A={first.versions.get(name)}, B={second.versions.get(name)}"
        for name in names
        if first.versions.get(name) != second.versions.get(name)
    ]
    shown = columns(_COLUMNS, ("model", "MXNet", "variant"), changes(first, second))
    return "\n".join([*lines, *([""] if lines else []), *shown, "", *LEGEND])


def _to_stock(row: Row) -> str:
    if row.ratio is None:
        return "-"
    return f"{row.ratio:.3f}x ({interval_text(row.interval)})"
