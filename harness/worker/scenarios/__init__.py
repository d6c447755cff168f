"""Runs scenarios: ways to use MXNet that plain training does not exercise, each small and short.

A scenario yields, for every step, every array that MXNet computed in it.
"""

from __future__ import annotations

import hashlib
from typing import Any, Dict

import numpy

from harness.base.errors import HarnessError
from harness.trials.jobs import ScenarioJob
from harness.worker import counters
from harness.worker.counters import Cache
from harness.worker.hashing import combined
from harness.worker.scenarios import features, forks, threads

SCENARIOS = {**features.SCENARIOS, **threads.SCENARIOS, **forks.SCENARIOS}


def run(job: ScenarioJob, cache: Cache) -> Dict[str, Any]:
    """Run a scenario; hash each array by name over all steps, and see whether all are finite."""
    if job.name not in SCENARIOS:
        allowed = ", ".join(SCENARIOS)
        raise HarnessError(f"unknown scenario '{job.name}': expected one of {allowed}")
    running: Dict[str, Any] = {}
    finite = True
    for arrays in SCENARIOS[job.name](job.seed, job.steps):
        for name, value in arrays.items():
            running.setdefault(name, hashlib.sha256()).update(value.tobytes())
            finite = finite and bool(numpy.isfinite(value).all())
    hashes = {name: running[name].hexdigest() for name in sorted(running)}
    return {
        "hashes": hashes,
        "finite": finite,
        "digest": combined(hashes),
        "stats": counters.read(cache),
    }
