"""Ratios of alternating scopes to the baseline scope, and their limits.

Pure: a record in, rows out. A process gives one value; an interval needs several processes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy

from harness.base import statistics
from harness.base.markdown import Column, columns, interval_text, number
from harness.bench.record import ALTERNATE, AlternateSample, BenchRecord, Block, Series
from harness.bench.rows import Row
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
    that is gone, None where that time is too short to tell.
    """

    logs: Mapping[int, float]
    limit: Optional[float]
    removed: Optional[float]
    spread: Optional[float]


def rows(record: BenchRecord) -> List[AlternateRow]:
    """Return a row for every measured scope, the baseline included, in the order of work."""
    found = []
    for series in record.settings.series:
        for case in series.cases if series.job == ALTERNATE else ():
            for host, variant in series.runs:
                key = (series.name, case, host, variant)
                samples = [each for each in record.alternates if each.key[:4] == key]
                each = {sample.round: measured(sample) for sample in samples}
                peak = [float(sample.peak_resident_bytes) for sample in samples]
                for scope in series.variants[host] if samples else ():
                    found.append(_row(series, case, host, scope, each, statistics.median(peak)))
    return found


def _row(
    series: Series,
    case: Case,
    host: str,
    scope: str,
    processes: Dict[int, Dict[str, Measured]],
    peak: float,
) -> AlternateRow:
    first = series.variants[host][0]
    own = [each[scope] for each in processes.values()]
    baseline = [each[first] for each in processes.values()]
    logs = {round_: each[scope].log_ratio for round_, each in sorted(processes.items())}
    ratio = None if scope == first else math.exp(sum(logs.values()) / len(logs))
    share = statistics.median([each.create_share + each.destroy_share for each in baseline])
    creates = ratio is not None and scope_of(first) == OFF != scope_of(scope)
    known = creates and share >= _SMALLEST_SHARE
    step_ns = statistics.median([each.step_ns for each in own])
    spreads = [each.spread for each in own if each.spread is not None]
    parts: Dict[str, float] = {}
    for part in ("create", "destroy", "cache"):
        parts[f"{part}_share"] = statistics.median([getattr(each, f"{part}_share") for each in own])
        parts[f"{part}_ns"] = parts[f"{part}_share"] * step_ns
    return AlternateRow(
        series=series,
        case=case,
        host=host,
        variant=scope,
        images_per_second=case.batch_size * 1e9 / step_ns,
        relative_iqr=statistics.relative_iqr([each.step_ns for each in own]),
        samples=len(own),
        ratios=tuple(math.exp(value) for value in logs.values()) if ratio else (),
        ratio=ratio,
        interval=interval(list(logs.values())) if ratio else None,
        step_ns=step_ns,
        peak_resident_bytes=peak,
        logs=logs,
        limit=1 / (1 - share) if creates else None,
        removed=(1 - 1 / ratio) / share if known and ratio else None,
        spread=statistics.median(spreads) if spreads else None,
        **parts,
    )


def interval(logs: Sequence[float]) -> Optional[statistics.Interval]:
    """Return the 95 % interval of the ratio; None of one process."""
    found = statistics.mean_interval(logs)
    return None if found is None else (math.exp(found[0]), math.exp(found[1]))


def mean(networks: Sequence[AlternateRow]) -> Tuple[float, Optional[statistics.Interval]]:
    """Return the geometric mean of the networks' ratios, and its 95 % interval.

    A round has one process of each network, so the means of the rounds are independent too, and get
    the interval of ``statistics.mean_interval``. Rounds without one of the networks are left out.
    """
    rounds = set.intersection(*(set(row.logs) for row in networks))
    logs = [sum(row.logs[r] for row in networks) / len(networks) for r in sorted(rounds)]
    ratio = statistics.geometric_mean([row.ratio for row in networks if row.ratio is not None])
    return ratio, interval(logs)


class _Line(NamedTuple):
    """A line of the table: a network, or the geometric mean of a scope without further values."""

    network: str
    batch_size: int
    host: str
    variant: str
    ratio: Optional[float]
    interval: Optional[statistics.Interval]
    processes: int
    images_per_second: Optional[float] = None
    spread: Optional[float] = None
    limit: Optional[float] = None
    removed: Optional[float] = None
    cache_share: Optional[float] = None


_COLUMNS: Tuple[Column[_Line], ...] = (
    ("network", lambda line: line.network),
    ("batch", lambda line: str(line.batch_size)),
    ("MXNet", lambda line: line.host),
    ("scope", lambda line: line.variant),
    ("img/s", lambda line: number(line.images_per_second, ".2f", "")),
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
    "removed: the part of that time that is gone, where it is 1 % of a step or more",
    "cache: the cache's own share of a step",
)


def render(record: BenchRecord) -> str:
    """Return a line for each scope and network, then the geometric means, as Markdown."""
    found = rows(record)
    lines = [
        _Line(
            f"{row.case.model} {row.case.image_size}",
            row.case.batch_size,
            row.host,
            row.variant,
            row.ratio,
            row.interval,
            row.samples,
            row.images_per_second,
            row.spread if row.ratio else None,
            row.limit,
            row.removed,
            row.cache_share,
        )
        for row in found
    ]
    groups: Dict[Tuple[str, int, str, str], List[AlternateRow]] = {}
    for row in found:
        if row.ratio is not None:
            key = (row.series.name, row.case.batch_size, row.host, row.variant)
            groups.setdefault(key, []).append(row)
    for (_, batch_size, host, variant), networks in groups.items():
        if len(networks) > 1:
            ratio, around = mean(networks)
            count = min(row.samples for row in networks)
            name = f"mean of {len(networks)}"
            lines.append(_Line(name, batch_size, host, variant, ratio, around, count))
    shown = columns(_COLUMNS, ("network", "MXNet", "scope"), lines)
    return "\n".join([*shown, "", *LEGEND]) + "\n"
