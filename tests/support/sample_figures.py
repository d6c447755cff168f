"""Made-up data for every figure of a benchmark, the figures drawn of it, and what they show."""

from __future__ import annotations

from functools import lru_cache
from typing import Dict, List

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from harness.bench import step_model
from harness.publish.plots import cores, operators, ratios, shares, stacked
from harness.publish.plots.style import Drawn

SUBTITLE = "MXNet 1.3.1, batch size 1, a made-up processor, 2 OpenMP threads"
FITTED = 0.6

BARS = (
    ratios.Bar("googlenet", "1.3.1", "backward", 1.2, (1.1, 1.3)),
    ratios.Bar("googlenet", "1.3.1", "all", 1.37, (1.25, 1.5)),
    ratios.Bar("googlenet", "1.4.1", "all", 1.05, None),
    ratios.Bar("vgg-16", "1.3.1", "backward", 1.01, (1.005, 1.02)),
    ratios.Bar("vgg-16", "1.3.1", "all", 0.97, (0.9, 1.04)),
    ratios.Bar("vgg-16", "1.4.1", "all", 0.9, (0.85, 0.95)),
)

# Ten operators, so that not all of them have a colour.
_STOCK_MS = {f"operator_{number}": 10.0 - number for number in range(9)}
PROFILES = (
    stacked.Step("googlenet", "stock", {"_backward_Convolution": 46.0, **_STOCK_MS}),
    stacked.Step("googlenet", "all", {"_backward_Convolution": 20.0, **_STOCK_MS, "x": 6.0}),
    stacked.Step("vgg-16", "stock", {"_backward_Convolution": 400.0, "Pooling": 0.5}),
    stacked.Step("vgg-16", "all", {"_backward_Convolution": 380.0, "Pooling": 0.4}),
)

SHARES = (
    stacked.Step(
        "googlenet", "stock", {shares.EXECUTION: 70.0, shares.CREATION: 20.0, shares.REST: 10.0}
    ),
    stacked.Step(
        "googlenet",
        "all",
        {shares.EXECUTION: 70.0, shares.CREATION: 1.0, shares.CACHE: 2.0, shares.REST: 10.0},
    ),
)

PREDICTIONS = (
    cores.Prediction("googlenet", step_model.Step(2, 2.0, 0.05, 0.01), 1.4654, 56),
    cores.Prediction("vgg-16", step_model.Step(2, 9.0, 0.02, 0.01), 1.0328, 56),
    cores.Prediction("vgg-19", step_model.Step(2, 9.0, 0.02, 0.01), 1.0449, 56),
    cores.Prediction("mobilenet-1.0", step_model.Step(2, 0.5, 0.1, 0.01), None, 56),
)


def draw(family: str) -> Drawn:
    """Return the figure of a family, named after it."""
    title = f"A sample of {family}"
    figure, alt = {
        "ratios": (lambda: ratios.figure(BARS, title, SUBTITLE), ratios.alt_text(BARS)),
        "operators": (
            lambda: operators.figure(PROFILES, "stock", title, SUBTITLE),
            operators.alt_text(PROFILES, "stock"),
        ),
        "shares": (lambda: shares.figure(SHARES, title, SUBTITLE), shares.alt_text(SHARES)),
        "cores": (
            lambda: cores.figure(PREDICTIONS, (0.25, 0.5, 1.0), FITTED, title, SUBTITLE),
            cores.alt_text(PREDICTIONS, 0.5),
        ),
    }[family]
    return Drawn(family, figure(), title, alt)


# Drawn once for all tests that only look at it.
drawn = lru_cache(maxsize=None)(draw)


def rectangles(figure: Figure) -> Dict[str, Rectangle]:
    """Return the bars of a figure by what they stand for."""
    (axes,) = figure.axes
    return {patch.get_gid(): patch for patch in axes.patches if patch.get_gid()}


def outside(figure: Figure) -> List[str]:
    """Return the texts that do not fit on the paper."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    paper = figure.bbox
    found = []
    beyond = {
        label
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis.get_major_ticks()
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
        for label in (tick.label1, tick.label2)
    }
    for text in set(figure.findobj(Text)) - beyond:
        if text.get_visible() and text.get_text().strip():
            box = text.get_window_extent(canvas.get_renderer())
            if min(box.x0, box.y0) < 0 or box.x1 > paper.x1 or box.y1 > paper.y1:
                found.append(text.get_text())
    return found
