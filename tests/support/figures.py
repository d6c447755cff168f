"""What a figure shows: its bars, and the texts that do not fit."""

from __future__ import annotations

from typing import Dict, List

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text


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
