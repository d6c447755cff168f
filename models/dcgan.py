"""DCGAN's generator between two of its discriminators: Radford et al. 2015, arXiv:1511.06434.

Four of its five transposed convolutions double the side. So that it takes images and trains like
any other network, the first discriminator makes the latent vector of an image, and the second one
judges what the generator makes of it. In the widths of PyTorch's DCGAN example, whose generator has
3,576,704 parameters and whose discriminator 2,765,568 with one output: 9,927,040 for 2 classes.
Left out: the adversarial loss.
"""

from __future__ import annotations

from typing import Any

from models.layers import chain, nn

_LATENT = 100
_WIDTHS = (64, 128, 256, 512)


def build(classes: int, prefix: str) -> Any:
    """Build encoder, generator and discriminator: (batch, 3, side, side) to (batch, classes).

    The side is 64 and more; multiples of 16 are generated in the size they came in.
    """
    net = nn.HybridSequential(prefix=prefix)
    with net.name_scope():
        net.add(
            _discriminator(_LATENT),
            # The paper's latent vectors are uniform in (-1, 1).
            nn.Activation("tanh"),
            _generator(),
            _discriminator(classes),
            nn.GlobalAvgPool2D(),
            nn.Flatten(),
        )
    return net


def _discriminator(outputs: int) -> Any:
    """(batch, 3, 64, 64) to (batch, outputs, 1, 1)."""
    layers = [_halve(_WIDTHS[0]), nn.LeakyReLU(0.2)]
    for width in _WIDTHS[1:]:
        layers += [_halve(width), nn.BatchNorm(), nn.LeakyReLU(0.2)]
    return chain(*layers, nn.Conv2D(outputs, kernel_size=4, use_bias=False))


def _generator() -> Any:
    """(batch, latent, 1, 1) to images (batch, 3, 64, 64)."""
    layers = [nn.Conv2DTranspose(_WIDTHS[-1], kernel_size=4, use_bias=False)]
    for width in (*reversed(_WIDTHS[:-1]), 3):
        layers += [nn.BatchNorm(), nn.Activation("relu"), _double(width)]
    return chain(*layers, nn.Activation("tanh"))


def _halve(channels: int) -> Any:
    return nn.Conv2D(channels, kernel_size=4, strides=2, padding=1, use_bias=False)


def _double(channels: int) -> Any:
    return nn.Conv2DTranspose(channels, kernel_size=4, strides=2, padding=1, use_bias=False)
