"""Convergence: validation accuracy against epochs and against time, stock and patched.

Curves of one training have equal bits in their common epochs, so stock is drawn wide and pale, and
the patched curve on top of it.
"""

from __future__ import annotations

from typing import Callable, List, NamedTuple, Sequence

from matplotlib.figure import Figure

from harness.converge.record import ACCURACY, ConvergeRecord, Curve, Training, load, partings
from harness.converge.table import minutes
from harness.publish.plots import style
from harness.publish.plots.source import Missing, Source
from harness.trials.variants import STOCK

RECORD = "converge.json"
_HEIGHT_INCHES = 5.6


class Axis(NamedTuple):
    """The horizontal axis; ``name`` becomes part of the files' names."""

    name: str
    label: str
    values: Callable[[Curve], Sequence[float]]


AXES = (
    Axis("epochs", "epoch", lambda curve: [epoch.epoch for epoch in curve.epochs]),
    Axis("time", "minutes of training and validation", minutes),
)


def draw(source: Source) -> List[style.Drawn]:
    """Draw every training of more than one epoch, against each of ``AXES``."""
    path = source.converge or source.record(RECORD, "make converge")
    record = load(path)
    drawn = []
    for number, training in enumerate(record.settings.trainings):
        curves = [record.curve(number, scope) for scope in training.scopes]
        curves = [curve for curve in curves if len(curve.epochs) > 1]
        for axis in AXES if curves else ():
            name = f"converge-{training.model}-{training.host}-{axis.name}"
            picture, title = figure(record, training, curves, axis), _title(record, training)
            drawn.append(style.Drawn(name, picture, title, alt_text(record, training, curves)))
    if not drawn:
        raise Missing(f"no training of two epochs in {path.name}")
    return drawn


@style.styled
def figure(
    record: ConvergeRecord, training: Training, curves: Sequence[Curve], axis: Axis
) -> Figure:
    """Draw top-1 above top-5; dashed lines are the accuracy of PR #11301."""
    drawn, panels = style.new_figure(
        _HEIGHT_INCHES, _title(record, training), _subtitle(record, training), rows=2, sharex=True
    )
    reference = ACCURACY.get(training.model)
    for panel, which in zip(panels, ("top_1", "top_5")):
        for place, curve in enumerate(curves):
            stock = curve.scope == STOCK
            panel.plot(
                axis.values(curve),
                [getattr(epoch.accuracy, which) for epoch in curve.epochs],
                color=style.colour(training.host, curve.scope, place),
                linewidth=5 if stock else 1.4,
                alpha=0.55 if stock else 1,
                marker="o",
                markersize=9 if stock else 4,
                label=curve.scope,
                gid=f"{which} {curve.scope}",
            )
        if reference is not None:
            value = getattr(reference, which)
            panel.axhline(
                value, color=style.BLACK, linestyle="--", linewidth=1, gid=f"{which} reference"
            )
            look = {"xytext": (0, 3), "va": "baseline", "fontsize": 8}
            text, at = f"PR #11301: {value:.2f} %", (0.01, value)
            style.note(panel, text, at, xycoords=("axes fraction", "data"), **look)
        panel.set_ylabel(f"validation {which.replace('_', '-')} (%)")
        panel.grid(True)
    panels[-1].set_xlabel(axis.label)
    panels[-1].set_xlim(left=0)
    handles, labels = panels[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return drawn


def _title(record: ConvergeRecord, training: Training) -> str:
    source = record.settings.data.source
    made_up = " (generated data)" if source == "synthetic" else ""
    return f"{source}{made_up}: {training.model}, validation accuracy"


def _subtitle(record: ConvergeRecord, training: Training) -> str:
    images = training.subset or record.settings.data.training
    number = record.settings.threads.omp_num_threads
    return (
        f"MXNet {training.host}, {images:,} images, batch {training.batch_size}, "
        f"{number} OpenMP thread{'s' * (number != 1)}, {record.settings.side_by_side} trainings "
        f"side by side on {record.machine.cpu_model}, {record.machine.physical_cores} cores"
    )


def alt_text(record: ConvergeRecord, training: Training, curves: Sequence[Curve]) -> str:
    """Return the figure in words."""
    ends = [
        f"{curve.scope} ends at top-1 {curve.epochs[-1].accuracy.top_1:.2f} % and top-5 "
        f"{curve.epochs[-1].accuracy.top_5:.2f} % after epoch {curve.epochs[-1].epoch}"
        for curve in curves
    ]
    differ = any(training.model in line for line in partings(record))
    equal = "Bits differ." if differ else "Where several trained, their bits are equal."
    return f"Curves of validation accuracy: {'; '.join(ends)}. {equal}"
