"""Trains nets by Gluon, Module or executors for a few steps, and yields all arrays of each step.

Every step has new data: on equal data a cached primitive that still pointed at an earlier step's
buffers would give the right answer.
"""

from __future__ import annotations

import itertools
from typing import Any, Callable, Dict, Iterator, Sequence, Tuple

import mxnet as mx
import numpy

from harness.worker.data import parameter, uniform
from harness.worker.network import wait_for_moving_statistics

Shape = Tuple[int, ...]
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


def initial_values(symbol: Any, seed: int, data_shape: Shape) -> Dict[str, Any]:
    """Return the initial value of every parameter and auxiliary state of a symbol by name."""
    argument_shapes, _, state_shapes = symbol.infer_shape(data=data_shape)
    names = symbol.list_arguments() + symbol.list_auxiliary_states()
    shapes = dict(zip(names, argument_shapes + state_shapes))
    del shapes["data"]
    return {name: mx.nd.array(parameter(seed, name, shapes[name])) for name in shapes}


def initialise(net: Any, seed: int, data_shape: Shape) -> Any:
    """Give a Gluon net its initial values, and return its parameters."""
    net.initialize()
    parameters = net.collect_params()
    for name, value in initial_values(net(mx.sym.var("data")), seed, data_shape).items():
        parameters[name].set_data(value)
    return parameters


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
    states = {name: values.pop(name) for name in symbol.list_auxiliary_states()}
    module.init_params(arg_params=values, aux_params=states)
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
