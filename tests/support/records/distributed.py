"""A made-up record of a distributed training."""

from __future__ import annotations

from typing import Any, Dict

from harness.distributed.command import plan
from harness.distributed.record import DistRecord, DistSettings
from harness.trials.record import Case, threads
from tests.support.records import STARTED, header

STEP_NS = {"stock": 40_000_000, "all": 30_000_000}


def record(workers: int = 2, rounds: int = 6) -> DistRecord:
    """Return a run whose ranks end alike; ``all`` takes three quarters of stock's time."""
    asked = DistSettings(
        case=Case(model="resnet-18", batch_size=3, image_size=32),
        host="1.3.1",
        variants=list(STEP_NS),
        workers=workers,
        servers=1,
        rounds=rounds,
        seed=1,
        threads=threads(1),
        warm_up_steps=1,
        timed_steps=1,
        learning_rate=0.01,
        momentum=0.9,
    )
    samples: Any = [
        {
            **STARTED,
            "variant": variant,
            "round": round_,
            "environment": {},
            "workers": [_worker(rank, STEP_NS[variant]) for rank in range(workers)],
        }
        for variant, round_ in plan(asked)
    ]
    return DistRecord(**header(DistRecord), settings=asked, samples=samples)


def _worker(rank: int, step_ns: int) -> Dict[str, Any]:
    return {
        "rank": rank,
        "warm_up_ns": [step_ns],
        "step_ns": [step_ns],
        "still_missing": None,
        "finite": True,
        "parameters": {"bias": "b0", "weight": "w0"},
        "own": {"mean": f"m{rank}", "output": f"o{rank}"},
        "peak_resident_bytes": 1,
        "versions": {},
        "libraries": [],
        "stats_before": None,
        "stats": None,
    }


def changed(run: DistRecord, variant: str, round_: int, index: int, **values: Any) -> DistRecord:
    """Return the run with other values in a worker of one training."""
    samples = []
    for sample in run.samples:
        workers = list(sample.workers)
        if (sample.variant, sample.round) == (variant, round_):
            workers[index] = workers[index].model_copy(update=values)
        samples.append(sample.model_copy(update={"workers": workers}))
    return run.model_copy(update={"samples": samples})
