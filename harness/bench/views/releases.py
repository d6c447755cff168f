"""The time of a step on every MXNet release, with opcache and without, and in PyTorch.

Pure: a record in, text out. Ratios come from processes of the same round.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Tuple

from harness.base import statistics
from harness.base.markdown import interval_text, markdown
from harness.bench import pytorch
from harness.bench.record import BenchRecord, TrainSample
from harness.trials.record import Case
from harness.trials.variants import STOCK

# The steps of a case by series and round: a case may be in two series.
_Rounds = Dict[Tuple[str, int], float]


class Column(NamedTuple):
    """A release, stock or with a scope: the median step of each process, in milliseconds."""

    title: str
    steps: Dict[Case, _Rounds]

    def median(self, case: Case) -> Optional[float]:
        """Return the median of the case's processes, None where it was not measured."""
        return statistics.median(list(self.steps[case].values())) if case in self.steps else None


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
        Column(host if variant == STOCK else f"{host} + {_name(variant)}", steps)
        for (host, variant), steps in found.items()
        if host != pytorch.HOST
    ]
    layouts = [steps for (host, _), steps in found.items() if host == pytorch.HOST]
    if layouts:
        shown.append(Column("PyTorch", _better(layouts)))
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

    The baseline is the newest stock MXNet; without one there is no mean. A mean is of the networks
    that both have.
    """
    shown = columns(run)
    baseline = next((c for c in reversed(shown) if c.title in _stock(run)), None)
    cases = dict.fromkeys(case for series in run.settings.series for case in series.cases)
    cells = [
        [f"{case.model} {case.image_size}", *(_cell(column.median(case)) for column in shown)]
        for case in cases
    ]
    if baseline is not None:
        means = [_mean(column, baseline) for column in shown]
        cells.append([f"speed / {baseline.title}", *(mean for mean, _ in means)])
        cells.append(["95 % interval", *(interval for _, interval in means)])
    return markdown(["ms per step", *(c.title for c in shown)], ["ms per step"], cells)


def _stock(run: BenchRecord) -> List[str]:
    runs = [pair for series in run.settings.series for pair in series.runs]
    return [host for host, variant in runs if variant == STOCK]


def _cell(milliseconds: Optional[float]) -> str:
    return "-" if milliseconds is None else f"{milliseconds:.1f}"


def _mean(column: Column, baseline: Column) -> Tuple[str, str]:
    """Return the geometric mean of the speeds relative to the baseline's, with its interval."""
    ratios = []
    for case in column.steps.keys() & baseline.steps.keys():
        own, other = column.steps[case], baseline.steps[case]
        paired = sorted(own.keys() & other.keys())
        ratios.append([other[round_] / own[round_] for round_ in paired])
    ratios = [each for each in ratios if each]
    if not ratios or column is baseline:
        return "-", "-"
    mean = statistics.geometric_mean([statistics.median(each) for each in ratios])
    # Sorted, because the resampling depends on the order.
    return f"{mean:.3f}x", interval_text(statistics.geometric_mean_interval(sorted(ratios)))
