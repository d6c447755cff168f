"""Tables, verdict and curves of a convergence record."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest
from matplotlib.figure import Figure

from harness.converge import table
from harness.converge.record import ACCURACY, partings
from harness.publish.plots import curves, style
from harness.publish.plots.source import Missing, Source
from harness.trials.record import save
from tests.support.records import converge
from tests.support.tables import cells

REFERENCE_RESNET = ACCURACY["cifar-resnet-50"]


def row_of(lines: List[str], scope: str) -> List[str]:
    """Return the first row of a scope."""
    return next(row for row in map(cells, lines) if scope in row)


def test_summary_shows_the_last_epoch_beside_the_reference() -> None:
    lines = table.summary(converge.record())
    assert row_of(lines, "all") == [
        *("cifar-resnet-50", "1.4.1", "all", "50,000", "4 of 4"),
        *("75.00", "67.88", "97.00", "96.26"),
        # Both values are reached after the fourth epoch: 4 x 120 s.
        *("500.0", "8.0", "8.0", "1.00%", "3 of 3 epochs that both trained"),
    ]
    stock = row_of(lines, "stock")
    assert stock[4:6] == ["3 of 4", "70.00"]
    assert stock[-3] == "-"  # top-5 is not reached in three epochs
    assert stock[-1] == "-"


def test_verdict() -> None:
    assert partings(converge.record()) == []
    assert "all of the 3 epochs" in table.verdict(converge.record())
    alone = converge.record(scopes=["all"])
    assert table.verdict(alone) == "nothing was compared: no epoch was trained in two scopes"


@pytest.mark.parametrize(("at", "lines"), [(1, 1), (3, 1), (4, 0)])
def test_a_changed_digest_is_a_difference_in_shared_epochs(at: int, lines: int) -> None:
    parted = converge.parted(at)
    assert len(partings(parted)) == lines
    for line in partings(parted):
        assert line.startswith(f"cifar-resnet-50 1.4.1: bits differ in epoch {at}: stock=")
        assert line.endswith(", all=ffffffffffff")
        assert f"DIFFER: {at - 1} of 3 epochs" in table.render(parted)
        assert table.verdict(parted).startswith("1 curve differs from the first")


def test_curves_of_generated_data_say_so(tmp_path: Path) -> None:
    record = converge.record(source="synthetic")
    for drawn in drawn_of(record, tmp_path):
        assert drawn.title.startswith("synthetic (generated data): ")
    assert "synthetic" not in table.render(converge.record())


def drawn_of(record: converge.ConvergeRecord, folder: Path) -> List[style.Drawn]:
    save(record, folder / "raw" / curves.RECORD)
    return curves.draw(Source(folder, None, 1.0))


def check_curves(figure: Figure, x: List[float]) -> None:
    """Assert that the figure holds the record's accuracies at ``x`` and the reference's values."""
    top_1, top_5 = ({line.get_gid(): line for line in axes.lines} for axes in figure.axes)
    for name, lines, values, reference in (
        ("top_1", top_1, converge.TOP_1, REFERENCE_RESNET.top_1),
        ("top_5", top_5, converge.TOP_5, REFERENCE_RESNET.top_5),
    ):
        percent = [value / 100 for value in values]
        stock = lines[f"{name} stock"]
        assert list(lines[f"{name} all"].get_xdata()) == pytest.approx(x)
        assert list(lines[f"{name} all"].get_ydata()) == pytest.approx(percent)
        assert list(stock.get_xdata()) == pytest.approx(x[: converge.STOCK_EPOCHS])
        assert list(stock.get_ydata()) == pytest.approx(percent[: converge.STOCK_EPOCHS])
        assert set(lines[f"{name} reference"].get_ydata()) == {reference}


def test_curves_are_the_records(tmp_path: Path) -> None:
    epochs, time = drawn_of(converge.record(), tmp_path)
    assert epochs.name == "converge-cifar-resnet-50-1.4.1-epochs"
    check_curves(epochs.figure, [1, 2, 3, 4])
    check_curves(time.figure, [2, 4, 6, 8])
    assert "all ends at top-1 75.00 % and top-5 97.00 % after epoch 4" in epochs.alt
    assert "their bits are equal" in epochs.alt
    assert {path.suffix for path in style.write(epochs, tmp_path)} == {".svg", ".png"}


def test_a_moved_point_is_noticed(tmp_path: Path) -> None:
    figure = drawn_of(converge.record(), tmp_path)[0].figure
    line = next(line for line in figure.axes[1].lines if line.get_gid() == "top_5 all")
    line.set_ydata([1, 2, 3, 4])
    with pytest.raises(AssertionError):
        check_curves(figure, [1, 2, 3, 4])


def test_missing_curves_are_named(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="no record converge.json .*: make converge"):
        curves.draw(Source(tmp_path, None, 1.0))
    with pytest.raises(Missing, match="no training of two epochs"):
        drawn_of(converge.record(epochs=1, warm_up_epochs=0.5), tmp_path)
