"""How much memory each variant takes, and the cache's own share of it.

Pure: a record in, text out. The peak resident set is the process's own; the share of the cache is
what the library counts, which it does under a bound on memory (MKLDNN_OPCACHE_MEMORY), and always
the difference to stock.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Tuple

from harness import stats
from harness.bench_record import BenchRecord
from harness.record import Case
from harness.table import STOCK, markdown, rows

LEGEND = (
    "peak: largest resident set of the process, median; above stock: difference to stock's, which",
    "noise of the allocator is part of; kept: bytes that the library counts as kept at the end",
)


class MemoryRow(NamedTuple):
    """Bytes, medians over processes; None where stock is missing or the library does not count."""

    case: Case
    omp_num_threads: int
    host: str
    variant: str
    peak_bytes: int
    above_stock_bytes: Optional[int]
    kept_bytes: Optional[int]


def memory(record: BenchRecord) -> List[MemoryRow]:
    """Return a row for everything that was sampled, in the order of the settings."""
    found = rows(record)
    stock = {
        (row.series.name, row.case, row.host): row.peak_resident_bytes
        for row in found
        if row.variant == STOCK
    }
    kept: Dict[Tuple[str, Case, str, str], List[float]] = {}
    for sample in record.samples:
        counted_bytes = (sample.stats or {}).get("memory")
        if counted_bytes:
            sum_bytes = counted_bytes["idle_bytes"] + counted_bytes["descriptor_bytes"]
            kept.setdefault(sample.key[:4], []).append(sum_bytes)
    result = []
    for row in found:
        baseline = stock.get((row.series.name, row.case, row.host))
        counted = kept.get((row.series.name, row.case, row.host, row.variant))
        above = None
        if baseline is not None and row.variant != STOCK:
            above = int(row.peak_resident_bytes - baseline)
        result.append(
            MemoryRow(
                row.case,
                row.series.threads.omp_num_threads,
                row.host,
                row.variant,
                int(row.peak_resident_bytes),
                above,
                int(stats.median(counted)) if counted else None,
            )
        )
    return result


def render(record: BenchRecord) -> str:
    """Return the table as Markdown, with its legend below."""
    titles = ["model", "batch", "threads", "host", "variant", "peak MiB", "above stock", "kept MiB"]
    cells = [
        [
            row.case.model,
            str(row.case.batch_size),
            str(row.omp_num_threads),
            row.host,
            row.variant,
            f"{row.peak_bytes / 2**20:.0f}",
            _above(row),
            "-" if row.kept_bytes is None else f"{row.kept_bytes / 2**20:.1f}",
        ]
        for row in memory(record)
    ]
    return "\n".join([*markdown(titles, ("model", "host", "variant"), cells), "", *LEGEND]) + "\n"


def _above(row: MemoryRow) -> str:
    if row.above_stock_bytes is None:
        return "-"
    share = row.above_stock_bytes / (row.peak_bytes - row.above_stock_bytes)
    return f"{row.above_stock_bytes / 2**20:+.0f} MiB ({share:+.1%})"
