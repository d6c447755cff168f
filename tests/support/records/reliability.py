"""Made-up records of `make reliability`, and what a worker of the soak hands over."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

from harness.reliability import soak
from harness.reliability.record import ReliabilityRecord, ReliabilitySettings
from tests.support.records import header

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


def record(*stages: str, host: str = "1.3.1") -> ReliabilityRecord:
    """Return the record of a run that has found nothing yet."""
    asked = ReliabilitySettings(stages=list(stages), hosts=[host], quick=True, seed=5)
    return ReliabilityRecord(**header(ReliabilityRecord), settings=asked, findings=[])


def soaked(resident_mib: Sequence[float] = LEVEL_MIB, cached: bool = True) -> Dict[str, Any]:
    """Return what a worker of the soak hands over."""
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


def soak_record() -> ReliabilityRecord:
    """Return the record of a soak on one host: bounded, beside stock as released."""
    findings = [
        soak.judge_memory(PLAN, curve("all", soak.BOUNDED), soaked()),
        soak.judge_memory(PLAN, curve("stock", soak.RELEASED), soaked(RISING_MIB, cached=False)),
        soak.judge_bits(soak.BOUNDED, PLAN.shapes, "1.4.1", 1, soaked(cached=False), soaked()),
    ]
    return record(soak.STAGE, host="1.4.1").model_copy(update={"findings": findings})
