"""The figures show the record's numbers, fit their paper, and are written alike every time."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any, Dict, Tuple

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from pytest import MonkeyPatch

from harness.bench import extrapolation, pr11301, step_model
from harness.bench.record import BenchRecord
from harness.bench.views import operators as operator_table
from harness.bench.views import ratios as bench_summary
from harness.publish.plots import cores, operators, ratios, shares, style
from harness.publish.plots.source import Missing, Source
from tests.support.figures import outside, rectangles
from tests.support.records import MACHINE, bench

FAMILIES = (ratios, operators, shares, cores)
HOSTS = ("1.3.1", "1.4.1")
NAMES = (
    *("ratios-batch-1", "ratios-batch-32", "ratios-batch-1-threads-1", "operators-1.3.1-batch-1"),
    *(f"shares-{host}-batch-{size}" for size in (1, 32) for host in HOSTS),
    *("cores-1.3.1-backward", "cores-1.3.1-all", "cores-1.4.1-all"),
)


@pytest.fixture(scope="module")
def drawn(source: Source) -> Dict[str, style.Drawn]:
    return {each.name: each for family in FAMILIES for each in family.draw(source)}


def check_ratios(figure: Figure, group: bench_summary.Group) -> None:
    """Assert that every bar ends at its ratio, and every line at its interval's ends."""
    expected: Dict[str, Any] = {
        f"{row.case.model} {row.host} {row.variant}": row
        for one in group.runs
        for row in group.rows(one)
    }
    for mean in group.means() if len(group.cells) > 1 else ():
        expected[f"{ratios.MEAN} {mean.host} {mean.variant}"] = mean
    bars = rectangles(figure)
    assert sorted(bars) == sorted(expected)
    (axes,) = figure.axes
    lines = {tuple(line.get_xdata()) for line in axes.lines}
    for name, each in expected.items():
        assert bars[name].get_x() + bars[name].get_width() == pytest.approx(each.ratio)
        assert each.interval is None or each.interval in lines
    assert any(set(line.get_xdata()) == {1} for line in axes.lines), "no line at 1"


def test_bars_are_as_long_as_the_ratios(run: BenchRecord, drawn: Dict[str, style.Drawn]) -> None:
    for name, group in zip(NAMES, bench_summary.groups(run)):
        check_ratios(drawn[name].figure, group)
    # A ratio is marked if its interval includes 1: stock measured again, and the mean of these.
    texts = [text.get_text() for text in drawn["ratios-batch-1"].figure.axes[0].texts]
    assert [text for text in texts if text.endswith("~")] == ["1.00~"] * 3


def test_bars_of_few_rounds_have_no_interval() -> None:
    run = bench.record(samples=2)
    (drawn,) = ratios.draw(Source(Path(), run, efficiency=0.5))
    (group,) = bench_summary.groups(run)
    assert {row.interval for one in group.runs for row in group.rows(one)} == {None}
    check_ratios(drawn.figure, group)


def test_a_figure_with_wrong_bars_is_caught(run: BenchRecord, source: Source) -> None:
    figure = ratios.draw(source)[0].figure
    next(iter(rectangles(figure).values())).set_width(0.5)
    with pytest.raises(AssertionError):
        check_ratios(figure, bench_summary.groups(run)[0])


def test_operators_add_up_and_the_largest_are_named(
    run: BenchRecord, drawn: Dict[str, style.Drawn]
) -> None:
    figure = drawn["operators-1.3.1-batch-1"].figure
    bars = rectangles(figure)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[0] == "_backward_Convolution" and legend[-1] == operators.OTHER
    for each in operator_table.tables(run):
        whole = sum(row.ms.get("stock", 0.0) for row in each.rows)
        for variant in each.variants:
            ms = {row.operator: row.ms[variant] for row in each.rows}
            parts = {name: bars[f"{each.model} {variant} {name}"].get_width() for name in legend}
            assert sum(parts.values()) == pytest.approx(100 * sum(ms.values()) / whole)
            for name in legend[:-1]:
                assert parts[name] == pytest.approx(100 * ms[name] / whole)


def test_shares_are_the_counters(drawn: Dict[str, style.Drawn]) -> None:
    bars = rectangles(drawn["shares-1.3.1-batch-1"].figure)
    step = 1.01 * bench.step_ms("googlenet", 1, "1.3.1", "stock", threads=2)
    stock = bars[f"googlenet stock {shares.CREATION}"]
    assert stock.get_width() == pytest.approx(100 * 60 / step)
    assert bars[f"googlenet all {shares.CREATION}"].get_width() == 0
    parts = [
        bar.get_width() for name, bar in bars.items() if name.startswith("googlenet backward ")
    ]
    assert sum(parts) == pytest.approx(100)


def test_curves_are_the_models_and_points_the_published(
    run: BenchRecord, drawn: Dict[str, style.Drawn]
) -> None:
    known = pr11301.throughput()
    for one in extrapolation.chosen(run):
        panels = drawn[f"cores-{one.host}-{one.variant}"].figure.axes
        axes = panels[bench.NETWORKS.index(one.case.model)]
        lines = {line.get_gid(): line.get_data() for line in axes.lines if line.get_gid()}
        curve = dict(zip(*lines[f"{one.case.model} model"]))
        for number in (1, 2, 8, 56):
            assert curve[number] == pytest.approx(step_model.ratio(one.step, number, 0.5))
        # The published runs had the cache for backward only, on a release like 1.3.1.
        if (one.host, one.variant) == ("1.3.1", "backward"):
            x, y = lines[f"{one.case.model} published"]
            assert (list(x), list(y)) == ([56], [known[one.case.model].ratio])
        else:
            assert f"{one.case.model} published" not in lines


def test_words_that_do_not_fit_are_caught(source: Source) -> None:
    figure = ratios.draw(source)[0].figure
    figure.text(0.5, 0.5, "far too long a line " * 10)
    assert outside(figure) == ["far too long a line " * 10]


@pytest.mark.parametrize("name", NAMES)
def test_words_fit_and_tell_what_was_measured(drawn: Dict[str, style.Drawn], name: str) -> None:
    assert list(drawn) == list(NAMES)
    figure = drawn[name].figure
    assert outside(figure) == []
    words = [text.get_text() for text in figure.findobj(Text)]
    assert any(axes.get_xlabel() for axes in figure.axes)
    heading = " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
    assert MACHINE.cpu_model in heading
    assert all("nan" not in word for word in words)


def test_long_names_fit() -> None:
    name = "faster_rcnn_resnet50_v1b_voc 600, batch 1"
    bars = [ratios.Bar(name, "1.3.1", variant, 1.1, (1.0, 1.2)) for variant in ("backward", "all")]
    assert outside(ratios.figure(bars, "A title", "A subtitle", "off")) == []


def test_panels_in_two_rows_fit() -> None:
    step = step_model.Step(2, 2.0, 0.05, 0.01)
    four = [cores.Prediction(name, step, 1.4, 56) for name in ("a", "b", "c", "mobilenet-1.0")]
    assert outside(cores.figure(four, (0.25, 0.5, 1.0), 0.6, "A title", "A subtitle")) == []


@pytest.mark.parametrize("family", FAMILIES)
def test_files_are_reproducible_and_described(
    family: Any, source: Source, tmp_path: Path, monkeypatch: MonkeyPatch
) -> None:
    one, other = (family.draw(source)[0] for _ in range(2))
    first = style.encoded(one)
    assert first == style.encoded(other)
    assert first["png"].startswith(b"\x89PNG")
    monkeypatch.setattr(style, "encoded", lambda _: first)
    paths = style.write(one, tmp_path)
    assert [path.name for path in paths] == [f"{one.name}.svg", f"{one.name}.png"]
    text = paths[0].read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    held = [each.text for each in root.iter("{http://purl.org/dc/elements/1.1/}description")]
    assert held == [one.alt]
    assert "<dc:date>" not in text


@pytest.mark.parametrize(
    ("name", "expected"),
    (
        ("ratios-batch-1", "1.4.1 all from 0.89x (vgg-16) to 2.04x (googlenet)"),
        ("operators-1.3.1-batch-1", "googlenet all 50%"),
        ("shares-1.3.1-batch-1", "googlenet stock 51%, googlenet backward "),
        ("cores-1.3.1-backward", "(published 1.47x)"),
    ),
)
def test_alternative_texts_say_the_numbers(
    drawn: Dict[str, style.Drawn], name: str, expected: str
) -> None:
    assert expected in drawn[name].alt


@pytest.mark.parametrize("family", FAMILIES)
def test_missing_data_is_named(source: Source, family: Any) -> None:
    with pytest.raises(Missing, match="make bench"):
        family.draw(Source(source.results, None, 0.5))
    empty = source.bench.model_copy(update={"finished": []})
    with pytest.raises(Missing, match="the record has no"):
        family.draw(Source(source.results, empty, 0.5))


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
