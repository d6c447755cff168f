"""Batches of images for training: shuffled, cropped, mirrored and normalised.

Pure NumPy. An epoch's images depend on the seed and the epoch's number alone: a resumed training
sees the images of an uninterrupted one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, Tuple

import numpy
from numpy.lib.stride_tricks import sliding_window_view

from harness.converge.dataset import SIDE, Images

_PADDING = 4  # pixels on each side, as in He et al. 2015, arXiv:1512.03385, section 4.2

Batch = Tuple[numpy.ndarray, numpy.ndarray]


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel over a training set, float32 (3, 1, 1)."""

    mean: numpy.ndarray
    deviation: numpy.ndarray

    @classmethod
    def of(cls, images: Images) -> Normalisation:
        """Measure a training set."""
        counts = numpy.stack(
            [numpy.bincount(images.pixels[:, c].ravel(), minlength=256) for c in range(3)]
        )
        total, values = counts.sum(axis=1), numpy.arange(256)
        mean = counts @ values / total
        deviation = numpy.sqrt(counts @ values**2 / total - mean**2)
        # For images of one colour.
        deviation[deviation == 0] = 1
        shape = (3, 1, 1)
        return cls(
            mean.reshape(shape).astype(numpy.float32),
            deviation.reshape(shape).astype(numpy.float32),
        )

    def apply(self, pixels: numpy.ndarray) -> numpy.ndarray:
        """Return uint8 pixels (batch, 3, side, side) as float32 around 0."""
        return (pixels - self.mean) / self.deviation


class TrainingImages:
    """A training set with the standard augmentation: padded by 4, cropped, mirrored."""

    def __init__(self, images: Images, normalisation: Normalisation, batch_size: int) -> None:
        self._labels = images.labels
        self._normalisation = normalisation
        self._batch_size = batch_size
        shape = (len(images.labels), 3, SIDE + 2 * _PADDING, SIDE + 2 * _PADDING)
        padded = numpy.empty(shape, dtype=numpy.uint8)
        # The mean: normalised, the padding is 0, as if it were added after normalisation.
        padded[:] = numpy.rint(normalisation.mean).astype(numpy.uint8)
        inside = slice(_PADDING, _PADDING + SIDE)
        padded[:, :, inside, inside] = images.pixels
        # (images, 3, top, left, side, side): every crop, without a copy.
        self._crops = sliding_window_view(padded, (SIDE, SIDE), axis=(2, 3))  # type: ignore[call-overload]

    @property
    def batches(self) -> int:
        """The number of full batches; each epoch leaves out other surplus images."""
        return len(self._labels) // self._batch_size

    def epoch(self, seed: int, epoch: int) -> Iterator[Batch]:
        """Yield images (batch, 3, 32, 32) and labels (batch,), both float32, of one epoch."""
        random = numpy.random.Generator(numpy.random.PCG64([seed, epoch]))
        order = random.permutation(len(self._labels))
        for start in range(0, self.batches * self._batch_size, self._batch_size):
            chosen = order[start : start + self._batch_size]
            top, left = random.integers(2 * _PADDING + 1, size=(2, len(chosen)))
            pixels = self._crops[chosen, :, top, left]
            mirrored = random.random(len(chosen)) < 0.5
            pixels[mirrored] = pixels[mirrored, :, :, ::-1]
            yield (
                self._normalisation.apply(pixels),
                self._labels[chosen].astype(numpy.float32),
            )

    def order(self, seed: int, epoch: int) -> numpy.ndarray:
        """Return the numbers of an epoch's images, for ``image``."""
        random = numpy.random.Generator(numpy.random.PCG64([seed, epoch]))
        return random.permutation(len(self._labels))[: self.batches * self._batch_size]

    def image(self, seed: int, epoch: int, number: int) -> Tuple[numpy.ndarray, numpy.float32]:
        """Return one image (3, 32, 32) of an epoch, and its label.

        Its augmentation depends on its number, and so not on the process that makes it.
        """
        random = numpy.random.Generator(numpy.random.PCG64([seed, epoch, number]))
        top, left = random.integers(2 * _PADDING + 1, size=2)
        pixels = self._crops[number, :, top, left]
        if random.random() < 0.5:
            pixels = pixels[:, :, ::-1]
        return self._normalisation.apply(pixels), numpy.float32(self._labels[number])


def validation_batches(
    images: Images, normalisation: Normalisation, batch_size: int
) -> Iterator[Batch]:
    """Yield all images in order; the last batch is filled up by repeating its last image.

    Labels, of shape (at most batch,), lack the repeated images.
    """
    for start in range(0, len(images.labels), batch_size):
        pixels = images.pixels[start : start + batch_size]
        labels = images.labels[start : start + batch_size]
        filling = numpy.repeat(pixels[-1:], batch_size - len(pixels), axis=0)
        yield normalisation.apply(numpy.concatenate([pixels, filling])), labels
