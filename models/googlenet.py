"""GoogLeNet, also called Inception-v1: Szegedy et al. 2014, arXiv:1409.4842.

6,998,552 parameters for 1000 classes, as many as BVLC's. Left out: the two auxiliary classifiers,
which the paper uses in training only, and local response normalisation, of which MXNet computes
wrong gradients (models/alexnet.py); MXNet's ImageNet example has neither. Pooling is padded, where
Caffe rounds sizes up: both give the paper's sizes, but MXNet 1.3 rounds up without MKL-DNN.
"""

from __future__ import annotations

from typing import Any

from models.layers import chain, nn, side_by_side

# Table 1 of the paper: 1x1, before 3x3, 3x3, before 5x5, 5x5, after pooling; None is a pooling.
_MODULES = (
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    None,
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    None,
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)


def build(classes: int, prefix: str) -> Any:
    """Build GoogLeNet: (batch, 3, side, side) with side >= 32 to scores (batch, classes)."""
    net = nn.HybridSequential(prefix=prefix)
    with net.name_scope():
        net.add(_conv(64, 7, stride=2), _pool(stride=2), _conv(64, 1), _conv(192, 3))
        net.add(_pool(stride=2))
        for widths in _MODULES:
            net.add(_inception(*widths) if widths else _pool(stride=2))
        net.add(nn.GlobalAvgPool2D(), nn.Dropout(0.4), nn.Dense(classes))
    return net


def _inception(one: int, to_three: int, three: int, to_five: int, five: int, pooled: int) -> Any:
    return side_by_side(
        _conv(one, 1),
        chain(_conv(to_three, 1), _conv(three, 3)),
        chain(_conv(to_five, 1), _conv(five, 5)),
        chain(_pool(stride=1), _conv(pooled, 1)),
    )


def _conv(channels: int, kernel: int, stride: int = 1) -> Any:
    return nn.Conv2D(channels, kernel, stride, padding=kernel // 2, activation="relu")


def _pool(stride: int) -> Any:
    return nn.MaxPool2D(pool_size=3, strides=stride, padding=1)
