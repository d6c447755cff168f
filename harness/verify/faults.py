"""The tester is tested: libraries with a planted fault, and which kinds of check catch each.

A fault that nothing catches is a failure of the verification: its checks would not have seen the
bug either. patches/README.md tells what each fault is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Tuple

from harness.build import compile_faulty
from harness.job import OperatorsJob
from harness.layout import Layout
from harness.verify import shadow
from harness.verify.bitwise import differing
from harness.verify.context import Check, Context, Task, check
from harness.verify.operators import failures

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
    """A work tree whose library was built with the fault of the name in ``fault``."""

    fault = ""

    @property
    def library(self):  # type: ignore[no-untyped-def]
        return self.build / "faults" / self.fault / "libmkldnn_opcache.so"


def faulty(layout: Layout, fault: str) -> Layout:
    """Return a work tree like ``layout`` whose library has a fault; builds it."""
    found = type(f"Faulty{fault}", (FaultyLayout,), {"fault": fault})(layout.root)
    compile_faulty(layout, fault, found.library)
    return found


def run(context: Context, task: Task) -> List[Check]:
    """Run a fault's cases on the faulty library, under each kind of check."""
    fault = FAULTS[task.subject]
    layout = faulty(context.layout, task.subject)
    job = OperatorsJob(fault.operator, seed=context.settings.seed, quick=context.settings.quick)
    stock = context.run(job, task.host, "stock")
    plain = _outcome(context, job, task.host, fault, layout)
    shadowed = _outcome(context, job, task.host, fault, layout, MKLDNN_OPCACHE_SHADOW=shadow.RATE)
    debugged = _outcome(context, job, task.host, fault, layout, MXNET_MKLDNN_DEBUG="1")
    caught = {
        "operators": _caught(plain, lambda result: failures(result)),
        "bitwise": _caught(plain, lambda result: differing(stock, result)),
        "debug": _caught(debugged, lambda result: []),
        "shadow": _caught(shadowed, lambda result: shadow.reports(result["stderr"])),
    }
    status: Any = "pass" if any(caught.values()) else "fail"
    return [
        check(task, method, status, found or "-", shown=found or "")
        for method, found in caught.items()
    ]
