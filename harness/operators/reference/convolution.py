"""Convolution, its transpose deconvolution, and the fully connected product.

Convolution is a loop over the taps of the kernel: under each, the output is a matrix product of
one weight slice with the data that the tap sees.
"""

from __future__ import annotations

from typing import Any, Iterator, Tuple

import numpy

from harness.operators.cases.case import Arrays, Attributes

Pair = Tuple[int, ...]


def convolution(inputs: Arrays, attributes: Attributes) -> numpy.ndarray:
    """Return sum over c, i, j of weight[f, c, i, j] * padded data[n, c, s*y + d*i, s*x + d*j] + b.

    data (N, C, H, W), weight (F, C/groups, KH, KW), bias (F,), output (N, F, OH, OW) with
    OH = (H + 2 pad - dilate (KH - 1) - 1) / stride + 1, rounded down. s is the stride and d the
    dilation. It is a correlation: the kernel is not turned. MXNet's documentation of Convolution.
    """
    data, weight = _grouped(inputs, attributes)
    groups, stride, pad, dilate = _geometry(attributes)
    padded = _pad(data, pad)
    sides = [
        (padded.shape[3 + k] - dilate[k] * (weight.shape[3 + k] - 1) - 1) // stride[k] + 1
        for k in range(2)
    ]
    output = numpy.zeros((data.shape[0], groups, weight.shape[1], *sides))
    for (i, j), rows, columns in _taps(weight.shape[3:], sides, stride, dilate):
        seen = padded[..., rows, columns]
        output += numpy.einsum("gfc,ngcyx->ngfyx", weight[..., i, j], seen)
    return _with_bias(_joined(output), inputs)


def convolution_gradients(inputs: Arrays, attributes: Attributes, head: numpy.ndarray) -> Arrays:
    """Return the gradients of data, weight and, if there is one, bias; head (N, F, OH, OW)."""
    data, weight = _grouped(inputs, attributes)
    groups, stride, pad, dilate = _geometry(attributes)
    padded = _pad(data, pad)
    grouped_head = _split(head, groups)
    data_gradient, weight_gradient = numpy.zeros_like(padded), numpy.zeros_like(weight)
    for (i, j), rows, columns in _taps(weight.shape[3:], head.shape[2:], stride, dilate):
        seen = padded[..., rows, columns]
        weight_gradient[..., i, j] = numpy.einsum("ngfyx,ngcyx->gfc", grouped_head, seen)
        back = numpy.einsum("gfc,ngfyx->ngcyx", weight[..., i, j], grouped_head)
        data_gradient[..., rows, columns] += back
    found = {
        "data": _joined(_unpad(data_gradient, pad)),
        "weight": weight_gradient.reshape(inputs["weight"].shape),
    }
    return _with_bias_gradient(found, inputs, head)


def deconvolution(inputs: Arrays, attributes: Attributes) -> numpy.ndarray:
    """Return the convolution's data gradient, with ``data`` as its head (Zeiler et al., 2010).

    data (N, C, H, W), weight (C, F/groups, KH, KW), bias (F,), output (N, F, OH, OW) with
    OH = stride (H - 1) + dilate (KH - 1) + 1 - 2 pad + adj; ``target_shape`` replaces pad and
    adj as MXNet's DeconvolutionParam::InferPad does.
    """
    mirrored, settings = _as_convolution(inputs, attributes)
    gradient = convolution_gradients(mirrored, settings, inputs["data"])["data"]
    return _with_bias(gradient, inputs)


def deconvolution_gradients(inputs: Arrays, attributes: Attributes, head: numpy.ndarray) -> Arrays:
    """Return the gradients of data, weight and, if there is one, bias."""
    mirrored, settings = _as_convolution(inputs, attributes)
    mirrored["data"] = head
    weight_gradient = convolution_gradients(mirrored, settings, inputs["data"])["weight"]
    found = {"data": convolution(mirrored, settings), "weight": weight_gradient}
    return _with_bias_gradient(found, inputs, head)


def convolution_terms(inputs: Arrays, attributes: Attributes, output: numpy.ndarray) -> int:
    """Return how many products a convolution adds up over all its output."""
    return output.size * int(numpy.prod(inputs["weight"].shape[1:]))


def deconvolution_terms(inputs: Arrays, attributes: Attributes, output: numpy.ndarray) -> int:
    """Return how many products a deconvolution adds up over all its output."""
    return inputs["data"].size * int(numpy.prod(inputs["weight"].shape[1:]))


def fully_connected(inputs: Arrays, attributes: Attributes) -> numpy.ndarray:
    """Return data * weight^T + bias, weight (hidden, features), bias (hidden,).

    data (N, ...) counts as (N, features), or without ``flatten`` as (..., features).
    """
    output = _features(inputs, attributes) @ inputs["weight"].T
    return output + inputs["bias"] if "bias" in inputs else output


def fully_connected_terms(inputs: Arrays, attributes: Attributes, output: numpy.ndarray) -> int:
    """Return how many products a fully connected product adds up over all its output."""
    return output.size * inputs["weight"].shape[1]


def fully_connected_gradients(
    inputs: Arrays, attributes: Attributes, head: numpy.ndarray
) -> Arrays:
    """Return the gradients of data, weight and, if there is one, bias; head like the output."""
    data = _features(inputs, attributes)
    rows = head.reshape(-1, head.shape[-1])
    found = {
        "data": (head @ inputs["weight"]).reshape(inputs["data"].shape),
        "weight": rows.T @ data.reshape(-1, data.shape[-1]),
    }
    if "bias" in inputs:
        found["bias"] = rows.sum(axis=0)
    return found


def _features(inputs: Arrays, attributes: Attributes) -> numpy.ndarray:
    data = inputs["data"]
    return data.reshape(data.shape[0], -1) if attributes.get("flatten", True) else data


def _geometry(attributes: Attributes) -> Tuple[int, Pair, Pair, Pair]:
    return (
        attributes.get("num_group", 1),
        attributes.get("stride", (1, 1)),
        attributes.get("pad", (0, 0)),
        attributes.get("dilate", (1, 1)),
    )


def _split(array: numpy.ndarray, groups: int) -> numpy.ndarray:
    """View (N, C, H, W) as (N, groups, C/groups, H, W)."""
    return array.reshape(array.shape[0], groups, -1, *array.shape[2:])


def _joined(array: numpy.ndarray) -> numpy.ndarray:
    return array.reshape(array.shape[0], -1, *array.shape[3:])


def _grouped(inputs: Arrays, attributes: Attributes) -> Tuple[numpy.ndarray, numpy.ndarray]:
    groups, weight = attributes.get("num_group", 1), inputs["weight"]
    return _split(inputs["data"], groups), weight.reshape(groups, -1, *weight.shape[1:])


def _pad(array: numpy.ndarray, pad: Pair) -> numpy.ndarray:
    return numpy.pad(array, [(0, 0)] * 3 + [(side, side) for side in pad])


def _unpad(array: numpy.ndarray, pad: Pair) -> numpy.ndarray:
    height, width = array.shape[3:]
    return array[..., pad[0] : height - pad[0], pad[1] : width - pad[1]]


def _taps(
    kernel: Pair, sides: Any, stride: Pair, dilate: Pair
) -> Iterator[Tuple[Pair, slice, slice]]:
    """Yield each tap of the kernel with the rows and columns of padded data that it sees."""
    for i, j in numpy.ndindex(*kernel):
        starts = (i * dilate[0], j * dilate[1])
        rows, columns = (
            slice(starts[k], starts[k] + stride[k] * (sides[k] - 1) + 1, stride[k])
            for k in range(2)
        )
        yield (i, j), rows, columns


def _with_bias(output: numpy.ndarray, inputs: Arrays) -> numpy.ndarray:
    return output + inputs["bias"][:, None, None] if "bias" in inputs else output


def _with_bias_gradient(found: Arrays, inputs: Arrays, head: numpy.ndarray) -> Arrays:
    if "bias" in inputs:
        found["bias"] = head.sum(axis=(0, 2, 3))
    return found


def _as_convolution(inputs: Arrays, attributes: Attributes) -> Tuple[Arrays, Attributes]:
    """Return the convolution from a deconvolution's output to its input, data still zero."""
    groups, stride, pad, dilate = _geometry(attributes)
    data, weight = inputs["data"], inputs["weight"]
    adjust = tuple(attributes.get("adj", (0, 0)))
    full = [
        stride[k] * (data.shape[2 + k] - 1) + dilate[k] * (weight.shape[2 + k] - 1) + 1
        for k in range(2)
    ]
    target = attributes.get("target_shape")
    if target is not None:
        surplus = [full[k] - target[k] for k in range(2)]
        adjust = tuple(side % 2 for side in surplus)
        pad = tuple((side + 1) // 2 for side in surplus)
    sides = [full[k] - 2 * pad[k] + adjust[k] for k in range(2)]
    shape = (data.shape[0], weight.shape[1] * groups, *sides)
    settings = {**attributes, "stride": stride, "pad": pad, "dilate": dilate}
    return {"data": numpy.zeros(shape), "weight": weight}, settings
