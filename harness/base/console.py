"""The project's one voice: lines on stderr, with its name in front, and paths as people read them.

Standard library only.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path


def say(message: str) -> None:
    """Print one line to stderr at once; without a stderr, or when nobody reads it, to nowhere."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(f"opcache: {message}", file=sys.stderr, flush=True)


def shown(path: Path, root: Path) -> Path:
    """Return ``path`` from the work tree's ``root`` on when it is in there, else unchanged."""
    absolute = path.resolve()
    return absolute.relative_to(root) if root in absolute.parents else path
