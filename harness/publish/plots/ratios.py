"""Grouped bars: every variant's throughput over the baseline's on the same release, by network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from matplotlib.figure import Figure

from harness.base import statistics
from harness.bench.record import BenchRecord
from harness.bench.rows import Row
from harness.bench.views.ratios import Group, groups
from harness.publish.plots import style
from harness.publish.plots.source import Missing, Source, machine_line
from harness.trials.variants import STOCK, STOCK_AGAIN

_BAR_INCHES = 0.17
MEAN = "geometric mean"
_NAMES = {STOCK_AGAIN: "stock again (noise)"}


@dataclass(frozen=True)
class Bar:
    """One ratio to the baseline and, where it is known, its interval (low, high)."""

    network: str
    host: str
    variant: str
    ratio: float
    interval: Optional[Tuple[float, float]]

    @property
    def series(self) -> Tuple[str, str]:
        """The key of the bar's colour."""
        return (self.host, self.variant)


@style.styled
def figure(bars: Sequence[Bar], title: str, subtitle: str, baseline: str = STOCK) -> Figure:
    """Draw at least one bar; networks and variants keep the order of their first bars."""
    networks = list(dict.fromkeys(bar.network for bar in bars))
    series = list(dict.fromkeys(bar.series for bar in bars))
    rows = len(networks) * (len(series) + 0.9)
    drawn, (axes,) = style.new_figure(rows * _BAR_INCHES + 1.7, title, subtitle)
    high = max(bar.interval[1] if bar.interval else bar.ratio for bar in bars)
    low = min(bar.interval[0] if bar.interval else bar.ratio for bar in bars)
    axes.set_xlim(min(0.9, low - 0.05), high + 0.16 * (high - min(0.9, low)))
    pitch = 1 / (len(series) + 0.9)
    for place, one in enumerate(series):
        mine = [bar for bar in bars if bar.series == one]
        middle = (place - (len(series) - 1) / 2) * pitch
        heights = [networks.index(bar.network) + middle for bar in mine]
        container = axes.barh(
            heights,
            [bar.ratio - 1 for bar in mine],
            left=1,
            height=pitch,
            color=style.colour(*one, place),
            edgecolor="white",
            linewidth=0.5,
            label=f"{one[0]} {_NAMES.get(one[1], one[1])}",
        )
        for bar, patch, height in zip(mine, container.patches, heights):
            patch.set_gid(f"{bar.network} {one[0]} {one[1]}")
            end = bar.ratio
            if bar.interval:
                axes.plot(bar.interval, (height, height), color="black", linewidth=0.9)
                end = max(end, bar.interval[1])
            mark = "~" if bar.interval and not statistics.excludes_one(bar.interval) else ""
            style.note(axes, f"{bar.ratio:.2f}{mark}", (max(end, 1), height))
    axes.axvline(1, color="black", linewidth=1)
    # Sizes stand below a long name.
    labels = [name.replace(" ", "\n", 1) if "," in name else name for name in networks]
    axes.set_yticks(range(len(networks)), labels)
    axes.set_ylim(len(networks) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    # Long names leave a narrow chart.
    gap = "\n" if any("\n" in label for label in labels) else " "
    axes.set_xlabel(f"img/s over {baseline}'s on the same host{gap}(1 = no difference)")
    drawn.legend(loc="outside lower center", ncols=min(3, len(series)) if len(series) != 4 else 2)
    return drawn


def alt_text(bars: Sequence[Bar], baseline: str = STOCK) -> str:
    """Return the figure in words."""
    parts: List[str] = []
    for host, variant in dict.fromkeys(bar.series for bar in bars):
        mine = [bar for bar in bars if bar.series == (host, variant)]
        least, most = min(mine, key=lambda b: b.ratio), max(mine, key=lambda b: b.ratio)
        parts.append(
            f"{host} {variant} from {least.ratio:.2f}x ({least.network}) "
            f"to {most.ratio:.2f}x ({most.network})"
        )
    return f"Bars of throughput over {baseline}'s: {'; '.join(parts)}."


def draw(source: Source) -> List[style.Drawn]:
    """Return a figure for each batch size and number of threads with a baseline and others."""
    found = of_record(source.bench)
    if not found:
        raise Missing("the record has no variant with stock beside it: make bench")
    return found


def of_record(run: BenchRecord) -> List[style.Drawn]:
    """Return the figures of a record.

    Beside alternating scopes, fresh processes only show the detour through the library: no figure.
    """
    found = [group for group in groups(run) if group.means()]
    found = [group for group in found if group.alternates] or found
    most = max((group.omp_num_threads for group in found), default=0)
    return [_drawn(run, group, most) for group in found]


def _drawn(run: BenchRecord, group: Group, most_threads: int) -> style.Drawn:
    rows = [row for each in group.runs for row in group.rows(each)]
    bars = [
        Bar(name, row.host, row.variant, row.ratio, row.interval)
        for name, by_run in group.cells.items()
        for row in by_run.values()
        if isinstance(row, Row) and row.ratio is not None
    ]
    if len(group.cells) > 1:
        bars += [Bar(MEAN, mean.host, mean.variant, *mean[2:4]) for mean in group.means()]
    title = f"Throughput over {group.baseline}'s, {group.subject}"
    name = f"ratios-batch-{group.batch_size}"
    if group.together:
        name = f"bench-{group.together.lower()}"
    if group.omp_num_threads != most_threads:
        title = title.replace("batch size", "batch")
        title += f", {group.omp_num_threads} thread{'s' * (group.omp_num_threads != 1)}"
        name += f"-threads-{group.omp_num_threads}"
    pairs = sorted({row.pairs for row in rows})
    number = "to".join(f" {count} " for count in dict.fromkeys((pairs[0], pairs[-1])))
    what = f"median of{number}pairs; line: 95 % bootstrap interval"
    if group.alternates:
        what = f"mean of{number}processes; line: 95 % t interval"
    subtitle = (
        f"{machine_line(run, rows[0].series.threads, [host for host, _ in group.runs])}\n"
        f"bar: {what}; ~: it includes 1"
    )
    drawn = figure(bars, title, subtitle, group.baseline)
    return style.Drawn(name, drawn, title, alt_text(bars, group.baseline))
