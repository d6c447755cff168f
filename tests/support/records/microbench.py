"""A made-up record of `make microbench`."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from harness.microbench.record import MicrobenchRecord, MicrobenchSettings
from harness.trials.record import threads
from tests.support.records import STARTED, header

# Nanoseconds of a cycle by variant and operation, the same in every round.
CYCLE_NS = {
    "stock": {"slow": 100_000.0, "quick": 20_000.0},
    "preload:off": {"slow": 101_000.0, "quick": 20_200.0},
    "preload:all": {"slow": 200.0, "quick": 100.0},
}
HITS_PER_SECOND = {1: 5e6, 2: 10e6, 4: 10.5e6, 8: 9e6}


def record(rounds: int = 6, many: Optional[List[float]] = None) -> MicrobenchRecord:
    """Return a record of one host; ``many`` are the hits per second of 8 threads by round."""
    asked = MicrobenchSettings(
        hosts=["1.3.1"], variants=list(CYCLE_NS), rounds=rounds, repetitions=1, threads=threads(2)
    )
    samples: Any = [
        _sample(round_, index, {**HITS_PER_SECOND, **({8: many[round_]} if many else {})})
        for round_ in range(rounds)
        for index in range(len(CYCLE_NS))
    ]
    return MicrobenchRecord(**header(MicrobenchRecord), settings=asked, samples=samples)


def _sample(round_: int, index: int, hits: Dict[int, float]) -> Dict[str, Any]:
    variant = list(CYCLE_NS)[index]
    rebinding = _timing(210 + 15 * index)
    return {
        **STARTED,
        "host": "1.3.1",
        "variant": variant,
        "round": round_,
        "environment": {},
        "libraries": [],
        "cycles": {name: _timing(ns) for name, ns in CYCLE_NS[variant].items()},
        "submit": {"plain": _timing(200 + 10 * index), "rebinding": rebinding},
        "threads": [
            {"keys": "same", "threads": n, "hits_per_second": _summary(per_second)}
            for n, per_second in hits.items()
            if variant == "preload:all"
        ],
        "stats": None,
    }


def _timing(ns: float) -> Dict[str, Any]:
    return {"ns": _summary(float(ns)), "iterations": 10}


def _summary(value: float) -> Dict[str, Any]:
    quartiles = {"lower_quartile": value, "upper_quartile": value}
    return {"values": [value], "median": value, "repetitions": 1, **quartiles}
