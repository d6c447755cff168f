"""Prepares a network for training on dummy data.

Owns initial values, batches and the Module around a network. Reads only those fields of a job that
all jobs have, and decides nothing about what happens with a trained network.
"""

from __future__ import annotations

import json
import resource
from typing import Any, Dict, List, Optional, Tuple

import mxnet as mx

from harness.worker.data import Shape, generator, labels, parameter, uniform
from models.registry import Network

# The same in every process, so that parameters have the same names everywhere.
PREFIX = "net_"
_LABEL = "softmax_label"


def limit_memory(gib: Optional[float]) -> None:
    """Limit the address space of this process, unless ``gib`` is None.

    An allocation beyond it fails; without it Linux would choose a process to kill.
    """
    if gib is not None:
        limit = int(gib * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def data_shape(job: Any) -> Shape:
    """Return (batch, 3, side, side)."""
    return (job.batch_size, 3, job.image_size, job.image_size)


def make_batch(network: Network, job: Any, step: int) -> Any:
    """Return the DataBatch of a step: images (batch, 3, side, side) in [-1, 1), random targets.

    The network's sides follow each other in an order that is drawn once, again and again.
    """
    sides = generator(job.seed, "sides").permutation(network.sides(job.image_size))
    side = int(sides[step % len(sides)])
    images = uniform(job.seed, f"data/{step}", (job.batch_size, 3, side, side))
    name = f"label/{step}"
    if network.recipe is None:
        targets: Tuple[Any, ...] = (labels(job.seed, name, job.batch_size, network.classes),)
    else:
        sizes = (job.batch_size, side, network.classes)
        targets = network.recipe.targets(generator(job.seed, name), *sizes)
    return mx.io.DataBatch([mx.nd.array(images)], [mx.nd.array(each) for each in targets])


def symbol_of(net: Any) -> Any:
    """Return the symbol of a Gluon net with the input ``data``; several outputs are a group."""
    outputs = net(mx.sym.var("data"))
    return mx.sym.Group(list(outputs)) if isinstance(outputs, (list, tuple)) else outputs


def initial_values(symbol: Any, seed: int, shape: Shape) -> Dict[str, Any]:
    """Return by name the initial MXNet array of each parameter and state, for data of a shape."""
    argument_shapes, _, state_shapes = symbol.infer_shape(data=shape)
    names = symbol.list_arguments() + symbol.list_auxiliary_states()
    shapes = dict(zip(names, argument_shapes + state_shapes))
    learned = (name for name in names if name not in ("data", _LABEL))
    return {name: mx.nd.array(parameter(seed, name, shapes[name])) for name in learned}


def initialise(net: Any, seed: int, shape: Shape) -> Any:
    """Give a Gluon net its initial values, and return its parameters."""
    net.initialize()
    parameters = net.collect_params()
    fixed = constants(net)
    for name, value in initial_values(symbol_of(net), seed, shape).items():
        if name not in fixed:
            parameters[name].set_data(value)
    return parameters


def constants(net: Any) -> List[str]:
    """Return the names of a Gluon net's arrays that are neither learned nor states: anchors."""
    found = net.collect_params().items()
    return [name for name, parameter in found if isinstance(parameter, mx.gluon.Constant)]


def frozen(net: Any) -> List[str]:
    """Return the names of a Gluon net's arrays that get no gradient."""
    found = net.collect_params().items()
    return [name for name, parameter in found if parameter.grad_req == "null"]


def operators_by_array(network: Network) -> Dict[str, str]:
    """Return by parameter and state the first operator that uses it, with its layer's name.

    The order is the network's; operators have MXNet's names.
    """
    nodes = json.loads(symbol_of(network.build(network.classes, PREFIX)).tojson())["nodes"]
    found: Dict[str, str] = {}
    for node in nodes:
        for name in (nodes[entry[0]]["name"] for entry in node["inputs"]):
            if name.startswith(PREFIX) and node["op"] != "null":
                found.setdefault(name, f"{node['op']} {node['name']}")
    variables = {node["name"] for node in nodes if node["op"] == "null"}
    return {name: operator for name, operator in found.items() if name in variables}


def make_module(network: Network, job: Any, kvstore: Any = None, weight_decay: float = 0.0) -> Any:
    """Return a Module ready to train by SGD, in this process or at the servers of ``kvstore``.

    MXNet applies no ``weight_decay`` to biases and to the shifts of batch normalisation.
    """
    scores = network.build(network.classes, PREFIX)(mx.sym.var("data"))
    symbol = mx.sym.SoftmaxOutput(scores, mx.sym.var(_LABEL), name="softmax")
    module = mx.mod.Module(symbol, context=mx.cpu())
    module.bind([("data", data_shape(job))], [(_LABEL, (job.batch_size,))])
    values = initial_values(symbol, job.seed, data_shape(job))
    module.init_params(arg_params=values, aux_params=values)
    rates = {"learning_rate": job.learning_rate, "momentum": job.momentum}
    optimizer = {**rates, "wd": weight_decay}
    module.init_optimizer(kvstore=kvstore, optimizer="sgd", optimizer_params=optimizer)
    return module


def wait_for_moving_statistics() -> None:
    """Wait until backward passes have ended; call it before auxiliary states are read.

    Batch normalisation updates its moving mean and variance in its backward pass, and MXNet's
    engine knows nothing of it: a read at once may return earlier or torn values.
    """
    mx.nd.waitall()
