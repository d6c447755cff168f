"""Stacked bars: time in each operator by MXNet's profiler, before and after."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple

from matplotlib.figure import Figure

from harness.bench.record import BenchRecord
from harness.bench.views.operators import tables
from harness.publish.plots import stacked, style
from harness.publish.plots.source import Missing, Source, machine_line
from harness.publish.plots.stacked import Step
from harness.trials.variants import STOCK

OTHER = "other operators"
# One colour each; more colours are hard to distinguish.
_NAMED = 7


@style.styled
def figure(profiles: Sequence[Step], before: str, title: str, subtitle: str) -> Figure:
    """Draw every profile, as a share of the time of its network's variant ``before``.

    The operators with most of the time of ``before`` are named, the others are one part.
    """
    named = _most_time(profiles, before)
    colours = {**dict(zip(named, style.SERIES)), OTHER: style.LIGHT_GREY}
    whole = {p.network: p.total_ms for p in profiles if p.variant == before}
    stacks = []
    for profile in profiles:
        scale = 100 / whole[profile.network]
        parts = {name: profile.parts_ms.get(name, 0.0) * scale for name in named}
        rest = sum(ms for name, ms in profile.parts_ms.items() if name not in named)
        parts[OTHER] = rest * scale
        note = f"{profile.total_ms:,.{0 if profile.total_ms >= 10 else 1}f} ms"
        stacks.append(stacked.Stack(profile.network, profile.variant, parts, note))
    axis = f"time in operators, % of {before}'s (numbers: ms a step)"
    return stacked.figure(stacks, colours, title, subtitle, axis)


def alt_text(profiles: Sequence[Step], before: str) -> str:
    """Return the figure in words."""
    whole = {p.network: p.total_ms for p in profiles if p.variant == before}
    parts = [
        f"{p.network} {p.variant} {p.total_ms / whole[p.network]:.0%}"
        for p in profiles
        if p.variant != before
    ]
    return f"Stacked bars of time in operators, as a part of {before}'s: {', '.join(parts)}."


def _most_time(profiles: Sequence[Step], before: str) -> List[str]:
    times: Dict[str, float] = {}
    for profile in profiles:
        if profile.variant == before:
            for name, ms in profile.parts_ms.items():
                times[name] = times.get(name, 0.0) + ms / profile.total_ms
    return sorted(times, key=lambda name: (-times[name], name))[:_NAMED]


def profiles(run: BenchRecord) -> Dict[Tuple[str, int], List[Step]]:
    """Return the profiles by release and batch size; all networks together come first."""
    found: Dict[Tuple[str, int], List[Step]] = {}
    for table in tables(run):
        for variant in table.variants:
            ms = {row.operator: row.ms[variant] for row in table.rows if variant in row.ms}
            one = Step(table.model, variant, ms)
            found.setdefault((table.host, table.batch_size), []).append(one)
    return {key: each for key, each in found.items() if any(one.variant == STOCK for one in each)}


def draw(source: Source) -> List[style.Drawn]:
    """Return a figure for each profiled release and batch size."""
    found = profiles(source.bench)
    if not found:
        raise Missing("the record has no profile of operators with stock's: make bench")
    threads = {
        sample.host: source.bench.settings.find(sample.series).threads
        for sample in source.bench.profiles
    }
    drawn = []
    for (host, batch_size), each in found.items():
        title = f"Time per operator, {host}, batch size {batch_size}"
        subtitle = (
            f"{machine_line(source.bench, threads[host], [host])}\n"
            "MXNet's profiler, without bulking; named: what takes most of stock's time"
        )
        picture = figure(each, STOCK, title, subtitle)
        name = f"operators-{host}-batch-{batch_size}"
        drawn.append(style.Drawn(name, picture, title, alt_text(each, STOCK)))
    return drawn
