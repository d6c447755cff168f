"""From a record to predictions: the steps are the record's, the tables hold the model's numbers."""

from __future__ import annotations

import pytest

from harness.bench import extrapolation, pr11301, step_model
from harness.bench.record import BenchRecord
from harness.trials.record import threads
from tests.support.records import bench
from tests.support.tables import rows_below


@pytest.fixture(scope="module")
def run() -> BenchRecord:
    return bench.full_record()


def test_steps_are_the_records(run: BenchRecord) -> None:
    chosen = extrapolation.chosen(run)
    assert {each.case.batch_size for each in chosen} == {32}
    assert [(each.case.model, each.host, each.variant) for each in chosen] == [
        ("googlenet", "1.3.1", "backward"),
        ("googlenet", "1.3.1", "all"),
        ("googlenet", "1.4.1", "all"),
        ("vgg-16", "1.3.1", "backward"),
        ("vgg-16", "1.3.1", "all"),
        ("vgg-16", "1.4.1", "all"),
    ]
    step = chosen[0].step
    # 60 ms of which backward leaves 40 %, and 0.5 ms of cache; the median round is 1 % slow.
    assert step.cores == 2
    assert step.serial_s == pytest.approx(0.060)
    assert step.serial_left_s == pytest.approx(0.4 * 0.060 + 0.0005)
    expected = bench.step_ms("googlenet", 32, "1.3.1", "stock", threads=2)
    assert step.stock_s == pytest.approx(1.01 * expected / 1e3)


def test_predictions_are_the_models(run: BenchRecord) -> None:
    text = extrapolation.render(run, pr11301.throughput(), 0.5)
    first, *_ = rows_below(text, "Predicted ratio to stock, batch size 32, efficiency 0.5")
    step = extrapolation.chosen(run)[0].step
    for cores in extrapolation.CORES:
        assert first[f"{cores} cores"] == f"{step_model.ratio(step, cores, 0.5):.3f}x"
    assert first["serial ms"] == "60.0" and first["left ms"] == "24.5"


def test_published_ratios_stand_beside_with_their_errors(run: BenchRecord) -> None:
    text = extrapolation.render(run, pr11301.throughput(), 0.5)
    googlenet, vgg, mean = rows_below(text, "Compared with PR #11301 on 56 cores")
    reported = pr11301.throughput()["googlenet"]
    assert googlenet["published"] == f"{reported.ratio:.3f}x"
    step = extrapolation.chosen(run)[0].step
    predicted = step_model.ratio(step, 56, 0.5)
    assert googlenet["efficiency 0.5"] == f"{predicted:.3f}x"
    assert f"| {predicted / reported.ratio - 1:+.1%} |" in text
    saved_ms = 32 / reported.before * 1e3 - 32 / reported.after * 1e3
    assert googlenet["published saved ms"] == f"{saved_ms:.1f}"
    assert googlenet["saved ms"] == "35.5"
    assert mean["model"] == "mean error"


def test_only_the_same_work_is_compared(run: BenchRecord) -> None:
    known = pr11301.throughput()
    compared = [e for e in extrapolation.measured(run) if extrapolation.comparable(e, known)]
    assert {(e.case.batch_size, e.host, e.variant) for e in compared} == {(32, "1.3.1", "backward")}


def test_one_thread_predicts_two(run: BenchRecord) -> None:
    checks = extrapolation.checks(run)
    assert [check.one.case.model for check in checks] == ["googlenet", "vgg-16"]
    for check in checks:
        # The record was made with this efficiency, up to the rounds' drift.
        assert check.efficiency == pytest.approx(bench.EFFICIENCY, rel=0.02)
        assert check.more.ratio is not None
        assert check.predicted == pytest.approx(check.more.ratio, rel=0.01)
    text = extrapolation.render(run, pr11301.throughput(), 0.5)
    assert len(rows_below(text, "The check that this machine allows")) == 2


def test_without_the_variant_off_nothing_is_predicted(run: BenchRecord) -> None:
    without = [each for each in run.finished if each.variant != "off"]
    text = extrapolation.render(run.model_copy(update={"finished": without}), {}, 0.5)
    assert "No case has been measured" in text and "|" not in text
    text = extrapolation.render(run, {}, 0.5)
    assert "published" not in text and "Predicted" in text


def test_another_machine_stands_beside_its_predictions(run: BenchRecord) -> None:
    there = bench.alternating_record(threads=threads(16))
    chosen = extrapolation.chosen(run)
    steps = {(each.case, each.host, each.variant): each.step for each in chosen}
    for each in extrapolation.elsewhere(run, [there], pr11301.throughput()):
        row = each.row
        step = steps.get((row.case, row.host, row.variant))
        assert (step is None) == (row.case.batch_size == 1)
        assert each.predicted == (step and step_model.ratio(step, 16, extrapolation.EFFICIENCY))
        assert (each.published is not None) == bool(step and row.variant == "backward")
    name, _, *lines = extrapolation.elsewhere_table(run, there)
    assert name == f"{there.machine.cpu_model}, 2 cores, {there.machine.memory_gib} GiB:"
    assert len(lines) == 2 + 2 * 2 * 3  # batch sizes, networks, cached scopes of two releases
