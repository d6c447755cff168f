"""Runs child processes to their end, and tells how they ended. Standard library only."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence

# A line of MXNet's stack traces, or an empty line.
_TRACE = re.compile(r"\s*(\[bt\] \(\d+\) |Stack trace\b|$)")


class Ended(NamedTuple):
    """How a process ended: its exit code, None after a timeout; ``reason`` is "" for code 0.

    Output that was not piped is "".
    """

    code: Optional[int]
    reason: str
    stdout: str
    stderr: str

    @property
    def failure(self) -> str:
        """The reason and the last line of stderr."""
        return ": ".join([self.reason, *self.stderr.strip().splitlines()[-1:]])


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    timeout_s: float,
    cwd: Optional[Path] = None,
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.PIPE,
) -> Ended:
    """Run a command without input, kill it after ``timeout_s`` seconds, and return how it ended.

    Piped output is decoded with replacement characters. OSError when the command cannot be started.
    """

    def text(output: Optional[bytes]) -> str:
        return (output or b"").decode(errors="replace")

    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired as error:
        reason = f"took longer than {timeout_s:g} s"
        return Ended(None, reason, text(error.stdout), text(error.stderr))
    code = done.returncode
    reason = exit_reason(code) if code != 0 else ""
    return Ended(code, reason, text(done.stdout), text(done.stderr))


def last_lines(output: str, count: int) -> List[str]:
    """Return the last lines of an output, without MXNet's stack traces, which follow the error."""
    return [line for line in output.splitlines() if not _TRACE.match(line)][-count:]


def exit_reason(returncode: int) -> str:
    """Say how a process ended that failed."""
    if returncode < 0:
        return f"ended with signal {-returncode} ({signal.Signals(-returncode).name})"
    return f"ended with exit code {returncode}"


def own_environment() -> Dict[str, str]:
    """Return this process's environment without the variables of a make that called it.

    Another make would take them for its own options and jobs.
    """
    outer = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")
    return {name: value for name, value in os.environ.items() if name not in outer}
