"""Releases side by side: the table, what may be asked of which release, and a run in PyTorch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Callable, Dict

import pytest

from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.base.reading import sha256_of
from harness.base.toml import load
from harness.bench import command, config, pytorch, record
from harness.bench.record import BenchRecord, SampleKey, TrainSample
from harness.bench.views import releases
from harness.build.toolchain import load_toolchain
from harness.publish import tables
from harness.publish.plots import releases as plot
from harness.publish.plots.source import Missing, Source
from harness.trials.jobs import TrainJob
from harness.trials.record import Case, threads
from tests.support.commands import refusal
from tests.support.figures import outside, rectangles
from tests.support.records import bench

SMALL = Case(model="resnet-18", batch_size=1, image_size=64)
LARGE = Case(model="vgg-16", batch_size=1, image_size=64)
MXNET = {"1.4.1": ["stock", "all"], "1.9.1": ["stock"]}
# Milliseconds a step of the small network; MXNet takes twice as many for the large one.
STEP_MS: Dict[str, int] = {"1.4.1 stock": 80, "1.4.1 all": 50, "1.9.1 stock": 100}
LAYOUT_MS = {"channels-first": {SMALL: 60, LARGE: 40}, "channels-last": {SMALL: 50, LARGE: 90}}
GOLDEN = """\
| ms per step   |          1.4.1 | 1.4.1 + opcache | 1.9.1 |        PyTorch |
|---------------|----------------|-----------------|-------|----------------|
| resnet-18 64  |          280.0 |           175.0 | 350.0 |          175.0 |
| vgg-16 64     |          560.0 |           350.0 | 700.0 |          140.0 |
| speed / 1.9.1 |         1.250x |          2.000x |     - |         3.162x |
| 95 % interval | 1.250 to 1.250 |  2.000 to 2.000 |     - | 3.162 to 3.162 |
"""
LINE = (
    "Of MXNet 1.4.1 and 1.9.1 with opcache and without, at batch 1 on 2 threads, 1.4.1 + opcache "
    "is the fastest: 2.00x (2.00 to 2.00) the speed of 1.9.1 (mean of 2 networks); PyTorch has "
    "3.16x (3.16 to 3.16), mean of 2"
)


def sample(key: SampleKey) -> TrainSample:
    if key.host == pytorch.HOST:
        step_ms = LAYOUT_MS[key.variant][key.case]
    else:
        step_ms = STEP_MS[f"{key.host} {key.variant}"] * (2 if key.case == LARGE else 1)
    # The machine slows down from round to round; one slow step is no median.
    step_ns = round(step_ms * 1e6) * (1 + key.round)
    return bench.train_sample(key, step_ns=[step_ns, step_ns, 9 * step_ns])


@pytest.fixture
def run() -> BenchRecord:
    variants = {**MXNET, pytorch.HOST: list(pytorch.FORMATS)}
    asked = bench.settings(bench.series(cases=[SMALL, LARGE], variants=variants))
    return bench.record(asked=asked, sample=sample)


def test_golden_table(run: BenchRecord) -> None:
    assert releases.table(run) == GOLDEN.splitlines()


def test_the_fastest_is_named_beside_what_may_be_as_fast(run: BenchRecord) -> None:
    assert releases.line(run) == LINE

    def noisy(key: SampleKey) -> TrainSample:
        found = sample(key)
        # Four times as fast in every second round.
        faster = 4 if (key.host, key.variant, key.round % 2) == ("1.4.1", "stock", 1) else 1
        return found.model_copy(update={"step_ns": [ns // faster for ns in found.step_ns]})

    said = releases.line(bench.record(asked=run.settings, sample=noisy))
    assert "1.4.1 is the fastest (no difference shown from 1.4.1 + opcache): 2.50x" in said


def test_pages_and_the_figure_show_the_record(
    run: BenchRecord, layout: Layout, tmp_path: Path
) -> None:
    elsewhere = layout.raw / "bench-16-cores-16-threads.jsonl"
    blocks = "".join(
        f"<!-- table: {words} results/raw/bench-releases.jsonl -->\n<!-- end of table -->\n"
        for words in ("releases", f"more-results {elsewhere}")
    )
    source = Source(tmp_path / "results", None, efficiency=0.5)
    with pytest.raises(Missing, match="make bench-releases"):
        plot.draw(source)
    path = tmp_path / "results" / "raw" / plot.RECORD
    record.create(run, path)
    filled = tables.fill(blocks, tmp_path)
    assert GOLDEN in filled and f"- {LINE}: [docs/performance.md](" in filled
    (page,) = [render(path) for name, render in tables._PAGES.items() if name == path.name]
    assert GOLDEN in page
    (drawn,) = plot.draw(source)
    bars = rectangles(drawn.figure)
    assert {name: bar.get_width() for name, bar in bars.items()} == pytest.approx(
        {"1.4.1": 1.25, "1.4.1 + opcache": 2, "1.9.1": 1, "PyTorch": math.sqrt(10)}
    )
    assert outside(drawn.figure) == [] and "PyTorch 3.16x" in drawn.alt


def test_a_network_in_two_series_is_one_row() -> None:
    """Its steps are paired within a series: in the second one the machine is slower."""

    def slower(key: SampleKey) -> TrainSample:
        found = sample(key)
        step_ns = [(3 if key.series == "more" else 1) * ns for ns in found.step_ns]
        return found.model_copy(update={"step_ns": step_ns})

    first = bench.series(cases=[SMALL, LARGE], variants={**MXNET, pytorch.HOST: [*LAYOUT_MS]})
    more = bench.series(name="more", cases=[SMALL], variants=MXNET)
    run = bench.record(asked=bench.settings(first, more), sample=slower)
    expected = GOLDEN.splitlines()
    assert releases.table(run)[3:] == expected[3:]


def test_without_stock_there_are_no_ratios() -> None:
    asked = bench.settings(bench.series(cases=[SMALL], variants={"1.4.1": ["all"]}))
    *_, last = releases.table(bench.record(asked=asked, sample=sample))
    assert last.split() == "| resnet-18 64 | 175.0 |".split()


def test_a_build_is_no_release(layout: Layout, error_of: Callable[..., str]) -> None:
    assert error_of("bench-releases", "--mxnet", layout.root) == (
        "bench-releases: expected releases, found a build: bench measures it"
    )


def test_a_record_names_the_packages_of_pytorch(layout: Layout) -> None:
    asked = bench.settings(bench.series(variants={pytorch.HOST: list(pytorch.FORMATS)}))
    path = layout.root / "requirements-pytorch.txt"
    assert command._new_run(layout, asked, "run").versions[path.name] == sha256_of(path)


def test_only_stock_of_a_release_that_is_not_served(layout: Layout) -> None:
    path = layout.root / "configs" / "bench-releases.toml"
    asked, toolchain = load(path, config.BenchConfig), load_toolchain(layout.toolchain)
    found = config.resolve(asked, toolchain, None)
    hosts = {wheel.version for wheel in (*toolchain.hosts, *toolchain.unserved)}
    assert [set(series.variants) - {pytorch.HOST} for series in found.series] == [hosts, hosts]
    for host, scopes, expected in (
        ("1.9.1", ("stock", "all"), "stock or stock-again, found 'all'"),
        ("pytorch", ("stock",), "channels-first or channels-last, found 'stock'"),
    ):
        wrong = asked.series[0].model_copy(update={"scopes": {host: scopes}})
        changed = asked.model_copy(update={"series": (wrong,)})
        assert refusal(config.resolve, changed, toolchain, None) == (
            f"series releases: {host}: expected {expected}"
        )


def test_pytorch_trains_the_same_network(layout: Layout) -> None:
    if not (layout.build / "pytorch").is_dir():
        pytest.skip("build/pytorch is absent: run make bench-releases ARGS=--pytorch")
    job = TrainJob("mobilenet-1.0", 1, 64, timed_steps_min=2, timed_steps_max=2)
    result = pytorch.run(layout, job, "channels-last", threads(1), 60, {})
    assert result["finite"] and len(result["step_ns"]) == 2
    with pytest.raises(HarnessError, match="expected 4231976 parameters, found 4231975"):
        pytorch._check_parameters("mobilenet-1.0", 4_231_975, "run")
