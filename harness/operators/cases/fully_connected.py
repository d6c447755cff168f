"""Cases of the fully connected product."""

from __future__ import annotations

from typing import Any, Dict

from harness.operators.cases.case import Case, Shape, make_case


def _fully_connected(
    name: str, data: Shape, hidden: int, features: int, *blocked: str, **rest: Any
) -> Case:
    bias, flatten = rest.pop("bias", True), rest.pop("flatten", True)
    inputs: Dict[str, Shape] = {"data": data, "weight": (hidden, features)}
    if bias:
        inputs["bias"] = (hidden,)
    attributes = {"num_hidden": hidden, "no_bias": not bias, "flatten": flatten}
    # MXNet computes its gradients itself.
    return make_case(
        "FullyConnected", name, inputs, attributes, blocked, ("FullyConnected",), **rest
    )


FULLY_CONNECTED = (
    *(
        _fully_connected(
            f"{hidden}{'' if bias else '-no-bias'}",
            (n, features),
            hidden,
            features,
            bias=bias,
            quick=hidden == 16,
        )
        for n in (1, 4)
        for features in (7, 32, 256)
        for hidden in (5, 16, 64)
        for bias in (True, False)
    ),
    _fully_connected("image", (2, 16, 4, 4), 10, 256, quick=True),
    _fully_connected("image", (2, 16, 4, 4), 10, 256, "data", quick=True),
    _fully_connected("image-no-bias", (2, 16, 4, 4), 10, 256, "data", bias=False),
    _fully_connected("image-not-flat", (2, 16, 4, 5), 10, 5, flatten=False),
    _fully_connected("image-not-flat", (2, 16, 4, 5), 10, 5, "data", flatten=False),
    _fully_connected("matrix-not-flat", (4, 32), 10, 32, flatten=False),
    # MXNet computes arrays of three dimensions itself.
    _fully_connected("sequence", (2, 3, 32), 10, 96, reaches=()),
    _fully_connected("sequence-not-flat", (2, 3, 32), 10, 32, flatten=False, reaches=()),
    *(
        _fully_connected(name, (3, 32), 16, 32, grad_req=requests, quick=True)
        for name, requests in (
            ("null-data", {"data": "null"}),
            ("null-weight", {"weight": "null"}),
            ("null-bias", {"bias": "null"}),
            ("add-all", {"data": "add", "weight": "add", "bias": "add"}),
        )
    ),
    _fully_connected("predict", (5, 32), 16, 32, train=False, backward=False),
    _fully_connected("predict", (3, 16, 4, 4), 16, 256, "data", train=False, backward=False),
)
