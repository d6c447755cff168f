"""Ratios of alternating scopes to the baseline scope, and their limits.

Pure: a record in, rows out. A process gives one value; an interval needs several processes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy

from harness.base import statistics
from harness.base.markdown import Column, columns, interval_text, number
from harness.bench.record import (
    ALTERNATE,
    AlternateSample,
    BenchRecord,
    Block,
    Failure,
)
from harness.bench.rows import NO_RESULT, Row
from harness.trials.jobs import scope_of
from harness.trials.record import Case

OFF = "off"
# Below this share of a step, the part that is gone cannot be told.
_SMALLEST_SHARE = 0.01


class Measured(NamedTuple):
    """One scope in one process: times in nanoseconds per step, shares of its steps.

    ``spread`` is the standard deviation of the cycles' log ratios, None of one cycle: it says
    nothing about other processes.
    """

    step_ns: float
    log_ratio: float
    spread: Optional[float]
    create_share: float
    destroy_share: float
    cache_share: float


def measured(sample: AlternateSample) -> Dict[str, Measured]:
    """Return what a process measured, by scope; the first scope is the baseline."""
    by_scope: Dict[str, Dict[int, List[Block]]] = {scope: {} for scope in sample.scopes}
    for block in sample.blocks:
        by_scope[block.scope].setdefault(block.cycle, []).append(block)
    medians = {
        scope: numpy.array(
            [[statistics.median(b.step_ns) for b in cycles[at]] for at in sorted(cycles)]
        )
        for scope, cycles in by_scope.items()
    }
    baseline = medians[sample.scopes[0]]
    found = {}
    for scope, own in medians.items():
        logs = statistics.cycle_log_ratios(baseline, own)
        blocks = [block for cycle in by_scope[scope].values() for block in cycle]
        found[scope] = Measured(
            float(numpy.median(own)),
            float(statistics.log_ratio(baseline, own)),
            float(numpy.std(logs, ddof=1)) if len(logs) > 1 else None,
            *(
                statistics.median([getattr(b, f"{part}_ns") / sum(b.step_ns) for b in blocks])
                for part in ("create", "destroy", "cache")
            ),
        )
    return found


@dataclass(frozen=True)
class AlternateRow(Row):
    """One scope of one case on one host, over the processes of a series.

    ``samples`` are processes, and ``logs`` their log ratios to the baseline by round; ``ratio`` is
    the exponential of the mean, None for the baseline. ``limit`` is the ratio of a step without any
    creation and destruction, by the counters of the baseline, and ``removed`` the part of that time
    that is gone, None where that time is too short to tell or ``interval`` includes 1. ``network``
    is the network with the size of its images.
    """

    network: str
    logs: Mapping[int, float]
    limit: Optional[float]
    removed: Optional[float]
    spread: Optional[float]


def rows(record: BenchRecord) -> List[AlternateRow]:
    """Return a row for every measured scope, the baseline included, in the order of work."""
    return [cell for cell in cells(record) if isinstance(cell, AlternateRow)]


def network_names(record: BenchRecord) -> Dict[Case, str]:
    """Return the name of each case's network with its image size, or its smallest and largest."""
    sides: Dict[Case, List[int]] = {}
    for each in record.alternates:
        sides.setdefault(each.case, []).extend(each.sides)
    found = {}
    for case in (case for series in record.settings.series for case in series.cases):
        own = sides.get(case) or [case.image_size]
        size = "-".join(map(str, sorted({min(own), max(own)})))
        found[case] = f"{case.model} {size}"
    return found


def cells(record: BenchRecord) -> List[Union[AlternateRow, Failure]]:
    """Return the rows, and for the scopes of a case without any result its first failure."""
    failures = {each.key[:4]: each for each in reversed(record.failures)}
    names = network_names(record)
    found: List[Union[AlternateRow, Failure]] = []
    for series in record.settings.series:
        for case in series.cases if series.job == ALTERNATE else ():
            for host, variant in series.runs:
                key = (series.name, case, host, variant)
                samples = [each for each in record.alternates if each.key[:4] == key]
                each = {sample.round: measured(sample) for sample in samples}
                peaks = [float(sample.peak_resident_bytes) for sample in samples]
                for scope in series.variants[host]:
                    if samples:
                        common = {
                            "series": series,
                            "case": case,
                            "host": host,
                            "network": names[case],
                            "peak_resident_bytes": statistics.median(peaks),
                        }
                        images = samples[0].images_per_step
                        found.append(_row(common, series.variants[host][0], scope, each, images))
                    elif key in failures:
                        found.append(failures[key].model_copy(update={"variant": scope}))
    return found


def _row(
    common: Dict[str, Any],
    first: str,
    scope: str,
    processes: Dict[int, Dict[str, Measured]],
    images: int,
) -> AlternateRow:
    own = [each[scope] for each in processes.values()]
    baseline = [each[first] for each in processes.values()]
    logs = {round_: each[scope].log_ratio for round_, each in sorted(processes.items())}
    ratio = None if scope == first else math.exp(sum(logs.values()) / len(logs))
    around = interval(list(logs.values())) if ratio else None
    share = statistics.median([each.create_share + each.destroy_share for each in baseline])
    creates = ratio is not None and scope_of(first) == OFF != scope_of(scope)
    known = creates and share >= _SMALLEST_SHARE and statistics.excludes_one(around)
    step_ns = statistics.median([each.step_ns for each in own])
    spreads = [each.spread for each in own if each.spread is not None]
    parts: Dict[str, Any] = {}
    for part in ("create", "destroy", "cache"):
        parts[f"{part}_share"] = statistics.median([getattr(each, f"{part}_share") for each in own])
        parts[f"{part}_ns"] = parts[f"{part}_share"] * step_ns
    return AlternateRow(
        **common,
        variant=scope,
        images_per_second=images * 1e9 / step_ns,
        relative_iqr=statistics.relative_iqr([each.step_ns for each in own]),
        samples=len(own),
        ratios=tuple(math.exp(value) for value in logs.values()) if ratio else (),
        ratio=ratio,
        interval=around,
        step_ns=step_ns,
        logs=logs,
        limit=1 / (1 - share) if creates else None,
        removed=(1 - 1 / ratio) / share if known and ratio else None,
        spread=statistics.median(spreads) if spreads else None,
        **parts,
    )


def interval(logs: Sequence[float]) -> Optional[statistics.Interval]:
    """Return the 95 % interval of the ratio; None of one process."""
    return _of_ratios(statistics.mean_interval(logs))


def _of_ratios(found: Optional[statistics.Interval]) -> Optional[statistics.Interval]:
    return None if found is None else (math.exp(found[0]), math.exp(found[1]))


def mean(networks: Sequence[AlternateRow]) -> Tuple[float, Optional[statistics.Interval]]:
    """Return the geometric mean of the networks' ratios, and its 95 % interval.

    The networks' processes are independent, and each network has its own number of them and its own
    spread (``statistics.mean_of_means_interval``).
    """
    found = statistics.mean_of_means_interval([list(row.logs.values()) for row in networks])
    ratio = statistics.geometric_mean([row.ratio for row in networks if row.ratio is not None])
    return ratio, _of_ratios(found)


class _Line(NamedTuple):
    """A line of the table: a network, or the geometric mean of a scope without further values."""

    network: str
    batch: str
    host: str
    variant: str
    ratio: Optional[float]
    interval: Optional[statistics.Interval]
    processes: int
    speed: str = "-"
    spread: Optional[float] = None
    limit: Optional[float] = None
    removed: Optional[float] = None
    cache_share: Optional[float] = None


_COLUMNS: Tuple[Column[_Line], ...] = (
    ("network", lambda line: line.network),
    ("batch", lambda line: line.batch),
    ("MXNet", lambda line: line.host),
    ("scope", lambda line: line.variant),
    ("img/s", lambda line: line.speed),
    ("ratio", lambda line: number(line.ratio)),
    ("95 % interval", lambda line: interval_text(line.interval)),
    ("n", lambda line: str(line.processes)),
    ("in one", lambda line: number(line.spread, ".1%", "")),
    ("limit", lambda line: number(line.limit)),
    ("removed", lambda line: number(line.removed, ".0%", "")),
    ("cache", lambda line: number(line.cache_share, ".1%", "")),
)
LEGEND = (
    "ratio: to the first scope in the same process, geometric mean over n processes, with a 95 % t",
    "interval over them; ~: it includes 1; in one: the ratio's standard deviation inside a process",
    "limit: ratio of a step that creates and destroys nothing, by the counters of scope off",
    "removed: the part of that time that is gone, where it is 1 % of a step and the ratio is not ~",
    "cache: the cache's own share of a step",
)


def render(record: BenchRecord) -> str:
    """Return a line for each scope and network, then the geometric means, as Markdown."""
    found, names = cells(record), network_names(record)
    lines = [_line(cell, names[cell.case]) for cell in found]
    groups: Dict[Tuple[int, str, str, str], List[AlternateRow]] = {}
    for row in found:
        if isinstance(row, AlternateRow) and row.ratio is not None:
            threads = row.series.threads.omp_num_threads
            batch = "-" if record.settings.together else str(row.case.batch_size)
            key = (threads, batch, row.host, row.variant)
            groups.setdefault(key, []).append(row)
    for (_, batch, host, variant), several in groups.items():
        if len(several) > 1:
            ratio, around = mean(several)
            count = min(row.samples for row in several)
            name = f"mean of {len(several)}"
            lines.append(_Line(name, batch, host, variant, ratio, around, count))
    shown = columns(_COLUMNS, ("network", "MXNet", "scope"), lines)
    return "\n".join([*shown, "", *LEGEND]) + "\n"


def _line(cell: Union[AlternateRow, Failure], network: str) -> _Line:
    subject = (network, str(cell.case.batch_size), cell.host, cell.variant)
    if isinstance(cell, Failure):
        return _Line(*subject, None, None, 0, NO_RESULT[cell.reason])
    return _Line(
        *subject,
        cell.ratio,
        cell.interval,
        cell.samples,
        f"{cell.images_per_second:.2f}",
        cell.spread if cell.ratio else None,
        cell.limit,
        cell.removed,
        cell.cache_share,
    )
