"""Inception-BN: Ioffe and Szegedy 2015, arXiv:1502.03167, as MXNet's ImageNet example trains it.

11,295,240 parameters for 1000 classes, as many as Cadene's pretrained weights have. The example's
differences from the paper are kept: plain instead of separable first convolution, biases before
batch normalisation, and in 4c and 4d 128 channels instead of 96 after pooling. Left out: the
auxiliary classifiers. Pooling is padded, as in models/googlenet.py and for the same reason.
"""

from __future__ import annotations

from typing import Any, Tuple

from models.layers import chain, nn, side_by_side

# 1x1, (before 3x3, 3x3), (before double 3x3, double 3x3), pooling, channels after pooling.
# Two pairs alone are a module of stride 2.
_MODULES: Tuple[Tuple[Any, ...], ...] = (
    (64, (64, 64), (64, 96), "avg", 32),  # 3a
    (64, (64, 96), (64, 96), "avg", 64),
    ((128, 160), (64, 96)),
    (224, (64, 96), (96, 128), "avg", 128),  # 4a
    (192, (96, 128), (96, 128), "avg", 128),
    (160, (128, 160), (128, 160), "avg", 128),
    (96, (128, 192), (160, 192), "avg", 128),
    ((128, 192), (192, 256)),
    (352, (192, 320), (160, 224), "avg", 128),  # 5a
    (352, (192, 320), (192, 224), "max", 128),
)


def build(classes: int, prefix: str) -> Any:
    """Build Inception-BN: (batch, 3, side, side) with side >= 32 to scores (batch, classes)."""
    net = nn.HybridSequential(prefix=prefix)
    with net.name_scope():
        net.add(_conv(64, 7, stride=2), _pool("max", 2), _conv(64, 1), _conv(192, 3))
        net.add(_pool("max", 2))
        for module in _MODULES:
            net.add(_halving(*module) if len(module) == 2 else _inception(*module))
        net.add(nn.GlobalAvgPool2D(), nn.Dense(classes))
    return net


def _inception(
    one: int, three: Tuple[int, int], double: Tuple[int, int], pooling: str, pooled: int
) -> Any:
    return side_by_side(
        _conv(one, 1),
        chain(_conv(three[0], 1), _conv(three[1], 3)),
        chain(_conv(double[0], 1), _conv(double[1], 3), _conv(double[1], 3)),
        chain(_pool(pooling, 1), _conv(pooled, 1)),
    )


def _halving(three: Tuple[int, int], double: Tuple[int, int]) -> Any:
    return side_by_side(
        chain(_conv(three[0], 1), _conv(three[1], 3, stride=2)),
        chain(_conv(double[0], 1), _conv(double[1], 3), _conv(double[1], 3, stride=2)),
        _pool("max", 2),
    )


def _conv(channels: int, kernel: int, stride: int = 1) -> Any:
    return chain(
        nn.Conv2D(channels, kernel, stride, padding=kernel // 2),
        nn.BatchNorm(),
        nn.Activation("relu"),
    )


def _pool(kind: str, stride: int) -> Any:
    layer = {"avg": nn.AvgPool2D, "max": nn.MaxPool2D}[kind]
    return layer(pool_size=3, strides=stride, padding=1)
