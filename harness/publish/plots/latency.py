"""The distribution of step times at batch 1: median, 95th and 99th percentile, by scope."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, ScalarFormatter

from harness.bench.record import AlternateSample
from harness.publish.plots import style
from harness.publish.plots.source import Missing, Source, machine_line

_BATCH_SIZE = 1
_PERCENTILES = (50, 95, 99)
_MARKS = ("o", "|", "x")


class Latency(NamedTuple):
    """The percentiles of a scope's steps in milliseconds, over ``steps`` steps of all processes."""

    network: str
    scope: str
    ms: Tuple[float, float, float]
    steps: int


def latencies(samples: Sequence[AlternateSample]) -> List[Latency]:
    """Return the latencies of processes on one release, by network and scope."""
    step_ns: Dict[Tuple[str, str], List[int]] = {}
    for sample in samples:
        for block in sample.blocks:
            step_ns.setdefault((sample.case.model, block.scope), []).extend(block.step_ns)
    return [
        Latency(*key, tuple(numpy.percentile(steps, _PERCENTILES) / 1e6), len(steps))
        for key, steps in sorted(step_ns.items(), key=lambda item: item[0][0])
    ]


@style.styled
def figure(found: Sequence[Latency], host: str, title: str, subtitle: str) -> Figure:
    """Draw at least one latency: a line from the median to the 99th percentile."""
    networks = list(dict.fromkeys(each.network for each in found))
    scopes = list(dict.fromkeys(each.scope for each in found))
    drawn, (axes,) = style.new_figure(0.17 * len(found) + 1.9, title, subtitle)
    for place, scope in enumerate(scopes):
        colour = style.colour(host, scope, place)
        mine = [each for each in found if each.scope == scope]
        heights = [networks.index(each.network) + (place + 1) / (len(scopes) + 1) for each in mine]
        for each, height in zip(mine, heights):
            axes.plot(each.ms[::2], (height, height), color=colour, linewidth=1.2)
        for at, mark in enumerate(_MARKS):
            axes.plot(
                [each.ms[at] for each in mine],
                heights,
                mark,
                color=colour,
                markersize=4,
                label=scope if at == 0 else None,
                gid=f"{scope} p{_PERCENTILES[at]}",
            )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_yticks([at + 0.5 for at in range(len(networks))], networks)
    axes.set_ylim(len(networks), 0)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_xlabel("ms per step: median (o), 95th (|), 99th (x) percentile")
    drawn.legend(loc="outside lower center", ncols=len(scopes))
    return drawn


def draw(source: Source) -> List[style.Drawn]:
    """Return a figure for each release whose scopes alternated at batch 1, on the most threads."""
    settings = source.bench.settings
    by_threads: Dict[int, Dict[str, List[AlternateSample]]] = {}
    for sample in source.bench.alternates:
        if sample.case.batch_size == _BATCH_SIZE:
            threads = settings.find(sample.series).threads.omp_num_threads
            by_threads.setdefault(threads, {}).setdefault(sample.host, []).append(sample)
    found = by_threads[max(by_threads)] if by_threads else {}
    if not found:
        raise Missing("the record has no alternating scopes at batch 1: make bench")
    return [_drawn(source, host, samples) for host, samples in found.items()]


def _drawn(source: Source, host: str, samples: Sequence[AlternateSample]) -> style.Drawn:
    measured = latencies(samples)
    title = f"Time of a training step, batch size {_BATCH_SIZE}"
    steps = [each.steps for each in measured]
    threads = source.bench.settings.find(samples[0].series).threads
    subtitle = (
        f"{machine_line(source.bench, threads, [host])}\n"
        f"steps of all processes, {min(steps)} to {max(steps)} for a network and scope"
    )
    words = [
        f"{each.network} {each.scope} {each.ms[0]:.0f} ({each.ms[1]:.0f}, {each.ms[2]:.0f})"
        for each in measured
    ]
    alt = f"Median step (95th, 99th percentile) in ms: {'; '.join(words)}."
    name = f"latency-{host}-batch-{_BATCH_SIZE}"
    return style.Drawn(name, figure(measured, host, title, subtitle), title, alt)
