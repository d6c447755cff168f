"""Scenarios of MXNet's features that plain training does not use."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Dict, List

import mxnet as mx

from harness.worker.data import parameter
from harness.worker.network import PREFIX, initial_values, initialise
from harness.worker.scenarios.training import (
    SHAPE,
    Arrays,
    Scenario,
    Steps,
    arrays_of,
    dummy,
    infer,
    train_executors,
    train_gluon,
    train_module,
)
from models import small

# Four comes twice, so that a shape is met again.
BATCH_SIZES = (4, 1, 3, 4, 2)


def inference(seed: int, steps: int) -> Steps:
    """Run forward only: a hybridized net, and a Module bound without gradients.

    Both end in softmax, which MXNet sends to MKL-DNN in inference only.
    """
    net = small.two_convolutions(PREFIX, softmax=True)
    initialise(net, seed, SHAPE)
    net.hybridize()
    symbol = net(mx.sym.var("data"))
    values = initial_values(symbol, seed + 1, SHAPE)
    for data, output in infer(symbol, values, seed, steps):
        yield arrays_of({"gluon": net(data), "module": output})


def grad_add(seed: int, steps: int) -> Steps:
    """Add up the gradients of three passes: Gluon, then an executor."""
    net = small.two_convolutions(PREFIX)
    initialise(net, seed, SHAPE).setattr("grad_req", "add")
    yield from train_gluon(net, seed, steps, passes=3)
    symbol = small.two_convolutions(PREFIX)(mx.sym.var("data"))
    executor = symbol.simple_bind(mx.cpu(), grad_req="add", data=SHAPE)
    values = initial_values(symbol, seed, SHAPE)
    executor.copy_params_from(values, values, allow_extra_params=True)
    yield from train_executors({"executor": executor}, list(values), seed, steps, passes=3)


def grad_null(seed: int, steps: int) -> Steps:
    """Freeze the first convolution, but request the gradient of the data."""
    net = small.two_convolutions(PREFIX)
    frozen = [name for name in initialise(net, seed, SHAPE) if "conv0" in name]
    for name in frozen:
        net.collect_params()[name].grad_req = "null"
    net.hybridize()
    yield from train_gluon(net, seed, steps)
    yield from train_module(small.two_convolutions(PREFIX), seed, steps, fixed_param_names=frozen)


def shared_weights(seed: int, steps: int) -> Steps:
    """Use one weight in two convolutions, in two executors of different batch sizes."""
    symbol = small.shared_weight()
    values = initial_values(symbol, seed, SHAPE)
    executors = {}
    for batch_size in (2, 3):
        data = mx.nd.zeros((batch_size, *SHAPE[1:]))
        arguments = {**values, "data": data}
        gradients = {name: mx.nd.zeros(array.shape) for name, array in arguments.items()}
        executors[f"batch-{batch_size}"] = symbol.bind(mx.cpu(), arguments, gradients)
    return train_executors(executors, list(values), seed, steps)


def batch_changes(seed: int, steps: int) -> Steps:
    """Change the batch size in every step: hybridized Gluon, then a Module."""
    shapes = [(size, *SHAPE[1:]) for size in BATCH_SIZES]
    net = small.two_convolutions(PREFIX)
    initialise(net, seed, shapes[0])
    net.hybridize()
    yield from train_gluon(net, seed, steps, shapes)
    yield from train_module(small.two_convolutions(PREFIX), seed, steps, shapes)


def odd_channels(seed: int, steps: int) -> Steps:
    """Train on channel counts that need padding, odd image sides, groups and depthwise."""
    net = small.odd_channels(PREFIX)
    shape = (3, 3, 31, 29)
    initialise(net, seed, shape)
    net.hybridize()
    return train_gluon(net, seed, steps, (shape,))


def imperative(seed: int, steps: int) -> Steps:
    """Train a net with branches without hybridizing it: every operator runs by itself."""
    net = small.branches(PREFIX)
    initialise(net, seed, SHAPE)
    return train_gluon(net, seed, steps)


def fused(seed: int, steps: int) -> Steps:
    """Run a net whose convolutions MXNet 1.5 has fused with the following operators."""
    symbol = small.fusible(PREFIX)(mx.sym.var("data"))
    values = initial_values(symbol, seed, SHAPE)
    for _, output in infer(symbol.get_backend_symbol("MKLDNN"), values, seed, steps):
        yield arrays_of({"output": output})


def recurrent(seed: int, steps: int) -> Steps:
    """Run LSTM layers on sequences of two lengths in turn."""
    layers = mx.gluon.rnn.LSTM(16, num_layers=2, input_size=8, prefix=PREFIX)
    layers.initialize()
    for name, learned in layers.collect_params().items():
        learned.set_data(mx.nd.array(parameter(seed, name, learned.shape)))
    for step, length in zip(range(steps), itertools.cycle((5, 7))):
        yield arrays_of({"output": layers(dummy(seed, f"data/{step}", (length, 3, 8)))})


def int8(seed: int, steps: int) -> Steps:
    """Run a net whose convolutions and pooling were quantized, scales found in every batch."""
    net = small.quantizable(PREFIX)
    shape = (2, 8, 32, 32)
    symbol = net(mx.sym.var("data"))
    activations = [n for n in symbol.get_internals().list_outputs() if "relu" in n]
    symbol, values, states = mx.contrib.quantization.quantize_model(
        symbol,
        initial_values(symbol, seed, shape),
        {},
        ctx=mx.cpu(),
        # MXNet 1.5 quantizes them too, but to signed numbers, which the next convolution refuses.
        excluded_sym_names=[name[: -len("_output")] for name in activations],
        calib_mode="none",
        quantized_dtype="uint8",
    )

    def unsigned(*what: Any) -> Any:
        return dummy(*what) + 1  # as MKL-DNN's int8 convolution takes data

    for _, output in infer(symbol, {**values, **states}, seed, steps, shape, unsigned):
        yield arrays_of({"output": output})


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
