"""Opens the work tree for a command that builds in it."""

from __future__ import annotations

import contextlib
from typing import Iterator

from harness import prerequisites
from harness.base import files, layout
from harness.base.errors import HarnessError
from harness.base.layout import Layout


@contextlib.contextmanager
def locked() -> Iterator[Layout]:
    """Check the prerequisites, then hold the lock of the work tree."""
    for problem in prerequisites.problems():
        raise HarnessError(problem)
    paths = layout.here()
    with files.lock(paths.lock):
        yield paths
