"""Made-up benchmark records for tests; no number in here was ever measured."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from harness.bench import plan
from harness.machine import Machine
from harness.record import KIND, SCHEMA_VERSION, BenchRecord, Case, Sample, Settings, Threads

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
        "totals": {**counters, "cache_ns": cache_ns, "live_primitives": 0, "idle_primitives": 4},
    }


def settings(samples: int = 6) -> Settings:
    return Settings(
        cases=[Case(model="resnet-18", batch_size=2, image_size=32)],
        variants={"1.3.1": list(STEP_MS)},
        samples=samples,
        seed=1,
        threads=Threads(omp_num_threads=2, kmp_affinity=None, kmp_blocktime=None),
        warm_up_steps_min=1,
        warm_up_steps_max=3,
        timed_steps=2,
        learning_rate=0.01,
        momentum=0.9,
    )


def bench_record(samples: int = 6, taken: Optional[int] = None) -> BenchRecord:
    """A run of which the first ``taken`` samples, or all, are finished."""
    asked = settings(samples)
    return BenchRecord(
        kind=KIND,
        schema_version=SCHEMA_VERSION,
        run_id="bench-synthetic",
        started_utc="2000-01-01T00:00:00+00:00",
        machine=MACHINE,
        versions={"opcache": "0.0.0", "python": "3.8.0"},
        settings=asked,
        samples=[
            _sample(planned.case, planned.host, planned.variant, planned.round)
            for planned in plan(asked)[:taken]
        ],
    )


def _sample(case: Case, host: str, variant: str, round_: int) -> Sample:
    step_ns = STEP_MS[variant][round_] * 1_000_000
    stats = {
        "stock": None,
        "off": cache_stats("off", 0, create_ns=step_ns // 2),
        "backward": cache_stats("backward", 8, create_ns=step_ns // 50, cache_ns=step_ns // 100),
    }[variant]
    return Sample(
        case=case,
        host=host,
        variant=variant,
        round=round_,
        started_utc="2000-01-01T00:00:00+00:00",
        warm_up_ns=[step_ns, step_ns],
        step_ns=[step_ns, step_ns],
        still_missing=False if variant == "backward" else None,
        finite=True,
        peak_resident_bytes=100 * 2**20,
        environment={"OMP_NUM_THREADS": "2"},
        versions={"mxnet": "1.3.1"},
        libraries=[],
        stats_before=stats,
        stats=stats,
    )
