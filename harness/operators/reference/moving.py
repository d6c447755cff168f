"""Operators that move data and compute nothing: concatenation, and ways to read another layout."""

from __future__ import annotations

from typing import Any

import numpy

from harness.operators.cases.case import Arrays, Attributes


def concat(inputs: Arrays, attributes: Attributes) -> numpy.ndarray:
    """Return all inputs joined along ``dim`` (1 by default)."""
    return numpy.concatenate(list(inputs.values()), axis=attributes.get("dim", 1))


def concat_gradients(inputs: Arrays, attributes: Attributes, head: numpy.ndarray) -> Arrays:
    """Return each input's part of the head."""
    axis = attributes.get("dim", 1)
    ends = numpy.cumsum([value.shape[axis] for value in inputs.values()])
    return dict(zip(inputs, numpy.split(head, ends[:-1], axis=axis)))


def copy(inputs: Arrays, attributes: Attributes) -> numpy.ndarray:
    """Return data."""
    return inputs["data"]


def copy_gradients(inputs: Arrays, attributes: Attributes, head: numpy.ndarray) -> Arrays:
    """Return the head, in data's shape."""
    return {"data": head.reshape(inputs["data"].shape)}


def reshape(inputs: Arrays, attributes: Attributes) -> numpy.ndarray:
    """Return data in another ``shape``; without one as (N, all the rest), which is Flatten.

    Its gradient is copy_gradients.
    """
    data = inputs["data"]
    return data.reshape(attributes.get("shape", (data.shape[0], -1)))


def transpose(inputs: Arrays, attributes: Attributes) -> numpy.ndarray:
    """Return data with its ``axes`` in another order."""
    return inputs["data"].transpose(attributes["axes"])


def transpose_gradients(inputs: Arrays, attributes: Attributes, head: numpy.ndarray) -> Arrays:
    """Return the head with its axes in the old order."""
    return {"data": head.transpose(numpy.argsort(attributes["axes"]))}


def slice_axis(inputs: Arrays, attributes: Attributes) -> numpy.ndarray:
    """Return the part of data from ``begin`` to ``end`` along ``axis``."""
    return inputs["data"][_part(inputs, attributes)]


def slice_axis_gradients(inputs: Arrays, attributes: Attributes, head: numpy.ndarray) -> Arrays:
    """Return the head in its place, zero elsewhere."""
    gradient = numpy.zeros_like(inputs["data"])
    gradient[_part(inputs, attributes)] = head
    return {"data": gradient}


def slice_like(inputs: Arrays, attributes: Attributes) -> numpy.ndarray:
    """Return the first part of data, as long along ``axes`` as the array shape_like."""
    return inputs["data"][_first_part(inputs, attributes)]


def slice_like_gradients(inputs: Arrays, attributes: Attributes, head: numpy.ndarray) -> Arrays:
    """Return the head in its place, zero elsewhere; zeros for shape_like."""
    gradients = {name: numpy.zeros_like(value) for name, value in inputs.items()}
    gradients["data"][_first_part(inputs, attributes)] = head
    return gradients


def _first_part(inputs: Arrays, attributes: Attributes) -> Any:
    part = [slice(None)] * inputs["data"].ndim
    for axis in attributes["axes"]:
        part[axis] = slice(inputs["shape_like"].shape[axis])
    return tuple(part)


def _part(inputs: Arrays, attributes: Attributes) -> Any:
    part = [slice(None)] * inputs["data"].ndim
    part[attributes["axis"]] = slice(attributes["begin"], attributes["end"])
    return tuple(part)
