"""Trains on dummy data for the benchmark, and times steps, or operators by MXNet's profiler."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, Tuple

import mxnet as mx

from harness.trials.jobs import ProfileJob, TrainJob
from harness.trials.networks import find_network
from harness.worker import counters
from harness.worker.counters import Cache
from harness.worker.network import limit_memory
from harness.worker.profiler import operator_times
from harness.worker.training import image_sides, is_finite, make_batches, start, time_step


def run(job: TrainJob, cache: Cache) -> Dict[str, Any]:
    """Time training steps, each from an idle MXNet to an idle MXNet; see the jobs."""
    limit_memory(job.memory_limit_gib)
    network = find_network(job.model)
    # The profile counts the calls of Module's loss.
    training = start(network, job, "module" if isinstance(job, ProfileJob) else "")
    batches = make_batches(network, job)

    def timed_step() -> int:
        return time_step(training, batches)

    warm_up_ns = _warm_up(job, timed_step, cache)
    if cache is not None:
        cache.mkldnn_opcache_reset_stats()
    before = counters.read(cache)
    steps = job.timed_steps(warm_up_ns[-1])
    result: Dict[str, Any] = {}
    if isinstance(job, ProfileJob):
        step_ns, result["operators"] = profiled(lambda: [timed_step() for _ in range(steps)], steps)
    else:
        step_ns = [timed_step() for _ in range(steps)]
    stats = counters.read(cache)
    return {
        **result,
        "warm_up_ns": warm_up_ns,
        "step_ns": step_ns,
        "still_missing": counters.still_missing(before, stats),
        "stats": stats,
        "finite": is_finite(training),
        "cpus": sorted(os.sched_getaffinity(0)),
        "sides": image_sides(batches),
    }


def _warm_up(job: TrainJob, timed_step: Callable[[], int], cache: Cache) -> List[int]:
    """Train until the cache no longer misses, and return the times of the steps."""
    stats = counters.read(cache)
    if stats is None or not stats["active"]:
        # As many steps as with a cache that misses in none after the minimum.
        return [timed_step() for _ in range(job.warm_up_steps_min + 1)]
    elapsed_ns: List[int] = []
    while len(elapsed_ns) < job.warm_up_steps_max:
        before = counters.read(cache)
        elapsed_ns.append(timed_step())
        missing = counters.still_missing(before, counters.read(cache))
        if len(elapsed_ns) > job.warm_up_steps_min and not missing:
            break
    return elapsed_ns


def profiled(
    steps: Callable[[], List[int]], count: int
) -> Tuple[List[int], Dict[str, Dict[str, Any]]]:
    """Run ``count`` steps under MXNet's profiler; return their times, and each operator's.

    MXNet must not bulk operators (MXNET_EXEC_BULK_EXEC_TRAIN=0), or it times whole groups.
    """
    # The trace goes to memory. MXNet writes it when the process ends, and first removes the file of
    # that name: as root, with /dev/null, the device itself.
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
