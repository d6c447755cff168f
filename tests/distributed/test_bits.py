"""What a distributed run's record says: whose bits are wrong, the table, and the document."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List

import pytest

from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.distributed import bits as bench_dist_bits
from harness.distributed import command as bench_dist
from harness.distributed import record as bench_dist_record
from harness.distributed import table as bench_dist_table
from harness.trials import record as bench_record
from tests.support import synthetic


def made_up(workers: int = 2, rounds: int = 6) -> bench_dist_record.DistRecord:
    """A run whose ranks end alike; ``all`` takes three quarters of stock's time."""
    asked = bench_dist_record.Settings(
        case=bench_record.Case(model="resnet-18", batch_size=3, image_size=32),
        host="1.3.1",
        variants=["stock", "all"],
        workers=workers,
        servers=1,
        rounds=rounds,
        seed=1,
        threads=bench_record.Threads(omp_num_threads=1, kmp_affinity=None, kmp_blocktime=None),
        warm_up_steps=1,
        timed_steps=1,
        learning_rate=0.01,
        momentum=0.9,
    )
    step_ns = {"stock": 40_000_000, "all": 30_000_000}
    return bench_dist_record.DistRecord(
        kind=bench_dist_record.KIND,
        schema_version=bench_dist_record.SCHEMA_VERSION,
        run_id="bench-dist-synthetic",
        started_utc="2000-01-01T00:00:00+00:00",
        machine=synthetic.MACHINE,
        versions={},
        settings=asked,
        samples=[
            bench_dist_record.Sample(
                variant=variant,
                round=round_,
                started_utc="2000-01-01T00:00:00+00:00",
                environment={},
                workers=[_worker(rank, step_ns[variant]) for rank in range(workers)],
            )
            for variant, round_ in bench_dist.plan(asked)
        ],
    )


def _worker(rank: int, step_ns: int) -> bench_dist_record.Worker:
    return bench_dist_record.Worker(
        rank=rank,
        warm_up_ns=[step_ns],
        step_ns=[step_ns],
        still_missing=None,
        finite=True,
        parameters={"bias": "b0", "weight": "w0"},
        own={"mean": f"m{rank}", "output": f"o{rank}"},
        peak_resident_bytes=1,
        versions={},
        libraries=[],
        stats_before=None,
        stats=None,
    )


def changed(
    run: bench_dist_record.DistRecord, variant: str, round_: int, index: int, **values: Any
) -> bench_dist_record.DistRecord:
    """Return the run with other values in a worker of one training."""
    samples = []
    for sample in run.samples:
        workers = list(sample.workers)
        if (sample.variant, sample.round) == (variant, round_):
            workers[index] = workers[index].model_copy(update=values)
        samples.append(sample.model_copy(update={"workers": workers}))
    return run.model_copy(update={"samples": samples})


def faults(run: bench_dist_record.DistRecord) -> List[str]:
    return [str(fault) for fault in bench_dist_bits.wrong(run)]


def test_plan_is_interleaved() -> None:
    planned = bench_dist.plan(made_up(rounds=3).settings)
    assert [variant for variant, _ in planned] == ["stock", "all", "all", "stock", "stock", "all"]
    assert [round_ for _, round_ in planned] == [0, 0, 1, 1, 2, 2]


def test_equal_bits_are_well() -> None:
    assert faults(made_up()) == []
    bench_dist.check_bits(made_up())


def test_a_worker_with_other_parameters() -> None:
    run = changed(made_up(), "all", 1, 1, parameters={"bias": "b0", "weight": "w1"})
    assert faults(run) == [
        "all round 1: rank 1 has other parameters than rank 0: weight",
        "all round 1: rank 1 has other bits than stock round 0: weight",
    ]


def test_other_states_and_outputs() -> None:
    run = changed(made_up(), "all", 2, 0, own={"mean": "m9", "output": "o9"})
    assert faults(run) == ["all round 2: rank 0 has other bits than stock round 0: mean and 1 more"]
    assert [row.bits for row in bench_dist_table.rows(run)] == ["equal", "DIFFER"]
    with pytest.raises(HarnessError) as caught:
        bench_dist.check_bits(run)
    assert "all round 2" in str(caught.value)
    assert "nothing about the cache" not in str(caught.value)


def test_an_array_that_one_training_lacks() -> None:
    assert faults(changed(made_up(), "all", 0, 0, own={"mean": "m0"})) == [
        "all round 0: rank 0 has other bits than stock round 0: output"
    ]


def test_stock_that_does_not_repeat_itself() -> None:
    run = changed(made_up(), "stock", 3, 1, own={"mean": "m9", "output": "o1"})
    with pytest.raises(HarnessError) as caught:
        bench_dist.check_bits(run)
    assert str(caught.value).splitlines() == [
        "the trainings' bits are not what they must be:",
        "  stock round 3: rank 1 has other bits than stock round 0: mean",
        "stock itself is not as it must be: this says nothing about the cache",
    ]


def test_not_finite() -> None:
    run = changed(made_up(), "stock", 0, 1, finite=False)
    assert faults(run) == ["stock round 0: rank 1 has an output that is not finite"]


def test_three_workers_are_compared_with_each_other_only() -> None:
    run = made_up(workers=3)
    for rank in range(3):
        run = changed(run, "all", 0, rank, parameters={"bias": "b9", "weight": "w9"})
    assert faults(run) == []
    assert [row.bits for row in bench_dist_table.rows(run)] == ["not compared", "not compared"]
    assert bench_dist_table.warnings(run)[0].startswith("bits are not compared with stock's: 3 ")
    run = changed(run, "all", 0, 2, parameters={"bias": "b8", "weight": "w9"})
    assert faults(run) == ["all round 0: rank 2 has other parameters than rank 0: bias"]


def test_table() -> None:
    text = bench_dist_table.render(made_up())
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:4]]
    begin = ["resnet-18", "3", "32", "1.3.1", "2", "1"]
    assert rows == [
        [*begin, "stock", "150.00", "75.00 to 75.00", "-", "-", "6", "equal"],
        [*begin, "all", "200.00", "100.00 to 100.00", "1.333x", "1.333 to 1.333", "6", "equal"],
    ]
    assert bench_dist_table.warnings(made_up()) == []
    assert [row.bits for row in bench_dist_table.rows(made_up(rounds=1))] == ["one run", "equal"]
    assert bench_dist_table.warnings(made_up(rounds=1)) == [
        "all: 1 pairs, of which no interval reaches 95 %: take 6 rounds or more"
    ]


def test_a_rank_that_is_missing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    bench_record.save(changed(made_up(), "all", 1, 1, rank=0), path)
    with pytest.raises(HarnessError) as caught:
        bench_dist_record.load(path)
    assert "ranks: expected each once and in order, found [0, 0]" in str(caught.value)


def test_the_published_bits_are_right(layout: Layout) -> None:
    run = bench_dist_record.load(layout.root / "results" / "raw" / "bench-dist.json")
    assert bench_dist_bits.wrong(run) == []
