"""Inception-v4: Szegedy, Ioffe, Vanhoucke and Alemi 2016, arXiv:1602.07261.

42,679,816 parameters for 1000 classes, as many as Cadene's and timm's. In the shorter 7x7 branch of
figure 5 the paper prints 1x7 twice; the second is a 7x1, as in the authors' TensorFlow code.
Left out: the auxiliary classifier of that code, which the paper does not mention.
"""

from __future__ import annotations

from typing import Any, Tuple, Union

from models.layers import chain, nn, side_by_side

_BLOCKS_A, _BLOCKS_B, _BLOCKS_C = 4, 7, 3


def build(classes: int, prefix: str) -> Any:
    """Build Inception-v4: (batch, 3, side, side) with side >= 75 to scores (batch, classes)."""
    net = nn.HybridSequential(prefix=prefix)
    with net.name_scope():
        net.add(*_stem())
        net.add(*[_block_a() for _ in range(_BLOCKS_A)], _reduction_a())
        net.add(*[_block_b() for _ in range(_BLOCKS_B)], _reduction_b())
        net.add(*[_block_c() for _ in range(_BLOCKS_C)])
        net.add(nn.GlobalAvgPool2D(), nn.Dropout(0.2), nn.Dense(classes))
    return net


def _stem() -> Tuple[Any, ...]:
    """Figure 3: to 384 channels, an eighth of the side."""
    return (
        _conv(32, 3, stride=2, pad=False),
        _conv(32, 3, pad=False),
        _conv(64, 3),
        side_by_side(_max_pool(), _conv(96, 3, stride=2, pad=False)),
        side_by_side(
            chain(_conv(64, 1), _conv(96, 3, pad=False)),
            chain(_conv(64, 1), _conv(64, (7, 1)), _conv(64, (1, 7)), _conv(96, 3, pad=False)),
        ),
        side_by_side(_conv(192, 3, stride=2, pad=False), _max_pool()),
    )


def _block_a() -> Any:
    """Figure 4: 384 channels."""
    return side_by_side(
        chain(_avg_pool(), _conv(96, 1)),
        _conv(96, 1),
        chain(_conv(64, 1), _conv(96, 3)),
        chain(_conv(64, 1), _conv(96, 3), _conv(96, 3)),
    )


def _reduction_a() -> Any:
    """Figure 7 with k=192, l=224, m=256, n=384: from 384 to 1024 channels, half the side."""
    return side_by_side(
        _max_pool(),
        _conv(384, 3, stride=2, pad=False),
        chain(_conv(192, 1), _conv(224, 3), _conv(256, 3, stride=2, pad=False)),
    )


def _block_b() -> Any:
    """Figure 5: 1024 channels."""
    return side_by_side(
        chain(_avg_pool(), _conv(128, 1)),
        _conv(384, 1),
        chain(_conv(192, 1), _conv(224, (1, 7)), _conv(256, (7, 1))),
        chain(
            _conv(192, 1),
            _conv(192, (1, 7)),
            _conv(224, (7, 1)),
            _conv(224, (1, 7)),
            _conv(256, (7, 1)),
        ),
    )


def _reduction_b() -> Any:
    """Figure 8: from 1024 to 1536 channels, half the side."""
    return side_by_side(
        _max_pool(),
        chain(_conv(192, 1), _conv(192, 3, stride=2, pad=False)),
        chain(
            _conv(256, 1),
            _conv(256, (1, 7)),
            _conv(320, (7, 1)),
            _conv(320, 3, stride=2, pad=False),
        ),
    )


def _block_c() -> Any:
    """Figure 6: 1536 channels."""
    return side_by_side(
        chain(_avg_pool(), _conv(256, 1)),
        _conv(256, 1),
        chain(_conv(384, 1), side_by_side(_conv(256, (1, 3)), _conv(256, (3, 1)))),
        chain(
            _conv(384, 1),
            _conv(448, (1, 3)),
            _conv(512, (3, 1)),
            side_by_side(_conv(256, (3, 1)), _conv(256, (1, 3))),
        ),
    )


def _conv(
    channels: int, kernel: Union[int, Tuple[int, int]], stride: int = 1, pad: bool = True
) -> Any:
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (height // 2, width // 2) if pad else 0
    return chain(
        nn.Conv2D(channels, (height, width), stride, padding, use_bias=False),
        nn.BatchNorm(epsilon=0.001),
        nn.Activation("relu"),
    )


def _max_pool() -> Any:
    return nn.MaxPool2D(pool_size=3, strides=2)


def _avg_pool() -> Any:
    return nn.AvgPool2D(pool_size=3, strides=1, padding=1)
