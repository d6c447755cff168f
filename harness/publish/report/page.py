"""A report's page and its parts: one HTML text that needs no other file."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import List, Sequence
from xml.etree import ElementTree

import jinja2
from markupsafe import Markup

from harness.base import reading
from harness.base.errors import HarnessError

_HERE = Path(__file__).resolve().parent
_DC = "{http://purl.org/dc/elements/1.1/}"


@dataclass(frozen=True)
class Picture:
    """A figure: ``data`` is a data URI, width and height are in CSS pixels."""

    title: str
    alt: str
    data: str
    width: int
    height: int


@dataclass(frozen=True)
class Fact:
    """A name and its value."""

    name: str
    value: str


@dataclass(frozen=True)
class Card:
    """A number at the top of the page, its meaning, and its uncertainty."""

    value: str
    what: str
    detail: str


@dataclass(frozen=True)
class Section:
    """A heading and the content below it, in this order; ``name`` is its anchor."""

    name: str
    title: str
    paragraphs: Sequence[str] = ()
    facts: Sequence[Fact] = ()
    items: Sequence[str] = ()
    commands: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    blocks: Sequence[Markup] = field(default=())


def render(
    title: str, lead: str, cards: Sequence[Card], sections: Sequence[Section], foot: str
) -> str:
    """Return the page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(_HERE)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style = Markup((_HERE / "page.css").read_text(encoding="utf-8").rstrip())
    return environment.get_template("page.html").render(
        title=title, lead=lead, cards=cards, sections=sections, foot=foot, style=style
    )


def picture(path: Path) -> Picture:
    """Read a figure that ``make plot`` wrote, with its title and description."""
    content = reading.content(path, reading.MOST_TEXT_BYTES)
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError, RecursionError) as error:
        raise HarnessError(f"{path}: not an SVG: {error}") from error
    return Picture(
        title=_held(root, "title", path),
        alt=_held(root, "description", path),
        data="data:image/svg+xml;base64," + base64.b64encode(content).decode("ascii"),
        width=_pixels(root, "width", path),
        height=_pixels(root, "height", path),
    )


def _held(root: ElementTree.Element, name: str, path: Path) -> str:
    text = next((each.text for each in root.iter(_DC + name)), None)
    if not text:
        raise HarnessError(f"{path}: expected a {name} in its metadata: draw it with make plot")
    return text


def _pixels(root: ElementTree.Element, name: str, path: Path) -> int:
    text = root.get(name, "")
    try:
        return round(float(text[:-2] if text.endswith(("pt", "px")) else text) * 4 / 3)
    except (ValueError, OverflowError):
        raise HarnessError(f"{path}: expected a {name} in points, found '{text}'") from None


def found(folder: Path, prefixes: Sequence[str]) -> List[Path]:
    """Return the SVG files in ``folder`` whose names begin with one of ``prefixes``, in order."""
    paths: List[Path] = []
    for prefix in prefixes:
        for path in sorted(folder.glob(f"{prefix}*.svg"), key=_natural):
            if path not in paths:
                paths.append(path)
    return paths


def _natural(path: Path) -> List[str]:
    # batch-8 before batch-32.
    return [f"{int(w):09d}" if w.isdigit() else w for w in path.stem.split("-")]
