"""A made-up record of `make bench` that has something for every table and figure.

Two of the published networks on two hosts; every time follows from a few numbers below, so that
tests can say what must come out. No number was ever measured.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from harness.bench.record import (
    KIND,
    SCHEMA_VERSION,
    BenchRecord,
    OperatorTime,
    ProfileSample,
    Series,
    Settings,
    TrainSample,
)
from harness.trials.record import Case, Threads
from tests.support import synthetic

NETWORKS = ("googlenet", "vgg-16")
BATCH_SIZES = (1, 32)
ROUNDS = 6
# Milliseconds a step: creation and destruction on stock, and execution of one image on one core.
SERIAL_MS = {"googlenet": 60.0, "vgg-16": 20.0}
EXECUTION_MS = {"googlenet": 100.0, "vgg-16": 500.0}
# What each variant leaves of the serial part, and what the cache takes.
LEFT = {"stock": 1.0, "stock-again": 1.0, "off": 1.0, "backward": 0.4, "all": 0.0}
CACHE_MS = {"backward": 0.5, "all": 1.0}
# The second core adds this much of the first.
EFFICIENCY = 0.8
# One network is slower with the cache on one host, as networks can be.
SLOWER = ("vgg-16", 1, "1.4.1", "all", 1.2)

_MACHINE = synthetic.MACHINE.model_copy(update={"cpu_model": "Made-up CPU"})
_VARIANTS = {"1.3.1": ["stock", "stock-again", "backward", "all"], "1.4.1": ["stock", "all"]}


def execution_ms(model: str, batch_size: int, threads: int) -> float:
    """Return the execution time of a step."""
    return EXECUTION_MS[model] * batch_size / (1 + EFFICIENCY * (threads - 1))


def step_ms(model: str, batch_size: int, host: str, variant: str, threads: int) -> float:
    """Return the time of a step without the rounds' drift."""
    serial = SERIAL_MS[model] * LEFT[variant] + CACHE_MS.get(variant, 0.0)
    factor = SLOWER[4] if (model, batch_size, host, variant) == SLOWER[:4] else 1.0
    return (execution_ms(model, batch_size, threads) + serial) * factor


def record() -> BenchRecord:
    """Return the record."""
    cases = [_case(model, size) for size in BATCH_SIZES for model in NETWORKS]
    off = {host: ["off"] for host in _VARIANTS}
    one = {"1.3.1": ["stock", "off", "backward"]}
    all_series = [
        _series("throughput", "train", cases, _VARIANTS, 2, ROUNDS),
        _series("creation", "train", cases, off, 2, 1),
        _series("one-thread", "train", cases[:2], one, 1, ROUNDS),
        _series("operators", "profile", cases[:2], {"1.3.1": ["stock", "all"]}, 2, 1),
    ]
    settings = Settings(
        series=all_series,
        cpus=[0, 1],
        memory_limit_gib=7.2,
        seed=1,
        learning_rate=0.01,
        momentum=0.9,
    )
    return BenchRecord(
        kind=KIND,
        schema_version=SCHEMA_VERSION,
        run_id="bench-sample",
        started_utc="2000-01-01T00:00:00+00:00",
        machine=_MACHINE,
        versions={"opcache": "0.0.0", "1.3.1 libmkldnn_opcache.so": "0" * 64},
        settings=settings,
        finished=[
            _sample(series, case, host, variant, round_)
            for series in all_series
            for round_ in range(series.rounds_max)
            for case in series.cases
            for host, variant in series.runs
        ],
    )


def _case(model: str, batch_size: int) -> Case:
    return Case(model=model, batch_size=batch_size, image_size=224)


def _series(
    name: str,
    job: Any,
    cases: List[Case],
    variants: Dict[str, List[str]],
    threads: int,
    rounds: int,
) -> Series:
    return Series(
        name=name,
        job=job,
        cases=cases,
        variants=variants,
        threads=Threads(omp_num_threads=threads, kmp_affinity=None, kmp_blocktime=None),
        rounds_min=rounds,
        rounds_max=rounds,
        case_budget_s=0,
        warm_up_steps_min=1,
        warm_up_steps_max=3,
        timed_steps_min=2,
        timed_steps_max=2,
        steps_budget_s=0,
    )


def _sample(series: Series, case: Case, host: str, variant: str, round_: int) -> Any:
    threads = series.threads.omp_num_threads
    # The machine's speed drifts from round to round, for all variants alike.
    drift = 1 + 0.01 * (round_ % 3)
    step = round(step_ms(case.model, case.batch_size, host, variant, threads) * drift * 1e6)
    values: Dict[str, Any] = {
        "series": series.name,
        "case": case,
        "host": host,
        "variant": variant,
        "round": round_,
        "started_utc": "2000-01-01T00:00:00+00:00",
        "elapsed_s": 1.0,
        "warm_up_ns": [step],
        "step_ns": [step, step],
        "still_missing": None if variant in ("stock", "stock-again") else False,
        "finite": True,
        "peak_resident_bytes": 2**30,
        "cpus": [0, 1],
        "environment": {"OMP_NUM_THREADS": str(threads)},
        "versions": {"mxnet": host},
        "libraries": [],
        "stats": _stats(case.model, variant, steps=2),
    }
    if series.job == "train":
        return TrainSample(**values)
    convolution = 0.9 * 2 * step / 1e6
    operators = {
        "_backward_Convolution": OperatorTime(calls=4, total_ms=convolution),
        "Pooling": OperatorTime(calls=2, total_ms=0.5),
    }
    return ProfileSample(**values, operators=operators)


def _stats(model: str, variant: str, steps: int) -> Optional[Dict[str, Any]]:
    if variant in ("stock", "stock-again"):
        return None
    serial_ns = round(SERIAL_MS[model] * LEFT[variant] * steps * 1e6)
    counters = {
        "primitives_avoided": 10,
        "primitives_created": 2,
        "descriptors_avoided": 10,
        "descriptors_created": 2,
        "evictions": 0,
        "create_ns": serial_ns - serial_ns // 3,
        "destroy_ns": serial_ns // 3,
        "avoided_ns": 1000,
    }
    cache_ns = round(CACHE_MS.get(variant, 0.0) * steps * 1e6)
    return {
        "active": variant != "off",
        "scope": variant,
        "operators": {"_backward_Convolution": counters},
        "totals": {**counters, "cache_ns": cache_ns},
    }
