"""AlexNet as published: Krizhevsky, Sutskever and Hinton 2012, NIPS 25.

60,965,224 parameters for 1000 classes, as many as Caffe's. MXNet's zoo has the variant of
arXiv:1404.5997; this is the form with local response normalisation and with the second, fourth and
fifth convolution in groups of two. Left out: the split over two GPUs.

For speed and bits only: with MKL-DNN, MXNet 1.3 to 1.6 compute a wrong gradient of the
normalisation here. MKLDNNLRNBackward in mkldnn_lrn-inl.h reads the bytes of a blocked gradient as
plain ones, so that the first two convolutions learn from a mix of pixels and channels.
"""

from __future__ import annotations

from typing import Any

from models.layers import nn


def build(classes: int, prefix: str) -> Any:
    """Build AlexNet: (batch, 3, side, side) with side >= 63 to scores (batch, classes)."""

    def norm() -> Any:
        # The paper's alpha of 1e-4; MXNet divides it by the size.
        return nn.HybridLambda(
            lambda F, x: F.LRN(x, alpha=5 * 1e-4, beta=0.75, knorm=2, nsize=5), prefix=""
        )

    net = nn.HybridSequential(prefix=prefix)
    with net.name_scope():
        net.add(
            # Of 224 pixels the paper's maps of 27 and 13 follow with this padding only.
            nn.Conv2D(96, kernel_size=11, strides=4, padding=2, activation="relu"),
            norm(),
            nn.MaxPool2D(pool_size=3, strides=2),
            nn.Conv2D(256, kernel_size=5, padding=2, groups=2, activation="relu"),
            norm(),
            nn.MaxPool2D(pool_size=3, strides=2),
            nn.Conv2D(384, kernel_size=3, padding=1, activation="relu"),
            nn.Conv2D(384, kernel_size=3, padding=1, groups=2, activation="relu"),
            nn.Conv2D(256, kernel_size=3, padding=1, groups=2, activation="relu"),
            nn.MaxPool2D(pool_size=3, strides=2),
            nn.Dense(4096, activation="relu"),
            nn.Dropout(0.5),
            nn.Dense(4096, activation="relu"),
            nn.Dropout(0.5),
            nn.Dense(classes),
        )
    return net
