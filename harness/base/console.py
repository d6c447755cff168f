"""Prints the harness's messages and errors on stderr, and shortens paths for them.

Standard library only.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Callable

from harness.base.errors import HarnessError, one_line


def say(message: str) -> None:
    """Print one line to stderr at once; do nothing when stderr is absent or closed."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(f"opcache: {message}", file=sys.stderr, flush=True)


def shown(path: Path, root: Path) -> Path:
    """Return ``path`` relative to the work tree's ``root`` when it is inside, else unchanged."""
    absolute = path.resolve()
    return absolute.relative_to(root) if root in absolute.parents else path


def exit_code(command: Callable[[], int], interrupted: str = "interrupted") -> int:
    """Return the exit code of ``command``; report an error of the user's in a line.

    The code is 2 for such an error, 130 for Ctrl-C, which the line ``interrupted`` reports.
    """
    try:
        return command()
    except HarnessError as error:
        say(f"error: {error}")
    except OSError as error:  # no room, no permission
        named = "" if error.filename is None else f"{error.filename}: "
        say(f"error: {one_line(named + (error.strerror or str(error)))}")
    except KeyboardInterrupt:
        say(interrupted)
        return 130
    return 2
