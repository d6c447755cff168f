"""What a network consists of, read from its symbol: nothing is allocated and nothing runs.

Works on the symbol it is given and does not import mxnet.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, Dict, Tuple


def describe(symbol: Any, data_shape: Tuple[int, ...]) -> Dict[str, Any]:
    """Return what a network of the input ``data`` and one output has for data of a shape.

    ``parameter_shapes`` by name and ``parameters``, the number of numbers in them, leave out
    running statistics, which are not learned. ``output_shape`` is of the scores. ``operators``
    counts the layers by MXNet's name of their operator, such as Convolution. ``multiply_adds`` are
    those of one forward pass in convolutions and fully connected layers, as papers count them.
    """
    argument_shapes, output_shapes, _ = symbol.infer_shape(data=data_shape)
    shapes = dict(zip(symbol.list_arguments(), argument_shapes))
    del shapes["data"]
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
        "multiply_adds": multiply_adds,
    }
