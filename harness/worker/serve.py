"""Serves predictions on short-lived threads, and times each.

One thread at a time: MXNet's NaiveEngine, which predicts on the thread that calls it, allows no
more. So each thread leaves behind the primitives that it created.
"""

from __future__ import annotations

import gc
import hashlib
import random
import threading
import time
from typing import Any, Dict, List, Tuple

import mxnet as mx
import numpy

from harness.base import proc
from harness.base.errors import HarnessError
from harness.trials.jobs import ServeJob
from harness.worker import counters
from harness.worker.counters import Cache
from harness.worker.data import parameter, uniform
from harness.worker.network import PREFIX
from models import small

CLASSES = 5
_FEWEST_CHANNELS, _SMALLEST_SIDE = 4, 8


def run(job: ServeJob, cache: Cache) -> Dict[str, Any]:
    """Start one thread after the other; see ServeJob."""
    service = _Service(job)
    samples: List[Dict[str, int]] = []
    for number in range(1, job.threads + 1):
        thread = threading.Thread(target=service.predict)
        thread.start()
        thread.join()
        if len(service.latency_ns) < number * job.requests:
            raise HarnessError(f"thread {number} did not answer all its requests")
        if number % job.sample_every == 0:
            gc.collect()
            samples.append({"threads": number, "resident_bytes": proc.resident_bytes()})
    return {
        "latency_ns": service.latency_ns,
        "digest": service.digest.hexdigest(),
        "finite": service.finite,
        "samples": samples,
        "stats": counters.read(cache),
    }


class _Service:
    """The models, each bound for each size of an image, and the requests to come."""

    def __init__(self, job: ServeJob) -> None:
        self._job = job
        self._random = random.Random(job.seed)
        self._models = {
            (model, size): self._bind(model, size)
            for model in range(job.models)
            for size in range(job.sizes)
        }
        self.latency_ns: List[int] = []
        self.digest = hashlib.sha256()
        self.finite = True

    def _bind(self, model: int, size: int) -> Tuple[Any, numpy.ndarray]:
        side = _SMALLEST_SIDE + 2 * size
        net = small.seven_ops(CLASSES, PREFIX, _FEWEST_CHANNELS + model)
        shape = (1, 3, side, side)
        executor = net(mx.sym.var("data")).simple_bind(mx.cpu(), grad_req="null", data=shape)
        for arrays in (executor.arg_dict, executor.aux_dict):
            for name, array in arrays.items():
                if name != "data":
                    array[:] = parameter(self._job.seed, f"{model}/{name}", array.shape)
        return executor, uniform(self._job.seed, f"data/{model}/{size}", shape)

    def predict(self) -> None:
        """Answer the requests of one thread: the last one repeats the first."""
        keys = [
            (self._random.randrange(self._job.models), self._random.randrange(self._job.sizes))
            for _ in range(self._job.requests - 1)
        ]
        for key in (*keys, keys[0]):
            executor, image = self._models[key]
            started_ns = time.perf_counter_ns()
            executor.arg_dict["data"][:] = image
            scores = executor.forward(is_train=False)[0].asnumpy()
            self.latency_ns.append(time.perf_counter_ns() - started_ns)
            self.digest.update(scores.tobytes())
            self.finite = self.finite and bool(numpy.isfinite(scores).all())
