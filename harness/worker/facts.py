"""Describes networks by their symbols; allocates and runs nothing."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, Dict, List, Sequence, Set, Tuple

from harness.trials.jobs import DescribeJob
from harness.worker import counters
from harness.worker.counters import Cache
from harness.worker.network import PREFIX, constants, frozen, symbol_of
from models.registry import NETWORKS


def run(job: DescribeJob, cache: Cache) -> Dict[str, Any]:
    """Describe every network for one image of its paper's size."""
    networks = {}
    for name, network in NETWORKS.items():
        net = network.build(network.classes, PREFIX)
        shape = (1, 3, network.image_size, network.image_size)
        networks[name] = describe(net, shape)
    return {"networks": networks, "stats": counters.read(cache)}


def describe(net: Any, data_shape: Tuple[int, ...]) -> Dict[str, Any]:
    """Return the sizes of a network with the input ``data``.

    ``parameter_shapes`` by name, and ``parameters``, their total size, leave out running
    statistics and constants, which are not learned. ``output_shape`` is the shape of the
    scores, or of the first output. ``operators`` counts the layers by MXNet's name of their
    operator, such as Convolution; ``trained_operators`` those with a backward pass: all but those
    that only the data and arrays without a gradient lead to. ``multiply_adds`` counts one forward
    pass through convolutions and fully connected layers, as papers do.
    """
    symbol = symbol_of(net)
    argument_shapes, output_shapes, _ = symbol.infer_shape(data=data_shape)
    shapes = dict(zip(symbol.list_arguments(), argument_shapes))
    for name in ("data", *constants(net)):
        del shapes[name]
    inner = symbol.get_internals()
    inner_shapes = dict(zip(inner.list_outputs(), inner.infer_shape(data=data_shape)[1]))
    nodes = json.loads(symbol.tojson())["nodes"]
    multiply_adds = 0
    for node in nodes:
        if node["op"] in ("Convolution", "FullyConnected"):
            weight = nodes[node["inputs"][1][0]]["name"]
            positions = inner_shapes[node["name"] + "_output"][2:]
            multiply_adds += math.prod(shapes[weight]) * math.prod(positions)
    return {
        "parameters": sum(math.prod(shape) for shape in shapes.values()),
        "parameter_shapes": shapes,
        "output_shape": output_shapes[0],
        # A node without an operator is the data, a parameter or a running statistic.
        "operators": Counter(node["op"] for node in nodes if node["op"] != "null"),
        "trained_operators": _with_backward(nodes, set(shapes).difference(frozen(net))),
        "multiply_adds": multiply_adds,
    }


def _with_backward(nodes: Sequence[Dict[str, Any]], learned: Set[str]) -> Dict[str, int]:
    gradient: List[bool] = []
    for node in nodes:
        inputs = [gradient[entry[0]] for entry in node["inputs"]]
        gradient.append(any(inputs) or node["name"] in learned)
    return Counter(n["op"] for n, has in zip(nodes, gradient) if has and n["op"] != "null")
