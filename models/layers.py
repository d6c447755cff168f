"""Blocks that several networks are put together from.

A block here takes part in no name of a parameter. mxnet is imported when a block is made only.
"""

from __future__ import annotations

from typing import Any


def chain(*layers: Any) -> Any:
    """Return the layers one after the other as one block."""
    from mxnet.gluon import nn

    block = nn.HybridSequential(prefix="")
    block.add(*layers)
    return block


def side_by_side(*branches: Any) -> Any:
    """Return the branches on the same input, concatenated by channel, as one block."""
    from mxnet.gluon.contrib.nn import HybridConcurrent

    block = HybridConcurrent(axis=1, prefix="")
    block.add(*branches)
    return block
