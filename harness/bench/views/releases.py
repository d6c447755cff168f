"""The time of a step on every MXNet release, with opcache and without, and in PyTorch.

Pure: a record in, text out. Ratios come from processes of the same round.
"""

from __future__ import annotations

import math
from typing import Dict, List, NamedTuple, Optional, Tuple

from harness.base import statistics
from harness.base.markdown import interval_text, markdown
from harness.bench import pytorch
from harness.bench.record import BenchRecord, TrainSample
from harness.trials.record import Case
from harness.trials.variants import STOCK

_PYTORCH = "PyTorch"
# The steps of a case by series and round: a case may be in two series.
_Rounds = Dict[Tuple[str, int], float]


class Column(NamedTuple):
    """A release, stock or with a scope: the median step of each process, in milliseconds."""

    title: str
    host: str
    variant: str
    steps: Dict[Case, _Rounds]

    def median(self, case: Case) -> Optional[float]:
        """Return the median of the case's processes, None where it was not measured."""
        return statistics.median(list(self.steps[case].values())) if case in self.steps else None


class Mean(NamedTuple):
    """The geometric mean of a column's speeds relative to another's, over their common networks."""

    column: Column
    ratio: float
    interval: Optional[statistics.Interval]
    networks: int


def columns(run: BenchRecord) -> List[Column]:
    """Return a column for each release and scope, in the order of the settings.

    PyTorch's has the better of its two layouts for each network.
    """
    found: Dict[Tuple[str, str], Dict[Case, _Rounds]] = {}
    for series in run.settings.series:
        for pair in series.runs:
            found.setdefault(pair, {})
    for sample in run.samples:
        rounds = found[sample.host, sample.variant].setdefault(sample.case, {})
        rounds[sample.series, sample.round] = _median_ms(sample)
    shown = [
        Column(host if variant == STOCK else f"{host} + {_name(variant)}", host, variant, steps)
        for (host, variant), steps in found.items()
        if host != pytorch.HOST
    ]
    layouts = [steps for (host, _), steps in found.items() if host == pytorch.HOST]
    if layouts:
        shown.append(Column(_PYTORCH, pytorch.HOST, "", _better(layouts)))
    return shown


def _name(variant: str) -> str:
    return "opcache" if variant == "all" else variant


def _median_ms(sample: TrainSample) -> float:
    return statistics.median(sample.step_ns) / 1e6


def _better(layouts: List[Dict[Case, _Rounds]]) -> Dict[Case, _Rounds]:
    cases = dict.fromkeys(case for steps in layouts for case in steps)
    every = {case: [steps[case] for steps in layouts if case in steps] for case in cases}
    return {
        case: min(found, key=lambda rounds: statistics.median(list(rounds.values())))
        for case, found in every.items()
    }


def table(run: BenchRecord) -> List[str]:
    """Return the table: milliseconds by network, and the mean speed relative to a baseline.

    The baseline is the newest stock MXNet; without one there is no mean.
    """
    shown = columns(run)
    baseline = newest_stock(shown)
    cases = dict.fromkeys(case for series in run.settings.series for case in series.cases)
    cells = [
        [f"{case.model} {case.image_size}", *(_cell(column.median(case)) for column in shown)]
        for case in cases
    ]
    if baseline is not None:
        means = [None if column is baseline else mean(column, baseline) for column in shown]
        ratios = ["-" if each is None else f"{each.ratio:.3f}x" for each in means]
        intervals = [interval_text(None if each is None else each.interval) for each in means]
        cells.append([f"speed / {baseline.title}", *ratios])
        cells.append(["95 % interval", *intervals])
    return markdown(["ms per step", *(c.title for c in shown)], ["ms per step"], cells)


def line(run: BenchRecord) -> str:
    """Return in one sentence which MXNet is the fastest; empty if there is none to compare with."""
    shown = columns(run)
    baseline = newest_stock(shown)
    if baseline is None:
        return ""
    speeds = [each for each in (mean(column, baseline) for column in shown) if each is not None]
    of_mxnet = [each for each in speeds if each.column.host != pytorch.HOST]
    best, *others = sorted(of_mxnet, key=lambda each: each.ratio, reverse=True)
    if not others:
        return ""
    second = mean(best.column, others[0].column)
    shows = second is not None and statistics.excludes_one(second.interval)
    unsure = "" if shows else f" (no difference shown from {others[0].column.title})"
    threads = run.settings.series[0].threads.omp_num_threads
    hosts = list(dict.fromkeys(each.column.host for each in of_mxnet))
    text = (
        f"Of MXNet {', '.join(hosts[:-1])} and {hosts[-1]} with opcache and without, at batch 1 on "
        f"{threads} thread{'s' * (threads != 1)}, {best.column.title} is the fastest{unsure}"
    )
    if best.column is not baseline:
        text += f": {_ratio(best)} the speed of {baseline.title} (mean of {best.networks} networks)"
    for each in speeds:
        if each.column.host == pytorch.HOST:
            text += f"; {each.column.title} has {_ratio(each)}, mean of {each.networks}"
    return text


def _ratio(each: Mean) -> str:
    interval = "" if each.interval is None else f" ({interval_text(each.interval, 2)})"
    return f"{each.ratio:.2f}x{interval}"


def newest_stock(shown: List[Column]) -> Optional[Column]:
    """Return the column of the newest unmodified MXNet."""
    return next((column for column in reversed(shown) if column.variant == STOCK), None)


def _cell(milliseconds: Optional[float]) -> str:
    return "-" if milliseconds is None else f"{milliseconds:.1f}"


def mean(column: Column, baseline: Column) -> Optional[Mean]:
    """Return the speed relative to ``baseline``; None without a network that both have.

    With its t interval, because large networks have few rounds.
    """
    ratios = []
    for case in (case for case in column.steps if case in baseline.steps):
        own, other = column.steps[case], baseline.steps[case]
        paired = sorted(own.keys() & other.keys())
        ratios.append([other[round_] / own[round_] for round_ in paired])
    ratios = [each for each in ratios if each]
    if not ratios:
        return None
    logs = [list(map(math.log, each)) for each in ratios]
    interval = statistics.mean_of_means_interval(logs)
    ends = None if interval is None else (math.exp(interval[0]), math.exp(interval[1]))
    ratio = statistics.geometric_mean(list(map(statistics.geometric_mean, ratios)))
    return Mean(column, ratio, ends, len(ratios))
