"""The look of all figures, and their files: colours, fonts, titles, reproducible bytes.

Knows nothing of the data. Figures are created without pyplot, which would hold references to them.
"""

from __future__ import annotations

import io
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Tuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.base import files

# Okabe and Ito's colours, distinct for people with any colour vision.
BLACK, ORANGE, SKY, GREEN = "#000000", "#e69f00", "#56b4e9", "#009e73"
YELLOW, BLUE, VERMILION, PURPLE = "#f0e442", "#0072b2", "#d55e00", "#cc79a7"
GREY, LIGHT_GREY = "#8a8a8a", "#c8c8c8"

# The same variant has the same colour in every figure.
VARIANT_COLOURS = {
    ("1.3.1", "stock"): GREY,
    ("1.3.1", "stock-again"): LIGHT_GREY,
    ("1.3.1", "off"): YELLOW,
    ("1.3.1", "backward"): SKY,
    ("1.3.1", "all"): BLUE,
    ("1.4.1", "stock"): GREY,
    ("1.4.1", "all"): VERMILION,
    ("1.5.1.post0", "stock"): GREY,
    ("1.5.1.post0", "all"): ORANGE,
    ("1.6.0", "stock"): GREY,
    ("1.6.0", "all"): GREEN,
}
SERIES = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, YELLOW, BLACK)

# Narrow, so that the text is still read when a figure fills a phone's width.
WIDTH_INCHES = 5.2
DPI = 160
# The characters that fit into it.
_TITLE_CHARACTERS = 48
_SUBTITLE_CHARACTERS = 76

_RC: Dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same glyphs everywhere
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "axes.axisbelow": True,
    "grid.color": "#d9d9d9",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "hatch.linewidth": 0.6,
    # The ids in an SVG are hashes, by default of something random.
    "svg.hashsalt": "opcache",
    "svg.fonttype": "path",
}


@dataclass(frozen=True)
class Drawn:
    """A finished figure: ``name`` becomes its files' name, ``alt`` says in words what it shows."""

    name: str
    figure: Figure
    title: str
    alt: str


# Decorates every drawing function: labels and ticks take the fonts in force at their creation.
styled = matplotlib.rc_context(_RC)


@styled
def new_figure(
    height_inches: float, title: str, subtitle: str, rows: int = 1, columns: int = 1, **options: Any
) -> Tuple[Figure, List[Axes]]:
    """Return an empty figure of the common width with its headings, and its axes row by row.

    ``title`` names the content, ``subtitle`` the machine; both are wrapped.
    """
    title = _wrapped(title, _TITLE_CHARACTERS)
    subtitle = _wrapped(subtitle, _SUBTITLE_CHARACTERS)
    figure = Figure(figsize=(WIDTH_INCHES, height_inches), layout="constrained")
    title_inches = 0.22 * (title.count("\n") + 1)
    heading_inches = 0.1 + title_inches + 0.16 * (subtitle.count("\n") + 1)
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(rect=(0, 0, 1, 1 - (heading_inches + 0.05) / height_inches))
    top = 1 - 0.08 / height_inches
    below = top - title_inches / height_inches
    figure.text(0.015, top, title, va="top", fontsize=12, fontweight="bold")
    figure.text(0.015, below, subtitle, va="top", fontsize=8.5, color="#444444")
    grid = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, list(grid.flat)


def _wrapped(text: str, width: int) -> str:
    return "\n".join("\n".join(textwrap.wrap(line, width)) for line in text.splitlines())


def note(axes: Axes, text: str, place: Tuple[float, float], **options: Any) -> None:
    """Write a text 3 points to the right of a place, unless ``options`` of annotate differ."""
    look = {"xytext": (3, 0), "textcoords": "offset points", "va": "center", "fontsize": 7.5}
    axes.annotate(text, place, **{**look, **options})


def colour(host: str, variant: str, place: int = 0) -> str:
    """Return a variant's own colour, or else that of its ``place`` in the series."""
    return VARIANT_COLOURS.get((host, variant), SERIES[place % len(SERIES)])


@styled
def encoded(drawn: Drawn) -> Dict[str, bytes]:
    """Return the figure as files by suffix; the same figure gives the same bytes."""
    words: Dict[str, Any] = {"Title": drawn.title, "Description": drawn.alt}
    # By default an SVG contains its time of writing.
    metadata: Dict[str, Dict[str, Any]] = {"svg": {**words, "Date": None}, "png": words}
    # Laid out once: constrained layout is slow, and its results move a little.
    drawn.figure.draw_without_rendering()
    drawn.figure.set_layout_engine("none")
    found = {}
    for suffix, held in metadata.items():
        buffer = io.BytesIO()
        drawn.figure.savefig(buffer, format=suffix, dpi=DPI, metadata=held)
        found[suffix] = buffer.getvalue()
    return found


def write(drawn: Drawn, folder: Path) -> List[Path]:
    """Write ``folder/name.svg`` and ``.png`` and return their paths."""
    paths = []
    for suffix, content in encoded(drawn).items():
        paths.append(folder / f"{drawn.name}.{suffix}")
        files.write_bytes(paths[-1], content)
    return paths
