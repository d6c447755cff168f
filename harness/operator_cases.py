"""The small cases that the seven operators are tried on: shapes and attributes, no code.

Channel counts of 8 and 16 reach MKL-DNN's blocked kernels, odd ones its reference kernels and
its padding. Inputs are in MXNet's order; those named ``moving_*`` are auxiliary states, which
have no gradient.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Tuple

from harness.errors import HarnessError

Shape = Tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """One call of MXNet's operator ``op`` on inputs of the given shapes.

    ``blocked`` data comes out of a convolution, in the blocked layout that MKL-DNN prefers;
    MXNet sends batch normalisation to MKL-DNN in no other.
    """

    name: str
    op: str
    inputs: Dict[str, Shape]
    attributes: Dict[str, Any] = field(default_factory=dict)
    blocked: bool = False


def _activation(act_type: str, shape: Shape, blocked: bool = False) -> Case:
    name = f"{act_type}-{'x'.join(map(str, shape))}{'-blocked' if blocked else ''}"
    return Case(name, "Activation", {"data": shape}, {"act_type": act_type}, blocked)


def _batch_norm(name: str, shape: Shape, blocked: bool = True, **attributes: Any) -> Case:
    channels = (shape[1],)
    inputs = {"data": shape, "gamma": channels, "beta": channels}
    inputs.update(moving_mean=channels, moving_var=channels)
    return Case(name, "BatchNorm", inputs, attributes, blocked)


def _convolution(
    name: str, data: Shape, filters: int, kernel: Shape, bias: bool = True, **attributes: Any
) -> Case:
    groups = attributes.get("num_group", 1)
    inputs = {"data": data, "weight": (filters, data[1] // groups, *kernel)}
    if bias:
        inputs["bias"] = (filters,)
    attributes.update(num_filter=filters, kernel=kernel, no_bias=not bias)
    return Case(name, "Convolution", inputs, attributes)


def _deconvolution(
    name: str, data: Shape, filters: int, kernel: Shape, bias: bool = False, **attributes: Any
) -> Case:
    inputs = {"data": data, "weight": (data[1], filters, *kernel)}
    if bias:
        inputs["bias"] = (filters,)
    attributes.update(num_filter=filters, kernel=kernel, no_bias=not bias)
    return Case(name, "Deconvolution", inputs, attributes)


def _fully_connected(name: str, data: Shape, hidden: int, features: int, bias: bool) -> Case:
    inputs = {"data": data, "weight": (hidden, features)}
    if bias:
        inputs["bias"] = (hidden,)
    return Case(name, "FullyConnected", inputs, {"num_hidden": hidden, "no_bias": not bias})


def _lrn(name: str, data: Shape, blocked: bool = False, **attributes: Any) -> Case:
    return Case(name, "LRN", {"data": data}, attributes, blocked)


def _pooling(name: str, data: Shape, blocked: bool = False, **attributes: Any) -> Case:
    return Case(name, "Pooling", {"data": data}, attributes, blocked)


_THREE, _TWO = (3, 3), (2, 2)
_ACTIVATION_INPUTS = (
    ((2, 16, 8, 8), False),
    ((2, 16, 8, 8), True),
    ((1, 3, 7, 5), False),
    ((4, 32), False),
)

OPERATOR_CASES: Dict[str, Tuple[Case, ...]] = {
    "activation": tuple(
        _activation(act_type, shape, blocked)
        for act_type in ("relu", "tanh", "sigmoid", "softrelu")
        for shape, blocked in _ACTIVATION_INPUTS
    ),
    "batch_norm": (
        _batch_norm("plain", (2, 16, 8, 8), fix_gamma=False),
        _batch_norm("fixed-gamma", (2, 16, 8, 8), fix_gamma=True),
        _batch_norm("epsilon", (2, 16, 8, 8), fix_gamma=False, eps=1e-5),
        _batch_norm("shape", (3, 32, 5, 7), fix_gamma=False),
        _batch_norm("global-stats", (2, 16, 8, 8), fix_gamma=False, use_global_stats=True),
        _batch_norm("not-blocked", (2, 16, 8, 8), blocked=False, fix_gamma=False),
    ),
    "convolution": (
        _convolution("plain", (2, 16, 8, 8), 16, _THREE),
        _convolution("no-bias", (2, 16, 8, 8), 16, _THREE, bias=False),
        _convolution("pad", (2, 16, 8, 8), 16, _THREE, pad=(1, 1)),
        _convolution("stride", (2, 16, 9, 9), 16, _THREE, stride=_TWO, pad=(1, 1)),
        _convolution("uneven", (1, 8, 9, 7), 16, (3, 1), stride=(1, 2), pad=(1, 0)),
        _convolution("dilate", (2, 16, 10, 10), 16, _THREE, dilate=_TWO, pad=_TWO),
        _convolution("groups", (2, 16, 8, 8), 32, _THREE, pad=(1, 1), num_group=2),
        _convolution("depthwise", (2, 16, 8, 8), 16, _THREE, False, pad=(1, 1), num_group=16),
        _convolution("image", (1, 3, 16, 16), 16, (7, 7), stride=_TWO, pad=_THREE),
        _convolution("odd-channels", (2, 5, 8, 8), 7, _THREE, pad=(1, 1)),
    ),
    # MXNet 1.3 and 1.4 fail to add a bias to a deconvolution in a blocked layout (1.5 leaves it
    # out), so the cases with one have odd channel counts.
    "deconvolution": (
        _deconvolution("plain", (2, 16, 6, 6), 16, _THREE),
        _deconvolution("pad", (2, 16, 6, 6), 8, _THREE, pad=(1, 1)),
        _deconvolution("stride", (2, 16, 5, 5), 16, (4, 4), stride=_TWO, pad=(1, 1)),
        _deconvolution("odd-channels", (2, 5, 6, 6), 7, _THREE),
        _deconvolution("bias", (2, 5, 6, 6), 7, _THREE, bias=True),
        _deconvolution("stride-bias", (1, 3, 5, 5), 5, (4, 4), bias=True, stride=_TWO),
    ),
    "fully_connected": (
        _fully_connected("plain", (4, 32), 16, 32, bias=True),
        _fully_connected("no-bias", (4, 32), 16, 32, bias=False),
        _fully_connected("image", (2, 16, 4, 4), 10, 256, bias=True),
    ),
    "lrn": (
        _lrn("plain", (2, 16, 6, 6), nsize=5),
        _lrn("size", (2, 16, 6, 6), nsize=3),
        _lrn("scalars", (2, 16, 6, 6), nsize=5, alpha=1e-3, beta=0.5, knorm=1.0),
        _lrn("blocked", (2, 16, 6, 6), blocked=True, nsize=5),
        _lrn("odd-channels", (1, 7, 5, 6), nsize=5),
    ),
    "pooling": (
        _pooling("max", (2, 16, 8, 8), pool_type="max", kernel=_TWO, stride=_TWO),
        _pooling("max-blocked", (2, 16, 8, 8), True, pool_type="max", kernel=_TWO, stride=_TWO),
        _pooling("avg", (2, 16, 8, 8), pool_type="avg", kernel=_TWO, stride=_TWO),
        _pooling("avg-blocked", (2, 16, 8, 8), True, pool_type="avg", kernel=_TWO, stride=_TWO),
        _pooling("max-pad", (2, 16, 8, 8), pool_type="max", kernel=_THREE, pad=(1, 1)),
        _pooling("avg-pad", (2, 16, 8, 8), pool_type="avg", kernel=_THREE, pad=(1, 1)),
        _pooling("global-avg", (2, 16, 7, 7), pool_type="avg", kernel=_TWO, global_pool=True),
        _pooling("global-max", (2, 16, 7, 7), pool_type="max", kernel=_TWO, global_pool=True),
        _pooling("odd-channels", (1, 5, 9, 7), pool_type="max", kernel=_THREE, stride=_TWO),
    ),
}


def find_cases(operator: str) -> Tuple[Case, ...]:
    """Return the cases of one of the seven operators; HarnessError names the allowed words."""
    if operator not in OPERATOR_CASES:
        allowed = ", ".join(OPERATOR_CASES)
        raise HarnessError(f"unknown operator '{operator}': expected one of {allowed}")
    return OPERATOR_CASES[operator]
