"""Ratios, operators and memory side by side, from made-up numbers; and what profilers print."""

from __future__ import annotations

from typing import Dict, List

import pytest

from harness.base.errors import HarnessError
from harness.bench import pr11301
from harness.bench import rows as table
from harness.bench.record import BenchRecord, Finished, SampleKey
from harness.bench.views import memory as memory_table
from harness.bench.views import operators as operator_table
from harness.bench.views import ratios as bench_summary
from harness.trials.record import Case, threads
from harness.worker import profiler
from models.registry import NETWORKS
from tests.support.records import bench

PRINTED = """
Profile Statistics.
\tNote that counter items are counter values and not time units.
operator
=================
Name                          Total Count        Time (ms)    Min Time (ms)    Max Time (ms)    Avg
----                          -----------        ---------    -------------    -------------    ---
SoftmaxOutput                           8           0.2000           0.0170           0.0200    0.0
_backward_Convolution                 456         200.0000           0.1500           1.3780    0.4

memory
=================
Name                          Total Count        Time (ms)    Min Time (ms)    Max Time (ms)    Avg
pool                                    8         200.0000           0.1500           1.3780    0.4
"""


def test_profiler_calls_are_counted_once() -> None:
    expected = {
        "SoftmaxOutput": {"calls": 4, "total_ms": pytest.approx(0.1)},
        "_backward_Convolution": {"calls": 228, "total_ms": pytest.approx(100.0)},
    }
    assert profiler.operator_times(PRINTED, steps=4) == expected


@pytest.mark.parametrize("text", ["", PRINTED.replace("SoftmaxOutput ", "[SoftmaxOutput]")])
def test_operators_in_bulk_are_refused(text: str) -> None:
    with pytest.raises(HarnessError, match="expected SoftmaxOutput once in each of 4 steps"):
        profiler.operator_times(text, steps=4)


def test_published_tables() -> None:
    throughput, operators = pr11301.throughput(), pr11301.operator_ms()
    names = "alexnet googlenet vgg-16 vgg-19 inception-bn inception-v3 resnet-50 resnet-152"
    assert set(throughput) == {*names.split(), "inception-v4"} <= set(NETWORKS)
    assert operators["_backward_Convolution"] == (63134.26, 46223.86, 0.7322)
    assert len(operators) == 24
    for each in [*throughput.values(), *operators.values()]:
        assert each.ratio == pytest.approx(each.after / each.before, abs=0.01)


RUNS = {"1.3.1": ["stock", "stock-again", "backward"]}
CASES = [Case(model=model, batch_size=32, image_size=224) for model in ("alexnet", "vgg-16")]
# Milliseconds per step in every round: backward is twice and four times as fast.
MS = {"alexnet": {"backward": 50, "stock-again": 100}, "vgg-16": {"backward": 25}}

SUMMARY = """\
**Batch size 32, 2 threads**

| model          | 1.3.1 stock img/s | 1.3.1 stock-again / stock | 1.3.1 backward / stock | PR #11301 |
|----------------|-------------------|---------------------------|------------------------|-----------|
| alexnet        |            320.00 |    1.00x (1.00 to 1.00 ~) |   2.00x (2.00 to 2.00) |     1.13x |
| vgg-16         |            320.00 |                 no memory |   4.00x (4.00 to 4.00) |     1.03x |
| geometric mean |                 - |    1.00x (1.00 to 1.00 ~) |   2.83x (2.83 to 2.83) |     1.08x |

ratio: median over pairs of processes of one round, with its 95 % bootstrap interval;
~: the interval includes 1, no difference is shown
stock-again / stock: stock measured twice; its distance from 1 is measurement noise
PR #11301: its published ratio, on 56 cores
"""  # noqa: E501


def run_of_two() -> BenchRecord:
    series = bench.series(cases=CASES, variants=RUNS)
    run = bench.record(asked=bench.settings(series))
    finished: List[Finished] = []
    for key in (sample.key for sample in run.samples):
        if key.variant == "stock-again" and key.case.model == "vgg-16":
            finished += [bench.failure(key, "memory")] if key.round == 0 else []
        else:
            step_ns = MS[key.case.model].get(key.variant, 100) * 1_000_000
            finished.append(bench.train_sample(key, step_ns=[step_ns] * 2))
    return run.model_copy(update={"finished": finished})


def test_golden_summary() -> None:
    run = run_of_two()
    assert bench_summary.render(run) == SUMMARY
    # A mean is over the networks that have been measured.
    (group,) = bench_summary.groups(run)
    assert [mean.networks for mean in group.means()] == [1, 2]
    # A series without stock has no ratios.
    series = bench.series(variants={"1.3.1": ["off"]})
    assert bench_summary.groups(bench.record(asked=bench.settings(series))) == []


# Milliseconds of each operator in one step, by network and variant.
PROFILES: Dict[str, Dict[str, Dict[str, float]]] = {
    "alexnet": {
        "stock": {"Convolution": 10, "_backward_Convolution": 50, "_zeros_without_dtype": 1},
        "backward": {"Convolution": 10, "_backward_Convolution": 20, "_zeros": 1},
    },
    "vgg-16": {
        "stock": {"Convolution": 30, "_backward_Convolution": 50},
        "backward": {"Convolution": 20, "_backward_Convolution": 50},
    },
}

OPERATORS = """\
### 2 networks, batch size 32, MXNet 1.3.1

| operator              | stock ms | backward ms | to stock | PR #11301 | backward saves ms | backward avoided |   ms |
|-----------------------|----------|-------------|----------|-----------|-------------------|------------------|------|
| _backward_Convolution |   100.00 |       70.00 |    70.0% |     73.2% |             30.00 |               16 | 1.00 |
| Convolution           |    40.00 |       30.00 |    75.0% |    100.0% |             10.00 |                - |    - |
| _zeros                |     1.00 |        1.00 |   100.0% |     95.0% |              0.00 |                - |    - |
| total                 |   141.00 |      101.00 |    71.6% |     82.8% |             40.00 |               16 | 1.00 |
"""  # noqa: E501


def profiled() -> BenchRecord:
    variants = {"1.3.1": ["stock", "backward"]}
    series = bench.series(1, name="operators", job="profile", cases=CASES, variants=variants)
    stats = bench.cache_stats("backward", 8)
    # Over two steps: half a millisecond avoided in each.
    stats["operators"]["_backward_Convolution"]["avoided_ns"] = 1_000_000

    def sample(key: SampleKey) -> Finished:
        counted = stats if key.variant == "backward" else None
        return bench.profile_sample(key, PROFILES[key.case.model][key.variant], stats=counted)

    return bench.record(asked=bench.settings(series), sample=sample)


def test_golden_operators() -> None:
    assert operator_table.render(profiled()).startswith(OPERATORS)
    # A network that lacks a variant is not added up.
    run = profiled()
    tables = operator_table.tables(run.model_copy(update={"finished": run.finished[:3]}))
    assert [(t.model, t.networks) for t in tables] == [("alexnet", 1)]
    assert operator_table.render(run.model_copy(update={"finished": []})) == ""


def test_operators_of_each_network_follow() -> None:
    tables = operator_table.tables(profiled())
    assert [(t.model, t.networks) for t in tables] == [
        ("all networks", 2),
        ("alexnet", 1),
        ("vgg-16", 1),
    ]
    convolution = tables[1].rows[0]
    assert convolution.operator == "_backward_Convolution"
    assert convolution.ratio("backward") == pytest.approx(0.4)
    assert convolution.calls == {"stock": 3, "backward": 3}
    # vgg-16 has no _zeros, and its sums do not invent one.
    assert [row.operator for row in tables[2].rows] == ["Convolution", "_backward_Convolution"]


def test_memory_is_compared_with_stock_and_the_caches_share_counted() -> None:
    mib = 2**20
    timed = bench.series(1)
    apart = {"name": "memory", "job": "memory", "variants": {"1.3.1": ["backward", "all"]}}
    asked = bench.settings(timed, bench.series(1, **apart))

    def sample(key: SampleKey) -> Finished:
        if key.series == "memory":
            return bench.memory_sample(key, 3 * mib, peak_resident_bytes=120 * mib)
        peak_mib = 110 if key.variant == "backward" else 100
        return bench.train_sample(key, peak_resident_bytes=peak_mib * mib)

    run = bench.record(asked=asked, sample=sample)
    rows = memory_table.memory(run)
    assert {r.variant: (r.peak_bytes, r.above_stock_bytes, r.kept_bytes) for r in rows} == {
        "stock": (100 * mib, None, None),
        "off": (100 * mib, 0, None),
        "backward": (110 * mib, 10 * mib, 3 * mib),
        "all": (120 * mib, None, 3 * mib),
    }
    text = memory_table.render(run)
    assert "|      110 | +10 MiB (+10.0%) |        3.0 |" in text
    # A process that counts is no process that is timed.
    assert [row.variant for row in table.rows(run)] == ["stock", "off", "backward"]


def test_cached_bytes_by_number_of_threads() -> None:
    cases = [bench.CASE, bench.CASE.model_copy(update={"model": "alexnet"})]
    apart = {"job": "created", "cases": cases, "variants": {"1.3.1": ["backward", "all"]}}
    asked = [bench.series(1, name=str(n), threads=threads(n), **apart) for n in (8, 1)]

    def sample(key: SampleKey) -> Finished:
        times = 3 if key.case.model == "alexnet" else 1
        return bench.memory_sample(key, 3 * 2**20 * int(key.series) * times)

    run = bench.record(asked=bench.settings(*asked), sample=sample)
    # The peak lacks the data of what was not executed.
    assert {row.peak_bytes for row in memory_table.memory(run)} == {None}
    one, eight = "3.0 to 9.0 MiB (alexnet)", "24.0 to 72.0 MiB (alexnet)"
    lines = [" ".join(line.split()) for line in memory_table.by_threads(run)]
    assert lines[2:] == [f"| 2 | 1 | {one} | {one} |", f"| 2 | 8 | {eight} | {eight} |"]


def test_peaks_by_number_of_threads() -> None:
    cases = [bench.CASE, bench.CASE.model_copy(update={"model": "alexnet", "batch_size": 8})]
    wanted = {"job": "memory", "cases": cases, "variants": {"1.3.1": ["stock", "all"]}}

    def sample(key: SampleKey) -> Finished:
        if key.variant == "stock":
            return bench.memory_sample(key, 0, stats=None, peak_resident_bytes=100 * 2**20)
        peak_mib = {"8": 120, "1": 98}[key.series]
        return bench.memory_sample(key, 3 * 2**20, peak_resident_bytes=peak_mib * 2**20)

    asked = [bench.series(1, name=str(n), threads=threads(n), **wanted) for n in (8, 1)]
    run = bench.record(asked=bench.settings(*asked), sample=sample)
    lines = [" ".join(line.split()) for line in memory_table.by_threads(run)]
    assert lines[0].endswith("| MXNet 1.3.1, `all` | MXNet 1.3.1, `all`, peak above stock |")
    above = {1: "-2.0", 8: "20.0"}
    assert lines[2:] == [
        f"| {batch} | {count} | 3.0 MiB ({name}) | {above[count]} MiB ({name}) |"
        for batch, name in ((8, "alexnet"), (2, "resnet-18"))
        for count in (1, 8)
    ]
