"""Activation, softmax and the operators that add or multiply arrays of one shape."""

from __future__ import annotations

import numpy
from scipy import special

from harness.operators.cases.case import Arrays, Attributes


def activation(inputs: Arrays, attributes: Attributes) -> numpy.ndarray:
    """Return f(data) of any shape: relu, sigmoid, tanh, softrelu log(1 + e^x), softsign x/(1+|x|).

    The formulas are those of MXNet's documentation of Activation.
    """
    data = inputs["data"]
    kind = attributes["act_type"]
    if kind == "relu":
        return numpy.maximum(data, 0)
    if kind == "sigmoid":
        return special.expit(data)
    if kind == "tanh":
        return numpy.tanh(data)
    if kind == "softrelu":
        return numpy.logaddexp(0, data)
    if kind == "softsign":
        return data / (1 + numpy.abs(data))
    raise ValueError(f"no reference for act_type {kind!r}")


def activation_gradients(inputs: Arrays, attributes: Attributes, head: numpy.ndarray) -> Arrays:
    """Return head * f'(data); the derivative of relu at 0 is taken as 0, as MKL-DNN does."""
    data = inputs["data"]
    slope = {
        "relu": lambda: (data > 0).astype(data.dtype),
        "sigmoid": lambda: special.expit(data) * special.expit(-data),
        "tanh": lambda: 1 - numpy.tanh(data) ** 2,
        "softrelu": lambda: special.expit(data),
        "softsign": lambda: 1 / (1 + numpy.abs(data)) ** 2,
    }[attributes["act_type"]]()
    return {"data": head * slope}


def softmax(inputs: Arrays, attributes: Attributes) -> numpy.ndarray:
    """Return e^(x/t) / sum of e^(x/t) along ``axis`` (the last by default), t the temperature."""
    scaled = inputs["data"] / attributes.get("temperature", 1.0)
    return special.softmax(scaled, axis=attributes.get("axis", -1))


def softmax_gradients(inputs: Arrays, attributes: Attributes, head: numpy.ndarray) -> Arrays:
    """Return y * (head - sum of head * y) / t, y the output."""
    output = softmax(inputs, attributes)
    axis = attributes.get("axis", -1)
    inner = (head * output).sum(axis=axis, keepdims=True)
    return {"data": output * (head - inner) / attributes.get("temperature", 1.0)}


def softmax_output(inputs: Arrays, attributes: Attributes) -> numpy.ndarray:
    """Return the softmax of data (N, classes) over the classes."""
    return special.softmax(inputs["data"], axis=1)


def softmax_output_gradients(inputs: Arrays, attributes: Attributes, head: numpy.ndarray) -> Arrays:
    """Return softmax - one-hot(label): SoftmaxOutput is a loss and ignores its head.

    The label (N,) holds class numbers and gets no gradient.
    """
    output = softmax_output(inputs, attributes)
    output[numpy.arange(len(output)), inputs["label"].astype(int)] -= 1
    return {"data": output}


def add(inputs: Arrays, attributes: Attributes) -> numpy.ndarray:
    """Return the sum of all inputs, which have one shape."""
    return numpy.sum(list(inputs.values()), axis=0)


def add_gradients(inputs: Arrays, attributes: Attributes, head: numpy.ndarray) -> Arrays:
    """Return the head for every input."""
    return {name: head for name in inputs}


def multiply(inputs: Arrays, attributes: Attributes) -> numpy.ndarray:
    """Return lhs * rhs, of one shape."""
    return inputs["lhs"] * inputs["rhs"]


def multiply_gradients(inputs: Arrays, attributes: Attributes, head: numpy.ndarray) -> Arrays:
    """Return head * the other input."""
    return {"lhs": head * inputs["rhs"], "rhs": head * inputs["lhs"]}


def one_term(inputs: Arrays, attributes: Attributes, output: numpy.ndarray) -> int:
    """Return output.size: an element of the output comes from one element of the input."""
    return output.size


def softmax_terms(inputs: Arrays, attributes: Attributes, output: numpy.ndarray) -> int:
    """Return how many exponentials are added up over all the output."""
    return output.size * output.shape[attributes.get("axis", -1)]


def add_terms(inputs: Arrays, attributes: Attributes, output: numpy.ndarray) -> int:
    """Return how many numbers are added up over all the output."""
    return output.size * len(inputs)
