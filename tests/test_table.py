"""The printed table, character by character, from made-up numbers."""

from __future__ import annotations

import pytest

from harness import table
from harness.record import BenchRecord
from tests import synthetic

GOLDEN = """\
| model     | batch | image | host  | variant  | img/s |  ratio |    95 % interval | n | create | destroy | cache | peak MiB |
|-----------|-------|-------|-------|----------|-------|--------|------------------|---|--------|---------|-------|----------|
| resnet-18 |     2 |    32 | 1.3.1 | stock    | 20.00 |      - |                - | 6 |      - |       - |     - |      100 |
| resnet-18 |     2 |    32 | 1.3.1 | off      | 19.90 | 0.995x | 0.980 to 1.015 ~ | 6 |  25.0% |   12.5% |  0.0% |      100 |
| resnet-18 |     2 |    32 | 1.3.1 | backward | 40.00 | 2.000x |   2.000 to 2.000 | 6 |   1.0% |    0.5% |  0.5% |      100 |

img/s: median; ratio: to stock, median of the pairs of one round; ~: the interval includes 1
create, destroy, cache: share of the timed steps spent in creating and destroying MKL-DNN
primitives and in the cache itself, by the library's counters (variant off measures stock)
"""  # noqa: E501


def with_first(record: BenchRecord, **values: object) -> BenchRecord:
    samples = [record.samples[0].model_copy(update=values), *record.samples[1:]]
    return record.model_copy(update={"samples": samples})


def test_golden_table() -> None:
    assert table.render(synthetic.bench_record()) == GOLDEN


def test_quiet_when_there_is_nothing_to_warn_of() -> None:
    assert table.warnings(synthetic.bench_record()) == []


def test_pairs_are_of_the_same_round() -> None:
    # Two samples: round 0 of the first two variants. No stock but the first one's round.
    rows = table.rows(synthetic.bench_record(taken=2))
    assert [(row.variant, row.samples, row.pairs) for row in rows] == [
        ("stock", 1, 0),
        ("off", 1, 1),
    ]
    assert rows[1].ratio == pytest.approx(100 / 102)
    assert rows[1].interval is None


def test_without_stock_there_is_no_ratio() -> None:
    record = synthetic.bench_record()
    rest = [sample for sample in record.samples if sample.variant != "stock"]
    rows = table.rows(record.model_copy(update={"samples": rest}))
    assert [row.ratio for row in rows] == [None, None]


def test_few_pairs_are_warned_of() -> None:
    name = "resnet-18 batch 2 1.3.1"
    assert table.warnings(synthetic.bench_record(samples=2)) == [
        f"{name} off: too few pairs for an interval (2)",
        f"{name} backward: too few pairs for an interval (2)",
    ]
    assert table.warnings(synthetic.bench_record(samples=5)) == [
        f"{name} off: 5 pairs, of which no interval reaches 95 %: take 6 or more",
        f"{name} backward: 5 pairs, of which no interval reaches 95 %: take 6 or more",
    ]


def test_instability_is_warned_of() -> None:
    record = synthetic.bench_record()
    samples = [
        s.model_copy(update={"step_ns": [t * (2 if s.round % 2 else 1) for t in s.step_ns]})
        if s.variant == "stock"
        else s
        for s in record.samples
    ]
    (line,) = table.warnings(record.model_copy(update={"samples": samples}))
    assert line.startswith("resnet-18 batch 2 1.3.1 stock: unstable, half of the samples spread")


def test_unfinished_warm_up_and_nan_are_warned_of() -> None:
    record = synthetic.bench_record()
    assert table.warnings(with_first(record, still_missing=True)) == [
        "resnet-18 1.3.1 stock round 0: the cache still missed after 2 warm-ups"
    ]
    assert table.warnings(with_first(record, finite=False)) == [
        "resnet-18 1.3.1 stock round 0: the network's output is not finite"
    ]
