"""Writes files and folders that are either complete or absent, even when the process is killed.

Every result, stamp and unpacked tree is written by this module. Standard library only: the
bootstrap uses it before any dependency is installed.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import shutil
import tempfile
from pathlib import Path
from typing import Iterator, Tuple

from harness.base.console import say

_PARTIAL = ".partial-"


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``: readers see the old content or the new, never a part of it.

    Creates missing parent folders. Raises OSError with a file name, and then leaves the old file
    untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    handle, temporary = _begin(path)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), 0o644)
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink()
        name(error, path)
        raise
    _sync_folder(path.parent)


def name(error: BaseException, path: Path) -> None:
    """Add the file's name to an OSError of a call on an open file, which has none."""
    if isinstance(error, OSError) and error.errno is not None and error.filename is None:
        error.filename = str(path)


def _begin(path: Path) -> Tuple[int, Path]:
    """Create, open and lock a file beside ``path``; the lock shows that its writer still runs.

    On a file system without locks, leftovers of killed runs cannot be recognised, and stay.
    """
    while True:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}{_PARTIAL}", dir=path.parent)
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink > 0:
            return handle, Path(name)
        # Another writer removed it as a leftover before it was locked.
        os.close(handle)


def _remove_leftovers(path: Path) -> None:
    """Remove the unfinished files of killed runs beside ``path``; files in writing are locked."""
    for leftover in path.parent.glob(f"{glob.escape(f'.{path.name}{_PARTIAL}')}*"):
        with contextlib.suppress(OSError):
            handle = os.open(leftover, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                leftover.unlink()
            finally:
                os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 to ``path``, like ``write_bytes``."""
    write_bytes(path, text.encode("utf-8"))


@contextlib.contextmanager
def folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``path`` that takes its place when the block succeeds.

    Removes the leftovers of killed runs beside it, so hold ``lock`` when two processes may make
    the same folder. A block that raises leaves ``path`` as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f"{glob.escape(f'.{path.name}{_PARTIAL}')}*"):
        shutil.rmtree(leftover)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}{_PARTIAL}", dir=path.parent))
    try:
        temporary.chmod(0o755)
        yield temporary
        if path.exists():
            # Two renames, so that `path` is never half deleted.
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}{_PARTIAL}", dir=path.parent))
            os.replace(path, old)
            os.replace(temporary, path)
            shutil.rmtree(old)
        else:
            os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _sync_folder(path.parent)


@contextlib.contextmanager
def lock(path: Path, aloud: bool = True) -> Iterator[None]:
    """Hold an exclusive lock on the file ``path``; print a line before a wait if ``aloud``.

    The kernel drops the lock when its holder dies; the file itself stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if aloud:
                say(f"waiting for another process to release {path}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
