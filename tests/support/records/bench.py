"""Made-up records of `make bench`.

``record`` has one network, whose steps are listed below. ``full_record`` has something for every
table and figure: two of the published networks on two hosts, whose steps follow from a few numbers.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional

from harness.bench.plan import plan
from harness.bench.record import (
    AlternateSample,
    BenchRecord,
    BenchSettings,
    Failure,
    Finished,
    MemorySample,
    OperatorTime,
    ProfileSample,
    SampleKey,
    Series,
    TrainSample,
)
from harness.trials.record import Case, threads
from tests.support.records import STARTED, header

CASE = Case(model="resnet-18", batch_size=2, image_size=32)
# Milliseconds per step in each of the six rounds; backward is always twice as fast as stock.
STEP_MS: Dict[str, List[int]] = {
    "stock": [100, 104, 96, 100, 102, 98],
    "off": [102, 102, 98, 99, 104, 97],
    "backward": [50, 52, 48, 50, 51, 49],
}

NETWORKS = ("googlenet", "vgg-16")
# Milliseconds a step: creation and destruction on stock, and execution of one image on one core.
SERIAL_MS = {"googlenet": 60.0, "vgg-16": 20.0}
EXECUTION_MS = {"googlenet": 100.0, "vgg-16": 500.0}
# The share of the serial part that each variant leaves, and the time of the cache itself.
LEFT = {"stock": 1.0, "stock-again": 1.0, "off": 1.0, "backward": 0.4, "all": 0.0}
CACHE_MS = {"backward": 0.5, "all": 1.0}
# The second core adds this much of the first.
EFFICIENCY = 0.8
# One network is slower with the cache on one host, as networks can be.
SLOWER = ("vgg-16", 1, "1.4.1", "all", 1.2)


_CACHED = {"live_primitives": 0, "idle_primitives": 4, "descriptors": 3}


def cache_stats(scope: str, avoided: int, create_ns: int = 0, cache_ns: int = 0) -> Dict[str, Any]:
    """Return counters as the library writes them."""
    counters = {
        "primitives_avoided": avoided,
        "primitives_created": 4,
        "descriptors_avoided": avoided,
        "descriptors_created": 2,
        "evictions": 0,
        "create_ns": create_ns,
        "destroy_ns": create_ns // 2,
        "avoided_ns": 0,
    }
    return {
        "schema": 1,
        "version": "0.0.0",
        "mkldnn": "v0.14",
        "build_id": "00",
        "recognised": True,
        "active": scope != "off",
        "scope": scope,
        "capacity": 4096,
        "threads": 2,
        "operators": {"_backward_Convolution": counters},
        "bypasses": {},
        "memory": None,
        "estimate": {"bound_bytes": 2**30, "idle_bytes": 0, "evictions": 0},
        "totals": {**counters, "cache_ns": cache_ns, **_CACHED},
    }


def series(samples: int = 6, **others: Any) -> Series:
    values: Dict[str, Any] = {
        "name": "throughput",
        "job": "train",
        "cases": [CASE],
        "variants": {"1.3.1": list(STEP_MS)},
        "threads": threads(2),
        "rounds_min": samples,
        "rounds_max": samples,
        "case_budget_s": 0,
        "warm_up_steps_min": 1,
        "warm_up_steps_max": 3,
        "timed_steps_min": 2,
        "timed_steps_max": 2,
        "steps_budget_s": 0,
    }
    return Series(**{**values, **others})


def settings(*asked: Series) -> BenchSettings:
    return BenchSettings(
        series=list(asked) or [series()],
        cpus=[0, 1],
        memory_limit_gib=7.2,
        seed=1,
        learning_rate=0.01,
        momentum=0.9,
    )


def _values(key: SampleKey, step_ns: int, stats: Optional[Dict[str, Any]]) -> Dict[str, Any]:
    return {
        **key._asdict(),
        **STARTED,
        "elapsed_s": 4 * step_ns / 1e9,
        "warm_up_ns": [step_ns, step_ns],
        "step_ns": [step_ns, step_ns],
        "still_missing": False if key.variant in CACHE_MS else None,
        "finite": True,
        "peak_resident_bytes": 100 * 2**20,
        "cpus": [0, 1],
        "environment": {"OMP_NUM_THREADS": "2"},
        "versions": {"mxnet": "1.3.1"},
        "libraries": [],
        "stats": stats,
    }


def _regular(key: SampleKey) -> Dict[str, Any]:
    step_ns = STEP_MS.get(key.variant, STEP_MS["stock"])[key.round % 6] * 1_000_000
    stats = {
        "off": cache_stats("off", 0, create_ns=step_ns // 2),
        "backward": cache_stats("backward", 8, create_ns=step_ns // 50, cache_ns=step_ns // 100),
    }
    return _values(key, step_ns, stats.get(key.variant))


def train_sample(key: SampleKey, **others: Any) -> TrainSample:
    return TrainSample(**{**_regular(key), **others})


def profile_sample(key: SampleKey, ms: Dict[str, float], **others: Any) -> ProfileSample:
    """Two profiled steps, in each of which every operator takes ``ms`` in three calls."""
    operators = {name: OperatorTime(calls=6, total_ms=2 * value) for name, value in ms.items()}
    return ProfileSample(**{**_regular(key), "operators": operators, **others})


def memory_sample(key: SampleKey, cached_bytes: int, **others: Any) -> MemorySample:
    """Two thirds of ``cached_bytes`` in primitives, the rest in descriptors."""
    third = cached_bytes // 3
    memory = {"idle_bytes": cached_bytes - third, "descriptor_bytes": third}
    stats = {**cache_stats(key.variant, 8), "memory": memory}
    return MemorySample(**{**_regular(key), "stats": stats, **others})


def alternate_sample(key: SampleKey, **others: Any) -> AlternateSample:
    """Two cycles of blocks of two steps, each process with a ratio of its own."""
    scopes = key.variant.split(",")
    blocks = []
    for cycle in range(2):
        for scope in [*scopes, *reversed(scopes)]:
            name = scope.replace("-again", "")
            step_ns = round(step_ms(key.case.model, key.case.batch_size, key.host, name, 2) * 1e6)
            # Cached scopes gain by 1 % from round to round; the machine slows down in each cycle.
            step_ns = round(step_ns * (1 - 0.01 * (key.round % 3) * (name != "off")))
            create_ns = round(2 * SERIAL_MS[key.case.model] * LEFT[name] * 1e6 * 2 / 3)
            block = {
                "cycle": cycle,
                "scope": scope,
                "discarded": 1,
                "step_ns": [step_ns * (1 + cycle)] * 2,
                "missed": 0,
                "create_ns": create_ns * (1 + cycle),
                "destroy_ns": create_ns // 2 * (1 + cycle),
                "cache_ns": round(2 * CACHE_MS.get(name, 0.0) * 1e6),
                "primitives_created": 4,
                "descriptors_created": 2,
                "primitives_avoided": 8 if name in CACHE_MS else 0,
                "descriptors_avoided": 8 if name in CACHE_MS else 0,
            }
            blocks.append(block)
    common = _values(key, 1, cache_stats(scopes[-1], 8))
    for name in ("warm_up_ns", "step_ns", "still_missing"):
        del common[name]
    values = {**common, "warm_up_steps": dict.fromkeys(scopes, 2), "steps_per_block": 2}
    return AlternateSample(**{**values, "elapsed_s": 5.0, "blocks": blocks, **others})


def alternating_record(rounds: int = 3, **others: Any) -> BenchRecord:
    """Return a record of alternating scopes: the full record's networks at batch 1 and 32."""
    cases = [Case(model=m, batch_size=size, image_size=224) for size in (1, 32) for m in NETWORKS]
    variants = {"1.3.1": ["off", "backward", "all"], "1.4.1": ["off", "all"]}
    values = {"job": "alternate", "cases": cases, "variants": variants, **others}
    return record(asked=settings(series(rounds, **values)), sample=alternate_sample)


def gluoncv_record(rounds: int = 3) -> BenchRecord:
    """Return a record of networks that have one mean; the images of the second change their size.

    Its scope all evicts three objects in a step and ends with 2 MiB in the cache.
    """
    cases = [Case(model=model, batch_size=n, image_size=64) for model, n in zip(NETWORKS, (8, 1))]
    variants = {"1.3.1": ["off", "backward", "all"], "1.4.1": ["off", "all"]}
    counted = {host: ["all"] for host in variants}
    asked = settings(
        series(rounds, job="alternate", cases=cases, variants=variants),
        series(1, name="memory", job="memory", cases=cases[1:], variants=counted),
    )

    def sample(key: SampleKey) -> Finished:
        if key.series == "memory":
            return memory_sample(key, 2 * 2**20)
        found = alternate_sample(key)
        evicted = {"all": 6 * (key.case == cases[1])}
        blocks = [
            each.model_copy(update={"evictions": evicted.get(each.scope, 0)})
            for each in found.blocks
        ]
        sides = [32, 64, 96, 64] if key.case == cases[1] else [64]
        return found.model_copy(update={"blocks": blocks, "sides": sides})

    made = record(asked=asked, sample=sample)
    return made.model_copy(update={"settings": asked.model_copy(update={"together": "GluonCV"})})


def failure(key: SampleKey, reason: str = "died", detail: str = "worker ended") -> Failure:
    values = {**key._asdict(), **STARTED, "elapsed_s": 1.0, "reason": reason, "detail": detail}
    return Failure(**values)


def record(
    samples: int = 6,
    taken: Optional[int] = None,
    asked: Optional[BenchSettings] = None,
    sample: Callable[[SampleKey], Finished] = train_sample,
) -> BenchRecord:
    """Return a run of which the first ``taken`` processes, or all, are finished."""
    asked = asked or settings(series(samples))
    finished = [sample(key) for key in plan(asked, [])[:taken]]
    return BenchRecord(**header(BenchRecord), settings=asked, finished=finished)


def step_ms(model: str, batch_size: int, host: str, variant: str, threads: int) -> float:
    """Return the time of a step in the full record, without the rounds' drift."""
    execution = EXECUTION_MS[model] * batch_size / (1 + EFFICIENCY * (threads - 1))
    serial = SERIAL_MS[model] * LEFT[variant] + CACHE_MS.get(variant, 0.0)
    factor = SLOWER[4] if (model, batch_size, host, variant) == SLOWER[:4] else 1.0
    return (execution + serial) * factor


def full_record() -> BenchRecord:
    """Return a record that every table and figure can be made of."""
    cases = [Case(model=m, batch_size=size, image_size=224) for size in (1, 32) for m in NETWORKS]
    all_variants = {"1.3.1": ["stock", "stock-again", "backward", "all"], "1.4.1": ["stock", "all"]}
    off = {host: ["off"] for host in all_variants}
    one_thread = {"1.3.1": ["stock", "off", "backward"]}
    profiled = {"1.3.1": ["stock", "all"]}
    asked = settings(
        series(cases=cases, variants=all_variants),
        series(1, name="creation", cases=cases, variants=off),
        series(name="one-thread", cases=cases[:2], variants=one_thread, threads=threads(1)),
        series(1, name="operators", job="profile", cases=cases[:2], variants=profiled),
    )
    return record(asked=asked, sample=_full_sample)


def _full_sample(key: SampleKey) -> Finished:
    model, variant = key.case.model, key.variant
    cores = 1 if key.series == "one-thread" else 2
    # The machine's speed drifts from round to round, for all variants alike.
    drift = 1 + 0.01 * (key.round % 3)
    step_ns = round(step_ms(model, key.case.batch_size, key.host, variant, cores) * drift * 1e6)
    stats = None
    if not variant.startswith("stock"):
        # In two steps; destroying takes half as long as creating.
        create_ns = round(2 * SERIAL_MS[model] * LEFT[variant] * 1e6 * 2 / 3)
        cache_ns = round(2 * CACHE_MS.get(variant, 0.0) * 1e6)
        stats = cache_stats(variant, 10, create_ns, cache_ns)
    values = _values(key, step_ns, stats)
    if key.series != "operators":
        return TrainSample(**values)
    # More operators than a figure has colours for.
    operators = {f"operator_{n}": OperatorTime(calls=2, total_ms=0.1 * (9 - n)) for n in range(9)}
    convolution = OperatorTime(calls=4, total_ms=0.9 * 2 * step_ns / 1e6)
    return ProfileSample(**values, operators={"_backward_Convolution": convolution, **operators})
