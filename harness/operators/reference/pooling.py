"""Pooling with MXNet's conventions, in as many dimensions as the data has."""

from __future__ import annotations

import itertools
from typing import Any, Iterator, List, Tuple

import numpy

from harness.operators.cases.case import Arrays, Attributes

Index = Tuple[Any, ...]


def pooling(inputs: Arrays, attributes: Attributes) -> numpy.ndarray:
    """Return the maximum, average or sum of each window of data (N, C, ...).

    An output side is (side + 2 pad - kernel) / stride + 1, rounded down with the convention
    ``valid`` and up with ``full``; ``global_pool`` takes all of the data as one window. The
    average divides by the window's size, padding included as far as it is there, or with
    ``count_include_pad`` False by the number of data in it. MXNet's documentation of Pooling and
    src/operator/nn/pool.h.
    """
    data = inputs["data"]
    output = numpy.empty(_output_shape(data, attributes))
    for where, window, size in _windows(data, attributes):
        values = data[window].reshape(*data.shape[:2], -1)
        if attributes["pool_type"] == "max":
            output[where] = values.max(axis=-1)
        else:
            output[where] = values.sum(axis=-1) / size
    return output


def pooling_gradients(inputs: Arrays, attributes: Attributes, head: numpy.ndarray) -> Arrays:
    """Return data's gradient: a maximum's head goes to the first place that has it."""
    data = inputs["data"]
    gradient = numpy.zeros_like(data)
    for where, window, size in _windows(data, attributes):
        values, back = data[window], gradient[window]
        if attributes["pool_type"] == "max":
            flat = values.reshape(*data.shape[:2], -1)
            first = flat.argmax(axis=-1)
            share = numpy.zeros_like(flat)
            numpy.put_along_axis(share, first[..., None], head[where][..., None], axis=-1)
            back += share.reshape(values.shape)
        else:
            back += head[where].reshape(*data.shape[:2], *[1] * (data.ndim - 2)) / size
    return {"data": gradient}


def pooling_terms(inputs: Arrays, attributes: Attributes, output: numpy.ndarray) -> int:
    """Return how many data all windows hold together."""
    kernel, _, _ = _geometry(inputs["data"], attributes)
    return output.size * int(numpy.prod(kernel))


def _geometry(data: numpy.ndarray, attributes: Attributes) -> Tuple[List[int], ...]:
    """Return kernel, stride and pad of each side."""
    count = data.ndim - 2
    if attributes.get("global_pool", False):
        return list(data.shape[2:]), [1] * count, [0] * count
    return (
        list(attributes["kernel"]),
        list(attributes.get("stride", (1,) * count)),
        list(attributes.get("pad", (0,) * count)),
    )


def _output_shape(data: numpy.ndarray, attributes: Attributes) -> Tuple[int, ...]:
    full = attributes.get("pooling_convention", "valid") == "full"
    sides = []
    for side, kernel, stride, pad in zip(data.shape[2:], *_geometry(data, attributes)):
        room = side + 2 * pad - kernel
        sides.append((-(-room // stride) if full else room // stride) + 1)
    return (*data.shape[:2], *sides)


def _windows(data: numpy.ndarray, attributes: Attributes) -> Iterator[Tuple[Index, Index, int]]:
    """Yield for every output place: the place, the data under its window, what to divide by."""
    kernel, stride, pad = _geometry(data, attributes)
    average = attributes["pool_type"] == "avg"
    include_pad = attributes.get("count_include_pad", True)
    for place in itertools.product(*map(range, _output_shape(data, attributes)[2:])):
        window, size = [], 1
        for k, side in enumerate(data.shape[2:]):
            start = place[k] * stride[k] - pad[k]
            # In the convention ``full`` a window may reach beyond the padding.
            end = min(start + kernel[k], side + pad[k])
            inside = slice(max(start, 0), min(end, side))
            window.append(inside)
            size *= end - start if include_pad else inside.stop - inside.start
        everything = (slice(None), slice(None))
        yield (*everything, *place), (*everything, *window), size if average else 1
