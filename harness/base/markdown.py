"""Formats tables and intervals as Markdown."""

from __future__ import annotations

import io
from typing import Callable, List, Optional, Sequence, Tuple, TypeVar

import rich.box
import rich.console
import rich.table

_Row = TypeVar("_Row")
# A column's title, and its cell in a row.
Column = Tuple[str, Callable[[_Row], str]]


def interval_text(interval: Optional[Tuple[float, float]], digits: int = 3) -> str:
    """Return a ratio's interval as text; ~ marks an interval that includes 1."""
    if interval is None:
        return "-"
    low, high = interval
    return f"{low:.{digits}f} to {high:.{digits}f}{' ~' if low <= 1 <= high else ''}"


def markdown(
    titles: Sequence[str], text_columns: Sequence[str], cells: Sequence[Sequence[str]]
) -> List[str]:
    """Return a Markdown table's lines; ``cells`` are rows, columns without text align right."""
    table = rich.table.Table(box=rich.box.MARKDOWN)
    for title in titles:
        table.add_column(title, justify="left" if title in text_columns else "right")
    for row in cells:
        table.add_row(*row)
    # Never wrapped to a terminal's width, so that the printed table can be pasted.
    console = rich.console.Console(file=io.StringIO(), width=1000, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return [line.rstrip() for line in capture.get().splitlines() if line.strip()]


def columns(
    shown: Sequence[Column[_Row]], text_columns: Sequence[str], rows: Sequence[_Row]
) -> List[str]:
    """Return a Markdown table's lines: a line for each row, whose cells the columns give."""
    titles = [title for title, _ in shown]
    return markdown(titles, text_columns, [[cell(row) for _, cell in shown] for row in rows])


def number(value: Optional[float], form: str = ".3f", unit: str = "x") -> str:
    """Return a number, by default a ratio, in the given format; - stands for None."""
    return "-" if value is None else f"{value:{form}}{unit}"
