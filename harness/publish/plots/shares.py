"""Stacked bars: the parts of a step's time: execution, creation, the cache, the rest."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Tuple

from matplotlib.figure import Figure

from harness.base import statistics
from harness.bench import alternation
from harness.bench.extrapolation import OFF
from harness.bench.record import BenchRecord
from harness.bench.rows import Row, rows
from harness.publish.plots import stacked, style
from harness.publish.plots.source import Missing, Source, machine_line
from harness.publish.plots.stacked import Step
from harness.trials.variants import STOCK, STOCK_AGAIN

EXECUTION = "execution"
CREATION = "creation and destruction"
CACHE = "the cache itself"
REST = "rest"
COLOURS = {
    EXECUTION: style.SKY,
    CREATION: style.VERMILION,
    CACHE: style.YELLOW,
    REST: style.LIGHT_GREY,
}


@style.styled
def figure(shares: Sequence[Step], title: str, subtitle: str) -> Figure:
    """Draw each variant's step as parts of 100 %; the step's length stands at its end."""
    stacks = []
    for one in shares:
        parts = {name: 100 * ms / one.total_ms for name, ms in one.parts_ms.items()}
        stacks.append(stacked.Stack(one.network, one.variant, parts, f"{one.total_ms:,.0f} ms"))
    used = {name: c for name, c in COLOURS.items() if any(name in s.parts for s in stacks)}
    axis = "share of a training step, % (numbers: ms a step)"
    return stacked.figure(stacks, used, title, subtitle, axis)


def alt_text(shares: Sequence[Step]) -> str:
    """Return the figure in words."""
    parts = [
        f"{one.network} {one.variant} {one.parts_ms.get(CREATION, 0.0) / one.total_ms:.0%}"
        for one in shares
    ]
    return f"Stacked bars of a step's time; creation and destruction take: {', '.join(parts)}."


def draw(source: Source) -> List[style.Drawn]:
    """Return a figure for each host and batch size with counters, on the most threads measured.

    Stock has no counters: the variant ``off`` counts its creation and destruction.
    """
    all_rows = [*alternation.rows(source.bench), *rows(source.bench)]
    most = max((row.series.threads.omp_num_threads for row in all_rows), default=0)
    groups: Dict[Tuple[str, int], Dict[Tuple[str, str], Row]] = {}
    for row in all_rows:
        if row.series.threads.omp_num_threads == most and row.variant != STOCK_AGAIN:
            group = groups.setdefault((row.host, row.case.batch_size), {})
            group.setdefault((row.case.model, row.variant), row)
    drawn = []
    for (host, batch_size), group in groups.items():
        outside = _outside_operators(source.bench, host, batch_size)
        shares = []
        for (model, variant), row in group.items():
            counted = group.get((model, OFF)) if variant == STOCK else row
            if variant != OFF and counted is not None and counted.create_ns is not None:
                parts = _parts(row, counted, outside.get((model, variant)))
                shares.append(Step(model, variant, parts))
        if not shares:
            continue
        title = f"Where a step's time goes, {host}, batch size {batch_size}"
        threads = next(iter(group.values())).series.threads
        rest = "rest: no operator runs" if outside else "execution: all else"
        subtitle = (
            f"{machine_line(source.bench, threads, [host])}\n"
            f"creation, destruction, cache: the library's counters; {rest}"
        )
        name = f"shares-{host}-batch-{batch_size}"
        figure_ = figure(shares, title, subtitle)
        drawn.append(style.Drawn(name, figure_, title, alt_text(shares)))
    if not drawn:
        raise Missing("the record has no variant with counters: make bench")
    return drawn


def _outside_operators(
    run: BenchRecord, host: str, batch_size: int
) -> Dict[Tuple[str, str], float]:
    """Return, by network and variant, the share of a profiled step in which no operator runs."""
    shares: Dict[Tuple[str, str], List[float]] = {}
    for sample in run.profiles:
        if (sample.host, sample.case.batch_size) == (host, batch_size):
            share = 1 - sum(sample.operator_ms().values()) / (sample.step_mean_ns / 1e6)
            shares.setdefault((sample.case.model, sample.variant), []).append(max(0.0, share))
    return {key: statistics.median(values) for key, values in shares.items()}


def _parts(row: Row, counted: Row, outside_share: Optional[float]) -> Dict[str, float]:
    step_ms = row.step_ns / 1e6
    creation = ((counted.create_ns or 0.0) + (counted.destroy_ns or 0.0)) / 1e6
    cache = 0.0 if row.variant == STOCK else (counted.cache_ns or 0.0) / 1e6
    # Without a profile the rest is part of execution.
    rest = {} if outside_share is None else {REST: step_ms * outside_share}
    execution = max(0.0, step_ms - creation - cache - sum(rest.values()))
    return {EXECUTION: execution, CREATION: creation, CACHE: cache, **rest}
