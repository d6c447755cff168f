"""Cases of convolution.

Avoided: a stride of (1, 2), with which MKL-DNN v0.14 gets the data gradient wrong or does
not write all of it.
"""

from __future__ import annotations

from typing import Any, Mapping

from harness.operators.cases.case import BLOCKED, LAYOUTS, PLAIN, Case, Shape, StockFault, make_case

_ONE, _TWO, _THREE = (1, 1), (2, 2), (3, 3)
_IMAGE, _SMALL = (2, 16, 8, 8), (3, 16, 8, 8)


def _convolution(
    name: str,
    data: Shape,
    filters: int,
    kernel: Shape,
    attributes: Mapping[str, Any],
    *blocked: str,
    bias: bool = True,
    **rest: Any,
) -> Case:
    groups = attributes.get("num_group", 1)
    inputs = {"data": data, "weight": (filters, data[1] // groups, *kernel)}
    if bias:
        inputs["bias"] = (filters,)
    attributes = {**attributes, "num_filter": filters, "kernel": kernel, "no_bias": not bias}
    reaches = ("Convolution", "_backward_Convolution")
    return make_case("Convolution", name, inputs, attributes, blocked, reaches, **rest)


_PAD = {"pad": _ONE}
_STRIDES = {"stride": _TWO, "pad": _ONE}
_DEPTHWISE = StockFault(
    ("gradient-weight",),
    "MKL-DNN from v0.17.4 on reads out of bounds for the kernel's last row (AVX-512)",
    ("1.4.1", "1.5.1", "1.6.0"),
)
_BIAS_WITH_WEIGHT = StockFault(
    ("gradient-bias",),
    "MXNet computes the bias's gradient together with the weight's, or not at all",
    ("1.3.1", "1.4.1"),
)

CONVOLUTION = (
    *(
        _convolution(name, shape, 16, kernel, attributes, *blocked, quick=shape == _IMAGE)
        for name, kernel, attributes in (
            ("1x1", _ONE, {}),
            ("3x3-pad", _THREE, _PAD),
            ("3x3-stride", _THREE, _STRIDES),
        )
        for shape in (_IMAGE, (1, 16, 9, 7), (4, 32, 8, 8))
        for blocked in LAYOUTS
    ),
    *(
        _convolution(name, shape, 16, kernel, attributes, *blocked, bias=not blocked)
        for name, kernel, attributes in (
            ("1x1-stride", _ONE, {"stride": _TWO}),
            ("2x2", _TWO, {}),
            ("3x3", _THREE, {}),
            ("5x5", (5, 5), {"pad": _TWO}),
            ("1x7", (1, 7), {"pad": (0, 3)}),
            ("7x1", (7, 1), {"pad": (3, 0)}),
            ("dilate", _THREE, {"dilate": _TWO, "pad": _TWO}),
            ("uneven", (3, 2), {"stride": (2, 1), "pad": (1, 0)}),
        )
        for shape in (_IMAGE, (1, 16, 9, 7), (4, 32, 8, 8))
        for blocked in (PLAIN, BLOCKED)
    ),
    _convolution("no-bias", _IMAGE, 16, _THREE, _PAD, bias=False, quick=True),
    # Pairs whose tensors have the same shapes, so that only what the names say tells them apart.
    # Without the data gradient: MKL-DNN does not write it where no kernel position reads the data.
    *(
        _convolution(
            f"pair-{name}",
            (2, 16, side, side),
            16,
            _THREE,
            attributes,
            grad_req={"data": "null"},
            quick=True,
        )
        for name, side, attributes in (
            ("stride-2", 6, {"stride": _TWO}),
            ("stride-3", 6, {"stride": _THREE}),
            ("pad-0", 8, {"stride": (4, 4)}),
            ("pad-1", 8, {"stride": (4, 4), "pad": _ONE}),
            ("dilate-1", 9, {"stride": _THREE, "pad": _ONE}),
            ("dilate-2", 9, {"stride": _THREE, "pad": _ONE, "dilate": _TWO}),
        )
    ),
    *(
        _convolution(name, data, filters, kernel, attributes, quick="11" not in name)
        for name, data, filters, kernel, attributes in (
            ("image-3x3", (2, 3, 16, 16), 16, _THREE, _PAD),
            ("image-7x7", (1, 3, 32, 32), 16, (7, 7), {"stride": _TWO, "pad": _THREE}),
            ("image-11x11", (1, 3, 35, 35), 16, (11, 11), {"stride": (4, 4)}),
            ("image-11x11-pad", (2, 3, 35, 35), 64, (11, 11), {"stride": (4, 4), "pad": _TWO}),
            ("odd", (2, 5, 8, 8), 7, _THREE, _PAD),
            ("odd-filters", (2, 16, 8, 8), 7, _THREE, _PAD),
            ("odd-data", (2, 5, 8, 8), 16, _THREE, _PAD),
            ("narrow", (2, 8, 8, 8), 8, _THREE, _PAD),
            ("widen", (2, 16, 8, 8), 48, _THREE, _PAD),
            ("whole", (2, 16, 4, 4), 16, (4, 4), {}),
        )
    ),
    *(
        _convolution(name, data, filters, _THREE, attributes, *blocked, bias=False)
        for name, data, filters, attributes in (
            ("groups-2", (2, 32, 8, 8), 32, {"num_group": 2, **_PAD}),
            ("groups-2-narrow", (2, 16, 8, 8), 32, {"num_group": 2, **_PAD}),
            ("groups-4", (1, 64, 6, 6), 64, {"num_group": 4, **_PAD}),
            ("depthwise", (2, 16, 8, 8), 16, {"num_group": 16, **_PAD}),
            ("depthwise-32", (1, 32, 7, 9), 32, {"num_group": 32, **_PAD}),
        )
        for blocked in LAYOUTS
    ),
    *(
        _convolution(name, data, filters, _THREE, {"num_group": groups, **_PAD}, bias=False)
        for name, data, filters, groups in (
            ("groups-odd", (2, 6, 8, 8), 9, 3),
            ("depthwise-odd", (1, 5, 8, 8), 5, 5),
            ("depthwise-multiply", (2, 8, 8, 8), 16, 8),
        )
    ),
    *(
        _convolution(
            "depthwise-stride",
            (2, 32, side, side),
            32,
            _THREE,
            {"num_group": 32, **_STRIDES},
            *blocked,
            bias=False,
            stock_fault=_DEPTHWISE if side == 8 else None,
        )
        for side in (8, 9)
        for blocked in LAYOUTS
    ),
    *(
        _convolution(
            "-".join([request, *names]),
            _SMALL,
            16,
            _THREE,
            _PAD,
            *blocked,
            grad_req={name: request for name in names},
            stock_fault=_BIAS_WITH_WEIGHT if (request, *names) == ("null", "weight") else None,
            quick=names == ("data",),
        )
        for request, names in (
            ("null", ("data",)),
            ("null", ("weight",)),
            ("null", ("bias",)),
            ("null", ("weight", "bias")),
            ("add", ("data",)),
            ("add", ("weight",)),
            ("add", ("bias",)),
            ("add", ("data", "weight", "bias")),
        )
        for blocked in (PLAIN, BLOCKED)
    ),
    *(
        _convolution(
            name,
            data,
            filters,
            _THREE,
            {"num_group": groups},
            bias=False,
            grad_req={"data": "add", "weight": "add"},
        )
        for name, data, filters, groups in (
            ("add-odd", (2, 5, 8, 8), 7, 1),
            ("add-groups", (2, 32, 8, 8), 32, 2),
            ("add-depthwise", (2, 16, 8, 8), 16, 16),
        )
    ),
    *(
        _convolution("predict", shape, 16, _THREE, _PAD, *blocked, train=False, backward=False)
        for shape, blocked in (
            ((1, 16, 8, 8), PLAIN),
            ((1, 16, 8, 8), ("data",)),
            ((2, 5, 8, 8), PLAIN),
        )
    ),
)
