"""Tables in Markdown, taken apart again."""

from __future__ import annotations

from typing import Dict, List, Set


def table_rows(text: str) -> Set[str]:
    """Return the lines of all tables."""
    return {line for line in text.splitlines() if line.startswith("|")}


def cells(line: str) -> List[str]:
    """Return the cells of a row."""
    return [cell.strip() for cell in line.strip("|").split("|")]


def rows_below(text: str, title: str) -> List[Dict[str, str]]:
    """Return the rows of the first table below ``title``, by the titles of its columns."""
    table: List[List[str]] = []
    for line in text[text.index(title) :].splitlines():
        if line.startswith("|"):
            table.append(cells(line))
        elif table:
            break
    titles, _, *rows = table
    return [dict(zip(titles, row)) for row in rows]
