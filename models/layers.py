"""Builds blocks that several networks share.

These blocks add nothing to the names of parameters. mxnet is imported when a block is built only,
so that a network's file takes ``nn`` from here.
"""

from __future__ import annotations

from typing import Any


class _Layers:
    def __getattr__(self, name: str) -> Any:
        from mxnet.gluon import nn

        return getattr(nn, name)


nn: Any = _Layers()  # MXNet's layers by name


def chain(*layers: Any) -> Any:
    """Return one block of the layers in sequence."""
    block = nn.HybridSequential(prefix="")
    block.add(*layers)
    return block


def side_by_side(*branches: Any) -> Any:
    """Return one block of branches on the same input, concatenated by channel."""
    from mxnet.gluon.contrib.nn import HybridConcurrent

    block = HybridConcurrent(axis=1, prefix="")
    block.add(*branches)
    return block
