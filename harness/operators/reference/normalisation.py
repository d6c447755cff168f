"""Batch normalisation (Ioffe and Szegedy, 2015) and local response normalisation."""

from __future__ import annotations

from typing import Tuple

import numpy

from harness.operators.cases.case import Arrays, Attributes


def batch_norm(inputs: Arrays, attributes: Attributes) -> numpy.ndarray:
    """Return gamma * (data - mean) / sqrt(variance + eps) + beta, per channel.

    data (N, C, ...) with the channels on ``axis``, gamma and beta (C,). Mean and variance are
    the batch's, the variance divided by the count and not by count - 1, or with
    ``use_global_stats`` the moving ones. ``fix_gamma``, MXNet's default, takes gamma as 1.
    """
    normalised, _, _ = _normalise(inputs, attributes)
    gamma, beta = _gamma(inputs, attributes), inputs["beta"]
    return _spread(gamma, inputs, attributes) * normalised + _spread(beta, inputs, attributes)


def batch_norm_gradients(inputs: Arrays, attributes: Attributes, head: numpy.ndarray) -> Arrays:
    """Return the gradients of data, gamma and beta; gamma's is 0 with ``fix_gamma``.

    With batch statistics data's is gamma / deviation * (head - mean(head) - y * mean(head * y)),
    y the normalised data: the last two terms come from the mean and the variance.
    """
    normalised, _, inverse = _normalise(inputs, attributes)
    axes = _other_axes(inputs, attributes)
    inner = head.copy()
    if not attributes.get("use_global_stats", False):
        inner -= head.mean(axis=axes, keepdims=True)
        inner -= normalised * (head * normalised).mean(axis=axes, keepdims=True)
    gamma_gradient = (head * normalised).sum(axis=axes)
    if attributes.get("fix_gamma", True):
        gamma_gradient = numpy.zeros_like(gamma_gradient)
    scale = _spread(_gamma(inputs, attributes) * inverse, inputs, attributes)
    return {"data": scale * inner, "gamma": gamma_gradient, "beta": head.sum(axis=axes)}


def batch_norm_extras(inputs: Arrays, attributes: Attributes) -> Arrays:
    """Return what else a step leaves: the moving statistics, and the outputs of output_mean_var.

    MXNet moves them in the backward pass, to momentum * old + (1 - momentum) * batch's, with
    the variance divided by the count (src/operator/nn/batch_norm.cc and MKL-DNN's path alike).
    The output it calls var is 1 / sqrt(variance + eps).
    """
    _, mean, inverse = _normalise(inputs, attributes)
    momentum = attributes.get("momentum", 0.9)
    moved = {"moving_mean": inputs["moving_mean"], "moving_var": inputs["moving_var"]}
    if not attributes.get("use_global_stats", False):
        variance = inverse**-2 - _epsilon(attributes)
        for name, value in (("moving_mean", mean), ("moving_var", variance)):
            moved[name] = momentum * moved[name] + (1 - momentum) * value
    extras = {f"state-{name}": value for name, value in moved.items()}
    if attributes.get("output_mean_var", False):
        extras.update({"output-1": mean, "output-2": inverse})
    return extras


def _normalise(
    inputs: Arrays, attributes: Attributes
) -> Tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
    data = inputs["data"]
    axes = _other_axes(inputs, attributes)
    if attributes.get("use_global_stats", False):
        mean, variance = inputs["moving_mean"], inputs["moving_var"]
    else:
        mean, variance = data.mean(axis=axes), data.var(axis=axes)
    inverse = 1 / numpy.sqrt(variance + _epsilon(attributes))
    centred = data - _spread(mean, inputs, attributes)
    return centred * _spread(inverse, inputs, attributes), mean, inverse


def _epsilon(attributes: Attributes) -> float:
    return attributes.get("eps", 1e-3)


def _gamma(inputs: Arrays, attributes: Attributes) -> numpy.ndarray:
    gamma = inputs["gamma"]
    return numpy.ones_like(gamma) if attributes.get("fix_gamma", True) else gamma


def _other_axes(inputs: Arrays, attributes: Attributes) -> Tuple[int, ...]:
    count = inputs["data"].ndim
    channels = attributes.get("axis", 1) % count
    return tuple(axis for axis in range(count) if axis != channels)


def _spread(values: numpy.ndarray, inputs: Arrays, attributes: Attributes) -> numpy.ndarray:
    """Let values (C,) broadcast along the channel axis of data."""
    return numpy.expand_dims(values, _other_axes(inputs, attributes))


def lrn(inputs: Arrays, attributes: Attributes) -> numpy.ndarray:
    """Return data * s^-beta, s = knorm + alpha / nsize * (sum of squares of near channels).

    data (N, C, H, W); near are the nsize channels around each, fewer at the ends. MXNet's
    documentation of LRN, after Krizhevsky et al., 2012, section 3.3 (who do not divide by n).
    """
    return inputs["data"] * _scale(inputs, attributes) ** -attributes.get("beta", 0.75)


def lrn_gradients(inputs: Arrays, attributes: Attributes, head: numpy.ndarray) -> Arrays:
    """Return head * s^-beta - 2 alpha beta / nsize * data * near-sum(head * data * s^(-beta-1))."""
    data, beta = inputs["data"], attributes.get("beta", 0.75)
    alpha, nsize = attributes.get("alpha", 1e-4), attributes["nsize"]
    scale = _scale(inputs, attributes)
    through_scale = _near_sum(head * data * scale ** (-beta - 1), nsize)
    return {"data": head * scale**-beta - 2 * alpha * beta / nsize * data * through_scale}


def _scale(inputs: Arrays, attributes: Attributes) -> numpy.ndarray:
    alpha, nsize = attributes.get("alpha", 1e-4), attributes["nsize"]
    return attributes.get("knorm", 2.0) + alpha / nsize * _near_sum(inputs["data"] ** 2, nsize)


def _near_sum(values: numpy.ndarray, nsize: int) -> numpy.ndarray:
    channels, half = values.shape[1], nsize // 2
    found = numpy.empty_like(values)
    for channel in range(channels):
        near = slice(max(0, channel - half), min(channels, channel + half + 1))
        found[:, channel] = values[:, near].sum(axis=1)
    return found


def lrn_terms(inputs: Arrays, attributes: Attributes, output: numpy.ndarray) -> int:
    """Return how many squares are added up over all the output."""
    return output.size * attributes["nsize"]
