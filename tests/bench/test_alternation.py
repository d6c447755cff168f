"""Ratios, limits, tables and figures of alternating scopes, from made-up numbers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Callable, List

import pydantic
import pytest

from harness.base.layout import Layout
from harness.bench import alternation, extrapolation, tables
from harness.bench import record as bench_record
from harness.bench import rows as table
from harness.bench.alternation import AlternateRow
from harness.bench.record import AlternateSample, BenchRecord, Block
from harness.bench.views import cached, ratios
from harness.publish import overview
from harness.publish.plots import latency, style
from harness.publish.plots.source import Missing, Source
from harness.trials.record import Case, threads
from tests.support.commands import refusal
from tests.support.records import bench

GOOGLENET = Case(model="googlenet", batch_size=1, image_size=224)
GOLDEN = """\
| network       | batch | MXNet | scope    | img/s |  ratio |    95 % interval | n | in one |  limit | removed | cache |
|---------------|-------|-------|----------|-------|--------|------------------|---|--------|--------|---------|-------|
| googlenet 224 |     1 | 1.3.1 | off      |  5.77 |      - |                - | 3 |      - |      - |       - |  0.0% |
| googlenet 224 |     1 | 1.3.1 | backward |  8.41 | 1.458x |   1.422 to 1.495 | 3 |   0.0% | 2.080x |     61% |  0.5% |
| googlenet 224 |     1 | 1.3.1 | all      | 11.91 | 2.064x |   2.013 to 2.116 | 3 |   0.0% | 2.080x |     99% |  1.3% |
| googlenet 224 |     1 | 1.4.1 | off      |  5.77 |      - |                - | 3 |      - |      - |       - |  0.0% |
| googlenet 224 |     1 | 1.4.1 | all      | 11.91 | 2.064x |   2.013 to 2.116 | 3 |   0.0% | 2.080x |     99% |  1.3% |
| vgg-16 224    |    32 | 1.3.1 | off      |  2.39 |      - |                - | 3 |      - |      - |       - |  0.0% |
| vgg-16 224    |    32 | 1.3.1 | backward |  2.42 | 1.011x | 0.986 to 1.037 ~ | 3 |   0.0% | 1.002x |       - |  0.0% |
| vgg-16 224    |    32 | 1.3.1 | all      |  2.42 | 1.012x | 0.987 to 1.038 ~ | 3 |   0.0% | 1.002x |       - |  0.0% |
| vgg-16 224    |    32 | 1.4.1 | off      |  2.39 |      - |                - | 3 |      - |      - |       - |  0.0% |
| vgg-16 224    |    32 | 1.4.1 | all      |  2.42 | 1.012x | 0.987 to 1.038 ~ | 3 |   0.0% | 1.002x |       - |  0.0% |
"""  # noqa: E501
HEADLINE = [
    "Training throughput relative to the same process with the cache off "
    "(95 % interval; ~: no difference shown):",
    "- batch 1, geometric mean of 2 networks: **1.492x** (1.475 to 1.509) on 1.3.1, "
    "**1.362x** (1.347 to 1.378) on 1.4.1",
    "- batch 32, geometric mean of 2 networks: **1.028x** (1.016 to 1.040) on 1.3.1, "
    "**1.028x** (1.016 to 1.040) on 1.4.1",
]


@pytest.fixture(scope="module")
def run() -> BenchRecord:
    return bench.alternating_record()


def blocks_changed(
    run: BenchRecord, change: Callable[[AlternateSample, Block], Any]
) -> BenchRecord:
    """Return the record with the fields of ``change(sample, block)`` in every block."""
    finished: List[Any] = [
        each.model_copy(
            update={"blocks": [b.model_copy(update=change(each, b)) for b in each.blocks]}
        )
        for each in run.alternates
    ]
    return run.model_copy(update={"finished": finished})


def test_golden_table() -> None:
    cases = [GOOGLENET, Case(model="vgg-16", batch_size=32, image_size=224)]
    printed = alternation.render(bench.alternating_record(cases=cases))
    assert printed.split("\n\n")[0] + "\n" == GOLDEN
    assert all(len(line) <= 120 for line in printed.splitlines())


def test_means_stand_in_headline_and_overview(run: BenchRecord) -> None:
    assert overview.headline([run]) == HEADLINE
    shown = overview.table([run])
    assert shown[-2].startswith("| geometric mean | 1.492x (1.475 to 1.509) |")
    # Batch 1 only: the headline has the others.
    assert shown[-1].split() == ["|", "processes", "|", "3", "|", "3", "|"]
    # Four releases fit with two digits.
    hosts = dict.fromkeys(("1.3.1", "1.4.1", "1.5.1.post0", "1.6.0"), ["off", "all"])
    wide = overview.table([bench.alternating_record(variants=hosts)])
    assert "| 1.49x (1.48 to 1.51) |" in wide[-2] and len(wide[0]) <= 120
    # A record of fresh processes keeps its own words.
    assert "relative to unmodified MXNet (" in overview.headline([bench.full_record()])[0]
    assert [group.baseline for group in ratios.groups(run)] == ["off", "off"]
    assert "1.3.1 backward / off | PR #11301" in ratios.render(run)


def test_tables_of_several_series_are_by_batch_size_and_in_one_order() -> None:
    small = [Case(model=model, batch_size=1, image_size=224) for model in ("vgg-16", "googlenet")]
    large = [case.model_copy(update={"batch_size": 32}) for case in small]
    values: Any = {"job": "alternate", "variants": {"1.3.1": ["off", "all"]}}
    asked = [
        bench.series(1, name=f"series-{i}", cases=cases, **values)
        for i, cases in enumerate((large[1:], large[:1], small))
    ]
    run = bench.record(asked=bench.settings(*asked), sample=bench.alternate_sample)
    shown = [(group.batch_size, [*group.cells]) for group in ratios.groups(run)]
    assert shown == [(1, ["vgg-16", "googlenet"]), (32, ["vgg-16", "googlenet"])]


def test_networks_together_have_one_mean() -> None:
    run = bench.gluoncv_record()
    first, second = (row for row in alternation.rows(run) if row.variant == "backward")
    mean = alternation.mean([first, second])[0]
    printed = alternation.render(run)
    assert f"| mean of 2    |     - | 1.3.1 | backward |     - | {mean:.3f}x |" in printed
    (group,) = ratios.groups(run)
    assert list(group.cells) == ["googlenet 64, batch 8", "vgg-16 32-96, batch 1"]
    assert [each.ratio for each in group.means() if each.variant == "backward"] == [mean]
    (line,) = overview.headline([run])[1:]
    assert line.startswith("- GluonCV, geometric mean: **") and line.endswith(" (2 networks)")
    # Without the name each batch size has its own mean, of one network here.
    apart = run.settings.model_copy(update={"together": None})
    assert "mean of" not in alternation.render(run.model_copy(update={"settings": apart}))
    page = tables.bench_markdown(run)
    assert "**GluonCV networks, 2 threads; scopes alternate in each process**" in page
    assert all(len(line) <= 120 for line in page.splitlines() if line.startswith("| "))


def test_changing_sizes_count_every_image() -> None:
    run = bench.gluoncv_record()
    off = next(row for row in alternation.rows(run) if row.case.model == "vgg-16")
    # A step trains on four batches of one image.
    assert off.images_per_second == pytest.approx(4e9 / off.step_ns)
    one = bench.record().samples[0]
    several = one.model_copy(update={"sides": [32, 64, 96, 64]})
    assert several.images_per_second == pytest.approx(4 * one.images_per_second)


def test_what_the_cache_evicts_is_told(run: BenchRecord) -> None:
    made = bench.gluoncv_record()
    rows = cached.cached(made)
    assert [row.host for row in rows] == ["1.3.1", "1.4.1"]
    assert {row[:1] + row[3:] for row in rows} == {
        ("vgg-16 32-96", "all", 3, 4, 3, 4096, 3.0, float(2 * 2**20))
    }
    assert "## Cached objects" in tables.bench_markdown(made)
    # A network of one size has a row if it evicts; older records do not tell.
    assert cached.cached(run) == [] and "Cached objects" not in tables.bench_markdown(run)
    evicting = blocks_changed(run, lambda _, b: {"evictions": 2 * (b.scope == "all")})
    assert {row.evicted for row in cached.cached(evicting)} == {1.0}
    older = blocks_changed(made, lambda _, b: {"evictions": None})
    assert {row.evicted for row in cached.cached(older)} == {None}


def test_another_machine_has_a_line() -> None:
    cases = [GOOGLENET, Case(model="vgg-16", batch_size=1, image_size=224)]
    variants = {"1.3.1": ["off", "backward", "all"]}
    run = bench.alternating_record(cases=cases, variants=variants)
    (line,) = overview.elsewhere(run)
    assert line.startswith("- **Batch 1 on 2 cores** of another machine, MXNet 1.3.1, relative to ")
    assert "off: googlenet 2.06x (2.01 to 2.12), vgg-16 1.08x (" in line
    # Ratios on another number of threads are not of these cores.
    (first,) = run.settings.series
    other = first.model_copy(update={"name": "one-thread", "threads": threads(1)})
    settings = run.settings.model_copy(update={"series": [first, other]})
    more = [each.model_copy(update={"series": other.name}) for each in run.alternates]
    both = run.model_copy(update={"settings": settings, "finished": [*run.alternates, *more]})
    assert overview.elsewhere(both) == [line]


def test_a_process_is_one_value(run: BenchRecord) -> None:
    first = alternation.rows(bench.alternating_record(1))[1]
    assert first.ratio is not None and first.interval is None
    # Noise inside the processes shows as such, and widens no interval.
    noisy = blocks_changed(run, lambda _, b: {"step_ns": [t + b.cycle for t in b.step_ns]})
    exact = alternation.rows(run)[1]
    row = alternation.rows(noisy)[1]
    assert row.spread is not None and exact.spread is not None
    assert row.spread > exact.spread
    assert row.interval == pytest.approx(exact.interval, rel=1e-6)


def test_networks_of_the_mean_have_their_own_rounds(run: BenchRecord) -> None:
    def networks(run: BenchRecord) -> List[AlternateRow]:
        every = alternation.rows(run)
        return [r for r in every if r.variant == "backward" and r.case.batch_size == 1]

    def without(*rounds: int) -> BenchRecord:
        lost = [(round_, "vgg-16") for round_ in rounds]
        kept = [each for each in run.alternates if (each.round, each.case.model) not in lost]
        return run.model_copy(update={"finished": kept})

    googlenet, vgg = networks(run)
    ratio, interval = alternation.mean([googlenet, vgg])
    assert ratio == pytest.approx(math.sqrt(googlenet.ratio * vgg.ratio))
    # Fewer processes of one network: a wider interval, around all processes of the other.
    fewer, wider = alternation.mean(networks(without(2)))
    assert fewer == pytest.approx(math.sqrt(googlenet.ratio * networks(without(2))[1].ratio))
    assert wider[1] / wider[0] > interval[1] / interval[0]
    assert alternation.mean(networks(without(1, 2)))[1] is None


def test_cases_without_a_result_are_rows(run: BenchRecord) -> None:
    lost = [each for each in run.alternates if each.case.model == "vgg-16"]
    failures = [bench.failure(each.key, "memory", "std::bad_alloc") for each in lost]
    kept = [each for each in run.alternates if each.case.model != "vgg-16"]
    failed = run.model_copy(update={"finished": [*kept, *failures]})
    (line, *_) = [
        line for line in alternation.render(failed).splitlines() if line.startswith("| vgg-16")
    ]
    assert [cell.strip() for cell in line.split("|")[3:9]] == [
        *("1.3.1", "off", "no memory", "-", "-", "0")
    ]
    assert "no memory" in ratios.render(failed)


def test_warnings_are_those_to_act_on(run: BenchRecord) -> None:
    assert table.warnings(run) == []
    missing = blocks_changed(run, lambda _, b: {"missed": 4 * (b.scope == "all")})
    (line, *others) = table.warnings(missing)
    assert line == (
        "googlenet, vgg-16 batch 1 threads 2 1.3.1 all: "
        "the cache missed in timed steps: raise MKLDNN_OPCACHE_CAPACITY"
    )
    assert len(others) == 3
    infinite = run.alternates[0].model_copy(update={"finite": False})
    (line,) = table.warnings(run.model_copy(update={"finished": [infinite]}))
    assert line.endswith("round 0: the network's output is not finite")


def test_unbalanced_blocks_are_refused(run: BenchRecord, tmp_path: Path) -> None:
    sample = run.alternates[0]
    damaged = sample.model_copy(update={"blocks": sample.blocks[1:]})
    path = tmp_path / "run.jsonl"
    bench_record.create(run.model_copy(update={"finished": [damaged]}), path)
    message = refusal(bench_record.load, path)
    assert "line 2: " in message and "expected two blocks of each scope in each cycle" in message


def test_blocks_of_the_first_kit_are_read_without_misses(run: BenchRecord) -> None:
    block = run.alternates[0].blocks[0]
    values = block.model_dump(exclude={"missed"})
    for still_missing in (False, None):
        assert Block.model_validate({**values, "still_missing": still_missing}) == block
    for others in ({}, {"still_missing": True}, {"still_missing": 0, "missed": 1}):
        with pytest.raises(pydantic.ValidationError):
            Block.model_validate({**values, **others})


def test_old_records_have_no_alternating_scopes(layout: Layout) -> None:
    for path in (layout.root / "results" / "raw").glob("small-*.jsonl"):
        old = bench_record.load(path)
        assert old.samples and not old.alternates and not alternation.rows(old)


def test_off_stands_for_stock_in_the_model(run: BenchRecord) -> None:
    each = extrapolation.measured(run)[0]
    assert (each.host, each.variant) == ("1.3.1", "backward")
    assert each.ratio == pytest.approx(1.458, abs=0.001)
    # The median block is between the fast cycle and the slow one.
    step_ms = bench.step_ms("googlenet", 1, "1.3.1", "off", 2)
    assert each.step.stock_s == pytest.approx(1.5 * step_ms / 1000)


def test_latency_figure_has_the_percentiles(run: BenchRecord, tmp_path: Path) -> None:
    at_1 = [each for each in run.alternates if each.case.batch_size == 1]
    found = latency.latencies([each for each in at_1 if each.host == "1.4.1"])
    off = found[0]
    step_ms = bench.step_ms("googlenet", 1, "1.4.1", "off", 2)
    # Half of the steps are in the slow cycle.
    assert (off.network, off.scope, off.steps) == ("googlenet", "off", 24)
    assert off.ms == pytest.approx((1.5 * step_ms, 2 * step_ms, 2 * step_ms), rel=1e-6)
    drawn = latency.draw(Source(tmp_path, run, 0.5))
    assert [each.name for each in drawn] == ["latency-1.3.1-batch-1", "latency-1.4.1-batch-1"]
    lines = {line.get_gid(): line for line in drawn[1].figure.axes[0].lines}
    assert list(lines["off p50"].get_xdata())[0] == pytest.approx(off.ms[0])
    assert set(style.encoded(drawn[1])) == {"svg", "png"}
    with pytest.raises(Missing, match="no alternating scopes"):
        latency.draw(Source(tmp_path, bench.record(), 0.5))
