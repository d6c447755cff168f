"""Dummy objects for detectors: boxes inside the image, drawn from a generator."""

from __future__ import annotations

from typing import Any, Tuple

OBJECTS = 3  # in each image


def boxes(draw: Any, batch_size: int, side: int, classes: int) -> Tuple[Any, Any]:
    """Return corners (batch, objects, 4) in pixels, left and top first, and classes from 0.

    Each box has between a quarter and a half of the image's side.
    """
    import numpy

    near = draw.uniform(0, side / 2, (batch_size, OBJECTS, 2))
    far = near + draw.uniform(side / 4, side / 2, (batch_size, OBJECTS, 2))
    corners = numpy.concatenate([near, numpy.minimum(far, side - 1)], axis=2)
    kinds = draw.integers(classes, size=(batch_size, OBJECTS, 1))
    return corners.astype(numpy.float32), kinds.astype(numpy.float32)


def shapes(corners: Any, side: int) -> Any:
    """Return the pixels of each object (batch, objects, side, side): the ellipse in its box."""
    import numpy

    row, column = numpy.indices((side, side))
    left, top, right, bottom = (corners[..., i, None, None] for i in range(4))
    x = (2 * column - left - right) / (right - left)
    y = (2 * row - top - bottom) / (bottom - top)
    return (x**2 + y**2 <= 1).astype(numpy.float32)
