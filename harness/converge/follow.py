"""How a training process and the one that started it tell each other of progress, by files.

The training says how far it is; the other may ask it to stop. A training ends by itself when the
process that started it is gone, so that none goes on that nobody follows.
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
    """Return how far the training in ``folder`` is."""
    try:
        content = reading.json_file(folder / _PROGRESS, reading.MOST_CONFIG_BYTES)
        return Progress(int(content["steps"]), int(content["epochs"]))
    except (HarnessError, ValueError, KeyError, TypeError):
        # Only ever a hint: the checkpoint decides.
        return Progress(0, 0)


def ask_to_stop(folder: Path) -> None:
    """Have the training in ``folder`` end within seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _STOP).touch()


def clear(folder: Path) -> None:
    """Take back what an earlier run asked for."""
    (folder / _STOP).unlink(missing_ok=True)


class Follower:
    """The training's side."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parent = os.getppid()
        self._told_s = 0.0

    def step(self, now: Progress) -> None:
        """Tell the progress, once a second; HarnessError when training must end."""
        if os.getppid() != self._parent:
            raise HarnessError("the process that started this training is gone")
        if time.monotonic() - self._told_s < _TELL_EVERY_S:
            return
        if (self._folder / _STOP).exists():
            raise HarnessError("stopped by the process that started this training")
        self.tell(now)

    def tell(self, now: Progress) -> None:
        """Tell the progress at once."""
        self._told_s = time.monotonic()
        # Replaced whole, but not made to last.
        partial = self._folder / f".{_PROGRESS}"
        partial.write_text(json.dumps(now._asdict()), encoding="utf-8")
        partial.replace(self._folder / _PROGRESS)
