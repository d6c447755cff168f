"""Processes that need each other: one that fails ends all, and nothing outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

from harness.base.layout import Layout
from harness.trials.group import Member, MemberFailed, run
from tests.support.commands import refusal
from tests.support.processes import alive, wait_until

# Writes its process id, then waits for nothing.
SLEEPER = "import os, time; open('pid-{0}', 'w').write(f'{{os.getpid()}}\\n'); time.sleep(60)"
# The parent of three sleepers.
PARENT = f"""
import pathlib, sys
from harness.trials.group import Member, run
code = {SLEEPER!r}
members = [Member(n, (sys.executable, "-c", code.format(n)), {{}}) for n in "abc"]
run(members, "nap", pathlib.Path(sys.argv[1]), 60)
"""


def python(name: str, code: str) -> Member:
    return Member(name, (sys.executable, "-c", code), {})


def sleepers(folder: Path) -> List[int]:
    """Return the process ids that sleepers have written so far."""
    texts = [path.read_text() for path in folder.glob("pid-*")]
    return [int(text) for text in texts if text.endswith("\n")]


def failure(members: List[Member], folder: Path, timeout_s: float = 60) -> str:
    return refusal(run, members, "trial", folder, timeout_s, kind=MemberFailed)


def test_all_end_well(tmp_path: Path) -> None:
    run([python(n, f"open('{n}', 'w')") for n in ("one", "two")], "trial", tmp_path, 60)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_one_that_fails_ends_all(tmp_path: Path) -> None:
    message = failure(
        [python("server", SLEEPER.format(1)), python("worker", "import absent_module")], tmp_path
    )
    lines = message.splitlines()
    assert lines[0] == "trial: worker ended with exit code 1; the last lines of worker:"
    assert lines[-1] == "  ModuleNotFoundError: No module named 'absent_module'"
    assert not any(map(alive, sleepers(tmp_path)))


def test_the_error_is_shown_and_not_its_stack_trace(tmp_path: Path) -> None:
    frames = "".join(f"[bt] ({n}) lib/libmxnet.so(+0x{n}) [0x7f]\\n" for n in range(10))
    said = f"Error: what failed\\n\\nStack trace returned 10 entries:\\n{frames}\\n"
    members = [python("worker", f"import sys; sys.exit('{said}')")]
    assert failure(members, tmp_path) == (
        "trial: worker ended with exit code 1; the last lines of worker:\n  Error: what failed"
    )


def test_one_that_is_killed_ends_all(tmp_path: Path) -> None:
    wait = "import os, time\nwhile not os.path.exists('pid-1'): time.sleep(0.01)\n"
    members = [python("server", SLEEPER.format(1))]
    members.append(python("worker", f"{wait}os.kill(os.getpid(), 9)"))
    assert failure(members, tmp_path) == (
        "trial: worker ended with signal 9 (SIGKILL); worker printed nothing"
    )
    assert not any(map(alive, sleepers(tmp_path)))


def test_too_late(tmp_path: Path) -> None:
    slow = "print('so far', flush=True)\n" + SLEEPER.format(1)
    members = [python("quick", ""), python("slow", slow)]
    assert failure(members, tmp_path, timeout_s=1) == (
        "trial: took longer than 1 s; still running: slow; the last lines of slow:\n  so far"
    )
    assert not any(map(alive, sleepers(tmp_path)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_child_outlives_it(layout: Layout, tmp_path: Path, number: signal.Signals) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        cwd=layout.root,
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: len(sleepers(tmp_path)) == 3)
        started = sleepers(tmp_path)
        assert all(map(alive, started))
    finally:
        parent.send_signal(number)
    ended = parent.wait(60)
    wait_until(lambda: not any(map(alive, started)), timeout_s=10)
    if number == signal.SIGTERM:
        assert ended == 128 + number
    if number != signal.SIGKILL:
        assert list(tmp_path.glob("opcache-*")) == [], "temporary files are left"
