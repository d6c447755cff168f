"""The shapes of a soak: distinct, small, in an order that the seed determines. Pure.

Batch, channels, height and width all vary, so that nearly every primitive of every shape is new.
"""

from __future__ import annotations

import itertools
import random
from typing import List, NamedTuple

from harness.base.errors import HarnessError

BATCHES = range(1, 5)
# With and without the multiples of 8 that MKL-DNN has blocked layouts for.
CHANNELS = range(4, 22)
# The network halves a side three times and doubles it once.
SIDES = range(6, 18)


class Shape(NamedTuple):
    """A batch of images."""

    batch: int
    channels: int
    height: int
    width: int


def shapes(seed: int, count: int) -> List[Shape]:
    """Return ``count`` different shapes; HarnessError when fewer exist."""
    every = [Shape(*sizes) for sizes in itertools.product(BATCHES, CHANNELS, SIDES, SIDES)]
    if not 0 < count <= len(every):
        raise HarnessError(f"shapes: expected 1 to {len(every)}, found {count}")
    return random.Random(seed).sample(every, count)
