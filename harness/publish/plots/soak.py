"""Memory over a soak: resident MiB against the number of shapes, with the cache and on stock.

Drawn from the reliability record; MXNet's own caches are bounded in some curves, as released in
others.
"""

from __future__ import annotations

from typing import List, NamedTuple, Sequence

from matplotlib.figure import Figure

from harness.publish.plots import style
from harness.publish.plots.source import Missing, Source
from harness.reliability import soak
from harness.reliability.record import Finding, ReliabilityRecord, load

RECORD = "reliability.json"
_HEIGHT_INCHES = 3.9


class Line(NamedTuple):
    """One process: its resident MiB after so many shapes."""

    name: str
    shapes: Sequence[float]
    resident_mib: Sequence[float]


def draw(source: Source) -> List[style.Drawn]:
    """Draw a figure for every host of the soak."""
    record = load(source.record(RECORD, "make reliability"))
    drawn = []
    for host in dict.fromkeys(each.host for each in record.findings if each.stage == soak.STAGE):
        found = [line(each) for each in record.findings if each.host == host and is_curve(each)]
        if found:
            title = f"Memory over {int(max(each.shapes[-1] for each in found)):,} shapes"
            words = alt_text(found)
            picture = figure(found, host, title, _subtitle(record, host))
            drawn.append(style.Drawn(f"soak-{host}", picture, title, words))
    if not drawn:
        raise Missing(f"no soak in {RECORD}: make reliability ARGS='--stages soak'")
    return drawn


def is_curve(each: Finding) -> bool:
    """Tell whether a finding holds the memory of the network of all seven operators."""
    other = each.subject.endswith(soak.LIMITED)
    return each.stage == soak.STAGE and "resident_mib" in each.figures and not other


def line(each: Finding) -> Line:
    """Return a finding's curve."""
    shapes, resident = each.figures["shapes"], each.figures["resident_mib"]
    assert isinstance(shapes, list) and isinstance(resident, list)
    return Line(each.subject[len(soak.MEMORY) :], shapes, resident)


@style.styled
def figure(lines: Sequence[Line], host: str, title: str, subtitle: str) -> Figure:
    """Draw all curves of one release; those with MXNet's caches as released are dashed."""
    drawn, (axes,) = style.new_figure(_HEIGHT_INCHES, title, subtitle)
    for each in lines:
        stock = each.name.startswith("stock")
        axes.plot(
            each.shapes,
            each.resident_mib,
            color=style.colour(host, "stock" if stock else "all"),
            linestyle="--" if each.name.endswith(soak.RELEASED) else "-",
            linewidth=1.6,
            label=each.name,
            gid=each.name,
        )
    axes.set_xlabel("shapes so far")
    axes.set_ylabel("resident memory (MiB)")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.grid(True)
    handles, labels = axes.get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=2)
    return drawn


def _subtitle(record: ReliabilityRecord, host: str) -> str:
    return (
        f"MXNet {host}, all seven operators, forward and backward, 1 OpenMP thread, on "
        f"{record.machine.cpu_model}. Bounded: MXNet's own caches too"
    )


def alt_text(lines: Sequence[Line]) -> str:
    """Return the figure in words."""
    ends = [
        f"{each.name} has {each.resident_mib[-1]:.0f} MiB after {each.shapes[-1]:.0f} shapes"
        for each in lines
    ]
    return f"Curves of resident memory against shapes: {'; '.join(ends)}."
