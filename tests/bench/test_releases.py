"""Releases side by side: the table, what may be asked of which release, and a run in PyTorch."""

from __future__ import annotations

from typing import Callable, Dict

import pytest

from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.base.reading import sha256_of
from harness.base.toml import load
from harness.bench import command, config, pytorch
from harness.bench.record import SampleKey, TrainSample
from harness.bench.views import releases
from harness.build.toolchain import load_toolchain
from harness.trials.jobs import TrainJob
from harness.trials.record import Case, threads
from tests.support.commands import refusal
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


def sample(key: SampleKey) -> TrainSample:
    if key.host == pytorch.HOST:
        step_ms = LAYOUT_MS[key.variant][key.case]
    else:
        step_ms = STEP_MS[f"{key.host} {key.variant}"] * (2 if key.case == LARGE else 1)
    # The machine slows down from round to round; one slow step is no median.
    step_ns = round(step_ms * 1e6) * (1 + key.round)
    return bench.train_sample(key, step_ns=[step_ns, step_ns, 9 * step_ns])


def test_golden_table() -> None:
    variants = {**MXNET, pytorch.HOST: list(pytorch.FORMATS)}
    asked = bench.settings(bench.series(cases=[SMALL, LARGE], variants=variants))
    assert releases.table(bench.record(asked=asked, sample=sample)) == GOLDEN.splitlines()


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
