"""Turns the Markdown of results/ into HTML whose tables can be scrolled on a narrow screen.

Only Markdown passes: HTML in a source is shown as text.
"""

from __future__ import annotations

import re
from typing import List, Tuple

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

# Longer tables get a window of their own, with their titles in sight.
LONG_ROWS = 30
# 1,234 or 1.05x or 12.5% or 0.95 to 1.10 ~ or -; a version such as 1.3.1 is text.
_NUMBER = r"[-+]?[\d,]*\.?\d+( ?(x|%|ms|s|MiB|ns))?"
_NUMERIC = re.compile(rf"-|{_NUMBER}( to {_NUMBER})?( ~)?")


def to_html(text: str, titled: bool = True) -> Markup:
    """Return ``text`` as HTML that stands under a heading of the second level.

    ``titled`` says that this heading takes the place of the text's own title.
    """
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("table")
    tokens = parser.parse(text)
    if titled and tokens and tokens[0].tag == "h1":
        tokens = tokens[3:]  # opened, the words, closed
    # No level is skipped: screen readers go from heading to heading.
    used = sorted({token.tag for token in tokens if token.type == "heading_open"})
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, 3 + used.index(token.tag))}"
    _align(tokens)
    return Markup(parser.renderer.render(_with_scrollers(tokens), parser.options, {}))


def _align(tokens: List[Token]) -> None:
    """Mark the cells of every column of numbers."""
    tables: List[List[List[Tuple[Token, str]]]] = []
    for token, content in zip(tokens, tokens[1:]):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type in ("th_open", "td_open"):
            tables[-1][-1].append((token, content.content))
    for rows in tables:
        for column in zip(*rows):
            cells = [text for _, text in column[1:]]
            if any(cells) and all(not text or _NUMERIC.fullmatch(text) for text in cells):
                for token, _ in column:
                    token.attrSet("class", "number")


def _with_scrollers(tokens: List[Token]) -> List[Token]:
    """Put each table into a box that scrolls, which a keyboard reaches too."""
    found: List[Token] = []
    for place, token in enumerate(tokens):
        if token.type == "table_open":
            attributes = {"class": "table", "tabindex": "0", "role": "region"}
            if _rows(tokens, place) > LONG_ROWS:
                attributes["class"] = "table long"
            attributes["aria-label"] = _name(tokens, place)
            found.append(Token("box_open", "div", 1, attrs=dict(attributes), block=True))
        found.append(token)
        if token.type == "table_close":
            found.append(Token("box_close", "div", -1, block=True))
    return found


def _rows(tokens: List[Token], table: int) -> int:
    end = next(i for i in range(table, len(tokens)) if tokens[i].type == "table_close")
    return sum(token.type == "tr_open" for token in tokens[table:end]) - 1


def _name(tokens: List[Token], table: int) -> str:
    """Return the words before a table, which name it."""
    before = [token.content for token in tokens[:table] if token.type == "inline"]
    return before[-1].strip("*") if before else "table"
