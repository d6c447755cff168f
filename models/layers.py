"""Builds blocks that several networks share.

These blocks add nothing to the names of parameters. mxnet is imported when a block is built only.
"""

from __future__ import annotations

from typing import Any


def chain(*layers: Any) -> Any:
    """Return one block of the layers in sequence."""
    from mxnet.gluon import nn

    block = nn.HybridSequential(prefix="")
    block.add(*layers)
    return block


def side_by_side(*branches: Any) -> Any:
    """Return one block of branches on the same input, concatenated by channel."""
    from mxnet.gluon.contrib.nn import HybridConcurrent

    block = HybridConcurrent(axis=1, prefix="")
    block.add(*branches)
    return block
