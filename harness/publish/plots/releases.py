"""Bars: the speed of every MXNet release, with opcache and without, and of PyTorch.

Drawn from its own record, relative to the newest unmodified MXNet.
"""

from __future__ import annotations

from typing import List, Sequence

from matplotlib.figure import Figure

from harness.bench import pytorch
from harness.bench.record import load
from harness.bench.views import releases
from harness.publish.plots import style
from harness.publish.plots.source import Missing, Source

RECORD = "bench-releases.jsonl"
_BAR_INCHES = 0.3
_TITLE = "Speed of MXNet releases at batch 1"


def draw(source: Source) -> List[style.Drawn]:
    """Draw the one figure of the record."""
    run = load(source.record(RECORD, "make bench-releases"))
    shown = releases.columns(run)
    baseline = releases.newest_stock(shown)
    if baseline is None:
        raise Missing(f"{RECORD} has no unmodified MXNet: make bench-releases")
    means = [each for each in (releases.mean(one, baseline) for one in shown) if each is not None]
    threads = run.settings.series[0].threads.omp_num_threads
    subtitle = (
        f"{run.machine.cpu_model}, {threads} OpenMP thread{'s' * (threads != 1)}\n"
        f"bar: geometric mean of {max(each.networks for each in means)} networks (PyTorch: of "
        "those that it has); line: 95 % t interval"
    )
    picture = figure(means, f"images per second over MXNet {baseline.title}'s", subtitle)
    return [style.Drawn("releases", picture, _TITLE, alt_text(means, baseline.title))]


@style.styled
def figure(means: Sequence[releases.Mean], label: str, subtitle: str) -> Figure:
    """Draw a bar for each release, stock or with opcache, in the order of the record."""
    drawn, (axes,) = style.new_figure(len(means) * _BAR_INCHES + 1.5, _TITLE, subtitle)
    for place, each in enumerate(means):
        host, variant = each.column.host, each.column.variant
        colour = style.BLACK if host == pytorch.HOST else style.colour(host, variant)
        colour = style.GREY if variant == "stock" else colour
        (bar,) = axes.barh([place], [each.ratio], height=0.7, color=colour)
        bar.set_gid(each.column.title)
        ends = each.interval or (each.ratio, each.ratio)
        axes.plot(ends, (place, place), color=style.ORANGE, linewidth=1.2)
        style.note(axes, f"{each.ratio:.2f}", (max(ends), place))
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlim(0, 1.12 * max(max(each.interval or (each.ratio,)) for each in means))
    axes.set_yticks(range(len(means)), [each.column.title for each in means])
    axes.set_ylim(len(means) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_xlabel(label)
    return drawn


def alt_text(means: Sequence[releases.Mean], baseline: str) -> str:
    """Return the figure in words."""
    parts = [f"{each.column.title} {each.ratio:.2f}x" for each in means]
    return f"Bars of images per second over those of MXNet {baseline}: {', '.join(parts)}."
