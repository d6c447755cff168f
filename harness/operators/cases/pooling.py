"""Cases of pooling."""

from __future__ import annotations

from typing import Any, Mapping

from harness.operators.cases.case import LAYOUTS, PLAIN, Case, Shape, StockFault, make_case

_ONE, _TWO, _THREE = (1, 1), (2, 2), (3, 3)
_IMAGE, _SMALL = (2, 16, 8, 8), (2, 16, 6, 6)
_HALVE = {"kernel": _TWO, "stride": _TWO}
_KINDS = ("max", "avg")
_HEAD = StockFault(
    ("gradient-data",),
    "MXNet gives MKL-DNN plain data with a blocked head, which it misreads",
    ("1.6.0",),
)


def _pooling(
    kind: str, name: str, shape: Shape, attributes: Mapping[str, Any], *blocked: str, **rest: Any
) -> Case:
    attributes = {**attributes, "pool_type": kind}
    reaches = ("Pooling", "_backward_Pooling")
    full_name = f"{kind}-{name}"
    rest.setdefault("stock_fault", _HEAD if blocked == ("head",) else None)
    return make_case("Pooling", full_name, {"data": shape}, attributes, blocked, reaches, **rest)


POOLING = (
    *(
        _pooling(kind, name, shape, attributes, *blocked, quick=shape == _IMAGE)
        for kind in _KINDS
        for name, attributes in (
            ("2x2", _HALVE),
            ("3x3-pad", {"kernel": _THREE, "pad": _ONE}),
        )
        for shape in (_IMAGE, (1, 32, 9, 7), (3, 8, 6, 6))
        for blocked in LAYOUTS
    ),
    *(
        _pooling(kind, name, shape, attributes, *blocked)
        for kind in _KINDS
        for name, attributes in (
            ("2x2-dense", {"kernel": _TWO}),
            ("3x3", {"kernel": _THREE, "stride": _TWO}),
            ("3x3-stride-pad", {"kernel": _THREE, "stride": _TWO, "pad": _ONE}),
            ("uneven", {"kernel": (3, 2), "stride": (1, 2), "pad": (1, 0)}),
            ("global", {"kernel": _TWO, "global_pool": True}),
        )
        for shape in (_IMAGE, (1, 32, 9, 7), (3, 8, 6, 6))
        for blocked in LAYOUTS[:2]
    ),
    *(
        _pooling(kind, f"odd-{name}", (2, 5, 9, 7), attributes)
        for kind in _KINDS
        for name, attributes in (
            ("2x2", _HALVE),
            ("3x3-pad", {"kernel": _THREE, "pad": _ONE}),
            ("global", {"kernel": _TWO, "global_pool": True}),
        )
    ),
    *(
        _pooling("avg", name, _IMAGE, {**attributes, "count_include_pad": False}, *blocked)
        for name, attributes in (
            ("exclude-3x3-pad", {"kernel": _THREE, "pad": _ONE}),
            ("exclude-3x3-stride-pad", {"kernel": _THREE, "stride": _TWO, "pad": _ONE}),
        )
        for blocked in LAYOUTS
    ),
    # MXNet 1.4 sends the convention ``full`` to MKL-DNN in part, 1.3 not at all.
    *(
        _pooling(kind, name, shape, {**attributes, "pooling_convention": "full"}, reaches=None)
        for kind in _KINDS
        for name, shape, attributes in (
            ("full", (2, 16, 7, 7), _HALVE),
            ("full-fits", _IMAGE, _HALVE),
            ("full-pad", _IMAGE, {"kernel": _THREE, "stride": _TWO, "pad": _ONE}),
        )
    ),
    # MXNet computes sums and other numbers of dimensions than four itself.
    _pooling("sum", "2x2", _IMAGE, _HALVE, reaches=()),
    *(
        _pooling(kind, name, shape, attributes, reaches=())
        for kind in _KINDS
        for name, shape, attributes in (
            ("line", (2, 16, 9), {"kernel": (3,), "stride": (2,)}),
            ("volume", (1, 4, 6, 6, 6), {"kernel": (2, 2, 2), "stride": (2, 2, 2)}),
        )
    ),
    *(
        _pooling(
            kind, "add", _SMALL, _HALVE, *blocked, grad_req={"data": "add"}, quick=blocked == PLAIN
        )
        for kind in _KINDS
        for blocked in LAYOUTS
    ),
    *(
        _pooling(kind, "predict", _SMALL, _HALVE, *blocked, train=False, backward=False)
        for kind in _KINDS
        for blocked in LAYOUTS[:2]
    ),
)
