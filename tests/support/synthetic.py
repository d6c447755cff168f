"""Made-up benchmark records for tests; no number in here was ever measured."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from harness.base.machine import Machine
from harness.bench.plan import plan
from harness.bench.record import (
    KIND,
    SCHEMA_VERSION,
    BenchRecord,
    Failure,
    MemorySample,
    OperatorTime,
    ProfileSample,
    SampleKey,
    Series,
    Settings,
    TrainSample,
)
from harness.trials.record import Case, Threads

MACHINE = Machine(
    cpu_model="Synthetic CPU",
    logical_cpus=2,
    physical_cores=2,
    memory_gib=8,
    kernel="Linux 0.0",
    glibc="glibc 0.0",
    compiler="none",
)
# Milliseconds per step in each of the six rounds; backward is always twice as fast as stock.
STEP_MS: Dict[str, List[int]] = {
    "stock": [100, 104, 96, 100, 102, 98],
    "off": [102, 102, 98, 99, 104, 97],
    "backward": [50, 52, 48, 50, 51, 49],
}


def cache_stats(scope: str, avoided: int, create_ns: int = 0, cache_ns: int = 0) -> Dict[str, Any]:
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
        "totals": {**counters, "cache_ns": cache_ns, "live_primitives": 0, "idle_primitives": 4},
    }


CASE = Case(model="resnet-18", batch_size=2, image_size=32)


def series(samples: int = 6, **others: Any) -> Series:
    values: Dict[str, Any] = {
        "name": "throughput",
        "job": "train",
        "cases": [CASE],
        "variants": {"1.3.1": list(STEP_MS)},
        "threads": Threads(omp_num_threads=2, kmp_affinity=None, kmp_blocktime=None),
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


def settings(*asked: Series) -> Settings:
    return Settings(
        series=list(asked) or [series()],
        cpus=[0, 1],
        memory_limit_gib=7.2,
        seed=1,
        learning_rate=0.01,
        momentum=0.9,
    )


def bench_record(
    samples: int = 6, taken: Optional[int] = None, asked: Optional[Settings] = None
) -> BenchRecord:
    """A run of which the first ``taken`` processes, or all, are finished."""
    asked = asked or settings(series(samples))
    return BenchRecord(
        kind=KIND,
        schema_version=SCHEMA_VERSION,
        run_id="bench-synthetic",
        started_utc="2000-01-01T00:00:00+00:00",
        machine=MACHINE,
        versions={"opcache": "0.0.0", "python": "3.8.0"},
        settings=asked,
        finished=[train_sample(key) for key in plan(asked, [])[:taken]],
    )


def train_sample(key: SampleKey, **others: Any) -> TrainSample:
    return TrainSample(**{**_common(key), **others})


def profile_sample(key: SampleKey, ms: Dict[str, float], **others: Any) -> ProfileSample:
    """Two profiled steps, in each of which every operator takes ``ms`` in three calls."""
    operators = {name: OperatorTime(calls=6, total_ms=2 * value) for name, value in ms.items()}
    return ProfileSample(**{**_common(key), "operators": operators, **others})


def memory_sample(key: SampleKey, kept_bytes: int, **others: Any) -> MemorySample:
    """Two thirds of ``kept_bytes`` in primitives, the rest in descriptors."""
    stats = cache_stats(key.variant, 8)
    third = kept_bytes // 3
    stats["memory"] = {"idle_bytes": kept_bytes - third, "descriptor_bytes": third}
    return MemorySample(**{**_common(key), "stats": stats, **others})


def failure(key: SampleKey, reason: str = "died", detail: str = "worker ended") -> Failure:
    when = {"started_utc": "2000-01-01T00:00:00+00:00", "elapsed_s": 1.0}
    return Failure(**{**key._asdict(), **when, "reason": reason, "detail": detail})


def _common(key: SampleKey) -> Dict[str, Any]:
    step_ns = STEP_MS.get(key.variant, STEP_MS["stock"])[key.round % 6] * 1_000_000
    stats = {
        "off": cache_stats("off", 0, create_ns=step_ns // 2),
        "backward": cache_stats("backward", 8, create_ns=step_ns // 50, cache_ns=step_ns // 100),
    }.get(key.variant)
    return {
        **key._asdict(),
        "started_utc": "2000-01-01T00:00:00+00:00",
        "elapsed_s": 4 * step_ns / 1e9,
        "warm_up_ns": [step_ns, step_ns],
        "step_ns": [step_ns, step_ns],
        "still_missing": False if key.variant == "backward" else None,
        "finite": True,
        "peak_resident_bytes": 100 * 2**20,
        "cpus": [0, 1],
        "environment": {"OMP_NUM_THREADS": "2"},
        "versions": {"mxnet": "1.3.1"},
        "libraries": [],
        "stats": stats,
    }
