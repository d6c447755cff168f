"""Ways to use MXNet that plain training does not exercise, each small and run for a few steps.

Imports mxnet at its top, so that only what runs in a worker process may import it. A scenario
yields, for every step, every array that MXNet computed in it, on data that is new in every step:
a cached primitive that still pointed at an earlier step's buffers would give the right answer on
equal data.
"""

from __future__ import annotations

import hashlib
import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, Iterator, List, Mapping, Sequence, Tuple

import mxnet as mx
import numpy

from harness.base.errors import HarnessError
from harness.trials.jobs import ScenarioJob
from harness.worker import data as initial
from models import small

Shape = Tuple[int, ...]
Arrays = Dict[str, numpy.ndarray]
Steps = Iterator[Arrays]
# Takes a seed and a number of steps.
Scenario = Callable[[int, int], Steps]

PREFIX = "net_"
SHAPE = (2, 3, 32, 32)
# Four comes twice, so that a shape is met again.
BATCH_SIZES = (4, 1, 3, 4, 2)
LEARNING_RATE = 0.01


def run_scenario(job: ScenarioJob, known: Mapping[str, Scenario]) -> Dict[str, Any]:
    """Return ``hashes`` over all steps of each array by name, and whether all were ``finite``."""
    if job.name not in known:
        allowed = ", ".join(known)
        raise HarnessError(f"unknown scenario '{job.name}': expected one of {allowed}")
    running: Dict[str, Any] = {}
    finite = True
    for arrays in known[job.name](job.seed, job.steps):
        for name, value in arrays.items():
            running.setdefault(name, hashlib.sha256()).update(value.tobytes())
            finite = finite and bool(numpy.isfinite(value).all())
    hashes = {name: running[name].hexdigest() for name in sorted(running)}
    return {"hashes": hashes, "finite": finite}


def arrays_of(arrays: Dict[str, Any]) -> Arrays:
    # Batch normalisation updates its moving statistics unknown to MXNet's engine.
    mx.nd.waitall()
    return {name: array.asnumpy() for name, array in arrays.items()}


def uniform(seed: int, name: str, shape: Shape) -> Any:
    return mx.nd.array(initial.uniform(seed, name, shape))


def _initial(symbol: Any, seed: int, data_shape: Shape) -> Dict[str, Any]:
    """Return the initial value of every parameter and auxiliary state of a symbol by name."""
    argument_shapes, _, state_shapes = symbol.infer_shape(data=data_shape)
    names = symbol.list_arguments() + symbol.list_auxiliary_states()
    shapes = dict(zip(names, argument_shapes + state_shapes))
    del shapes["data"]
    return {name: mx.nd.array(initial.parameter(seed, name, shapes[name])) for name in shapes}


def initialise(net: Any, seed: int, data_shape: Shape) -> Any:
    net.initialize()
    parameters = net.collect_params()
    for name, value in _initial(net(mx.sym.var("data")), seed, data_shape).items():
        parameters[name].set_data(value)
    return parameters


def train_gluon(
    net: Any, seed: int, steps: int, shapes: Sequence[Shape] = (SHAPE,), passes: int = 1
) -> Steps:
    """Train an initialised net on batches of the given shapes in turn.

    A step is ``passes`` passes and an update; gradients start a step at zero, which matters to
    those that are added up.
    """
    parameters = net.collect_params()
    for step, shape in zip(range(steps), itertools.cycle(shapes)):
        arrays = {}
        for index in range(passes):
            what = f"{net.prefix}{step}/{index}"
            data = uniform(seed, f"data/{what}", shape)
            data.attach_grad()
            with mx.autograd.record():
                output = net(data)
            output.backward(uniform(seed, f"head/{what}", output.shape))
            arrays[f"{net.prefix}output-{index}"] = output
            arrays[f"{net.prefix}gradient-data-{index}"] = data.grad
        for name, parameter in parameters.items():
            arrays[name] = parameter.data()
            if parameter.grad_req != "null":
                arrays[f"gradient-{name}"] = parameter.grad().copy()
                mx.nd.sgd_update(
                    parameter.data(), parameter.grad(), lr=LEARNING_RATE, out=parameter.data()
                )
                parameter.zero_grad()
        yield arrays_of(arrays)


def _train_module(
    net: Any, seed: int, steps: int, shapes: Sequence[Shape] = (SHAPE,), **settings: Any
) -> Steps:
    """Train a net with the Module API on batches of the given shapes in turn."""
    symbol = net(mx.sym.var("data"))
    module = mx.mod.Module(symbol, label_names=None, context=mx.cpu(), **settings)
    module.bind([("data", shapes[0])], inputs_need_grad=True)
    values = _initial(symbol, seed, shapes[0])
    states = {name: values.pop(name) for name in symbol.list_auxiliary_states()}
    module.init_params(arg_params=values, aux_params=states)
    rate = {"learning_rate": LEARNING_RATE}
    module.init_optimizer(kvstore=None, optimizer="sgd", optimizer_params=rate)
    for step, shape in zip(range(steps), itertools.cycle(shapes)):
        module.reshape([("data", shape)])
        module.forward(mx.io.DataBatch([uniform(seed, f"module/data/{step}", shape)]))
        output = module.get_outputs()[0]
        module.backward([uniform(seed, f"module/head/{step}", output.shape)])
        module.update()
        mx.nd.waitall()
        learned, states = module.get_params()
        arrays = {"output": output, "gradient-data": module.get_input_grads()[0]}
        arrays.update(learned, **states)
        yield arrays_of({f"module/{name}": array for name, array in arrays.items()})


def _train_executors(
    executors: Dict[str, Any], learned: Sequence[str], seed: int, steps: int, passes: int = 1
) -> Steps:
    """Run the executors in turn, each learning from its own data; see train_gluon."""
    for step in range(steps):
        arrays = {}
        for label, executor in executors.items():
            for index in range(passes):
                what = f"{label}/{step}/{index}"
                executor.arg_dict["data"][:] = uniform(
                    seed, f"data/{what}", executor.arg_dict["data"].shape
                )
                output = executor.forward(is_train=True)[0]
                executor.backward(uniform(seed, f"head/{what}", output.shape))
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


def inference(seed: int, steps: int) -> Steps:
    """Only run forward: a hybridized net, and a Module bound without gradients.

    Both end in softmax, which MXNet sends to MKL-DNN in no training step.
    """
    net = small.two_convolutions(PREFIX, softmax=True)
    initialise(net, seed, SHAPE)
    net.hybridize()
    symbol = net(mx.sym.var("data"))
    module = mx.mod.Module(symbol, label_names=None, context=mx.cpu())
    module.bind([("data", SHAPE)], for_training=False)
    values = _initial(symbol, seed + 1, SHAPE)
    states = {name: values.pop(name) for name in symbol.list_auxiliary_states()}
    module.init_params(arg_params=values, aux_params=states)
    for step in range(steps):
        data = uniform(seed, f"data/{step}", SHAPE)
        module.forward(mx.io.DataBatch([data]), is_train=False)
        yield arrays_of({"gluon": net(data), "module": module.get_outputs()[0]})


def grad_add(seed: int, steps: int) -> Steps:
    """Add up the gradients of three passes: Gluon, then an executor."""
    net = small.two_convolutions(PREFIX)
    initialise(net, seed, SHAPE).setattr("grad_req", "add")
    yield from train_gluon(net, seed, steps, passes=3)
    symbol = small.two_convolutions(PREFIX)(mx.sym.var("data"))
    executor = symbol.simple_bind(mx.cpu(), grad_req="add", data=SHAPE)
    values = _initial(symbol, seed, SHAPE)
    executor.copy_params_from(values, values, allow_extra_params=True)
    yield from _train_executors({"executor": executor}, list(values), seed, steps, passes=3)


def grad_null(seed: int, steps: int) -> Steps:
    """Freeze the first convolution, and want the gradient of the data all the same."""
    net = small.two_convolutions(PREFIX)
    frozen = [name for name in initialise(net, seed, SHAPE) if "conv0" in name]
    for name in frozen:
        net.collect_params()[name].grad_req = "null"
    net.hybridize()
    yield from train_gluon(net, seed, steps)
    yield from _train_module(small.two_convolutions(PREFIX), seed, steps, fixed_param_names=frozen)


def shared_weights(seed: int, steps: int) -> Steps:
    """Use one weight in two convolutions, in two executors of different batch sizes."""
    symbol = small.shared_weight()
    values = _initial(symbol, seed, SHAPE)
    executors = {}
    for batch_size in (2, 3):
        data = mx.nd.zeros((batch_size, *SHAPE[1:]))
        arguments = {**values, "data": data}
        gradients = {name: mx.nd.zeros(array.shape) for name, array in arguments.items()}
        executors[f"batch-{batch_size}"] = symbol.bind(mx.cpu(), arguments, gradients)
    return _train_executors(executors, list(values), seed, steps)


def batch_changes(seed: int, steps: int) -> Steps:
    """Change the batch size in every step: hybridized Gluon, then a Module."""
    shapes = [(size, *SHAPE[1:]) for size in BATCH_SIZES]
    net = small.two_convolutions(PREFIX)
    initialise(net, seed, shapes[0])
    net.hybridize()
    yield from train_gluon(net, seed, steps, shapes)
    yield from _train_module(small.two_convolutions(PREFIX), seed, steps, shapes)


def odd_channels(seed: int, steps: int) -> Steps:
    """Train on channel counts that need padding, odd image sides, groups and depthwise."""
    net = small.odd_channels(PREFIX)
    shape = (3, 3, 31, 29)
    initialise(net, seed, shape)
    net.hybridize()
    return train_gluon(net, seed, steps, (shape,))


def imperative(seed: int, steps: int) -> Steps:
    """Train a net with branches that is not hybridized: every operator runs by itself."""
    net = small.branches(PREFIX)
    initialise(net, seed, SHAPE)
    return train_gluon(net, seed, steps)


def fused(seed: int, steps: int) -> Steps:
    """Run a net whose convolutions were fused with what follows them, which MXNet 1.5 can do."""
    symbol = small.fusible(PREFIX)(mx.sym.var("data"))
    values = _initial(symbol, seed, SHAPE)
    states = {name: values.pop(name) for name in symbol.list_auxiliary_states()}
    symbol = symbol.get_backend_symbol("MKLDNN")
    module = mx.mod.Module(symbol, label_names=None, context=mx.cpu())
    module.bind([("data", SHAPE)], for_training=False)
    module.set_params(values, states)
    for step in range(steps):
        data = uniform(seed, f"data/{step}", SHAPE)
        module.forward(mx.io.DataBatch([data]), is_train=False)
        yield arrays_of({"output": module.get_outputs()[0]})


def recurrent(seed: int, steps: int) -> Steps:
    """Run LSTM layers on sequences of two lengths in turn."""
    layers = mx.gluon.rnn.LSTM(16, num_layers=2, input_size=8, prefix=PREFIX)
    layers.initialize()
    for name, parameter in layers.collect_params().items():
        parameter.set_data(mx.nd.array(initial.parameter(seed, name, parameter.shape)))
    for step, length in zip(range(steps), itertools.cycle((5, 7))):
        yield arrays_of({"output": layers(uniform(seed, f"data/{step}", (length, 3, 8)))})


def int8(seed: int, steps: int) -> Steps:
    """Run a net whose convolutions and pooling were quantized, scales found in every batch."""
    net = small.quantizable(PREFIX)
    shape = (2, 8, 32, 32)
    symbol = net(mx.sym.var("data"))
    activations = [n for n in symbol.get_internals().list_outputs() if "relu" in n]
    symbol, values, states = mx.contrib.quantization.quantize_model(
        symbol,
        _initial(symbol, seed, shape),
        {},
        ctx=mx.cpu(),
        # MXNet 1.5 quantizes them too, but to signed numbers, which the next convolution refuses.
        excluded_sym_names=[name[: -len("_output")] for name in activations],
        calib_mode="none",
        quantized_dtype="uint8",
    )
    module = mx.mod.Module(symbol, label_names=None, context=mx.cpu())
    module.bind([("data", shape)], for_training=False)
    module.set_params(values, states)
    for step in range(steps):
        # Unsigned, as MKL-DNN's int8 convolution takes data.
        data = uniform(seed, f"data/{step}", shape) + 1
        module.forward(mx.io.DataBatch([data]), is_train=False)
        yield arrays_of({"output": module.get_outputs()[0]})


def threads_python(seed: int, steps: int) -> Steps:
    """Train two nets of equal shapes in two Python threads at the same time."""
    nets = [small.two_convolutions("first_"), small.two_convolutions("second_")]
    for net in nets:
        initialise(net, seed, SHAPE)

    def train(net: Any) -> List[Arrays]:
        return list(train_gluon(net, seed, steps))

    with ThreadPoolExecutor(len(nets)) as pool:
        trained = list(pool.map(train, nets))
    return itertools.chain(*trained)


SCENARIOS: Dict[str, Scenario] = {
    "inference": inference,
    "grad-add": grad_add,
    "grad-null": grad_null,
    "shared-weights": shared_weights,
    "batch-changes": batch_changes,
    "odd-channels": odd_channels,
    "imperative": imperative,
    "fused": fused,
    "recurrent": recurrent,
    "int8": int8,
    "threads-python": threads_python,
}
