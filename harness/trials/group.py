"""Runs processes that depend on each other: when one fails, ends all and raises one error.

Owns only their lifetime. No process outlives ``run``, whether it returns, raises or is interrupted,
and none outlives this process, however it ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NoReturn, Sequence, Tuple

from harness.base.errors import HarnessError
from harness.base.process import exit_reason, last_lines

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_POLL_S = 0.05
_STDERR_LINES = 12


class MemberFailed(HarnessError):
    """A process failed or took too long: its name, how it ended, and its last lines."""

    several_lines = True


@dataclass(frozen=True)
class Member:
    """One process: ``name`` appears in messages, ``environment`` has all variables."""

    name: str
    command: Tuple[str, ...]
    environment: Dict[str, str]


@dataclass(frozen=True)
class _Running:
    name: str
    process: subprocess.Popen[bytes]
    output: Path


def run(members: Sequence[Member], what: str, folder: Path, timeout_s: float) -> None:
    """Run all members in ``folder`` until each has ended with exit code 0.

    Raises MemberFailed, its message beginning with ``what``, when one ends otherwise or not all
    have ended after ``timeout_s`` seconds. SIGTERM raises SystemExit while this runs.
    """
    with tempfile.TemporaryDirectory(prefix="opcache-") as outputs, _sigterm_raises():
        running: List[_Running] = []
        try:
            for number, member in enumerate(members):
                output = Path(outputs, str(number))
                running.append(_Running(member.name, _start(member, folder, output), output))
            _wait(running, what, timeout_s)
        finally:
            for started in running:
                _kill(started.process)


def _start(member: Member, folder: Path, output: Path) -> subprocess.Popen[bytes]:
    with output.open("wb") as file:
        return subprocess.Popen(
            member.command,
            cwd=folder,
            env=member.environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            # A session of its own: Ctrl-C reaches only this process, which then ends the others.
            start_new_session=True,
            preexec_fn=_dies_with(os.getpid()),
        )


def _dies_with(parent: int) -> Callable[[], None]:
    """Return a preexec_fn by which a process ends with its parent, even if SIGKILL ends that."""
    prctl = ctypes.CDLL(None).prctl

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # The parent ended before prctl was called.
            os._exit(1)

    return prepare


def _wait(running: Sequence[_Running], what: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        late = [member for member in running if member.process.poll() is None]
        failed = [member for member in running if member.process.returncode]
        if failed:
            reasons = (f"{m.name} {exit_reason(m.process.returncode)}" for m in failed)
            raise MemberFailed(_with_last_lines(f"{what}: {', '.join(reasons)}", failed[0]))
        if not late:
            return
        if time.monotonic() > deadline:
            names = ", ".join(member.name for member in late)
            reason = f"{what}: took longer than {timeout_s:g} s; still running: {names}"
            raise MemberFailed(_with_last_lines(reason, late[-1]))
        time.sleep(_POLL_S)


def _with_last_lines(reason: str, member: _Running) -> str:
    output = member.output.read_text(encoding="utf-8", errors="replace")
    lines = last_lines(output, _STDERR_LINES)
    if not lines:
        return f"{reason}; {member.name} printed nothing"
    shown = [f"  {line}" for line in lines]
    return "\n".join([f"{reason}; the last lines of {member.name}:", *shown])


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that this process ends the others first."""

    def leave(number: int, frame: Any) -> NoReturn:
        raise SystemExit(128 + number)

    earlier = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)
