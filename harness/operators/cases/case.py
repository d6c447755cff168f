"""What one case of an operator is, and how the families name theirs; knows no operator."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Tuple

Shape = Tuple[int, ...]


@dataclass(frozen=True)
class StockFault:
    """Stock MXNet itself computes ``arrays`` wrong, on ``hosts`` (versions; none named: on all).

    They are compared bit for bit all the same. Whether they are wrong may depend on the CPU.
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
    # The operators, in the names of the cache's counters, whose primitives MXNet 1.3 and 1.4 make.
    # None where that depends on the host.
    reaches: Optional[Tuple[str, ...]] = ()
    stock_fault: Optional[StockFault] = None
    # Whether it is among the few that stand for all where time is short.
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
    """Return a case whose name tells the first shape and the layout too.

    ``passes`` names what it reaches, forward first and then backward; ``settings`` are further
    fields of Case, and among them ``reaches`` counts for more.
    """
    shape = "x".join(map(str, next(iter(inputs.values()))))
    settings.setdefault("reaches", passes if settings.get("backward", True) else passes[:1])
    full_name = "-".join([name, shape, *blocked])
    return Case(full_name, op, inputs, attributes, blocked, **settings)
