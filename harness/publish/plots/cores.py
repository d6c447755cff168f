"""Small multiples: the ratio that the model predicts on more cores, with the published points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from harness.bench import extrapolation, pr11301, step_model
from harness.publish.plots import style
from harness.publish.plots.source import Missing, Source

_COLUMNS = 3
_TICKS = (1, 2, 8, 28, 56)


@dataclass(frozen=True)
class Prediction:
    """One network: the step measured here, and the ratio published for ``published_cores``."""

    network: str
    step: step_model.Step
    published: Optional[float]
    published_cores: int


@style.styled
def figure(
    predictions: Sequence[Prediction],
    efficiencies: Tuple[float, float, float],
    fitted: Optional[float],
    title: str,
    subtitle: str,
) -> Figure:
    """Draw a panel for each network: a band from the first to the last of ``efficiencies``.

    The line in the band is the middle one, the dashed line ``fitted``.
    """
    rows = -(-len(predictions) // _COLUMNS)
    drawn, panels = style.new_figure(
        1.5 * rows + 1.6, title, subtitle, rows, _COLUMNS, sharex=True, sharey=True
    )
    grid = [2 ** (place / 8) for place in range(8 * 6)]
    grid = [cores for cores in grid if cores < _TICKS[-1]] + [_TICKS[-1]]
    low, middle, high = efficiencies
    for axes, one in zip(panels, predictions):

        def curve(efficiency: float, step: step_model.Step = one.step) -> List[float]:
            return [step_model.ratio(step, cores, efficiency) for cores in grid]

        axes.fill_between(grid, curve(low), curve(high), color=style.SKY, alpha=0.35, linewidth=0)
        axes.plot(grid, curve(middle), color=style.BLUE, linewidth=1.5, gid=f"{one.network} model")
        if fitted is not None:
            axes.plot(grid, curve(fitted), color=style.GREEN, linewidth=1.3, linestyle="--")
        here = step_model.ratio(one.step, one.step.cores, middle)
        axes.plot([one.step.cores], [here], "o", color=style.BLUE, markersize=4.5)
        if one.published is not None:
            axes.plot(
                [one.published_cores],
                [one.published],
                "D",
                color=style.VERMILION,
                markersize=5.5,
                gid=f"{one.network} published",
                clip_on=False,
            )
        axes.axhline(1, color="black", linewidth=0.8)
        axes.set_title(one.network)
        axes.set_xscale("log", base=2)
        axes.set_xticks(_TICKS, [str(cores) for cores in _TICKS])
        axes.minorticks_off()
        axes.set_xlim(1, _TICKS[-1] * 1.12)
        axes.grid()
        axes.tick_params(labelsize=8)
    for place, axes in enumerate(panels):
        if place >= len(predictions):
            axes.remove()
        elif place + _COLUMNS >= len(predictions):  # nothing below it
            axes.set_xlabel("cores")
            axes.tick_params(labelbottom=True)
    drawn.supylabel("img/s over stock's", fontsize=10)
    handles: List[object] = [
        Line2D(
            [], [], color=style.BLUE, marker="o", markersize=4.5, label=f"efficiency {middle:g}"
        ),
        Patch(color=style.SKY, alpha=0.35, label=f"{low:g} to {high:g}"),
    ]
    if fitted is not None:
        label = f"fitted, {fitted:.2g}"
        handles.append(Line2D([], [], color=style.GREEN, linestyle="--", label=label))
    if any(one.published is not None for one in predictions):
        mark = Line2D([], [], color=style.VERMILION, marker="D", linestyle="", label="published")
        handles.append(mark)
    drawn.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return drawn


def alt_text(predictions: Sequence[Prediction], efficiency: float) -> str:
    """Return the figure in words."""
    parts = []
    for one in predictions:
        predicted = step_model.ratio(one.step, one.published_cores, efficiency)
        published = "" if one.published is None else f" (published {one.published:.2f}x)"
        parts.append(f"{one.network} {predicted:.2f}x{published}")
    return f"Curves of the predicted ratio against cores; at the most cores: {', '.join(parts)}."


def draw(source: Source) -> List[style.Drawn]:
    """Return a figure for each host and cached variant."""
    known = pr11301.throughput()
    run = source.predicting or source.bench
    chosen = extrapolation.chosen(run)
    if not chosen:
        raise Missing(
            "the record has no case with stock, the variant off and a cached variant: make bench"
        )
    best = extrapolation.fitted(chosen, known)
    drawn = []
    for host, variant in dict.fromkeys((each.host, each.variant) for each in chosen):
        mine = [each for each in chosen if (each.host, each.variant) == (host, variant)]
        predictions = []
        for each in mine:
            reported = extrapolation.comparable(each, known)
            ratio = None if reported is None else reported.ratio
            predictions.append(Prediction(each.case.model, each.step, ratio, pr11301.CORES))
        size = mine[0].case.batch_size
        title = f"Predicted on more cores: {host} {variant}"
        subtitle = (
            f"img/s over stock's, batch size {size}; from steps on {mine[0].step.cores} threads of "
            f"{run.machine.cpu_model}"
        )
        efficiency = source.efficiency
        band = (efficiency / 2, efficiency, efficiency * 2)
        shown = best if any(each.published is not None for each in predictions) else None
        if shown is not None:
            subtitle += "\npublished: apache/mxnet pull request 11301, two Xeon 8180, 56 cores"
        picture = figure(predictions, band, shown, title, subtitle)
        words = alt_text(predictions, efficiency)
        drawn.append(style.Drawn(f"cores-{host}-{variant}", picture, title, words))
    return drawn
