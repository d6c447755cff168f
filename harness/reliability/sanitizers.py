"""The C++ tests under AddressSanitizer, UndefinedBehaviorSanitizer, LeakSanitizer, ThreadSanitizer.

A quick run leaves them to `make sanitize`, which .ci/run calls as a step of its own.
"""

from __future__ import annotations

import re
import time
from typing import Dict, List

from harness.build.toolchain import load_toolchain
from harness.reliability.context import HANGS, Context, execute, finding
from harness.reliability.record import Figure, Finding

STAGE = "sanitizers"
TIMEOUT_S = 3600.0
_SUBJECT = "C++ tests under ASan, UBSan, LSan and TSan"

_COUNTED = re.compile(r"^(\w+): (\d+) passed, (\d+) failed$", re.MULTILINE)
# Beside the tests: a planted leak is caught, and each intended leak still exists.
_CHECKS = ("planted leak: caught by LeakSanitizer", "intended leaks: every one still there")


def run(context: Context) -> List[Finding]:
    """Build and run the C++ tests under each sanitizer, which takes minutes."""
    if context.quick:
        summary = "make sanitize runs them; a quick run does not repeat it"
        return [finding(STAGE, _SUBJECT, "skip", summary)]
    layout = context.layout
    headers = layout.headers(load_toolchain(layout.toolchain).headers)
    command = ["make", "--silent", "-C", str(layout.cpp_tests), "sanitize"]
    command += [f"HEADERS={headers}", f"BUILD={layout.build}"]
    started = time.monotonic()
    ended = execute(command, TIMEOUT_S, {})
    if ended.code == HANGS:
        return [finding(STAGE, _SUBJECT, "fail", f"still running after {TIMEOUT_S:.0f} s")]
    return [judge(*ended, time.monotonic() - started)]


def judge(code: int, output: str, seconds: float) -> Finding:
    """Judge the output of `make sanitize`; ``seconds`` include compiling."""
    programs = _COUNTED.findall(output)
    passed = sum(int(each[1]) for each in programs)
    failed = sum(int(each[2]) for each in programs)
    figures: Dict[str, Figure] = {
        "programs": len(programs),
        "tests_passed": passed,
        "tests_failed": failed,
        "seconds": round(seconds, 1),
    }
    missing = [check for check in _CHECKS if check not in output]
    if code != 0 or failed or not passed or missing:
        lines = output.splitlines()
        reports = [line for line in lines if "FAILED" in line or "Sanitizer" in line]
        summary = f"exit code {code}, {failed} tests failed"
        if missing:
            summary += f"; not seen: {missing[0]}"
        details = (reports or lines)[-40:]
        return finding(STAGE, _SUBJECT, "fail", summary, figures=figures, details=details)
    return finding(STAGE, _SUBJECT, "pass", f"{passed} tests passed", figures=figures)
