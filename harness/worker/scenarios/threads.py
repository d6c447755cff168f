"""Scenarios of several threads that call MKL-DNN, and of threads that end.

MXNet's default engine calls MKL-DNN on its own worker threads. With NaiveEngine the Python thread
calls MKL-DNN, one thread at a time: that engine does not support several at once.
"""

from __future__ import annotations

import ctypes
import gc
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, List, Sequence, Tuple

import mxnet as mx
import numpy

from harness.base.errors import HarnessError
from harness.worker.data import Shape
from harness.worker.network import initialise
from harness.worker.scenarios.training import (
    SHAPE,
    Arrays,
    Scenario,
    Steps,
    dummy,
    train_gluon,
)
from models import small
from patches.python.mkldnn_opcache.library import mapped

# (network, its prefix, shape of its data)
_NETWORKS: Tuple[Tuple[Callable[[str], Any], str, Shape], ...] = (
    (small.two_convolutions, "two_", SHAPE),
    (small.odd_channels, "odd_", (3, 3, 31, 29)),
    (small.branches, "branches_", SHAPE),
    (lambda prefix: small.seven_ops(10, prefix), "seven_", (2, 3, 16, 16)),
)


def _trainings(seed: int, steps: int) -> List[Steps]:
    """Return a training of each network that has not begun."""
    found = []
    for build, prefix, shape in _NETWORKS:
        net = build(prefix)
        initialise(net, seed, shape)
        found.append(train_gluon(net, seed, steps, (shape,)))
    return found


def side_by_side(seed: int, steps: int) -> Steps:
    """Train four different nets, each on a Python thread of its own, all at the same time."""
    trainings = _trainings(seed, steps)
    with ThreadPoolExecutor(len(trainings)) as pool:
        trained: List[List[Arrays]] = list(pool.map(list, trainings))
    return itertools.chain(*trained)


def come_and_go(seed: int, steps: int) -> Steps:
    """Run every step of every net on a new thread that ends after it.

    The objects of a step outlive its thread, and a later thread releases them.
    """
    for training in _trainings(seed, steps):
        for _ in range(steps):
            yield _on_a_thread(lambda training=training: next(training))  # type: ignore[misc]


def _on_a_thread(work: Callable[[], Arrays]) -> Arrays:
    # Not a pool, whose threads do not end.
    done: List[Arrays] = []
    failed: List[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:  # handed to the thread that waits
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def destroyed_elsewhere(seed: int, steps: int) -> Steps:
    """Create executors and arrays in MKL-DNN's layouts on one thread, release them on another.

    A third thread creates further ones meanwhile, and ends while they live.
    """
    symbol = small.two_convolutions("net_")(mx.sym.var("data"))
    shapes = ((2, 3, 32, 32), (3, 3, 24, 24), (1, 3, 32, 32))

    def make(step: int) -> Dict[str, Any]:
        shape = shapes[step % len(shapes)]
        executor = symbol.simple_bind(mx.cpu(), data=shape)
        for name, array in {**executor.arg_dict, **executor.aux_dict}.items():
            array[:] = dummy(seed, f"{name}/{step}", array.shape)
        output = executor.forward(is_train=True)[0]
        executor.backward(dummy(seed, f"head/{step}", output.shape))
        # Separate weights: a read moves an array into MKL-DNN's layout, and simultaneous reads of
        # one array may crash stock MXNet.
        data, weight = dummy(seed, f"data/{step}", shape), dummy(seed, "weight", (8, 3, 3, 3))
        features = mx.nd.Convolution(data, weight, no_bias=True, kernel=(3, 3), num_filter=8)
        return {"executor": executor, "features": features}

    def drop(made: Dict[str, Any]) -> Arrays:
        mx.nd.waitall()
        executor = made["executor"]
        arrays = {f"gradient-{n}": g for n, g in executor.grad_dict.items() if g is not None}
        arrays.update(output=executor.outputs[0], features=made["features"])
        found = {name: numpy.array(array.asnumpy()) for name, array in arrays.items()}
        arrays.clear()
        made.clear()
        del executor
        gc.collect()
        return found

    with ThreadPoolExecutor(1) as maker, ThreadPoolExecutor(1) as dropper:
        for step in range(steps):
            made = [maker.submit(make, step).result(), {}]
            _on_a_thread(lambda step=step, made=made: made[1].update(make(step + 1)) or {})  # type: ignore[misc]
            for index, one in enumerate(made):
                found = dropper.submit(drop, one).result()
                yield {f"{name}-{index}": array for name, array in found.items()}


def _set_omp_threads(count: int) -> None:
    """Set the number of OpenMP threads of the calling thread, in the runtime of MKL-DNN."""
    paths = mapped("libmkldnn.so")
    if len(paths) != 1:
        raise HarnessError(f"expected one libmkldnn.so in this process, found {len(paths)}")
    ctypes.CDLL(paths[0]).omp_set_num_threads(count)


def _omp_threads(counts: Sequence[int], shapes: Sequence[Shape]) -> Scenario:
    def scenario(seed: int, steps: int) -> Steps:
        net = small.two_convolutions("net_")
        initialise(net, seed, shapes[0])
        training = train_gluon(net, seed, steps, shapes)
        for step, count in zip(range(steps), itertools.cycle(counts)):
            _set_omp_threads(count)
            yield {f"{step}/{name}": array for name, array in next(training).items()}

    return scenario


# Each number of threads comes with its own shape.
_OTHER_SHAPES = tuple((batch_size, *SHAPE[1:]) for batch_size in (2, 3, 4))
SCENARIOS: Dict[str, Scenario] = {
    "threads-side-by-side": side_by_side,
    "threads-come-and-go": come_and_go,
    "threads-destroyed-elsewhere": destroyed_elsewhere,
    "omp-threads-rise": _omp_threads((1, 1, 2, 2, 3, 3, 4, 4), (SHAPE,)),
    "omp-threads-fall": _omp_threads((4, 2, 1), (SHAPE,)),
    "omp-threads-and-shapes-change": _omp_threads((3, 2, 1), _OTHER_SHAPES),
}
