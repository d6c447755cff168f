"""Defines a test case of an operator; independent of the operators."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Tuple

import numpy

Shape = Tuple[int, ...]
Arrays = Dict[str, numpy.ndarray]
Attributes = Mapping[str, Any]


@dataclass(frozen=True)
class StockFault:
    """Stock MXNet computes ``arrays`` wrong, in the releases ``hosts`` (empty: in all) and their
    neighbours with the same first two numbers.

    Their bits are compared all the same. Whether they are wrong may depend on the CPU.
    """

    arrays: Tuple[str, ...]
    reason: str
    hosts: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One call of MXNet's operator ``op`` on inputs of the given shapes, in MXNet's order.

    Inputs named ``moving_*`` are states and ``label`` holds class numbers: neither has a gradient.
    """

    name: str
    op: str
    inputs: Mapping[str, Shape]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    # Which of the inputs, and whether the gradient of the output (``head``), come in the layout
    # that MKL-DNN's convolutions prefer; the others come in MXNet's plain one.
    blocked: Tuple[str, ...] = ()
    # ``add`` (onto a gradient that is there) or ``null`` (none is wanted) for an input; else write.
    grad_req: Mapping[str, str] = field(default_factory=dict)
    # MXNet's training mode; without it batch normalisation uses its moving statistics.
    train: bool = True
    backward: bool = True
    # The operators, by the names of the counters, whose primitives MXNet 1.3 and 1.4 create. None
    # when that depends on the release.
    reaches: Optional[Tuple[str, ...]] = ()
    stock_fault: Optional[StockFault] = None
    # Whether quick runs include it.
    quick: bool = False

    def learned(self) -> Tuple[str, ...]:
        """Return the names of the inputs that get a gradient."""
        return tuple(
            name
            for name in self.inputs
            if self.backward
            and name != "label"
            and not name.startswith("moving_")
            and self.grad_req.get(name) != "null"
        )


# Which of data and head come in MKL-DNN's layout.
LAYOUTS: Tuple[Tuple[str, ...], ...] = ((), ("data",), ("head",), ("data", "head"))
PLAIN, BLOCKED = LAYOUTS[0], LAYOUTS[-1]


def make_case(
    op: str,
    name: str,
    inputs: Mapping[str, Shape],
    attributes: Mapping[str, Any],
    blocked: Tuple[str, ...],
    passes: Tuple[str, ...],
    **settings: Any,
) -> Case:
    """Return a case; its name ends with the first shape and the blocked arrays.

    ``passes`` are the primitives that it reaches, forward then backward. ``settings`` are further
    fields of Case; ``reaches`` among them overrides ``passes``.
    """
    shape = "x".join(map(str, next(iter(inputs.values()))))
    settings.setdefault("reaches", passes if settings.get("backward", True) else passes[:1])
    full_name = "-".join([name, shape, *blocked])
    return Case(full_name, op, inputs, attributes, blocked, **settings)
