"""Images with labels, in memory, wherever they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy
from typing_extensions import Literal

Source = Literal["CIFAR-10", "synthetic"]

CLASSES = 10
SIDE = 32


@dataclass(frozen=True)
class Images:
    """``pixels`` are uint8 of shape (n, 3, 32, 32), ``labels`` uint8 of shape (n,) below 10."""

    pixels: numpy.ndarray
    labels: numpy.ndarray

    def first(self, count: Optional[int]) -> Images:
        """Return the first ``count`` images, or all for None."""
        return Images(self.pixels[:count], self.labels[:count])


@dataclass(frozen=True)
class DataSet:
    """Training and validation images; ``source`` is ``CIFAR-10`` or ``synthetic``."""

    training: Images
    validation: Images
    source: Source
