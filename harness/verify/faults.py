"""The tester is tested: libraries with a planted fault, and which kinds of check catch each.

A fault that nothing catches is a failure of the verification: its checks would not have seen the
bug either. tests/faults/faults.toml lists them.
"""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from harness.base import toml
from harness.base.layout import CACHE_LIBRARY, Layout, here
from harness.build.compiling import make_cpp_test, make_faulty
from harness.build.toolchain import load_toolchain
from harness.operators.judge import judge
from harness.trials.jobs import OperatorsJob
from harness.trials.launch import WorkerFailed
from harness.verify import mxnet_debug, shadow
from harness.verify.bitwise import differing
from harness.verify.context import Check, Context, Task, check

_FIRST_HOST = "1.3.1"  # creates the primitives of all seven operators in every step
# Preloaded, because only the library differs; a wrong primitive may never end.
VARIANT = "preload:all"
_TIMEOUT_S = 180.0


class Fault(toml.FrozenModel):
    """How a fault is made to show, on which hosts.

    By the cases of an ``operator`` (several are joined by +), with ``environment`` for the
    library; or, where MXNet never gets MKL-DNN there, by a case of a C++ test in shadow mode.
    """

    operator: str = ""
    cpp_test: Tuple[str, str] = ("", "")
    hosts: Tuple[str, ...] = (_FIRST_HOST,)
    environment: Mapping[str, str] = {}


class Planted(toml.FrozenModel):
    """One entry of tests/faults/faults.toml, which says what its fields are."""

    name: str
    wrong: str
    caught_by: Tuple[str, ...] = ()
    pytest: Tuple[str, ...] = ()
    fuzz: int = 0
    verify: Optional[Fault] = None


class _List(toml.FrozenModel):
    fault: Tuple[Planted, ...]


@functools.lru_cache(maxsize=None)
def planted() -> Tuple[Planted, ...]:
    """Return every planted fault of the project."""
    return toml.load(here().faults / "faults.toml", _List).fault


def known() -> Dict[str, Fault]:
    """Return the faults that a verification can show, by their names."""
    return {fault.name: fault.verify for fault in planted() if fault.verify is not None}


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
    make_faulty(layout, fault)
    return found


def run(context: Context, task: Task) -> List[Check]:
    """Run what shows a fault on the faulty library, under each kind of check that sees it."""
    fault = known()[task.subject]
    layout = faulty(context.layout, task.subject)
    found = _by_mxnet(context, task, layout) if fault.operator else _by_cpp_test(task, layout)
    return [
        check(task, kind, "pass" if any(found.values()) else "fail", _summary(lines), lines[:1])
        for kind, lines in found.items()
    ]


def _by_mxnet(context: Context, task: Task, layout: Layout) -> Dict[str, List[str]]:
    fault = known()[task.subject]
    # All cases: the quick ones do not hold every pair that a field tells apart.
    job = OperatorsJob(fault.operator, seed=context.settings.seed)
    stock = context.run(job, task.host, "stock")
    # MXNet's checker finds fault with some cases on stock too.
    control = mxnet_debug.report(context, job, task.host, "stock")

    def outcome(judge: Callable[[Mapping[str, Any]], List[str]], **variables: str) -> List[str]:
        """Return what a kind of check finds; a process that does not end well was caught too."""
        overrides = {**fault.environment, **variables}
        try:
            return judge(context.run(job, task.host, VARIANT, overrides, layout, _TIMEOUT_S))
        except WorkerFailed as error:
            return [str(error).splitlines()[0]]

    checker = mxnet_debug.report(
        context, job, task.host, VARIANT, fault.environment, layout=layout, timeout_s=_TIMEOUT_S
    )
    return {
        "operators": outcome(_wrong_values),
        "bitwise": outcome(lambda result: differing(stock, result)),
        "debug": [] if checker == control else [mxnet_debug.outcome(checker)],
        "shadow": outcome(lambda r: shadow.reports(r["stderr"]), MKLDNN_OPCACHE_SHADOW=shadow.RATE),
    }


def _wrong_values(result: Mapping[str, Any]) -> List[str]:
    return [line for line in judge(result) if ": error " in line]


def _by_cpp_test(task: Task, layout: Layout) -> Dict[str, List[str]]:
    program, case = known()[task.subject].cpp_test
    test = make_cpp_test(layout, load_toolchain(layout.toolchain), program)
    folders = [layout.library.parent, layout.stock(task.host) / "mxnet"]
    done = subprocess.run(
        [str(test), "--here", case],  # in this environment
        env={
            "LD_LIBRARY_PATH": ":".join(map(str, folders)),
            "MKLDNN_OPCACHE_SHADOW": shadow.RATE,
            "OMP_NUM_THREADS": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_TIMEOUT_S,
    )
    return {"shadow": shadow.reports(done.stdout)}


def _summary(lines: List[str]) -> str:
    if not lines:
        return "-"
    return "did not end well" if lines[0].startswith("worker (") else "caught"
