"""The report's page: complete in itself, safe to open, and good to read in a real browser."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from PIL import Image

from harness.base.errors import HarnessError
from harness.publish.plots import shares, style
from harness.publish.plots.source import Source
from harness.publish.report import markdown, page, parts
from tests.support.browser import WIDTHS, Browser, colours, external


def test_the_page_needs_nothing_else(html: str) -> None:
    assert external(html) == []
    assert "<script" not in html
    assert "default-src &#39;none&#39;" not in html and "default-src 'none'" in html


@pytest.mark.parametrize(
    "fault",
    (
        '<img src="http://192.0.2.1/a.png">',
        '<link rel="stylesheet" href="style.css">',
        "<style>body { background: url(a.png) }</style>",
    ),
)
def test_a_page_that_needs_more_is_caught(fault: str) -> None:
    assert len(external(f"<p>good</p>{fault}")) == 1


def test_everything_in_the_folder_is_shown(
    source: Source, results: Path, html: str, tmp_path: Path
) -> None:
    assert html.count("<img ") == 3
    shown = sum(map(tables, results.glob("*.md")))
    assert html.count('class="table') == html.count("<table>") == shown > 10
    assert "not a result" not in html
    _, missing = parts.sections(results)
    assert any("no section 'Convergence': results/ has no converge.md" in line for line in missing)
    # Results that no section names are shown at the end.
    (tmp_path / "new.md").write_text("# A new kind of result\n", encoding="utf-8")
    figure = shares.draw(source)[0].figure
    style.write(style.Drawn("zoo", figure, "Zoo", "In words"), tmp_path / "figures")
    (section,), missing = parts.sections(tmp_path)
    assert section.name == "further" and section.pictures[0].alt == "In words"
    assert "A new kind of result" in section.blocks[0]
    assert len(missing) == len(parts.PARTS)


def tables(path: Path) -> int:
    return len(re.findall(r"^\|[-|: ]+\|$", path.read_text(encoding="utf-8"), re.MULTILINE))


def test_headings_are_in_order(html: str) -> None:
    levels = [int(level) for level in re.findall(r"<h([1-6])", html)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:]))
    anchors = set(re.findall(r'id="([^"]+)"', html))
    assert {link for link in re.findall(r'href="#([^"]+)"', html)} <= anchors
    html = markdown.to_html("# Its title\n\n### One\n\n##### Two\n\n### Three\n")
    assert re.findall(r"<(h\d)>(\w+)", html) == [("h3", "One"), ("h4", "Two"), ("h3", "Three")]
    assert "<h3>Its title</h3>" in markdown.to_html("# Its title\n", titled=False)


def test_nothing_is_taken_for_html() -> None:
    bad = "<script>alert(1)</script>"
    section = page.Section("a", bad, paragraphs=[bad], items=[bad], commands=[bad])
    html = page.render(bad, bad, [page.Card(bad, bad, bad)], [section], bad)
    assert "<script" not in html and html.count("&lt;script&gt;") == 12
    assert "<script" not in markdown.to_html(f"{bad}\n\n| a |\n|---|\n| {bad} |\n")


@pytest.mark.parametrize(
    ("cell", "number"),
    (
        ("1.05x", True),
        ("0.95 to 1.10 ~", True),
        ("12.5%", True),
        ("1,234 ms", True),
        ("-", True),
        ("1.3.1", False),
        ("pass, 420 checks", False),
        ("<b>", False),
    ),
)
def test_columns_of_numbers_are_aligned(cell: str, number: bool) -> None:
    html = markdown.to_html(f"| name | value |\n|---|---|\n| one | {cell} |\n")
    assert html.count('class="number"') == (2 if number else 0)


def test_a_picture_without_words_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.svg"
    path.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9pt" height="9pt"/>')
    with pytest.raises(HarnessError, match="expected a title in its metadata"):
        page.picture(path)
    path.write_text("not XML")
    with pytest.raises(HarnessError, match="not an SVG"):
        page.picture(path)


def with_block(html: str, block: str) -> str:
    return html.replace("</main>", f"{block}</main>")


@pytest.mark.parametrize("dark", (False, True), ids=("light", "dark"))
@pytest.mark.parametrize("width", WIDTHS)
def test_page(window: Browser, html: str, width: int, dark: bool) -> None:
    seen = window.look(html, width, dark)
    assert seen.faults == []
    assert seen.requests == []
    assert colours(seen.png) > 100
    image = Image.open(io.BytesIO(seen.png)).convert("L")
    corner = image.getpixel((1, 1))
    assert corner < 60 if dark else corner > 240


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    ("planted", "fault"),
    (
        ('<table><tr><td style="min-width: 2000px">wide', "<table> ends at"),
        ('<img alt="lost" src="data:image/png;base64,AAAA">', "image 'lost' is not there"),
        ('<img src="data:image/png;base64,AAAA">', "has no alternative text"),
    ),
    ids=("over-wide table", "missing image", "image without words"),
)
def test_planted_faults(window: Browser, html: str, width: int, planted: str, fault: str) -> None:
    seen = window.look(with_block(html, planted), width)
    assert any(fault in found for found in seen.faults), seen.faults


def test_a_request_is_seen(window: Browser, html: str) -> None:
    address = "http://127.0.0.1:9/pixel.png"
    page_with_request = with_block(html, f'<img alt="a" src="{address}">')
    # The page's own policy keeps a browser from asking.
    assert window.look(page_with_request, 390).faults
    allowed = re.sub(r"<meta http-equiv=[^>]+>", "", page_with_request)
    assert window.look(allowed, 390).requests == [address]


def test_a_blank_page_is_seen(window: Browser) -> None:
    seen = window.look("<!doctype html><title>blank</title>", 390)
    assert colours(seen.png) == 1
