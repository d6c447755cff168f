"""Trains nets by Gluon, Module or executors for a few steps, and yields all arrays of each step.

Every step has new data: on equal data a cached primitive that still pointed at an earlier step's
buffers would give the right answer.
"""

from __future__ import annotations

import itertools
from typing import Any, Callable, Dict, Iterator, Sequence, Tuple

import mxnet as mx
import numpy

from harness.worker.data import Shape, uniform
from harness.worker.network import initial_values, wait_for_moving_statistics

Arrays = Dict[str, numpy.ndarray]
Steps = Iterator[Arrays]
# From a seed and a number of steps.
Scenario = Callable[[int, int], Steps]

SHAPE = (2, 3, 32, 32)
LEARNING_RATE = 0.01


def arrays_of(arrays: Dict[str, Any]) -> Arrays:
    """Return NumPy copies of MXNet arrays."""
    wait_for_moving_statistics()
    return {name: array.asnumpy() for name, array in arrays.items()}


def dummy(seed: int, name: str, shape: Shape) -> Any:
    """Return an MXNet array of values in [-1, 1)."""
    return mx.nd.array(uniform(seed, name, shape))


def train_gluon(
    net: Any, seed: int, steps: int, shapes: Sequence[Shape] = (SHAPE,), passes: int = 1
) -> Steps:
    """Train an initialised net on batches of the given shapes in turn.

    A step is ``passes`` passes and an update. Gradients are zero when a step begins, for those of
    grad_req ``add``.
    """
    parameters = net.collect_params()
    for step, shape in zip(range(steps), itertools.cycle(shapes)):
        arrays = {}
        for index in range(passes):
            what = f"{net.prefix}{step}/{index}"
            data = dummy(seed, f"data/{what}", shape)
            data.attach_grad()
            with mx.autograd.record():
                output = net(data)
            output.backward(dummy(seed, f"head/{what}", output.shape))
            arrays[f"{net.prefix}output-{index}"] = output
            arrays[f"{net.prefix}gradient-data-{index}"] = data.grad
        for name, learned in parameters.items():
            arrays[name] = learned.data()
            if learned.grad_req != "null":
                value, gradient = learned.data(), learned.grad()
                arrays[f"gradient-{name}"] = gradient.copy()
                mx.nd.sgd_update(value, gradient, lr=LEARNING_RATE, out=value)
                learned.zero_grad()
        yield arrays_of(arrays)


def train_module(
    net: Any, seed: int, steps: int, shapes: Sequence[Shape] = (SHAPE,), **settings: Any
) -> Steps:
    """Train a net with the Module API on batches of the given shapes in turn."""
    symbol = net(mx.sym.var("data"))
    module = mx.mod.Module(symbol, label_names=None, context=mx.cpu(), **settings)
    module.bind([("data", shapes[0])], inputs_need_grad=True)
    values = initial_values(symbol, seed, shapes[0])
    module.init_params(arg_params=values, aux_params=values)
    rate = {"learning_rate": LEARNING_RATE}
    module.init_optimizer(kvstore=None, optimizer="sgd", optimizer_params=rate)
    for step, shape in zip(range(steps), itertools.cycle(shapes)):
        module.reshape([("data", shape)])
        module.forward(mx.io.DataBatch([dummy(seed, f"module/data/{step}", shape)]))
        output = module.get_outputs()[0]
        module.backward([dummy(seed, f"module/head/{step}", output.shape)])
        module.update()
        mx.nd.waitall()
        learned, states = module.get_params()
        arrays = {"output": output, "gradient-data": module.get_input_grads()[0]}
        arrays.update(learned, **states)
        yield arrays_of({f"module/{name}": array for name, array in arrays.items()})


def infer(
    symbol: Any,
    values: Dict[str, Any],
    seed: int,
    steps: int,
    shape: Shape = SHAPE,
    make: Callable[[int, str, Shape], Any] = dummy,
) -> Iterator[Tuple[Any, Any]]:
    """Run a symbol forward only, by a Module without gradients; yield data and output by step."""
    module = mx.mod.Module(symbol, label_names=None, context=mx.cpu())
    module.bind([("data", shape)], for_training=False)
    module.set_params(values, values)
    for step in range(steps):
        data = make(seed, f"data/{step}", shape)
        module.forward(mx.io.DataBatch([data]), is_train=False)
        yield data, module.get_outputs()[0]


def train_executors(
    executors: Dict[str, Any], learned: Sequence[str], seed: int, steps: int, passes: int = 1
) -> Steps:
    """Run the executors in turn, each learning from its own data; see train_gluon."""
    for step in range(steps):
        arrays = {}
        for label, executor in executors.items():
            for index in range(passes):
                what = f"{label}/{step}/{index}"
                executor.arg_dict["data"][:] = dummy(
                    seed, f"data/{what}", executor.arg_dict["data"].shape
                )
                output = executor.forward(is_train=True)[0]
                executor.backward(dummy(seed, f"head/{what}", output.shape))
                arrays[f"{label}/output-{index}"] = output.copy()
            for name, gradient in executor.grad_dict.items():
                arrays[f"{label}/gradient-{name}"] = gradient.copy()
                if name in learned:
                    weight = executor.arg_dict[name]
                    mx.nd.sgd_update(weight, gradient, lr=LEARNING_RATE, out=weight)
                    arrays[f"{label}/{name}"] = weight.copy()
                gradient[:] = 0
            arrays.update({f"{label}/{n}": state for n, state in executor.aux_dict.items()})
        yield arrays_of(arrays)
