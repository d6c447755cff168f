"""Packs a folder as a wheel: the same files give the same bytes, whenever and wherever."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Callable

from harness.base.errors import HarnessError
from harness.base.process import run

_TIMEOUT_S = 600
# Of every file in a wheel, unless the environment has another: the oldest that a zip can tell.
_TIME = {"SOURCE_DATE_EPOCH": "315532800"}


def pack(wheel: Path, scratch: Path, fill: Callable[[Path], None]) -> None:
    """Pack what ``fill`` puts into an empty folder as ``wheel``, with a fresh RECORD.

    Replaces the folder ``scratch``, which is on the file system of ``wheel``. Raises HarnessError
    when the metadata give the wheel another name.
    """
    shutil.rmtree(scratch, ignore_errors=True)  # of a build that was killed
    contents, packed = scratch / "contents", scratch / "packed"
    contents.mkdir(parents=True)
    packed.mkdir()
    fill(contents)
    for path in contents.rglob("*"):
        executable = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if executable else 0o644)  # whatever the umask was
    command = [sys.executable, "-m", "wheel", "pack", "--dest-dir", str(packed), str(contents)]
    ended = run(command, {**_TIME, **os.environ}, _TIMEOUT_S)
    if ended.code != 0:
        raise HarnessError(f"wheel pack {wheel.name} failed: {ended.failure}")
    (found,) = packed.iterdir()
    if found.name != wheel.name:
        raise HarnessError(f"wheel pack: expected {wheel.name}, found {found.name}")
    wheel.parent.mkdir(exist_ok=True)
    os.replace(found, wheel)
    shutil.rmtree(scratch)
