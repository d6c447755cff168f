"""Trains as one worker of a distributed training.

Servers and workers find each other through the DMLC_* variables that the parent sets; servers and
the scheduler run MXNet's own code only. A failed worker must end at once by ``os._exit``: MXNet's
ordinary exit waits for all other workers.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sys
import traceback
from typing import Any, Dict, Mapping

import mxnet as mx
import numpy

from harness.trials.jobs import DistTrainJob
from harness.trials.networks import find_network
from harness.worker import counters
from harness.worker.counters import Cache
from harness.worker.network import make_batch, make_module
from harness.worker.training import ModuleTraining, time_step


def run(job: DistTrainJob, cache: Cache) -> Dict[str, Any]:
    """Train with all workers of the job; return times, counters and hashes; see DistTrainJob."""
    try:
        return _train(job, cache)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def _train(job: DistTrainJob, cache: Cache) -> Dict[str, Any]:
    network = find_network(job.model)
    kvstore = mx.kvstore.create("dist_sync")
    module = make_module(network, job, kvstore)
    training = ModuleTraining(module)
    # Batches differ by rank, which the scheduler has given out only now.
    data = dataclasses.replace(job, seed=job.seed + kvstore.rank)

    def timed_step(step: int) -> int:
        return time_step(training, [make_batch(network, data, step)])

    last_warm_up = job.warm_up_steps - 1
    warm_up_ns = [timed_step(step) for step in range(last_warm_up)]
    before = counters.read(cache)
    warm_up_ns.append(timed_step(last_warm_up))
    missing = counters.still_missing(before, counters.read(cache))
    if cache is not None:
        cache.mkldnn_opcache_reset_stats()
    stats_before = counters.read(cache)
    step_ns = [timed_step(job.warm_up_steps + step) for step in range(job.timed_steps)]
    stats = counters.read(cache)
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


def _hashes(arrays: Mapping[str, Any]) -> Dict[str, str]:
    # Sixteen digits: nobody forges them, and the record of many arrays stays small.
    return {
        name: hashlib.sha256(arrays[name].asnumpy().tobytes()).hexdigest()[:16]
        for name in sorted(arrays)
    }
