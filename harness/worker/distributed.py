"""What one worker of a distributed training does, inside a process of harness/worker/__main__.py.

Servers and workers find each other through the DMLC_* variables that the parent sets; servers and
the scheduler need no file of ours. A worker that fails must end at once: whoever leaves MXNet in
the ordinary way waits for all the others first.
"""

from __future__ import annotations

import ctypes
import dataclasses
import hashlib
import os
import sys
import traceback
from typing import Any, Dict, Mapping, Optional

import mxnet as mx
import numpy

from harness.trials.jobs import DistTrainJob
from harness.trials.networks import find_network
from harness.worker import counters
from harness.worker import network as training


def train(job: DistTrainJob, cache: Optional[ctypes.CDLL]) -> Dict[str, Any]:
    """Train with all workers of the job; return times, counters and hashes; see DistTrainJob."""
    try:
        return _train(job, cache)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def _train(job: DistTrainJob, cache: Optional[ctypes.CDLL]) -> Dict[str, Any]:
    network = find_network(job.model)
    kvstore = mx.kvstore.create("dist_sync")
    module = training.module(network, job, kvstore)
    # The scheduler gives out the ranks: only now is it known whose batches these are.
    data = dataclasses.replace(job, seed=job.seed + kvstore.rank)

    def timed_step(step: int) -> int:
        return training.timed_step(module, training.batch(network, data, step))

    last_warm_up = job.warm_up_steps - 1
    warm_up_ns = [timed_step(step) for step in range(last_warm_up)]
    before = counters.counters(cache)
    warm_up_ns.append(timed_step(last_warm_up))
    missing = _still_missing(before, counters.counters(cache))
    if cache is not None:
        cache.mkldnn_opcache_reset_stats()
    stats_before = counters.counters(cache)
    step_ns = [timed_step(job.warm_up_steps + step) for step in range(job.timed_steps)]
    stats = counters.counters(cache)
    parameters, states = module.get_params()
    output = module.get_outputs()[0]
    return {
        "rank": kvstore.rank,
        "warm_up_ns": warm_up_ns,
        "step_ns": step_ns,
        "still_missing": missing,
        "stats_before": stats_before,
        "stats": stats,
        "finite": bool(numpy.isfinite(output.asnumpy()).all()),
        "parameters": _hashes(parameters),
        "own": _hashes({**states, "output": output}),
    }


def _still_missing(
    before: Optional[Dict[str, Any]], after: Optional[Dict[str, Any]]
) -> Optional[bool]:
    if before is None or after is None or not after["active"]:
        return None
    return counters.still_missing(before, after)


def _hashes(arrays: Mapping[str, Any]) -> Dict[str, str]:
    # Sixteen digits are enough where nobody forges, and keep a record of many arrays small.
    return {
        name: hashlib.sha256(arrays[name].asnumpy().tobytes()).hexdigest()[:16]
        for name in sorted(arrays)
    }
