"""Small networks for tests, each with its own set of operators, that train in milliseconds.

mxnet is imported inside the builders only.
"""

from __future__ import annotations

from typing import Any

from models.layers import nn


def seven_ops(classes: int, prefix: str, channels: int = 16, deconvolution: bool = True) -> Any:
    """Build a network of a few thousand parameters that uses all seven operators.

    Input (batch, any, side, side) with side >= 8, output (batch, classes). Where ``channels``, of
    every layer, are a multiple of 8, MKL-DNN picks its blocked formats and needs reorders. Without
    ``deconvolution`` six operators are left: the maps of all of them can be limited in MXNet 1.4
    and 1.5, but for the small primitives of the fully connected layer in 1.4.
    """

    class LocalResponseNorm(nn.HybridBlock):
        def hybrid_forward(self, F: Any, x: Any) -> Any:
            return F.LRN(x, nsize=5)

    net = nn.HybridSequential(prefix=prefix)
    with net.name_scope():
        net.add(
            nn.Conv2D(channels, kernel_size=3, padding=1),
            nn.BatchNorm(),
            nn.Activation("relu"),
            LocalResponseNorm(),
            nn.MaxPool2D(pool_size=2, strides=2),
        )
        if deconvolution:
            # No bias: MXNet itself fails to add one to a deconvolution in a blocked layout.
            net.add(
                nn.Conv2DTranspose(channels, kernel_size=4, strides=2, padding=1, use_bias=False)
            )
        net.add(
            nn.Activation("tanh"),
            nn.Conv2D(channels, kernel_size=3, strides=2, padding=1, use_bias=False),
            nn.AvgPool2D(pool_size=2, strides=2),
            nn.Activation("sigmoid"),
            nn.Flatten(),
            nn.Dense(classes),
        )
    return net


def two_convolutions(prefix: str, softmax: bool = False) -> Any:
    """Build convolution, batch normalisation, ReLU and pooling, twice; scores of 10 classes."""
    net = nn.HybridSequential(prefix=prefix)
    with net.name_scope():
        net.add(
            nn.Conv2D(8, kernel_size=3, padding=1),
            nn.BatchNorm(),
            nn.Activation("relu"),
            nn.MaxPool2D(pool_size=2, strides=2),
            nn.Conv2D(16, kernel_size=3, strides=2, padding=1),
            nn.BatchNorm(),
            nn.Activation("relu"),
            nn.AvgPool2D(pool_size=2, strides=2),
            nn.Dense(10),
        )
        if softmax:
            net.add(nn.HybridLambda("softmax"))
    return net


def odd_channels(prefix: str) -> Any:
    """Build a network of channel counts that MKL-DNN pads or has no blocked format for.

    With groups, a depthwise convolution and uneven kernels; input sides of 20 and more.
    """
    net = nn.HybridSequential(prefix=prefix)
    with net.name_scope():
        net.add(
            nn.Conv2D(5, kernel_size=3, padding=1),
            nn.Activation("relu"),
            nn.Conv2D(15, kernel_size=3, groups=5),
            nn.Conv2D(7, kernel_size=(3, 5), strides=(1, 2), padding=(1, 2)),
            nn.BatchNorm(),
            nn.Conv2D(7, kernel_size=3, padding=1, groups=7, use_bias=False),
            nn.Activation("tanh"),
            nn.MaxPool2D(pool_size=3, strides=2),
            nn.Conv2D(17, kernel_size=3),
            nn.AvgPool2D(pool_size=2, strides=2),
            nn.Dense(3),
        )
    return net


def branches(prefix: str) -> Any:
    """Build two blocks of convolutions side by side, added up and concatenated, then softmax."""

    class Branches(nn.HybridBlock):
        def __init__(self) -> None:
            super().__init__()
            with self.name_scope():
                self.a = nn.Conv2D(16, kernel_size=1)
                self.b = nn.Conv2D(16, kernel_size=3, padding=1)
                self.c = nn.Conv2D(16, kernel_size=5, padding=2)

        def hybrid_forward(self, F: Any, x: Any) -> Any:
            parts = [self.a(x), self.b(x), self.c(x)]
            return F.concat(*parts, F.add_n(*parts) + parts[0], dim=1)

    net = nn.HybridSequential(prefix=prefix)
    with net.name_scope():
        net.add(
            nn.Conv2D(16, kernel_size=3, strides=2, padding=1),
            Branches(),
            nn.MaxPool2D(pool_size=2, strides=2),
            Branches(),
            nn.Dense(10),
            nn.HybridLambda("softmax"),
        )
    return net


def fusible(prefix: str) -> Any:
    """Build layers that MXNet 1.5 can fuse: convolutions, normalisation, sums and activations."""

    class Residual(nn.HybridBlock):
        def __init__(self) -> None:
            super().__init__()
            with self.name_scope():
                self.a = nn.Conv2D(16, kernel_size=3, padding=1)
                self.b = nn.Conv2D(16, kernel_size=3, padding=1)
                self.norm = nn.BatchNorm()

        def hybrid_forward(self, F: Any, x: Any) -> Any:
            x = F.Activation(self.a(x), act_type="relu")
            return F.Activation(self.norm(self.b(x)) + x, act_type="relu")

    net = nn.HybridSequential(prefix=prefix)
    with net.name_scope():
        net.add(Residual())
        for channels, activation in ((11, "sigmoid"), (5, "tanh"), (8, "softrelu")):
            net.add(nn.Conv2D(channels, kernel_size=3), nn.Activation(activation))
        net.add(nn.Dense(10))
    return net


def quantizable(prefix: str) -> Any:
    """Build convolutions and a pooling that MXNet can quantize.

    Quantization needs data of a multiple of four channels, and no fully connected layer at the end.
    """
    net = nn.HybridSequential(prefix=prefix)
    with net.name_scope():
        net.add(
            nn.Conv2D(16, kernel_size=3, padding=1, use_bias=False),
            nn.Activation("relu"),
            nn.MaxPool2D(pool_size=2, strides=2),
            nn.Conv2D(16, kernel_size=3, padding=1, use_bias=False),
        )
    return net


def shared_weight() -> Any:
    """Return the symbol of a network that uses one weight in two convolutions."""
    import mxnet as mx

    weight = mx.sym.var("shared_weight")
    settings = {"num_filter": 16, "kernel": (3, 3), "pad": (1, 1), "no_bias": True}
    layer = mx.sym.Convolution(mx.sym.var("data"), name="first", **settings)
    for _ in range(2):
        layer = mx.sym.Convolution(layer, weight, **settings)
        layer = mx.sym.Activation(layer, act_type="relu")
        layer = mx.sym.Pooling(layer, kernel=(2, 2), stride=(2, 2), pool_type="max")
    return mx.sym.FullyConnected(layer, name="last", num_hidden=10)
