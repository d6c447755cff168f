"""The tester is tested: libraries with a planted fault, and which kinds of check catch each.

A fault that nothing catches is a failure of the verification: its checks would not have seen the
bug either. patches/README.md tells what each fault is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Tuple

from harness.build import make_faulty
from harness.config import load_toolchain
from harness.job import OperatorsJob
from harness.layout import Layout
from harness.library import CACHE_LIBRARY
from harness.operator_check import judge
from harness.run import WorkerFailed
from harness.verify import debug, shadow
from harness.verify.bitwise import differing
from harness.verify.context import Check, Context, Task, check

_FIRST_HOST = "1.3.1"  # makes the primitives of all seven operators anew in every step
VARIANT = "preload:all"


@dataclass(frozen=True)
class Fault:
    """How a fault is made to show: the operator whose cases meet it, on which hosts.

    ``environment`` holds variables of the library, such as a capacity so small that it evicts.
    """

    operator: str
    hosts: Tuple[str, ...] = (_FIRST_HOST,)
    environment: Mapping[str, str] = field(default_factory=dict)


_EVICTING = {"MKLDNN_OPCACHE_CAPACITY": "6"}

FAULTS: Dict[str, Fault] = {
    "NO_HINT": Fault("pooling"),
    "HINT_BY_POINTER": Fault("pooling", environment=_EVICTING),
    "SKIP_REBIND": Fault("convolution"),
    "STALE_ENTRY": Fault("convolution", environment=_EVICTING),
    "DROP-op.alg_kind": Fault("activation"),
    "DROP-batch_norm.epsilon": Fault("batch_norm"),
    "DROP-convolution.strides": Fault("convolution"),
    "DROP-convolution.padding": Fault("convolution"),
    "DROP-convolution.dilates": Fault("convolution"),
    "DROP-bias": Fault("fully_connected"),
    "DROP-lrn.beta": Fault("lrn"),
    "DROP-pooling.kernel": Fault("pooling"),
    "DROP-softmax.axis": Fault("softmax"),
    "DROP-concat.dimension": Fault("concat"),
    "DROP-input": Fault("sum"),
    "DROP-output": Fault("reorder"),
    "DROP-desc": Fault("convolution"),
}


class FaultyLayout(Layout):
    """A work tree whose library was built with a planted fault."""

    fault = ""

    @property
    def library(self) -> Path:
        """The library with the fault, to be preloaded."""
        return self.build / "faults" / self.fault / CACHE_LIBRARY


def faulty(layout: Layout, fault: str) -> Layout:
    """Return a work tree like ``layout`` whose library has a fault; builds it."""
    found = type(f"Faulty{fault}", (FaultyLayout,), {"fault": fault})(layout.root)
    make_faulty(layout, load_toolchain(layout.toolchain), fault, found.library)
    return found


def run(context: Context, task: Task) -> List[Check]:
    """Run a fault's cases on the faulty library under each kind of check."""
    fault = FAULTS[task.subject]
    layout = faulty(context.layout, task.subject)
    job = OperatorsJob(fault.operator, seed=context.settings.seed)
    stock = context.run(job, task.host, "stock")

    def outcome(judge: Callable[[Mapping[str, Any]], List[str]], **variables: str) -> List[str]:
        """Return what a kind of check finds; a process that does not end well was caught too."""
        overrides = {**fault.environment, **variables}
        try:
            return judge(context.run(job, task.host, VARIANT, overrides, layout))
        except WorkerFailed as error:
            report = debug.parse(error.stderr)
            return [f"{report.failed} fails" if report.failed else "crash"]

    found = {
        "operators": outcome(wrong_values),
        "bitwise": outcome(lambda result: differing(stock, result)),
        "debug": outcome(lambda result: [], MXNET_MKLDNN_DEBUG="1"),
        "shadow": outcome(lambda r: shadow.reports(r["stderr"]), MKLDNN_OPCACHE_SHADOW=shadow.RATE),
    }
    return [
        check(task, kind, "pass" if any(found.values()) else "fail", _summary(lines), lines[:1])
        for kind, lines in found.items()
    ]


def wrong_values(result: Mapping[str, Any]) -> List[str]:
    """Return the arrays that are too far from the reference."""
    return [line for line in judge(result) if ": error " in line]


def _summary(lines: List[str]) -> str:
    if not lines:
        return "-"
    return lines[0] if lines[0] == "crash" or lines[0].endswith(" fails") else "caught"
