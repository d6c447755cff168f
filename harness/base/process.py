"""How child processes end, and the environment that they may inherit. Standard library only."""

from __future__ import annotations

import os
import signal
from typing import Dict


def exit_reason(returncode: int) -> str:
    """Say how a process ended that did not end well."""
    if returncode < 0:
        return f"ended with signal {-returncode} ({signal.Signals(-returncode).name})"
    return f"ended with exit code {returncode}"


def own_environment() -> Dict[str, str]:
    """Return the environment without the variables and jobs of a make that called us.

    They are not meant for another one.
    """
    outer = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")
    return {name: value for name, value in os.environ.items() if name not in outer}
