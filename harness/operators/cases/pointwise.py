"""Cases of activation, softmax and sum."""

from __future__ import annotations

from typing import Any, Tuple

from harness.operators.cases.case import LAYOUTS, PLAIN, Case, Shape, StockFault, make_case

_IMAGE, _WIDE, _NARROW, _SMALL = (2, 16, 8, 8), (1, 32, 5, 7), (3, 8, 6, 6), (2, 16, 6, 6)
_ADD = {"data": "add"}


def _activation(act_type: str, shape: Shape, *blocked: str, name: str = "", **rest: Any) -> Case:
    return make_case(
        "Activation",
        f"{act_type}{name}",
        {"data": shape},
        {"act_type": act_type},
        blocked,
        ("Activation", "_backward_Activation"),
        **rest,
    )


def _activations(act_type: str) -> Tuple[Case, ...]:
    plain = (_WIDE, _NARROW, (1, 3, 7, 5), (4, 5, 9, 9), (4, 32), (3, 7), (33,))
    return (
        *(_activation(act_type, _IMAGE, *blocked, quick=True) for blocked in LAYOUTS),
        *(_activation(act_type, shape) for shape in plain),
        *(_activation(act_type, shape, *b) for shape in (_WIDE, _NARROW) for b in LAYOUTS[1:]),
        # MXNet computes arrays of three and of five dimensions itself.
        _activation(act_type, (2, 3, 8), reaches=()),
        _activation(act_type, (1, 2, 3, 4, 5), reaches=()),
        *(
            _activation(act_type, _SMALL, *b, name="-add", grad_req=_ADD, quick=b == PLAIN)
            for b in LAYOUTS
        ),
        *(
            _activation(act_type, _SMALL, *b, name="-predict", train=False, backward=False)
            for b in LAYOUTS[:2]
        ),
    )


ACTIVATION = (
    *(case for kind in ("relu", "tanh", "sigmoid", "softrelu") for case in _activations(kind)),
    _activation("softsign", _IMAGE, reaches=()),
    _activation("softsign", (4, 32), reaches=()),
)


def _softmax(name: str, shape: Shape, *blocked: str, **rest: Any) -> Case:
    attributes = rest.pop("attributes", {})
    rest.setdefault("train", False)
    # MKL-DNN has no backward pass of softmax, and MXNet uses its forward for inference only.
    reaches = () if rest["train"] else ("softmax",)
    return make_case("softmax", name, {"data": shape}, attributes, blocked, reaches, **rest)


_SOFTMAX_LAYOUT = StockFault(
    ("output", "gradient-data"),
    "softmax of blocked data writes a blocked result that MXNet takes for a plain one",
    ("1.3.1", "1.4.1"),
)
_LOSS_ADD = StockFault(("gradient-data",), "SoftmaxOutput writes its gradient whatever grad_req")
SOFTMAX = (
    *(_softmax("last", (n, classes)) for n in (1, 2, 4) for classes in (3, 10, 16, 1000)),
    _softmax("last", (4, 11), quick=True),
    _softmax("first", (4, 10), attributes={"axis": 0}),
    _softmax("channels", (2, 16, 5, 5), attributes={"axis": 1}, quick=True),
    _softmax("channels", (2, 7, 5, 5), attributes={"axis": 1}),
    _softmax("rows", (2, 16, 5, 6), attributes={"axis": 2}),
    _softmax("columns", (2, 16, 5, 6), attributes={"axis": 3}),
    _softmax(
        "channels", (2, 16, 5, 5), "data", attributes={"axis": 1}, stock_fault=_SOFTMAX_LAYOUT
    ),
    _softmax("columns", (2, 16, 5, 6), "data", attributes={"axis": 3}, stock_fault=_SOFTMAX_LAYOUT),
    _softmax("temperature", (4, 10), attributes={"temperature": 2.0}, reaches=()),
    _softmax("three-dimensions", (2, 3, 10), reaches=()),
    _softmax("train", (4, 10), train=True, quick=True),
    _softmax("train", (2, 16, 5, 5), "data", attributes={"axis": 1}, train=True),
    Case("loss", "SoftmaxOutput", {"data": (4, 10), "label": (4,)}, quick=True),
    Case(
        "loss-add",
        "SoftmaxOutput",
        {"data": (4, 12), "label": (4,)},
        grad_req=_ADD,
        stock_fault=_LOSS_ADD,
    ),
)


def _elemwise_add(name: str, shape: Shape, *blocked: str, **rest: Any) -> Case:
    inputs = {"lhs": shape, "rhs": shape}
    return make_case("elemwise_add", name, inputs, {}, blocked, ("sum",), **rest)


def _add_n(count: int, shape: Shape, *more: str, name: str = "", **rest: Any) -> Case:
    inputs = {f"arg{i}": shape for i in range(count)}
    # MXNet adds arrays in the plain layout itself.
    blocked = rest.pop("blocked", (*inputs, *more))
    full_name = f"{count}-inputs{name}"
    return make_case("add_n", full_name, inputs, {}, blocked, ("sum",), **rest)


SUM = (
    *(
        _elemwise_add("two", _IMAGE, *blocked, quick=True)
        for blocked in ((), ("lhs",), ("lhs", "rhs"), ("lhs", "rhs", "head"))
    ),
    _elemwise_add("two", _IMAGE, "rhs"),
    _elemwise_add("two", _IMAGE, "head"),
    _elemwise_add("two", _NARROW, "lhs", "rhs"),
    _elemwise_add("two", _NARROW, "lhs", "head"),
    *(_elemwise_add("two", shape) for shape in ((1, 5, 7, 3), (4, 32), (33,))),
    _elemwise_add("two", (2, 3, 8), reaches=()),
    _elemwise_add("add", _SMALL, grad_req={"lhs": "add"}, quick=True),
    _elemwise_add("add", _SMALL, "lhs", "rhs", "head", grad_req={"rhs": "add"}),
    _elemwise_add("null", _SMALL, "lhs", "rhs", grad_req={"lhs": "null", "rhs": "add"}),
    *(_add_n(count, _IMAGE, quick=count == 3) for count in (2, 3, 4)),
    *(_add_n(count, _NARROW, "head") for count in (2, 3, 4)),
    _add_n(3, _SMALL, "head", name="-add", grad_req={"arg1": "add"}),
    _add_n(3, _SMALL, name="-null", grad_req={"arg0": "null"}),
    _add_n(3, _IMAGE, blocked=PLAIN, reaches=()),
    _add_n(3, _IMAGE, blocked=("arg0",), reaches=()),
)
