"""The record of a distributed run: wrong bits, and its table."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

from harness.base.layout import Layout
from harness.distributed import bits, table
from harness.distributed.command import check_bits, plan
from harness.distributed.record import DistRecord, load
from harness.trials.record import save
from tests.support.commands import refusal
from tests.support.records.distributed import changed, record
from tests.support.tables import cells


def faults(run: DistRecord) -> List[str]:
    return [str(fault) for fault in bits.wrong(run)]


def test_plan_is_interleaved_and_bits_are_equal() -> None:
    planned = plan(record(rounds=3).settings)
    assert [variant for variant, _ in planned] == ["stock", "all", "all", "stock", "stock", "all"]
    assert [round_ for _, round_ in planned] == [0, 0, 1, 1, 2, 2]
    assert faults(record()) == []
    check_bits(record())


OTHER, NO_OUTPUT = {"mean": "m9", "output": "o9"}, {"mean": "m0"}
OTHER_WEIGHT, OTHER_MEAN = {"bias": "b0", "weight": "w1"}, {"mean": "m9", "output": "o1"}
# Variant, round and rank of a worker, its values, and the messages without round and rank.
WRONG: List[Tuple[str, int, int, Dict[str, Any], List[str]]] = [
    (
        *("all", 1, 1, {"parameters": OTHER_WEIGHT}),
        ["other parameters than rank 0: weight", "other bits than stock round 0: weight"],
    ),
    ("all", 2, 0, {"own": OTHER}, ["other bits than stock round 0: mean and 1 more"]),
    ("all", 0, 0, {"own": NO_OUTPUT}, ["other bits than stock round 0: output"]),
    ("stock", 3, 1, {"own": OTHER_MEAN}, ["other bits than stock round 0: mean"]),
    ("stock", 0, 1, {"finite": False}, ["an output that is not finite"]),
]


@pytest.mark.parametrize(("variant", "round_", "rank", "values", "lines"), WRONG)
def test_wrong_bits(
    variant: str, round_: int, rank: int, values: Dict[str, Any], lines: List[str]
) -> None:
    run = changed(record(), variant, round_, rank, **values)
    lines = [f"{variant} round {round_}: rank {rank} has {line}" for line in lines]
    assert faults(run) == lines
    first, *found = refusal(check_bits, run).splitlines()
    assert first == "bits of the trainings differ that must be equal:"
    of_stock = "stock itself is at fault: this says nothing about the cache"
    assert found == [f"  {line}" for line in lines] + ([of_stock] if variant == "stock" else [])


def test_the_baseline_may_be_another_build() -> None:
    whole, name = changed(record(), "all", 2, 0, own=OTHER), "own-1.3.1-01234567"
    run = DistRecord.model_validate_json(whole.model_dump_json().replace('"stock"', f'"{name}"'))
    assert faults(run) == [
        f"all round 2: rank 0 has other bits than {name} round 0: mean and 1 more"
    ]
    assert [row.ratio is None for row in table.rows(run)] == [True, False]


def test_table() -> None:
    run = changed(record(), "all", 2, 0, own=OTHER)
    assert [row.bits for row in table.rows(run)] == ["equal", "DIFFER"]
    text = table.render(record())
    rows = [cells(line) for line in text.splitlines()[2:4]]
    begin = ["resnet-18", "3", "32", "1.3.1", "2", "1"]
    assert rows == [
        [*begin, "stock", "150.00", "75.00 to 75.00", "-", "-", "6", "equal"],
        [*begin, "all", "200.00", "100.00 to 100.00", "1.333x", "1.333 to 1.333", "6", "equal"],
    ]
    assert table.warnings(record()) == []
    assert [row.bits for row in table.rows(record(rounds=1))] == ["one run", "equal"]
    assert table.warnings(record(rounds=1)) == [
        "all: 1 pairs, of which no interval reaches 95 %: take 6 rounds or more"
    ]


def test_three_workers_are_compared_with_each_other_only() -> None:
    run = record(workers=3)
    for rank in range(3):
        run = changed(run, "all", 0, rank, parameters={"bias": "b9", "weight": "w9"})
    assert faults(run) == []
    assert [row.bits for row in table.rows(run)] == ["not compared", "not compared"]
    assert table.warnings(run)[0].startswith("bits are not compared with stock's: 3 ")
    run = changed(run, "all", 0, 2, parameters={"bias": "b8", "weight": "w9"})
    assert faults(run) == ["all round 0: rank 2 has other parameters than rank 0: bias"]


def test_a_rank_that_is_missing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    save(changed(record(), "all", 1, 1, rank=0), path)
    assert "ranks: expected each once and in order, found [0, 0]" in refusal(load, path)


def test_the_published_bits_are_right(layout: Layout) -> None:
    run = load(layout.root / "results" / "raw" / "bench-dist.json")
    assert bits.wrong(run) == []
