"""MXNet's own Python unit tests, from a user's checkout: equal outcomes on stock and patched.

The tests run from a copy, because they leave files behind and put the checkout's Python package,
which lacks the library, on the module path. A crash or a hang is the outcome of its test; the
other tests of the file run without it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

from harness.base import reading
from harness.base.errors import HarnessError
from harness.build.toolchain import Toolchain
from harness.trials.environment import settings, whole_environment
from harness.trials.variants import mxnet_version, parse_variant
from harness.verify.context import Check, Context, Task, check
from harness.verify.record import Status

FOLDERS = ("mkl", "unittest")
# Seconds for one test; MXNet's longest takes a few minutes on one thread.
TEST_TIMEOUT_S = 900.0
_OUTCOME = re.compile(
    r"^(\S+::\S+.*?) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)(?: .*)?$", re.MULTILINE
)
_STARTED = re.compile(r"^(\S+::\S+)", re.MULTILINE)
_WORST_LAST = ("SKIPPED", "XFAIL", "XPASS", "PASSED", "FAILED", "ERROR")
_SHOWN = 10

Outcomes = Dict[str, str]


def files_of(checkout: Path) -> List[str]:
    """Return the test files of an MXNet checkout, such as ``mkl/test_mkldnn.py``."""
    root = checkout / "tests" / "python"
    found = [
        f"{folder}/{p.name}"
        for folder in FOLDERS
        for p in sorted((root / folder).glob("test_*.py"))
    ]
    if not found:
        raise HarnessError(
            f"{checkout}: expected tests/python/mkl and unittest of MXNet, found none"
        )
    return found


def host_of(checkout: Path, toolchain: Toolchain) -> str:
    """Return the host of the toolchain that a checkout is of, by its stated version."""
    path = checkout / "python" / "mxnet" / "libinfo.py"
    if not path.is_file():
        raise HarnessError(f"{path}: expected a checkout of MXNet, found none")
    text = reading.text(path)
    stated = re.search(r'^__version__ = "([0-9.]+)"', text, re.MULTILINE)
    version = stated.group(1) if stated else "none"
    for host in toolchain.hosts:
        if mxnet_version(host.version) == version:
            return host.version
    known = ", ".join(host.version for host in toolchain.hosts)
    raise HarnessError(f"{path}: expected MXNet {known}, found {version}")


def run(context: Context, task: Task) -> List[Check]:
    """Run one file on the baseline, on it again, and on every scope of the host."""
    baseline = context.baseline
    with _copy_of(context.mxnet_tests) as root:
        stock = _outcomes(context, root, task, baseline)
        # Outcomes that the baseline does not repeat are no differences.
        again = _outcomes(context, root, task, baseline)
        unsteady = _differences(stock, again, baseline)
        summary = _summary(stock) + (f", {len(unsteady)} unsteady" if unsteady else "")
        checks = [check(task, baseline, "pass", summary, outcomes=stock, unsteady=sorted(unsteady))]
        for scope in context.scopes(task.host):
            found = _outcomes(context, root, task, scope)
            differences = _differences(stock, found, baseline)
            lines = [f"{name}: {differences[name]}" for name in differences if name not in unsteady]
            status: Status = "fail" if lines else "pass"
            checks.append(
                check(task, scope, status, _summary(found), lines[:_SHOWN], outcomes=found)
            )
    return checks


@contextlib.contextmanager
def _copy_of(checkout: Optional[Path]) -> Iterator[Path]:
    if checkout is None:
        raise HarnessError("MXNet's own tests need --mxnet-tests")
    with tempfile.TemporaryDirectory(prefix="opcache-") as folder:
        # As deep as in a checkout: the tests use relative paths.
        root = Path(folder, "tests", "python")
        shutil.copytree(checkout / "tests" / "python", root)
        yield root


def _outcomes(context: Context, root: Path, task: Task, word: str) -> Outcomes:
    """Return the outcome of every test of a file on a variant, by name."""
    variant = parse_variant(word)
    fixed = {"MXNET_TEST_SEED": "1", "MXNET_MODULE_SEED": "1"}
    chosen = settings(variant, context.threads, fixed)
    environment = {
        **whole_environment(context.layout, task.host, variant, chosen),
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(root.parent),  # data sets that a test downloads go with the copy
    }
    file = root / task.subject
    pending = _collected(file, environment)
    outcomes: Outcomes = {}
    while pending:
        text, how_it_ended = _pytest(file, pending, environment)
        outcomes.update(parse(text))
        left = [name for name in pending if name not in outcomes]
        if left and how_it_ended:
            # Without a running test, the file itself cannot run.
            running = next((n for n in _STARTED.findall(text) if n in left), left[0])
            outcomes[running] = how_it_ended
            left.remove(running)
        elif left:
            outcomes.update({name: "not run" for name in left})
            left = []
        pending = left
    return outcomes


def parse(text: str) -> Outcomes:
    """Return the outcomes that ``pytest -v`` printed; the worst, of several of one test."""
    outcomes: Outcomes = {}
    for name, outcome in _OUTCOME.findall(text):
        outcomes[name] = max(outcomes.get(name, outcome), outcome, key=_WORST_LAST.index)
    return outcomes


def _collected(file: Path, environment: Dict[str, str]) -> List[str]:
    text, _ = _pytest(file, [file.name], environment, "--collect-only", "-q")
    names = [line for line in text.splitlines() if line.startswith(f"{file.name}::")]
    # A file that cannot be imported counts as one test.
    return names or [file.name]


def _pytest(
    file: Path, names: List[str], environment: Dict[str, str], *options: str
) -> Tuple[str, str]:
    """Return pytest's output, and a crash or a hang in words."""
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(file.parent)]
    command += ["-p", "no:cacheprovider", "--tb=no", "-rN", *(options or ("-v",)), *names]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            cwd=file.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        how = ""
        try:
            code = process.wait(TEST_TIMEOUT_S + 10.0 * len(names))
            if code < 0:
                how = f"ended with {signal.Signals(-code).name}"
            elif code > 1 and not options:
                how = f"pytest ended with code {code}"
        except subprocess.TimeoutExpired:
            how = "hangs"
        finally:
            # Together with processes that a test started.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        return output.read().decode(errors="replace"), how


def _differences(stock: Outcomes, other: Outcomes, baseline: str) -> Dict[str, str]:
    return {
        name: f"{stock.get(name, 'absent')} on {baseline}, {other.get(name, 'absent')} here"
        for name in sorted({*stock, *other})
        if stock.get(name) != other.get(name)
    }


def _summary(outcomes: Outcomes) -> str:
    return ", ".join(
        f"{n} {what.lower()}" for what, n in sorted(Counter(outcomes.values()).items())
    )
