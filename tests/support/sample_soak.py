"""Made-up results of a soak, for what judges and draws them."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

from harness.reliability import soak
from harness.reliability.record import KIND, SCHEMA_VERSION, ReliabilityRecord, Settings
from tests.support.synthetic import MACHINE

PLAN = soak.Plan(
    shapes=6,
    settled=2,
    every=1,
    growth_most_percent=5.0,
    capacity=100,
    memory_bytes=1000,
    hosts=("1.4.1",),
)
LEVEL_MIB = (150.0, 200.0, 202.0, 201.0, 203.0, 202.0)
RISING_MIB = (150.0, 200.0, 260.0, 320.0, 380.0, 440.0)


def result(resident_mib: Sequence[float] = LEVEL_MIB, cached: bool = True) -> Dict[str, Any]:
    """Return what a worker hands over."""
    samples: List[Dict[str, int]] = []
    for number, mib in enumerate(resident_mib, start=1):
        size = int(mib * 2**20)
        sample = {"shapes": number, "resident_bytes": size, "unique_bytes": size // 2}
        if cached:
            sample.update(live_primitives=9, idle_primitives=80, descriptors=90)
            sample.update(idle_bytes=900, descriptor_bytes=5000)
        samples.append(sample)
    totals = {"evictions": 7, "primitives_avoided": 50, "primitives_created": 40}
    return {
        "digests": [f"{number:016x}" for number in range(len(samples))],
        "finite": True,
        "samples": samples,
        "stats": {"totals": totals} if cached else None,
    }


def curve(word: str, way: str) -> soak.Curve:
    return soak.Curve("1.4.1", word, way, PLAN.shapes)


def record() -> ReliabilityRecord:
    """Return a record of one host: bounded, beside stock as released."""
    findings = [
        soak.judge_memory(PLAN, curve("all", soak.BOUNDED), result()),
        soak.judge_memory(PLAN, curve("stock", soak.RELEASED), result(RISING_MIB, cached=False)),
        soak.judge_bits(PLAN, "1.4.1", 1, result(cached=False), result()),
    ]
    return ReliabilityRecord(
        kind=KIND,
        schema_version=SCHEMA_VERSION,
        run_id="reliability-sample",
        started_utc="2000-01-01T00:00:00+00:00",
        machine=MACHINE,
        versions={},
        settings=Settings(stages=[soak.STAGE], hosts=["1.4.1"], quick=False, seed=1),
        findings=findings,
    )
