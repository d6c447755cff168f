"""Small networks for tests.

Each must train in milliseconds, and be worth its place by the operators it exercises.
mxnet is imported inside the builders only.
"""

from __future__ import annotations

from typing import Any


def seven_ops(classes: int, prefix: str) -> Any:
    """Build a network of a few thousand parameters that uses all seven operators.

    Input (batch, 3, side, side) with side >= 16, output (batch, classes). The channel counts
    are multiples of 8, so that MKL-DNN picks its blocked formats and needs reorders.
    """
    from mxnet.gluon import nn

    class LocalResponseNorm(nn.HybridBlock):
        def hybrid_forward(self, F: Any, x: Any) -> Any:
            return F.LRN(x, nsize=5)

    net = nn.HybridSequential(prefix=prefix)
    with net.name_scope():
        net.add(
            nn.Conv2D(16, kernel_size=3, padding=1),
            nn.BatchNorm(),
            nn.Activation("relu"),
            LocalResponseNorm(),
            nn.MaxPool2D(pool_size=2, strides=2),
            # No bias: MXNet itself fails to add one to a deconvolution in a blocked layout.
            nn.Conv2DTranspose(16, kernel_size=4, strides=2, padding=1, use_bias=False),
            nn.Activation("tanh"),
            nn.Conv2D(16, kernel_size=3, strides=2, padding=1, use_bias=False),
            nn.AvgPool2D(pool_size=2, strides=2),
            nn.Activation("sigmoid"),
            nn.Flatten(),
            nn.Dense(classes),
        )
    return net
