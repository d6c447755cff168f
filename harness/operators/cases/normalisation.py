"""Cases of batch normalisation and of local response normalisation."""

from __future__ import annotations

from typing import Any, Mapping

from harness.operators.cases.case import BLOCKED, LAYOUTS, PLAIN, Case, Shape, StockFault, make_case

_IMAGE, _SMALL = (2, 16, 8, 8), (3, 16, 6, 6)


def _batch_norm(
    name: str, shape: Shape, attributes: Mapping[str, Any], *blocked: str, **rest: Any
) -> Case:
    channels = (shape[attributes.get("axis", 1)],)
    inputs = {"data": shape, "gamma": channels, "beta": channels}
    inputs.update(moving_mean=channels, moving_var=channels)
    # MXNet sends batch normalisation to MKL-DNN only in the blocked layout: forward when data
    # has it, backward when either has.
    reaches = ["BatchNorm"] if "data" in blocked else []
    if blocked and rest.get("backward", True):
        reaches.append("_backward_BatchNorm")
    rest.setdefault("reaches", tuple(reaches))
    attributes = {"fix_gamma": False, **attributes}
    return make_case("BatchNorm", name, inputs, attributes, blocked, (), **rest)


_GLOBAL = StockFault(
    ("output", "gradient-data"),
    "MKL-DNN's path ignores use_global_stats in training",
    ("1.3.1", "1.4.1", "1.5.1"),
)
_FROZEN = StockFault(
    ("gradient-data",),
    "MXNet keeps the backward primitive of training with the same shapes and uses it again",
    ("1.4.1", "1.5.1", "1.6.0"),
)


def _writes(name: str) -> StockFault:
    return StockFault(
        (f"gradient-{name}",), "BatchNorm writes its gradients where add is asked for"
    )


BATCH_NORM = (
    *(
        _batch_norm(name, shape, attributes, *blocked, quick=shape == _IMAGE)
        for name, attributes in (
            ("plain", {}),
            ("fixed-gamma", {"fix_gamma": True}),
            ("epsilon", {"eps": 1e-5}),
            ("large-epsilon", {"eps": 0.1}),
            ("momentum", {"momentum": 0.5}),
        )
        for shape in (_IMAGE, (3, 32, 5, 7), (1, 8, 9, 9), (4, 64, 2, 2), (2, 24, 3, 3))
        for blocked in LAYOUTS[1:]
    ),
    *(
        _batch_norm("global", _IMAGE, {"use_global_stats": True}, *blocked, stock_fault=fault)
        for blocked, fault in zip(LAYOUTS, (None, _GLOBAL, _GLOBAL, _GLOBAL))
    ),
    # Gradients through the moving statistics, outside of training mode.
    *(_batch_norm("frozen", (2, 16, 7, 7), {}, *blocked, train=False) for blocked in LAYOUTS),
    *(
        _batch_norm("frozen", _IMAGE, {}, *blocked, train=False, stock_fault=_FROZEN, reaches=None)
        for blocked in LAYOUTS[1:]
    ),
    *(
        _batch_norm(name, (1, 16, 7, 7), attributes, *blocked, train=False, backward=False)
        for name, attributes in (
            ("predict", {}),
            ("predict-global", {"use_global_stats": True}),
            ("predict-fixed-gamma", {"fix_gamma": True}),
        )
        for blocked in LAYOUTS[:2]
    ),
    *(
        _batch_norm("three-outputs", _IMAGE, {"output_mean_var": True}, *blocked)
        for blocked in LAYOUTS[:2]
    ),
    _batch_norm("plain", _IMAGE, {}),
    _batch_norm("odd", (2, 5, 7, 7), {}),
    _batch_norm("matrix", (8, 16), {}),
    _batch_norm("last-axis", (2, 5, 7, 16), {"axis": 3}),
    *(
        _batch_norm(f"null-{'-'.join(names)}", _SMALL, {}, *BLOCKED, grad_req=requests, quick=True)
        for names in (("data",), ("gamma",), ("beta",), ("gamma", "beta"))
        for requests in ({name: "null" for name in names},)
    ),
    *(
        _batch_norm(
            f"add-{name}",
            _SMALL,
            {},
            *blocked,
            grad_req={name: "add"},
            stock_fault=_writes(name),
        )
        for name in ("data", "gamma", "beta")
        for blocked in (PLAIN, BLOCKED)
    ),
)


def _lrn(
    name: str, shape: Shape, attributes: Mapping[str, Any], *blocked: str, **rest: Any
) -> Case:
    fault = StockFault(
        ("gradient-data",), "MXNet gives MKL-DNN plain data with a blocked head, which it misreads"
    )
    rest.setdefault("stock_fault", fault if "head" in blocked else None)
    reaches = ("LRN", "_backward_LRN")
    return make_case("LRN", name, {"data": shape}, attributes, blocked, reaches, **rest)


LRN = (
    *(
        _lrn(f"size-{nsize}", shape, {"nsize": nsize}, *blocked, quick=shape == _IMAGE)
        for nsize in (3, 5, 7)
        for shape in (_IMAGE, (1, 32, 5, 7), (3, 8, 6, 6))
        for blocked in LAYOUTS
    ),
    *(
        _lrn(name, _IMAGE, {"nsize": 5, **attributes}, *blocked)
        for name, attributes in (
            ("alpha", {"alpha": 1e-2}),
            ("beta", {"beta": 0.5}),
            ("knorm", {"knorm": 1.0}),
            ("scalars", {"alpha": 0.5, "beta": 0.9, "knorm": 1.5}),
        )
        for blocked in LAYOUTS
    ),
    *(_lrn(f"odd-{nsize}", (1, 7, 5, 6), {"nsize": nsize}) for nsize in (3, 5)),
    *(_lrn(f"size-{nsize}", _IMAGE, {"nsize": nsize}) for nsize in (1, 11)),
    *(
        _lrn("add", _SMALL, {"nsize": 5}, *b, grad_req={"data": "add"}, quick=b == PLAIN)
        for b in LAYOUTS
    ),
    *(
        _lrn("predict", _SMALL, {"nsize": 5}, *blocked, train=False, backward=False)
        for blocked in LAYOUTS[:2]
    ),
)
