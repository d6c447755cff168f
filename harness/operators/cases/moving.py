"""Cases of concatenation, and of operators that make MXNet read a blocked array in its own layout.

Avoided: concatenated inputs that do not fill MKL-DNN's blocks of 16 channels, with a head
that has such blocks. MXNet 1.3 and 1.4 abort.
"""

from __future__ import annotations

from typing import Any, Mapping, Tuple

from harness.operators.cases.case import PLAIN, Case, Shape, StockFault, make_case

_IMAGE = (2, 16, 6, 6)


def _concat(name: str, shapes: Tuple[Shape, ...], *blocked: str, dim: int = 1, **rest: Any) -> Case:
    inputs = {f"arg{i}": shape for i, shape in enumerate(shapes)}
    # In its gradient MKL-DNN only copies: a reorder from a view of the head.
    return make_case("Concat", name, inputs, {"dim": dim}, blocked, ("Concat", "reorder"), **rest)


def _channels(*counts: int) -> Tuple[Shape, ...]:
    return tuple((2, count, 6, 6) for count in counts)


_TWO = ("arg0", "arg1")
_THREE = (*_TWO, "arg2")
_LAYOUTS = (PLAIN, ("arg0",), ("arg1",), ("head",), _TWO, (*_TWO, "head"))
_ROWS, _COLUMNS = ((2, 16, 3, 6), (2, 16, 5, 6)), ((2, 16, 6, 3), (2, 16, 6, 5))
_OTHER, _PREDICT = ((3, 16, 6, 6),) * 2, ((1, 16, 6, 6),) * 2

CONCAT = (
    *(_concat("2-inputs", _channels(16, 16), *blocked, quick=True) for blocked in _LAYOUTS),
    *(
        _concat(f"{count}-inputs", _channels(*[16] * count), *blocked)
        for count in (3, 4, 5)
        for names in (tuple(f"arg{i}" for i in range(count)),)
        for blocked in (PLAIN, names, (*names, "head"))
    ),
    *(
        _concat("unequal", _channels(16, 32, 48), *blocked, quick=True)
        for blocked in (PLAIN, _THREE, (*_THREE, "head"))
    ),
    _concat("narrow", _channels(8, 8), *_TWO),
    _concat("odd", _channels(3, 5), quick=True),
    *(_concat("rows", _ROWS, *blocked, dim=2) for blocked in (PLAIN, _TWO, (*_TWO, "head"))),
    *(_concat("columns", _COLUMNS, *blocked, dim=3) for blocked in (PLAIN, _TWO)),
    # With the first case, inputs of the same shapes that are joined along another axis.
    _concat("pair-rows", _channels(16, 16), dim=2, quick=True),
    _concat("pair-columns", _channels(16, 16), dim=3, quick=True),
    _concat("matrix", ((4, 10), (4, 6))),
    _concat("matrix-3", ((4, 16), (4, 16), (4, 16))),
    # MXNet joins along the first axis, and arrays of three dimensions, itself.
    _concat("batch", ((2, 16, 6, 6), (3, 16, 6, 6)), dim=0, reaches=()),
    _concat("three-dimensions", ((2, 3, 8), (2, 5, 8)), reaches=()),
    *(
        _concat(f"{request}-{name}", _OTHER, *blocked, grad_req={name: request})
        for request, name, blocked in (
            ("add", "arg0", PLAIN),
            ("add", "arg1", (*_TWO, "head")),
            ("null", "arg0", PLAIN),
            ("null", "arg1", (*_TWO, "head")),
        )
    ),
    _concat("predict", _PREDICT, *_TWO, train=False, backward=False),
)


def _reorder(
    op: str, name: str, shape: Shape, attributes: Mapping[str, Any], *blocked: str, **rest: Any
) -> Case:
    return make_case(op, name, {"data": shape}, attributes, blocked, ("reorder",), **rest)


def _multiply(*blocked: str) -> Case:
    inputs = {"lhs": _IMAGE, "rhs": _IMAGE}
    return make_case("elemwise_mul", "multiply", inputs, {}, blocked, ("reorder",))


def _slice_like(name: str, **rest: Any) -> Case:
    inputs = {"data": _IMAGE, "shape_like": (1, 2, 4, 3)}
    axes = {"axes": (2, 3)}
    return make_case("slice_like", name, inputs, axes, ("data",), ("reorder",), **rest)


_CONSTANT = StockFault(
    ("gradient-shape_like",),
    "MXNet returns before it writes the zeros, because data needs no gradient",
    ("1.3.1", "1.4.1"),
)

REORDER = (
    *(
        _reorder(op, name, shape, attributes, "data", quick=shape == _IMAGE)
        for shape in (_IMAGE, (1, 32, 5, 7), (3, 8, 4, 4))
        for op, name, attributes in (
            ("transpose", "transpose", {"axes": (0, 2, 3, 1)}),
            ("Flatten", "flatten", {}),
            ("reshape", "reshape", {"shape": (shape[0] * shape[1], -1)}),
            ("slice_axis", "slice-channels", {"axis": 1, "begin": 1, "end": 7}),
            ("slice_axis", "slice-rows", {"axis": 2, "begin": 1, "end": 3}),
            ("identity", "copy", {}),
        )
    ),
    _slice_like("slice-like"),
    # Anchors of an SSD that are cut to the size of a feature map.
    _slice_like("slice-constant", grad_req={"data": "null"}, stock_fault=_CONSTANT, quick=True),
    _reorder("identity", "copy", _IMAGE, {}, "head"),
    _reorder("identity", "copy", _IMAGE, {}, "data", "head"),
    *(
        _reorder("identity", "add", _IMAGE, {}, *blocked, grad_req={"data": "add"})
        for blocked in (("data",), ("data", "head"))
    ),
    *(
        _multiply(*blocked)
        for blocked in (("lhs",), ("lhs", "rhs"), ("head",), ("lhs", "rhs", "head"))
    ),
)
