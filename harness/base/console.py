"""Prints the harness's messages on stderr, and shortens paths for them.

Standard library only.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path


def say(message: str) -> None:
    """Print one line to stderr at once; do nothing when stderr is absent or closed."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(f"opcache: {message}", file=sys.stderr, flush=True)


def shown(path: Path, root: Path) -> Path:
    """Return ``path`` relative to the work tree's ``root`` when it is inside, else unchanged."""
    absolute = path.resolve()
    return absolute.relative_to(root) if root in absolute.parents else path
