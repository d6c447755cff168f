"""The memory use of each variant, and the cache's share of it.

Pure: a record in, text out. The peak is that of the process's resident set. The cache's share is
shown twice: as the difference to stock, and as counted in processes of the job ``memory``.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Tuple, Union

from harness.base import statistics
from harness.base.markdown import Column, columns, markdown, number
from harness.bench.record import CREATED, BenchRecord, MemorySample, Series
from harness.bench.rows import Row, rows
from harness.trials.record import Case
from harness.trials.variants import STOCK, baseline_of

LEGEND = (
    "peak: largest resident set of the process, median; above stock: difference to stock's,",
    "including the allocator's noise; cached: idle primitives, memory objects and descriptors at",
    "the end, as the library counts them in a process of its own",
)


class MemoryRow(NamedTuple):
    """Bytes, medians over processes; None without stock or without the library's count."""

    case: Case
    omp_num_threads: int
    host: str
    variant: str
    peak_bytes: Optional[int]  # None where primitives were not executed
    above_stock_bytes: Optional[int]
    kept_bytes: Optional[int]


def memory(record: BenchRecord) -> List[MemoryRow]:
    """Return a row for every sampled variant, in the order of the settings.

    Peaks are those of processes that timed steps, or else of processes that counted bytes.
    """
    kept: Dict[_Cell, List[float]] = {}
    peaks: Dict[str, Dict[_Cell, float]] = {}
    for row in rows(record):
        peaks.setdefault(row.series.name, {})[_cell(row.series, row)] = row.peak_resident_bytes
    timed = {cell for cells in peaks.values() for cell in cells}
    counting: Dict[str, Dict[_Cell, List[float]]] = {}
    for sample in record.memories:
        cell = _cell(record.settings.find(sample.series), sample)
        if sample.kept_bytes is not None:
            kept.setdefault(cell, []).append(sample.kept_bytes)
        if cell not in timed:
            own = counting.setdefault(sample.series, {})
            own.setdefault(cell, []).append(sample.peak_resident_bytes)
    for name, own in counting.items():
        series = record.settings.find(name)
        cells = [
            _Cell(case, series.threads.omp_num_threads, host, variant)
            for case in series.cases
            for host, variant in series.runs
        ]
        peaks[name] = {cell: statistics.median(own[cell]) for cell in cells if cell in own}
    result = []
    for name, measured in peaks.items():
        variants = record.settings.find(name).variants
        executed = record.settings.find(name).job != CREATED
        for cell, peak_bytes in measured.items():
            stock = baseline_of(variants[cell.host]) or STOCK
            baseline = measured.get(cell._replace(variant=stock))
            above = None if baseline is None or cell.variant == stock else peak_bytes - baseline
            result.append(
                MemoryRow(
                    *cell,
                    peak_bytes=int(peak_bytes) if executed else None,
                    above_stock_bytes=None if above is None else int(above),
                    kept_bytes=int(statistics.median(kept[cell])) if cell in kept else None,
                )
            )
    return result


class _Cell(NamedTuple):
    case: Case
    omp_num_threads: int
    host: str
    variant: str


def _cell(series: Series, measured: Union[Row, MemorySample]) -> _Cell:
    threads = series.threads.omp_num_threads
    return _Cell(measured.case, threads, measured.host, measured.variant)


_COLUMNS: Tuple[Column[MemoryRow], ...] = (
    ("model", lambda row: row.case.model),
    ("batch", lambda row: str(row.case.batch_size)),
    ("threads", lambda row: str(row.omp_num_threads)),
    ("MXNet", lambda row: row.host),
    ("variant", lambda row: row.variant),
    ("peak MiB", lambda row: number(row.peak_bytes and row.peak_bytes / 2**20, ".0f", "")),
    ("above stock", lambda row: _above(row)),
    ("cached MiB", lambda row: number(row.kept_bytes and row.kept_bytes / 2**20, ".1f", "")),
)


def render(record: BenchRecord) -> str:
    """Return the table as Markdown, with its legend below."""
    lines = columns(_COLUMNS, ("model", "MXNet", "variant"), memory(record))
    text = "\n".join([*lines, "", *LEGEND]) + "\n"
    words = [word for series in record.settings.series for _, word in series.runs]
    return text.replace(STOCK, baseline_of(words) or STOCK)


def spread(record: BenchRecord) -> List[str]:
    """Return a line per batch size, release and variant: the cache's share, over the networks."""
    found: Dict[str, List[float]] = {}
    for row in memory(record):
        if row.kept_bytes is not None:
            title = f"batch {row.case.batch_size}, MXNet {row.host}, `{row.variant}`"
            found.setdefault(title, []).append(row.kept_bytes / 2**20)
    return [f"- {title}: {min(mib):.1f} to {max(mib):.1f} MiB" for title, mib in found.items()]


def by_threads(record: BenchRecord) -> List[str]:
    """Return a table of the cached MiB by batch size and number of threads, over the networks.

    The largest is followed by its network. Where stock was measured too, the difference of the
    peaks stands beside.
    """
    found: Dict[Tuple[int, int], Dict[str, List[Tuple[float, str]]]] = {}
    titles: Dict[str, None] = {}
    for row in memory(record):
        title = f"MXNet {row.host}, `{row.variant}`"
        parts = {title: row.kept_bytes, f"{title}, peak above stock": row.above_stock_bytes}
        for name, value in parts.items():
            if value is not None:
                titles[name] = None
                cells = found.setdefault((-row.case.batch_size, row.omp_num_threads), {})
                cells.setdefault(name, []).append((value / 2**20, row.case.model))
    rows_ = [
        [str(-batch), str(threads), *(_range(cells.get(title)) for title in titles)]
        for (batch, threads), cells in sorted(found.items())
    ]
    return markdown(["batch", "threads", *titles], (), rows_)


def _range(values: Optional[List[Tuple[float, str]]]) -> str:
    if not values:
        return "-"
    least, (most, network) = min(values)[0], max(values)
    beginning = f"{least:.1f} to " if len(values) > 1 else ""
    return f"{beginning}{most:.1f} MiB ({network})"


def _above(row: MemoryRow) -> str:
    if row.above_stock_bytes is None or row.peak_bytes is None:
        return "-"
    share = row.above_stock_bytes / (row.peak_bytes - row.above_stock_bytes)
    return f"{row.above_stock_bytes / 2**20:+.0f} MiB ({share:+.1%})"
