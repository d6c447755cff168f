"""Scenarios of processes that start during training."""

from __future__ import annotations

import os
import subprocess
import threading
from typing import Any, Callable, Dict

import mxnet as mx
import numpy

from harness.base.errors import HarnessError
from harness.worker.data import uniform
from harness.worker.network import initialise
from harness.worker.scenarios.training import (
    LEARNING_RATE,
    SHAPE,
    Scenario,
    Steps,
    arrays_of,
    dummy,
    train_gluon,
)
from models import small

_BATCHES = 4


def data_loader(seed: int, steps: int) -> Steps:
    """Train on batches that two forked workers of Gluon's DataLoader make; a step is an epoch."""
    net = small.two_convolutions("net_")
    parameters = initialise(net, seed, SHAPE)
    images = uniform(seed, "images", (_BATCHES * SHAPE[0], *SHAPE[1:]))
    dataset = mx.gluon.data.ArrayDataset(images, numpy.arange(len(images), dtype=numpy.float32))
    loader = mx.gluon.data.DataLoader(dataset, batch_size=SHAPE[0], num_workers=2)
    for step in range(steps):
        arrays: Dict[str, Any] = {}
        for index, (data, labels) in enumerate(loader):
            with mx.autograd.record():
                output = net(data)
            output.backward(dummy(seed, f"head/{step}/{index}", output.shape))
            arrays.update({f"output-{index}": output, f"labels-{index}": labels})
            for parameter in parameters.values():
                if parameter.grad_req != "null":
                    value = parameter.data()
                    mx.nd.sgd_update(value, parameter.grad(), lr=LEARNING_RATE, out=value)
        arrays.update({name: parameter.data() for name, parameter in parameters.items()})
        yield arrays_of(arrays)


def _beside(start: Callable[[], None]) -> Scenario:
    """Return the scenario of a training while another thread calls ``start`` for ever."""

    def scenario(seed: int, steps: int) -> Steps:
        net = small.two_convolutions("net_")
        initialise(net, seed, SHAPE)
        stop = threading.Event()
        failed = []

        def work() -> None:
            while not stop.is_set():
                try:
                    start()
                except BaseException as error:  # raised by the thread that trains
                    failed.append(error)
                    return

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield from train_gluon(net, seed, steps)
        finally:
            stop.set()
            thread.join()
        if failed:
            raise failed[0]

    return scenario


def _run_a_command() -> None:
    subprocess.run(["/bin/true"], check=True, timeout=60)


def fork_and_end() -> None:
    """Fork a child that only exits; HarnessError when it fails."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if status != 0:
        raise HarnessError(f"a forked child: expected exit status 0, found {status}")


SCENARIOS: Dict[str, Scenario] = {
    "fork-data-loader": data_loader,
    "fork-subprocess-beside": _beside(_run_a_command),
    "fork-from-a-thread": _beside(fork_and_end),
}
