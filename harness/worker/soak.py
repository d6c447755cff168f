"""What a worker process of the soak does: train a network on one shape after the other.

Every
shape has executors and values of its own, and leaves a digest of all that was computed; what the
process keeps is MXNet's and MKL-DNN's, and is sampled.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import mxnet as mx
import numpy

from harness.base.errors import HarnessError
from harness.reliability.shapes import Shape, shapes
from harness.trials.jobs import SoakJob
from harness.worker import counters
from harness.worker import data as initial
from harness.worker import network as training
from models import small

Cache = Optional[ctypes.CDLL]

CLASSES = 5
LEARNING_RATE = 0.01


def soak(job: SoakJob, cache: Cache) -> Dict[str, Any]:
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
            if _available_bytes() < job.stop_below_bytes:
                break
        if job.restart_every and number % job.restart_every == 0:
            _restart_workers()
    return {
        "digests": digests,
        "finite": finite,
        "samples": samples,
        "stats": counters.counters(cache),
    }


@lru_cache(maxsize=None)
def _symbol(channels: int) -> Any:
    return small.seven_ops(CLASSES, training.PREFIX, channels)(mx.sym.var("data"))


def _train(job: SoakJob, number: int, shape: Shape) -> Tuple[str, bool]:
    """Train one shape from its own initial values; return its digest, and whether all is finite."""
    symbol = _symbol(shape.channels)
    executor = symbol.simple_bind(mx.cpu(), data=tuple(shape))
    learned = [name for name in symbol.list_arguments() if name != "data"]
    seed = job.seed * 1_000_003 + number
    for arrays in (executor.arg_dict, executor.aux_dict):
        for name, array in arrays.items():
            if name != "data":
                array[:] = initial.parameter(seed, name, array.shape)
    running = hashlib.sha256()
    finite = True
    for step in range(job.steps):
        executor.arg_dict["data"][:] = initial.uniform(seed, f"data/{step}", tuple(shape))
        output = executor.forward(is_train=True)[0]
        head = mx.nd.array(initial.uniform(seed, f"head/{step}", output.shape))
        executor.backward(head)
        for name in learned:
            weight = executor.arg_dict[name]
            mx.nd.sgd_update(weight, executor.grad_dict[name], lr=LEARNING_RATE, out=weight)
        # Batch normalisation updates its moving statistics unknown to MXNet's engine.
        mx.nd.waitall()
        kinds = ({"output": output}, executor.grad_dict, executor.arg_dict, executor.aux_dict)
        for arrays in kinds:
            for name in sorted(arrays):
                value = arrays[name].asnumpy()
                running.update(value.tobytes())
                finite = finite and bool(numpy.isfinite(value).all())
    return running.hexdigest()[:16], finite


def _sample(number: int, cache: Cache) -> Dict[str, int]:
    gc.collect()
    found = {"shapes": number, **_resident()}
    stats = counters.counters(cache)
    if stats is not None:
        totals = stats["totals"]
        for name in ("live_primitives", "idle_primitives", "descriptors", "evictions"):
            found[name] = totals[name]
        memory = stats.get("memory")
        if memory is not None:
            found["idle_bytes"] = memory["idle_bytes"]
            found["descriptor_bytes"] = memory["descriptor_bytes"]
    return found


def _resident() -> Dict[str, int]:
    """Return the bytes of memory that this process has, and that it has alone."""
    fields = _fields("/proc/self/smaps_rollup")
    unique = fields["Private_Clean"] + fields["Private_Dirty"]
    return {"resident_bytes": fields["Rss"], "unique_bytes": unique}


def _available_bytes() -> int:
    return _fields("/proc/meminfo")["MemAvailable"]


def _fields(path: str) -> Dict[str, int]:
    """Return the lines ``Name: N kB`` of a file of the kernel's, in bytes."""
    found = {}
    for line in Path(path).read_text(encoding="ascii", errors="replace").splitlines():
        name, *words = line.split()
        if words[1:] == ["kB"]:
            found[name.rstrip(":")] = int(words[0]) * 1024
    return found


def _restart_workers() -> None:
    """End MXNet's worker threads, and with them the primitives that MXNet keeps by thread.

    MXNet ends them before every fork and starts others after it, as for DataLoader's workers.
    """
    child = os.fork()
    if child == 0:
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise HarnessError(f"a forked child: expected exit status 0, found {status}")
