"""The time of each operator on every variant, from the profiled processes of a record.

Pure: a record in, rows and text out. Times are those of MXNet's profiler, in milliseconds per
training step; creations are counted by the library in the same processes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from harness.base import statistics
from harness.base.markdown import markdown
from harness.bench import pr11301
from harness.bench.record import PROFILE, BenchRecord, ProfileSample, Series
from harness.trials.variants import STOCK

ALL_NETWORKS = "all networks"
TOTAL = "total"
# Names that changed between the releases, by those of PR #11301's tables.
_SAME = {"_zeros_without_dtype": "_zeros"}


class Counted(NamedTuple):
    """The library's counts of a step: creations of primitives and descriptors, and their time."""

    avoided: float
    created: float
    avoided_ms: float
    create_ms: float


@dataclass(frozen=True)
class OperatorRow:
    """An operator in one network, or summed over networks: by variant, per training step.

    ``ms`` and ``calls`` lack what MXNet's profiler hides, such as reorders inside operators;
    ``counted`` lacks stock, which runs without the library. ``reference`` is after / before as
    published in PR #11301, None for operators that its table lacks.
    """

    operator: str
    ms: Dict[str, float]
    calls: Dict[str, float]
    counted: Dict[str, Counted]
    reference: Optional[float]

    def ratio(self, variant: str) -> Optional[float]:
        """Return the variant's time over stock's, None where one of them is unknown or zero."""
        if not self.ms.get(STOCK) or variant not in self.ms:
            return None
        return self.ms[variant] / self.ms[STOCK]

    def saved_ms(self, variant: str) -> float:
        """Return stock's time minus the variant's."""
        return self.ms.get(STOCK, 0.0) - self.ms.get(variant, 0.0)


@dataclass(frozen=True)
class OperatorTable:
    """The operators of a network (or of all), the most time saved first; the total is last."""

    model: str
    networks: int
    batch_size: int
    host: str
    variants: Tuple[str, ...]
    rows: Tuple[OperatorRow, ...]
    total: OperatorRow


_Measured = Dict[str, List[ProfileSample]]


def tables(record: BenchRecord) -> List[OperatorTable]:
    """Return for each series, batch size and host the sum over networks, then each network.

    Networks without a profile of every variant are left out: sums would not compare.
    """
    found = []
    for series in record.settings.series:
        if series.job != PROFILE:
            continue
        for batch_size in dict.fromkeys(case.batch_size for case in series.cases):
            for host, variants in series.variants.items():
                networks = _networks(record, series, host, batch_size)
                parts = {model: _rows(by_variant) for model, by_variant in networks.items()}
                if len(parts) > 1:
                    parts = {ALL_NETWORKS: _sum(list(parts.values())), **parts}
                for model, rows in parts.items():
                    count = len(networks) if model == ALL_NETWORKS else 1
                    table = _table(model, count, batch_size, host, tuple(variants), rows)
                    found.append(table)
    return found


def _networks(
    record: BenchRecord, series: Series, host: str, batch_size: int
) -> Dict[str, _Measured]:
    found: Dict[str, _Measured] = {}
    for case in (case for case in series.cases if case.batch_size == batch_size):
        by_variant: _Measured = {}
        for sample in record.profiles:
            if (sample.series, sample.case, sample.host) == (series.name, case, host):
                by_variant.setdefault(sample.variant, []).append(sample)
        if set(by_variant) == set(series.variants[host]):
            found[case.model] = by_variant
    return found


def _rows(by_variant: _Measured) -> List[OperatorRow]:
    """Return a network's operators; of several processes of a variant their medians."""
    ms: Dict[str, Dict[str, float]] = {}
    calls: Dict[str, Dict[str, float]] = {}
    counted: Dict[str, Dict[str, Counted]] = {}
    for variant, samples in by_variant.items():
        for name in dict.fromkeys(name for sample in samples for name in sample.operators):
            times = [s.operator_ms().get(name, 0.0) for s in samples]
            shown = _SAME.get(name, name)
            ms.setdefault(shown, {})[variant] = statistics.median(times)
            per_step = [
                sample.operators[name].calls / len(sample.step_ns)
                for sample in samples
                if name in sample.operators
            ]
            calls.setdefault(shown, {})[variant] = statistics.median(per_step)
        for name, each in _counters(samples).items():
            counted.setdefault(name, {})[variant] = each
    known = pr11301.operator_ms()
    return [
        OperatorRow(
            operator=name,
            ms=ms.get(name, {}),
            calls=calls.get(name, {}),
            counted=counted.get(name, {}),
            reference=known[name].ratio if name in known else None,
        )
        for name in dict.fromkeys([*ms, *counted])
    ]


def _counters(samples: Sequence[ProfileSample]) -> Dict[str, Counted]:
    """Return the library's counts per step by its names of operators, medians over samples."""
    with_library = [sample for sample in samples if sample.stats is not None]
    found = {}
    for name in dict.fromkeys(n for s in with_library for n in (s.stats or {})["operators"]):
        fields: List[Tuple[float, float, float, float]] = []
        for sample in with_library:
            counters = (sample.stats or {})["operators"].get(name, {})
            steps = len(sample.step_ns)
            fields.append(
                (
                    _both(counters, "avoided") / steps,
                    _both(counters, "created") / steps,
                    counters.get("avoided_ns", 0) / steps / 1e6,
                    counters.get("create_ns", 0) / steps / 1e6,
                )
            )
        found[name] = Counted(*(statistics.median(values) for values in zip(*fields)))
    return found


def _both(counters: Dict[str, int], what: str) -> int:
    return counters.get(f"primitives_{what}", 0) + counters.get(f"descriptors_{what}", 0)


def _sum(parts: Sequence[Sequence[OperatorRow]]) -> List[OperatorRow]:
    """Add up networks, operator by operator."""
    by_name: Dict[str, List[OperatorRow]] = {}
    for row in (row for rows in parts for row in rows):
        by_name.setdefault(row.operator, []).append(row)
    return [_added(name, rows, rows[0].reference) for name, rows in by_name.items()]


def _added(name: str, rows: Sequence[OperatorRow], reference: Optional[float]) -> OperatorRow:
    ms: Dict[str, float] = {}
    calls: Dict[str, float] = {}
    counted: Dict[str, Counted] = {}
    for row in rows:
        for variant, value in row.ms.items():
            ms[variant] = ms.get(variant, 0.0) + value
        for variant, value in row.calls.items():
            calls[variant] = calls.get(variant, 0.0) + value
        for variant, each in row.counted.items():
            old = counted.get(variant, Counted(0, 0, 0, 0))
            counted[variant] = Counted(*map(sum, zip(old, each)))
    return OperatorRow(name, ms, calls, counted, reference)


def _table(
    model: str,
    networks: int,
    batch_size: int,
    host: str,
    variants: Tuple[str, ...],
    rows: Sequence[OperatorRow],
) -> OperatorTable:
    last = variants[-1]
    ordered = sorted(rows, key=lambda row: row.saved_ms(last), reverse=True)
    total = _added(TOTAL, rows, _total_reference(host))
    return OperatorTable(model, networks, batch_size, host, variants, tuple(ordered), total)


def _total_reference(host: str) -> float:
    values = pr11301.operator_ms().values()
    return sum(each.after for each in values) / sum(each.before for each in values)


LEGEND = (
    "ms: MXNet's profiler, per training step; to stock: time to stock's on the same release;",
    "PR #11301: its published ratio, summed over its networks, on 56 cores;",
    "avoided: creations of primitives and descriptors that the library avoided per step, and",
    "their time, counted in the same processes; the profiler counts reorders and memory objects",
    "to the operators that use them",
)


def render(record: BenchRecord) -> str:
    """Return all operator tables as Markdown, with the legend below; empty without profiles."""
    lines: List[str] = []
    for table in tables(record):
        what = f"{table.networks} networks" if table.model == ALL_NETWORKS else table.model
        lines += [f"### {what}, batch size {table.batch_size}, MXNet {table.host}", ""]
        lines += [*_markdown(table), ""]
    return "\n".join([*lines, *LEGEND]) + "\n" if lines else ""


def _markdown(table: OperatorTable) -> List[str]:
    with_reference = table.host == pr11301.HOST
    cached = [variant for variant in table.variants if variant != STOCK]
    titles = ["operator"]
    for variant in table.variants:
        titles += [f"{variant} ms"] if variant == STOCK else [f"{variant} ms", "to stock"]
        titles += [pr11301.TITLE] if with_reference and variant == pr11301.VARIANT else []
    titles.append(f"{table.variants[-1]} saves ms")
    for variant in cached:
        titles += [f"{variant} avoided", "ms"]
    rows = [_cells(table, row, with_reference, cached) for row in [*table.rows, table.total]]
    return markdown(titles, ("operator",), rows)


def _cells(
    table: OperatorTable, row: OperatorRow, with_reference: bool, cached: Sequence[str]
) -> List[str]:
    found = [row.operator]
    for variant in table.variants:
        found.append(f"{row.ms[variant]:.2f}" if variant in row.ms else "-")
        if variant != STOCK:
            ratio = row.ratio(variant)
            found.append("-" if ratio is None else f"{ratio:.1%}")
        if with_reference and variant == pr11301.VARIANT:
            found.append("-" if row.reference is None else f"{row.reference:.1%}")
    found.append(f"{row.saved_ms(table.variants[-1]):.2f}" if row.ms else "-")
    for variant in cached:
        each = row.counted.get(variant)
        found += ["-", "-"] if each is None else [f"{each.avoided:.0f}", f"{each.avoided_ms:.2f}"]
    return found
