"""The figures hold what they were given, fit their paper, and are written alike every time."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Callable, Tuple

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from pytest import MonkeyPatch

from harness.bench import step_model
from harness.publish.plots import cores, operators, ratios, shares, style
from tests.support.sample_figures import (
    BARS,
    FITTED,
    PREDICTIONS,
    PROFILES,
    SHARES,
    SUBTITLE,
    draw,
    drawn,
    outside,
    rectangles,
)

ALL = ("ratios", "operators", "shares", "cores")


def check_ratios(figure: Figure) -> None:
    """Assert that every bar ends at its ratio, and every line at its interval's ends."""
    bars = rectangles(figure)
    assert len(bars) == len(BARS)
    (axes,) = figure.axes
    lines = {tuple(line.get_xdata()) for line in axes.lines}
    for bar in BARS:
        patch = bars[f"{bar.network} {bar.host} {bar.variant}"]
        assert patch.get_x() + patch.get_width() == pytest.approx(bar.ratio)
        assert bar.interval is None or bar.interval in lines
    assert any(set(line.get_xdata()) == {1} for line in axes.lines), "no line at 1"


def test_bars_are_as_long_as_the_ratios() -> None:
    check_ratios(drawn("ratios").figure)
    # A ratio is marked if its interval includes 1.
    texts = [text.get_text() for text in drawn("ratios").figure.axes[0].texts]
    assert [text for text in texts if text.endswith("~")] == ["0.97~"]


def test_a_figure_with_wrong_bars_is_caught() -> None:
    figure = draw("ratios").figure
    next(iter(rectangles(figure).values())).set_width(0.5)
    with pytest.raises(AssertionError):
        check_ratios(figure)


def test_operators_add_up_and_the_largest_are_named() -> None:
    bars = rectangles(drawn("operators").figure)
    for profile in PROFILES:
        whole = next(
            p.total_ms for p in PROFILES if (p.network, p.variant) == (profile.network, "stock")
        )
        parts = [
            patch.get_width()
            for name, patch in bars.items()
            if name.startswith(f"{profile.network} {profile.variant} ")
        ]
        assert sum(parts) == pytest.approx(100 * profile.total_ms / whole)
    name = "googlenet all _backward_Convolution"
    assert bars[name].get_width() == pytest.approx(100 * 20 / PROFILES[0].total_ms)
    legend = [text.get_text() for text in drawn("operators").figure.legends[0].get_texts()]
    assert legend[0] == "_backward_Convolution" and legend[-1] == operators.OTHER


def test_shares_are_parts_of_a_hundred() -> None:
    bars = rectangles(drawn("shares").figure)
    for one in SHARES:
        for part, ms in one.parts_ms.items():
            patch = bars[f"{one.network} {one.variant} {part}"]
            assert patch.get_width() == pytest.approx(100 * ms / one.total_ms)


def test_curves_are_the_models_and_points_the_published() -> None:
    figure = drawn("cores").figure
    for axes, one in zip(figure.axes, PREDICTIONS):
        lines = {line.get_gid(): line for line in axes.lines if line.get_gid()}
        curve = dict(zip(*lines[f"{one.network} model"].get_data()))
        for number in (1, 2, 8, 56):
            assert curve[number] == pytest.approx(step_model.ratio(one.step, number, 0.5))
        if one.published is None:
            assert f"{one.network} published" not in lines
        else:
            x, y = lines[f"{one.network} published"].get_data()
            assert (list(x), list(y)) == ([56], [one.published])


def test_words_that_do_not_fit_are_caught() -> None:
    figure = draw("ratios").figure
    figure.text(0.5, 0.5, "far too long a line " * 10)
    assert outside(figure) == ["far too long a line " * 10]


@pytest.mark.parametrize("family", ALL)
def test_words_fit_and_tell_what_was_measured(family: str) -> None:
    figure = drawn(family).figure
    assert outside(figure) == []
    words = [text.get_text() for text in figure.findobj(Text)]
    assert any(axes.get_xlabel() for axes in figure.axes)
    heading = " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
    assert SUBTITLE in heading
    assert all("nan" not in word for word in words)


@pytest.mark.parametrize("family", ALL)
def test_files_are_reproducible_and_described(
    family: str, tmp_path: Path, monkeypatch: MonkeyPatch
) -> None:
    first, again = (style.encoded(draw(family)) for _ in range(2))
    assert first == again
    assert first["png"].startswith(b"\x89PNG")
    monkeypatch.setattr(style, "encoded", lambda _: first)
    paths = style.write(drawn(family), tmp_path)
    assert [path.name for path in paths] == [f"{family}.svg", f"{family}.png"]
    text = paths[0].read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    held = [each.text for each in root.iter("{http://purl.org/dc/elements/1.1/}description")]
    assert held == [drawn(family).alt]
    assert "<dc:date>" not in text


AltText = Callable[[], str]


@pytest.mark.parametrize(
    ("words", "expected"),
    (
        (lambda: ratios.alt_text(BARS), "1.3.1 all from 0.97x (vgg-16) to 1.37x (googlenet)"),
        (lambda: operators.alt_text(PROFILES, "stock"), "googlenet all 80%"),
        (lambda: shares.alt_text(SHARES), "googlenet stock 20%, googlenet all 1%"),
        (lambda: cores.alt_text(PREDICTIONS, FITTED), "(published 1.47x)"),
    ),
)
def test_alternative_texts_say_the_numbers(words: AltText, expected: str) -> None:
    assert expected in words()


def test_colours_can_be_told_apart() -> None:
    """By lightness as well as by hue: at least a tenth between the variants of one figure."""

    def lightness(colour: str) -> float:
        parts: Tuple[int, ...] = tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))
        return sum(weight * part for weight, part in zip((0.299, 0.587, 0.114), parts)) / 255

    shown = [style.colour("1.3.1", "backward"), style.colour("1.3.1", "all")]
    shown.append(style.colour("1.4.1", "all"))
    values = sorted(map(lightness, shown))
    assert min(high - low for low, high in zip(values, values[1:])) > 0.05
    assert len(set(style.SERIES)) == len(style.SERIES)
