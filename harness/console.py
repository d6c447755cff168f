"""The project's one voice: lines on stderr, with its name in front. Standard library only."""

from __future__ import annotations

import sys


def say(message: str) -> None:
    """Print one line to stderr at once."""
    print(f"opcache: {message}", file=sys.stderr, flush=True)
