"""Turns a benchmark's record into the table and the warnings that people read.

Pure: a record in, text out. Every ratio stands beside its interval and its number of pairs, and
is made of samples of the same round.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import rich.box
import rich.console
import rich.table

from harness import stats
from harness.bench_record import BenchRecord
from harness.bench_record import TrainSample as Sample
from harness.record import Case

STOCK = "stock"
UNSTABLE_RELATIVE_IQR = 0.10
_MEASURED_PARTS = ("create_ns", "destroy_ns", "cache_ns")


@dataclass(frozen=True)
class Row:
    """One variant of one case on one host.

    ``images_per_second`` is the median over samples, ``ratio`` the median over pairs of the same
    round; ``interval`` and ``shares`` (of the timed steps' wall time, in the order create,
    destroy, cache) are None where they cannot be known.
    """

    case: Case
    host: str
    variant: str
    images_per_second: float
    relative_iqr: float
    samples: int
    ratio: Optional[float]
    interval: Optional[Tuple[float, float]]
    pairs: int
    shares: Optional[Tuple[float, ...]]
    peak_resident_bytes: float


def rows(record: BenchRecord) -> List[Row]:
    """Return a row for everything that has been sampled, in the order of the settings."""
    found: List[Row] = []
    return found
    asked = record.settings
    for case in asked.cases:
        for host, variants in asked.variants.items():
            same = [s for s in record.samples if s.case == case and s.host == host]
            stock = {s.round: s.images_per_second for s in same if s.variant == STOCK}
            for variant in variants:
                samples = [s for s in same if s.variant == variant]
                if samples:
                    found.append(_row(case, host, variant, samples, stock))
    return found


def _row(
    case: Case, host: str, variant: str, samples: List[Sample], stock: Dict[int, float]
) -> Row:
    speeds = {sample.round: sample.images_per_second for sample in samples}
    paired = [] if variant == STOCK else sorted(speeds.keys() & stock.keys())
    ratios = stats.ratios([stock[r] for r in paired], [speeds[r] for r in paired])
    shares = [_shares(sample) for sample in samples if sample.stats is not None]
    return Row(
        case=case,
        host=host,
        variant=variant,
        images_per_second=stats.median(list(speeds.values())),
        relative_iqr=stats.relative_iqr(list(speeds.values())),
        samples=len(samples),
        ratio=stats.median(ratios) if ratios else None,
        interval=stats.median_interval(ratios),
        pairs=len(ratios),
        shares=tuple(stats.median(part) for part in zip(*shares)) if shares else None,
        peak_resident_bytes=stats.median([s.peak_resident_bytes for s in samples]),
    )


def _shares(sample: Sample) -> List[float]:
    totals: Dict[str, Any] = sample.stats["totals"] if sample.stats else {}
    return [totals.get(part, 0) / sum(sample.step_ns) for part in _MEASURED_PARTS]


_COLUMNS: Tuple[Tuple[str, Callable[[Row], str]], ...] = (
    ("model", lambda row: row.case.model),
    ("batch", lambda row: str(row.case.batch_size)),
    ("image", lambda row: str(row.case.image_size)),
    ("host", lambda row: row.host),
    ("variant", lambda row: row.variant),
    ("img/s", lambda row: f"{row.images_per_second:.2f}"),
    ("ratio", lambda row: "-" if row.ratio is None else f"{row.ratio:.3f}x"),
    ("95 % interval", lambda row: interval_text(row.interval)),
    ("n", lambda row: str(row.samples)),
    ("create", lambda row: _percent(row, 0)),
    ("destroy", lambda row: _percent(row, 1)),
    ("cache", lambda row: _percent(row, 2)),
    ("peak MiB", lambda row: f"{row.peak_resident_bytes / 2**20:.0f}"),
)
_TEXT_COLUMNS = ("model", "host", "variant")


def interval_text(interval: Optional[Tuple[float, float]], digits: int = 3) -> str:
    """Return a ratio's interval; ~ marks one that includes 1."""
    if interval is None:
        return "-"
    low, high = interval
    return f"{low:.{digits}f} to {high:.{digits}f}{' ~' if low <= 1 <= high else ''}"


def _percent(row: Row, part: int) -> str:
    return "-" if row.shares is None else f"{row.shares[part]:.1%}"


LEGEND = (
    "img/s: median; ratio: to stock, median of the pairs of one round; ~: the interval includes 1",
    "create, destroy, cache: share of the timed steps spent in creating and destroying MKL-DNN",
    "primitives and in the cache itself, by the library's counters (variant off measures stock)",
)


def render(record: BenchRecord) -> str:
    """Return the table as Markdown, with its legend below."""
    titles = [title for title, _ in _COLUMNS]
    cells = [[show(row) for _, show in _COLUMNS] for row in rows(record)]
    return "\n".join([*markdown(titles, _TEXT_COLUMNS, cells), "", *LEGEND]) + "\n"


def markdown(
    titles: Sequence[str], text_columns: Sequence[str], cells: Sequence[Sequence[str]]
) -> List[str]:
    """Return a Markdown table's lines; ``cells`` are rows, the columns not of text align right."""
    table = rich.table.Table(box=rich.box.MARKDOWN)
    for title in titles:
        table.add_column(title, justify="left" if title in text_columns else "right")
    for row in cells:
        table.add_row(*row)
    # Never wrapped to a terminal's width: what is printed is what can be pasted.
    console = rich.console.Console(file=io.StringIO(), width=1000, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return [line.rstrip() for line in capture.get().splitlines() if line.strip()]


def warnings(record: BenchRecord) -> List[str]:
    """Return what a reader must know before believing the table, one line each."""
    lines = []
    for row in rows(record):
        name = f"{row.case.model} batch {row.case.batch_size} {row.host} {row.variant}"
        if row.relative_iqr > UNSTABLE_RELATIVE_IQR:
            lines.append(
                f"{name}: unstable, half of the samples spread over {row.relative_iqr:.0%} "
                "of the median"
            )
        if row.ratio is not None and row.interval is None:
            lines.append(f"{name}: too few pairs for an interval ({row.pairs})")
        elif row.ratio is not None and row.pairs < stats.ENOUGH_PAIRS:
            lines.append(
                f"{name}: {row.pairs} pairs, of which no interval reaches 95 %: "
                f"take {stats.ENOUGH_PAIRS} or more"
            )
    for sample in record.samples:
        name = f"{sample.case.model} {sample.host} {sample.variant} round {sample.round}"
        if sample.still_missing:
            lines.append(f"{name}: the cache still missed after {len(sample.warm_up_ns)} warm-ups")
        if not sample.finite:
            lines.append(f"{name}: the network's output is not finite")
    return lines
