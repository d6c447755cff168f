"""Progress and stop requests between a training process and its parent, by files.

The training writes its progress; the parent may ask it to stop. A training ends by itself when its
parent has ended, so that no training continues unobserved.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import NamedTuple

from harness.base import reading
from harness.base.errors import HarnessError

_PROGRESS = "progress.json"
_STOP = "stop"
_TELL_EVERY_S = 1.0


class Progress(NamedTuple):
    """Finished steps of the whole training, and epochs whose checkpoint is written."""

    steps: int
    epochs: int


def progress(folder: Path) -> Progress:
    """Return the progress of the training in ``folder``."""
    try:
        content = reading.json_file(folder / _PROGRESS, reading.MOST_CONFIG_BYTES)
        return Progress(int(content["steps"]), int(content["epochs"]))
    except (HarnessError, ValueError, KeyError, TypeError):
        # A hint only: the checkpoint decides.
        return Progress(0, 0)


def ask_to_stop(folder: Path) -> None:
    """Ask the training in ``folder`` to end within seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _STOP).touch()


def clear(folder: Path) -> None:
    """Remove a stop request of an earlier run."""
    (folder / _STOP).unlink(missing_ok=True)


class Follower:
    """The training's side."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parent = os.getppid()
        self._told_s = 0.0

    def step(self, now: Progress) -> None:
        """Write the progress once a second; HarnessError when training must end."""
        if os.getppid() != self._parent:
            raise HarnessError("the process that started this training is gone")
        if time.monotonic() - self._told_s < _TELL_EVERY_S:
            return
        if (self._folder / _STOP).exists():
            raise HarnessError("stopped by the process that started this training")
        self.tell(now)

    def tell(self, now: Progress) -> None:
        """Write the progress at once."""
        self._told_s = time.monotonic()
        # Replaced atomically, but not synced to disk.
        partial = self._folder / f".{_PROGRESS}"
        partial.write_text(json.dumps(now._asdict()), encoding="utf-8")
        partial.replace(self._folder / _PROGRESS)
