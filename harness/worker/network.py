"""A network made ready to train on dummy data, for the files that run in a worker process.

Owns initial values, batches, the Module around a network and the step that is timed. Knows only
the fields that the jobs have in common; what is done with a trained network is not decided here.
"""

from __future__ import annotations

import json
import time
from typing import Any, Dict

import mxnet as mx
import numpy

from harness.worker import data as initial
from models.registry import Network

# The same in every process, so that parameters have the same names everywhere.
PREFIX = "net_"


def _data_shape(job: Any) -> tuple:
    return (job.batch_size, 3, job.image_size, job.image_size)


def batch(network: Network, job: Any, step: int) -> Any:
    """Return the DataBatch of a step: images (batch, 3, side, side) in [-1, 1), random labels."""
    data = initial.uniform(job.seed, f"data/{step}", _data_shape(job))
    labels = initial.labels(job.seed, f"label/{step}", job.batch_size, network.classes)
    return mx.io.DataBatch([mx.nd.array(data)], [mx.nd.array(labels)])


def initial_parameters(job: Any, symbol: Any) -> Dict[str, numpy.ndarray]:
    """Return the initial value of each of the network's parameters and auxiliary states."""
    argument_shapes, _, state_shapes = symbol.infer_shape(data=_data_shape(job))
    names = symbol.list_arguments() + symbol.list_auxiliary_states()
    shapes = dict(zip(names, argument_shapes + state_shapes))
    parameters = (name for name in names if name.startswith(PREFIX))
    return {name: initial.parameter(job.seed, name, shapes[name]) for name in parameters}


def operators(network: Network) -> Dict[str, str]:
    """Return MXNet's operator, with its layer's name, that uses each parameter and state first.

    In the order of the network.
    """
    nodes = json.loads(network.build(network.classes, PREFIX)(mx.sym.var("data")).tojson())["nodes"]
    found: Dict[str, str] = {}
    for node in nodes:
        for name in (nodes[entry[0]]["name"] for entry in node["inputs"]):
            if name.startswith(PREFIX) and node["op"] != "null":
                found.setdefault(name, f"{node['op']} {node['name']}")
    variables = {node["name"] for node in nodes if node["op"] == "null"}
    return {name: operator for name, operator in found.items() if name in variables}


def module(network: Network, job: Any, kvstore: Any = None, weight_decay: float = 0.0) -> Any:
    """Return a Module that is ready to train by SGD: here, or at the servers of ``kvstore``.

    MXNet spares biases and the shifts of batch normalisation from ``weight_decay``.
    """
    scores = network.build(network.classes, PREFIX)(mx.sym.var("data"))
    symbol = mx.sym.SoftmaxOutput(scores, mx.sym.var("softmax_label"), name="softmax")
    found = mx.mod.Module(symbol, context=mx.cpu())
    found.bind([("data", _data_shape(job))], [("softmax_label", (job.batch_size,))])
    values = initial_parameters(job, symbol)
    states = set(symbol.list_auxiliary_states())
    parameters: Dict[bool, Dict[str, Any]] = {True: {}, False: {}}
    for name, value in values.items():
        parameters[name in states][name] = mx.nd.array(value)
    found.init_params(arg_params=parameters[False], aux_params=parameters[True])
    optimizer = {
        "learning_rate": job.learning_rate,
        "momentum": job.momentum,
        "wd": weight_decay,
    }
    found.init_optimizer(kvstore=kvstore, optimizer="sgd", optimizer_params=optimizer)
    return found


def timed_step(module: Any, batch: Any) -> int:
    """Train one step, from an idle MXNet to an idle MXNet, and return its nanoseconds."""
    mx.nd.waitall()
    start_ns = time.perf_counter_ns()
    module.forward_backward(batch)
    module.update()
    mx.nd.waitall()
    return time.perf_counter_ns() - start_ns
