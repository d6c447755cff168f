"""Networks for the images of CIFAR-10: 32x32 pixels, 10 classes.

ResNet-50: He et al. 2015, arXiv:1512.03385, section 4.2 with n = 8: 755,802 parameters, between the
paper's 0.66 million of 44 layers and 0.85 million of 56. Its shortcuts have none.
VGG-16: the 13 convolutions of Simonyan and Zisserman 2014, arXiv:1409.1556, with batch
normalisation and one fully connected layer, as in github.com/kuangliu/pytorch-cifar: 14,728,266
parameters.
"""

from __future__ import annotations

from typing import Any

from models.layers import chain, nn

_BLOCKS = 8
_RESNET_WIDTHS = (16, 32, 64)
_VGG_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def resnet_50(classes: int, prefix: str) -> Any:
    """Build the ResNet: (batch, 3, side, side) with side >= 4 to scores (batch, classes)."""

    class Residual(nn.HybridBlock):
        def __init__(self, channels: int, stride: int) -> None:
            super().__init__()
            self.halves = stride == 2
            with self.name_scope():
                self.body = chain(
                    *_convolution(channels, stride),
                    nn.Activation("relu"),
                    *_convolution(channels),
                )

        def hybrid_forward(self, F: Any, x: Any) -> Any:
            body = self.body(x)
            if self.halves:
                # The paper's option A: every other pixel, and zeros for the new channels.
                x = F.Pooling(x, kernel=(1, 1), stride=(2, 2), pool_type="max")
                x = F.concat(x, F.zeros_like(x), dim=1)
            return F.Activation(body + x, act_type="relu")

    net = nn.HybridSequential(prefix=prefix)
    with net.name_scope():
        net.add(*_convolution(_RESNET_WIDTHS[0]), nn.Activation("relu"))
        for stage, width in enumerate(_RESNET_WIDTHS):
            for block in range(_BLOCKS):
                net.add(Residual(width, stride=2 if stage > 0 and block == 0 else 1))
        net.add(nn.GlobalAvgPool2D(), nn.Dense(classes))
    return net


def vgg_16(classes: int, prefix: str) -> Any:
    """Build the VGG: (batch, 3, side, side) with side >= 32 to scores (batch, classes)."""
    net = nn.HybridSequential(prefix=prefix)
    with net.name_scope():
        for width, convolutions in _VGG_STAGES:
            for _ in range(convolutions):
                net.add(nn.Conv2D(width, kernel_size=3, padding=1))
                net.add(nn.BatchNorm(), nn.Activation("relu"))
            net.add(nn.MaxPool2D(pool_size=2, strides=2))
        net.add(nn.Dense(classes))
    return net


def _convolution(channels: int, stride: int = 1) -> Any:
    return (nn.Conv2D(channels, 3, stride, padding=1, use_bias=False), nn.BatchNorm())
