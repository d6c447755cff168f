"""Trains a network on one shape after the other, and samples this process's memory.

Every shape has executors and values of its own, and leaves a digest of all computed arrays. Only
MXNet and MKL-DNN keep anything between shapes.
"""

from __future__ import annotations

import gc
import hashlib
from functools import lru_cache
from typing import Any, Dict, List, Tuple

import mxnet as mx
import numpy

from harness.base import proc
from harness.reliability.shapes import Shape, shapes
from harness.trials.jobs import SoakJob
from harness.worker import counters
from harness.worker.counters import Cache
from harness.worker.data import parameter, uniform
from harness.worker.network import PREFIX, wait_for_moving_statistics
from harness.worker.scenarios.forks import fork_and_end
from models import small

CLASSES = 5
LEARNING_RATE = 0.01


def run(job: SoakJob, cache: Cache) -> Dict[str, Any]:
    """Run all shapes; see SoakJob."""
    digests: List[str] = []
    finite = True
    samples: List[Dict[str, int]] = []
    for number, shape in enumerate(shapes(job.seed, job.shapes), start=1):
        digest, sound = _train(job, number, shape)
        digests.append(digest)
        finite = finite and sound
        if number % job.sample_every == 0 or number == job.shapes:
            samples.append(_sample(number, cache))
            if proc.available_bytes() < job.stop_below_bytes:
                break
        if job.restart_every and number % job.restart_every == 0:
            # MXNet ends its worker threads before every fork and starts others after it: with them
            # go the primitives that MXNet caches by thread.
            fork_and_end()
    return {
        "digests": digests,
        "finite": finite,
        "samples": samples,
        "stats": counters.read(cache),
    }


@lru_cache(maxsize=None)
def _symbol(channels: int, deconvolution: bool) -> Any:
    return small.seven_ops(CLASSES, PREFIX, channels, deconvolution)(mx.sym.var("data"))


def _train(job: SoakJob, number: int, shape: Shape) -> Tuple[str, bool]:
    """Train one shape from its own initial values; return its digest, and if all is finite."""
    symbol = _symbol(shape.channels, job.deconvolution)
    executor = symbol.simple_bind(mx.cpu(), data=tuple(shape))
    learned = [name for name in symbol.list_arguments() if name != "data"]
    seed = job.seed * 1_000_003 + number
    for arrays in (executor.arg_dict, executor.aux_dict):
        for name, array in arrays.items():
            if name != "data":
                array[:] = parameter(seed, name, array.shape)
    running = hashlib.sha256()
    finite = True
    for step in range(job.steps):
        executor.arg_dict["data"][:] = uniform(seed, f"data/{step}", tuple(shape))
        output = executor.forward(is_train=True)[0]
        head = mx.nd.array(uniform(seed, f"head/{step}", output.shape))
        executor.backward(head)
        for name in learned:
            weight = executor.arg_dict[name]
            mx.nd.sgd_update(weight, executor.grad_dict[name], lr=LEARNING_RATE, out=weight)
        wait_for_moving_statistics()
        kinds = ({"output": output}, executor.grad_dict, executor.arg_dict, executor.aux_dict)
        for arrays in kinds:
            for name in sorted(arrays):
                value = arrays[name].asnumpy()
                running.update(value.tobytes())
                finite = finite and bool(numpy.isfinite(value).all())
    return running.hexdigest()[:16], finite


def _sample(number: int, cache: Cache) -> Dict[str, int]:
    gc.collect()
    found = {
        "shapes": number,
        "resident_bytes": proc.resident_bytes(),
        "unique_bytes": proc.unique_bytes(),
    }
    stats = counters.read(cache)
    if stats is not None:
        totals = stats["totals"]
        for name in ("live_primitives", "idle_primitives", "descriptors", "evictions"):
            found[name] = totals[name]
        memory = stats.get("memory")
        if memory is not None:
            found["idle_bytes"] = memory["idle_bytes"]
            found["descriptor_bytes"] = memory["descriptor_bytes"]
    return found
