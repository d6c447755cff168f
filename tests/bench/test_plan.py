"""The plan of a benchmark: its order, its budgets, what is given up, and the time that is left."""

from __future__ import annotations

from collections import Counter
from typing import List

import pytest

from harness.bench import plan as bench_plan
from harness.bench.record import Finished, SampleKey
from harness.trials.record import Case
from tests.support.records import bench

SMALL, LARGE = (Case(model="resnet-18", batch_size=n, image_size=32) for n in (1, 32))
OTHER = Case(model="alexnet", batch_size=1, image_size=64)


def test_plan_is_interleaved_and_each_round_has_its_own_order() -> None:
    settings = bench.settings(bench.series(40))
    planned = bench_plan.plan(settings, [])
    orders = [[key.variant for key in planned if key.round == number] for number in range(40)]
    assert [key.round for key in planned] == [number for number in range(40) for _ in range(3)]
    assert all(sorted(order) == ["backward", "off", "stock"] for order in orders)
    # Every order occurs, none in half of the rounds; and a run that goes on finds the same ones.
    counts = Counter(map(tuple, orders))
    assert len(counts) == 6 and max(counts.values()) < 20
    assert bench_plan.plan(settings, []) == planned


def test_the_first_batch_size_of_all_networks_comes_first() -> None:
    cases = [OTHER, SMALL, LARGE]
    first = bench.series(2, cases=cases, variants={"1.3.1": ["stock"]})
    second = first.model_copy(update={"name": "operators", "job": "profile", "cases": [OTHER]})
    planned = bench_plan.plan(bench.settings(first, second), [])
    assert [(key.series, key.case, key.round) for key in planned] == [
        ("throughput", OTHER, 0),
        ("throughput", SMALL, 0),
        ("throughput", OTHER, 1),
        ("throughput", SMALL, 1),
        ("throughput", LARGE, 0),
        ("throughput", LARGE, 1),
        ("operators", OTHER, 0),
        ("operators", OTHER, 1),
    ]


@pytest.mark.parametrize(("elapsed_s", "rounds"), [(1.0, 5), (7.0, 4), (9.0, 3), (1000.0, 2)])
def test_rounds_fit_into_their_budget(elapsed_s: float, rounds: int) -> None:
    series = bench.series(rounds_min=2, rounds_max=5, case_budget_s=85.0)
    settings = bench.settings(series)
    keys = bench_plan.plan(settings, [])
    # Nothing is known before the first round is complete.
    assert len(keys) == 2 * 3
    first: List[Finished] = [bench.train_sample(k, elapsed_s=elapsed_s) for k in keys[:3]]
    assert len(bench_plan.plan(settings, first[:2])) == 2 * 3
    assert len(bench_plan.plan(settings, first)) == rounds * 3


def test_remaining_work_does_not_depend_on_the_interruption() -> None:
    series = bench.series(cases=[OTHER, SMALL], rounds_min=1, rounds_max=4, case_budget_s=2.5)
    settings = bench.settings(series)
    order: List[SampleKey] = []
    finished: List[Finished] = []
    while bench_plan.todo(settings, finished):
        key = bench_plan.todo(settings, finished)[0]
        order.append(key)
        finished.append(bench.train_sample(key))
    assert len(order) == len(set(order)) == 12
    for count in range(len(order)):
        assert bench_plan.todo(settings, finished[:count])[0] == order[count]


def test_failures_are_given_up() -> None:
    settings = bench.settings(bench.series(4))
    keys = bench_plan.plan(settings, [])
    stock = [key for key in keys if key.variant == "stock"]
    off = [key for key in keys if key.variant == "off"]
    finished = [bench.failure(stock[0], "memory"), bench.failure(off[0], "died")]
    left = bench_plan.todo(settings, finished)
    assert not {key for key in left if key.variant == "stock"}
    # One that died is tried again.
    assert [key for key in left if key.variant == "off"] == off
    again = [*finished, bench.train_sample(off[0])]
    assert [key for key in bench_plan.todo(settings, again) if key.variant == "off"] == off[1:]
    left = bench_plan.todo(settings, [*finished, bench.failure(off[0], "not proven")])
    assert {key.variant for key in left} == {"backward"}
    left = bench_plan.todo(settings, [*again, bench.failure(off[1], "died")])
    assert {key.variant for key in left} == {"backward"}


def test_time_left() -> None:
    cases = [SMALL, LARGE, OTHER]
    series = bench.series(2, cases=cases, variants={"1.3.1": ["stock"]})
    settings = bench.settings(series)
    assert bench_plan.remaining_s(settings, []) is None
    keys = bench_plan.plan(settings, [])
    small = [key for key in keys if key.case == SMALL]
    done: List[Finished] = [bench.train_sample(small[0], elapsed_s=10.0)]
    # SMALL as before; LARGE from SMALL by the root of 32; OTHER, unknown, as their median.
    large_s = 10.0 * 32**0.5
    expected = 10.0 + 2 * large_s + 2 * large_s
    assert bench_plan.remaining_s(settings, done) == pytest.approx(expected)
    assert bench_plan.remaining_s(settings, [bench.train_sample(key) for key in keys]) == 0
