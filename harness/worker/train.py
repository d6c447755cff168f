"""What a worker process of the benchmark does: train on dummy data and time steps, or operators.

Owns the warm-up, the timed steps and the switching of the profiler. Imports mxnet, so only the
worker process may import it.
"""

from __future__ import annotations

import ctypes
import os
import resource
from typing import Any, Callable, Dict, List, Optional, Tuple

import mxnet as mx
import numpy

from harness.trials.jobs import ProfileJob, TrainJob
from harness.trials.networks import find_network
from harness.worker import counters
from harness.worker import network as training
from harness.worker.profiler import operator_times

Cache = Optional[ctypes.CDLL]


def train(job: TrainJob, cache: Cache) -> Dict[str, Any]:
    """Time training steps, each from an idle MXNet to an idle MXNet; see the jobs."""
    if job.memory_limit_gib is not None:
        # What asks for more fails by itself: otherwise Linux would choose a process to kill.
        limit = int(job.memory_limit_gib * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    network = find_network(job.model)
    module = training.module(network, job)
    batch = training.batch(network, job, step=0)

    def timed_step() -> int:
        return training.timed_step(module, batch)

    warm_up_ns = _warm_up(job, timed_step, cache)
    missing = None
    if cache is not None:
        cache.mkldnn_opcache_reset_stats()
        before = counters.read_stats(cache)
    steps = job.timed_steps(warm_up_ns[-1])
    result: Dict[str, Any] = {}
    if isinstance(job, ProfileJob):
        step_ns, result["operators"] = profiled(lambda: [timed_step() for _ in range(steps)], steps)
    else:
        step_ns = [timed_step() for _ in range(steps)]
    if cache is not None and before["active"]:
        missing = counters.still_missing(before, counters.read_stats(cache))
    return {
        **result,
        "warm_up_ns": warm_up_ns,
        "step_ns": step_ns,
        "still_missing": missing,
        "stats": counters.counters(cache),
        "finite": bool(numpy.isfinite(module.get_outputs()[0].asnumpy()).all()),
        "cpus": sorted(os.sched_getaffinity(0)),
    }


def _warm_up(job: TrainJob, timed_step: Callable[[], int], cache: Cache) -> List[int]:
    """Return the steps' times."""
    if cache is None or not counters.read_stats(cache)["active"]:
        # As many as a cache takes that misses in none of the steps after the minimum.
        return [timed_step() for _ in range(job.warm_up_steps_min + 1)]
    elapsed_ns: List[int] = []
    while len(elapsed_ns) < job.warm_up_steps_max:
        before = counters.read_stats(cache)
        elapsed_ns.append(timed_step())
        missing = counters.still_missing(before, counters.read_stats(cache))
        if len(elapsed_ns) > job.warm_up_steps_min and not missing:
            break
    return elapsed_ns


def profiled(
    steps: Callable[[], List[int]], count: int
) -> Tuple[List[int], Dict[str, Dict[str, Any]]]:
    """Run ``count`` steps under MXNet's profiler; return their times, and each operator's.

    MXNet must not bulk operators (MXNET_EXEC_BULK_EXEC_TRAIN=0), or it times whole groups.
    """
    # The trace goes to memory. MXNet writes it when the process ends, and removes what is in its
    # place first: given /dev/null as root, the device itself.
    trace = f"/proc/self/fd/{os.memfd_create('trace')}"
    mx.profiler.set_config(
        profile_symbolic=True,
        profile_imperative=True,
        profile_memory=False,
        aggregate_stats=True,
        filename=trace,
    )
    mx.profiler.set_state("run")
    step_ns = steps()
    mx.profiler.set_state("stop")
    return step_ns, operator_times(mx.profiler.dumps(), count)
