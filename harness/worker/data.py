"""Initial weights and dummy data, from NumPy alone.

Every array depends on the seed and its own name only: neither on the random numbers of an MXNet
release nor on the order of the calls.
"""

from __future__ import annotations

import hashlib
from typing import Tuple

import numpy

Shape = Tuple[int, ...]


def generator(seed: int, name: str) -> numpy.random.Generator:
    """Return the random numbers of the array ``name``."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return numpy.random.Generator(numpy.random.PCG64(int.from_bytes(digest[:8], "little")))


def uniform(seed: int, name: str, shape: Shape, scale: float = 1.0) -> numpy.ndarray:
    """Return float32 values of the given shape, uniform in [-scale, scale)."""
    values = generator(seed, name).random(shape, dtype=numpy.float32)
    values -= 0.5
    values *= 2 * scale
    return values


def labels(seed: int, name: str, count: int, classes: int) -> numpy.ndarray:
    """Return ``count`` class numbers below ``classes`` as float32, as MXNet takes them."""
    return generator(seed, name).integers(classes, size=count).astype(numpy.float32)


def parameter(seed: int, name: str, shape: Shape) -> numpy.ndarray:
    """Return the initial float32 value of the parameter or auxiliary state ``name``.

    Weights are Xavier-uniform. By the end of the name, scales and variances are ones, shifts and
    means zeros. The scale of an SSD's normalised map is GluonCV's.
    """
    if name.endswith("_normalize_scale"):
        return numpy.full(shape, 20, dtype=numpy.float32)
    if name.endswith(("_gamma", "_var")):
        return numpy.ones(shape, dtype=numpy.float32)
    if name.endswith(("_beta", "_bias", "_mean")):
        return numpy.zeros(shape, dtype=numpy.float32)
    receptive_field = int(numpy.prod(shape[2:]))
    mean_fan = (shape[0] + shape[1]) * receptive_field / 2
    return uniform(seed, name, shape, scale=float(numpy.sqrt(3.0 / mean_fan)))
