"""Failures of MKL-DNN's calls and of the library's allocations, injected by the C++ tests.

The tests make every call and every allocation of a script fail, and compare the caller's view with
the same script without the library. This stage runs them and counts the injected failures.
"""

from __future__ import annotations

import re
import time
from typing import Dict, List, NamedTuple, Tuple

from harness.base.layout import Layout
from harness.build.compiling import make_cpp_test
from harness.build.toolchain import load_toolchain
from harness.reliability.context import Context, Ended, execute, finding
from harness.reliability.record import Figure, Finding

STAGE = "faults"
TIMEOUT_S = 600.0

_INJECTED = re.compile(r"^injected: (\d+) of (?:an )?(\w+)$", re.MULTILINE)
_COUNTED = re.compile(r"^\w+: (\d+) passed, (\d+) failed$", re.MULTILINE)


class Part(NamedTuple):
    """A C++ test program; ``quick`` names its tests in a quick run."""

    subject: str
    program: str
    quick: Tuple[str, ...]


PARTS = (
    Part("the library's allocations", "test_allocations", ("every_allocation_fails",)),
    Part("MKL-DNN's calls", "test_calls", ("every_call_fails_warm",)),
)


def run(context: Context) -> List[Finding]:
    """Build and run the test programs, one after the other."""
    toolchain = load_toolchain(context.layout.toolchain)
    found = []
    for part in PARTS:
        program = make_cpp_test(context.layout, toolchain, part.program)
        command = [str(program), *(part.quick if context.quick else ())]
        started = time.monotonic()
        code, output = _on_fake(context.layout, command)
        found.append(judge(part, code, output, time.monotonic() - started))
    return found


def _on_fake(layout: Layout, command: List[str]) -> Ended:
    """Run a test program on the fake MKL-DNN."""
    folders = [layout.library.parent, layout.build / "tests-cpp" / "fake"]
    variables = {"LD_LIBRARY_PATH": ":".join(map(str, folders)), "INJECTIONS": "1"}
    return execute(command, TIMEOUT_S, variables)


def judge(part: Part, code: int, output: str, seconds: float) -> Finding:
    """Return a test program's counts, or the first lines of its failures."""
    injected: Dict[str, int] = {}
    for count, name in _INJECTED.findall(output):
        injected[name] = injected.get(name, 0) + int(count)
    counted = _COUNTED.search(output)
    passed = int(counted.group(1)) if counted else 0
    figures: Dict[str, Figure] = {"tests": passed, "seconds": round(seconds, 1)}
    figures.update({name: count for name, count in sorted(injected.items()) if count > 0})
    total = sum(injected.values())
    figures["injected"] = total
    if code != 0 or passed == 0:
        lines = [line for line in output.splitlines() if not line.startswith("injected: ")]
        summary = f"exit code {code}: {lines[0] if lines else 'no output'}"
        return finding(STAGE, part.subject, "fail", summary, figures=figures, details=lines[:40])
    if total == 0:
        summary = "nothing was made to fail: nothing was put to the test"
        return finding(STAGE, part.subject, "fail", summary, figures=figures)
    where = f" of {len(injected)} functions" if len(injected) > 1 else ""
    summary = f"{total:,} made to fail{where}; the caller sees what it sees without the library"
    return finding(STAGE, part.subject, "pass", summary, figures=figures)
