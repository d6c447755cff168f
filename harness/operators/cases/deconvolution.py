"""Cases of deconvolution.

Avoided: a stride of (1, 2), as in convolution; and what MXNet 1.3 and 1.4 refuse or abort
on: a bias in a blocked layout, and a target_shape that is not what the pad leads to.
"""

from __future__ import annotations

from typing import Any, Mapping

from harness.operators.cases.case import BLOCKED, LAYOUTS, PLAIN, Case, Shape, make_case

_ONE, _TWO, _THREE = (1, 1), (2, 2), (3, 3)
_PAD, _STRIDES = {"pad": _ONE}, {"stride": _TWO, "pad": _ONE}


def _deconvolution(
    name: str,
    data: Shape,
    filters: int,
    kernel: Shape,
    attributes: Mapping[str, Any],
    *blocked: str,
    bias: bool = False,
    **rest: Any,
) -> Case:
    inputs = {"data": data, "weight": (data[1], filters // attributes.get("num_group", 1), *kernel)}
    if bias:
        inputs["bias"] = (filters,)
    attributes = {**attributes, "num_filter": filters, "kernel": kernel, "no_bias": not bias}
    # Its forward pass is a convolution's data gradient. What its backward pass reaches, a forward
    # convolution and a weight gradient, counts as either operator's, by how the calls are ordered.
    reaches = ("_backward_Convolution",)
    return make_case("Deconvolution", name, inputs, attributes, blocked, reaches, **rest)


DECONVOLUTION = (
    *(
        _deconvolution(name, shape, filters, kernel, attributes, *blocked)
        for name, kernel, attributes in (
            ("1x1", _ONE, {}),
            ("2x2-stride", _TWO, {"stride": _TWO}),
            ("3x3", _THREE, {}),
            ("4x4-stride", (4, 4), _STRIDES),
            ("dilate", _THREE, {"dilate": _TWO}),
            ("uneven", (3, 2), {"stride": (2, 1), "pad": (1, 0)}),
            ("adjusted", _THREE, {"stride": _TWO, "pad": _ONE, "adj": _ONE}),
        )
        for shape, filters in (((1, 32, 5, 4), 16), ((2, 16, 5, 5), 32))
        for blocked in (PLAIN, BLOCKED)
    ),
    *(
        _deconvolution("3x3-pad", shape, 16, _THREE, _PAD, *blocked, quick=True)
        for shape in ((2, 16, 6, 6), (1, 32, 5, 4))
        for blocked in LAYOUTS
    ),
    _deconvolution("target", (2, 16, 5, 5), 16, (4, 4), {**_STRIDES, "target_shape": (10, 10)}),
    *(
        _deconvolution(name, data, filters, kernel, attributes, bias=bias, quick=True)
        for name, data, filters, kernel, attributes, bias in (
            ("odd", (2, 5, 6, 6), 7, _THREE, {}, False),
            ("odd-filters", (2, 16, 6, 6), 7, _THREE, {}, False),
            ("odd-bias", (2, 5, 6, 6), 7, _THREE, {}, True),
            ("odd-stride-bias", (1, 3, 5, 5), 5, (4, 4), {"stride": _TWO}, True),
            ("groups", (2, 32, 5, 5), 32, _THREE, {"num_group": 2}, False),
            ("groups-odd", (2, 6, 5, 5), 9, _THREE, {"num_group": 3}, False),
            ("depthwise", (2, 16, 5, 5), 16, _THREE, {"num_group": 16}, False),
            ("depthwise-stride", (2, 16, 5, 5), 16, (4, 4), {"num_group": 16, **_STRIDES}, False),
        )
    ),
    *(
        _deconvolution(
            f"{request}-{name}", (3, 16, 8, 8), 16, _THREE, {}, *blocked, grad_req={name: request}
        )
        for request in ("null", "add")
        for name in ("data", "weight")
        for blocked in (PLAIN, BLOCKED)
    ),
    _deconvolution(
        "add-odd",
        (3, 5, 6, 6),
        7,
        _THREE,
        {},
        bias=True,
        grad_req={"data": "add", "weight": "add", "bias": "add"},
    ),
    _deconvolution("null-bias", (3, 5, 6, 6), 7, _THREE, {}, bias=True, grad_req={"bias": "null"}),
    *(
        _deconvolution("predict", (1, 16, 6, 6), 16, _THREE, {}, *b, train=False, backward=False)
        for b in LAYOUTS[:2]
    ),
)
