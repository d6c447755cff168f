"""FCN-8s, small: Long, Shelhamer and Darrell 2015, arXiv:1411.4038.

Scores of 21 classes are upsampled by transposed convolutions, added to those of earlier layers on
the way, and averaged over the pixels, so that the network trains like any other. Left out: most of
the trunk, which has one convolution a stage in a quarter of VGG-16's widths, and no fc6 and fc7.

Parameters of the trunk, 9 * inputs * outputs + outputs: 448 + 4,640 + 18,496 + 73,856 + 147,584;
of the scores, (inputs + 1) * 21: 2,709 + 2,709 + 1,365; of the transposed convolutions,
21 * 21 * side ** 2: 7,056 + 7,056 + 112,896. Together 378,815.
"""

from __future__ import annotations

from typing import Any

from models.layers import chain, nn

_WIDTHS = (16, 32, 64, 128, 128)


def build(classes: int, prefix: str) -> Any:
    """Build the FCN: (batch, 3, side, side) with side >= 32 to scores (batch, classes)."""

    class Upsampler(nn.HybridBlock):
        def __init__(self) -> None:
            super().__init__(prefix=prefix)
            with self.name_scope():
                stages = [_stage(width) for width in _WIDTHS]
                self.to_eighth = chain(*stages[:3])
                self.to_sixteenth, self.to_thirtysecond = stages[3:]
                self.score_eighth = nn.Conv2D(classes, kernel_size=1)
                self.score_sixteenth = nn.Conv2D(classes, kernel_size=1)
                self.score_thirtysecond = nn.Conv2D(classes, kernel_size=1)
                self.double_first = _upsample(classes, 2)
                self.double_second = _upsample(classes, 2)
                self.to_pixels = _upsample(classes, 8)
                self.pixel_average = chain(nn.GlobalAvgPool2D(), nn.Flatten())

        def hybrid_forward(self, F: Any, x: Any) -> Any:
            eighth = self.to_eighth(x)
            sixteenth = self.to_sixteenth(eighth)
            scores = self.score_thirtysecond(self.to_thirtysecond(sixteenth))
            scores = _add(F, self.double_first(scores), self.score_sixteenth(sixteenth))
            scores = _add(F, self.double_second(scores), self.score_eighth(eighth))
            return self.pixel_average(self.to_pixels(scores))

    return Upsampler()


def _stage(channels: int) -> Any:
    return chain(
        nn.Conv2D(channels, kernel_size=3, padding=1, activation="relu"),
        nn.MaxPool2D(pool_size=2, strides=2),
    )


def _upsample(channels: int, factor: int) -> Any:
    size = 2 * factor
    return nn.Conv2DTranspose(channels, size, strides=factor, padding=factor // 2, use_bias=False)


def _add(F: Any, upsampled: Any, skipped: Any) -> Any:
    # Pooling drops the last row and column of odd sides: doubled again, they are one short.
    return upsampled + F.slice_like(skipped, upsampled, axes=(2, 3))
