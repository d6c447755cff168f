"""Runs the C++ programs and makes that stages judge: their exit code, and all that they wrote."""

from __future__ import annotations

import subprocess
from typing import List, Mapping, NamedTuple

from harness.base import process

HANGS = -1


class Ended(NamedTuple):
    """A program's exit code (``HANGS``: it was stopped) and all that it wrote."""

    code: int
    output: str


def execute(command: List[str], timeout_s: float, variables: Mapping[str, str]) -> Ended:
    """Run a command in this process's environment with ``variables`` over it."""
    environment = {**process.own_environment(), **variables}
    done = process.run(
        command, environment, timeout_s, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.code is None:
        return Ended(HANGS, f"hangs: it was still running after {timeout_s:.0f} s")
    return Ended(done.code, done.stdout)
