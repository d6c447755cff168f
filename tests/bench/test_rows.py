"""The printed table, character by character, from made-up numbers."""

from __future__ import annotations

import pytest

from harness.bench import rows as table
from harness.bench.record import BenchRecord
from harness.trials.record import Case
from tests.support.records import bench

GOLDEN = """\
| model     | batch | image | threads | MXNet | variant  | img/s |  ratio |    95 % interval | n | create | destroy | cache | peak MiB |
|-----------|-------|-------|---------|-------|----------|-------|--------|------------------|---|--------|---------|-------|----------|
| resnet-18 |     2 |    32 |       2 | 1.3.1 | stock    | 20.00 |      - |                - | 6 |      - |       - |     - |      100 |
| resnet-18 |     2 |    32 |       2 | 1.3.1 | off      | 19.90 | 0.995x | 0.980 to 1.015 ~ | 6 |  25.0% |   12.5% |  0.0% |      100 |
| resnet-18 |     2 |    32 |       2 | 1.3.1 | backward | 40.00 | 2.000x |   2.000 to 2.000 | 6 |   1.0% |    0.5% |  0.5% |      100 |

img/s: median; ratio: to stock, median of the pairs of one round; ~: the interval includes 1
create, destroy, cache: share of the timed steps spent in creating and destroying MKL-DNN
primitives and in the cache itself, by the library's counters (variant off measures stock)
"""  # noqa: E501
NAME = "resnet-18 batch 2 threads 2 1.3.1"


def with_first(record: BenchRecord, **values: object) -> BenchRecord:
    first, *rest = record.finished
    return record.model_copy(update={"finished": [first.model_copy(update=values), *rest]})


def test_golden_table() -> None:
    assert table.render(bench.record()) == GOLDEN
    assert table.warnings(bench.record()) == []


def test_pairs_are_of_the_same_round() -> None:
    # Two samples: round 0 of the first two variants. No stock but the first one's round.
    rows = table.rows(bench.record(taken=2))
    assert [(row.variant, row.samples, row.pairs) for row in rows] == [
        ("stock", 1, 0),
        ("off", 1, 1),
    ]
    assert rows[1].ratio == pytest.approx(100 / 102)
    assert rows[1].interval is None
    # Without stock there is no ratio.
    record = bench.record()
    rest = [sample for sample in record.samples if sample.variant != "stock"]
    rows = table.rows(record.model_copy(update={"finished": rest}))
    assert [row.ratio for row in rows] == [None, None]


def test_few_pairs_are_warned_of() -> None:
    assert table.warnings(bench.record(samples=2)) == [
        f"{NAME} off: too few pairs for an interval (2)",
        f"{NAME} backward: too few pairs for an interval (2)",
    ]
    assert table.warnings(bench.record(samples=5)) == [
        f"{NAME} off: 5 pairs, of which no interval reaches 95 %: take 6 or more",
        f"{NAME} backward: 5 pairs, of which no interval reaches 95 %: take 6 or more",
    ]
    # Equal warnings about several networks are joined.
    cases = [Case(model=model, batch_size=2, image_size=32) for model in ("alexnet", "resnet-18")]
    asked = bench.settings(bench.series(2, cases=cases))
    run = bench.record(asked=asked)
    both = NAME.replace("resnet-18", "alexnet, resnet-18")
    assert table.warnings(run) == [
        f"{both} off: too few pairs for an interval (2)",
        f"{both} backward: too few pairs for an interval (2)",
    ]


def scaled(record: BenchRecord, variant: str, odd: int, even: int = 1) -> BenchRecord:
    """Multiply the steps of a variant, in rounds with an odd and an even number."""
    finished = [
        s.model_copy(update={"step_ns": [t * (odd if s.round % 2 else even) for t in s.step_ns]})
        if s.variant == variant
        else s
        for s in record.samples
    ]
    return record.model_copy(update={"finished": finished})


def test_instability_is_warned_of() -> None:
    (line,) = table.warnings(scaled(bench.record(), "stock", odd=2))
    assert line.startswith(f"{NAME} stock: unstable, half of the samples spread")


def test_stock_that_differs_from_itself_is_warned_of() -> None:
    asked = bench.settings(bench.series(variants={"1.3.1": ["stock", "stock-again"]}))
    record = bench.record(asked=asked)
    assert table.warnings(record) == []
    assert "stock-again: stock once more" in table.render(record)
    (line,) = table.warnings(scaled(record, "stock-again", odd=2, even=2))
    assert line.startswith(f"{NAME} stock-again: stock differs from itself (0.500 to 0.500)")


def test_failures_are_rows_and_warnings() -> None:
    record = bench.record(samples=6)
    keys = [s.key for s in record.samples if s.variant == "off"]
    rest = [s for s in record.samples if s.variant != "off"]
    no_memory = bench.failure(keys[0], "memory", "std::bad_alloc")
    gone = record.model_copy(update={"finished": [*rest, no_memory]})
    assert [row.variant for row in table.rows(gone)] == ["stock", "backward"]
    line = "| resnet-18 |     2 |    32 |       2 | 1.3.1 | off      | no memory |      - |"
    assert line in table.render(gone)
    assert table.warnings(gone) == [f"{NAME} off: round 0: memory: std::bad_alloc"]
    # A variant with samples shows them; the process that died is still reported.
    failed = [*record.samples, bench.failure(keys[0], "died", "gone")]
    died = record.model_copy(update={"finished": failed})
    assert table.render(died) == GOLDEN
    assert table.warnings(died) == [f"{NAME} off: round 0: died: gone"]


def test_unfinished_warm_up_and_nan_are_warned_of() -> None:
    record = bench.record()
    assert table.warnings(with_first(record, still_missing=True)) == [
        f"{NAME} stock: the cache still created something after 2 warm-up steps"
    ]
    assert table.warnings(with_first(record, finite=False)) == [
        f"{NAME} stock: round 0: the network's output is not finite"
    ]
