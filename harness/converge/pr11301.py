"""The final validation accuracy on CIFAR-10 that PR #11301 reported.

Source: github.com/apache/mxnet/pull/11301, ResNet-50 after 99 and VGG-16 after 74 epochs.
"""

from __future__ import annotations

from typing import Dict, NamedTuple


class Accuracy(NamedTuple):
    """Validation accuracy in percent."""

    top_1: float
    top_5: float


ACCURACY: Dict[str, Accuracy] = {
    "cifar-resnet-50": Accuracy(67.88, 96.26),
    "cifar-vgg-16": Accuracy(82.56, 98.52),
}
