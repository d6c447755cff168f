"""Appends to files of JSON lines; appended lines survive the death of the process.

The first line, the header, is written with the file. Each further line is on disk before
``append`` returns. A process that is killed while it writes leaves a line without an end: readers
ignore that line, and the next writer truncates it.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
from pathlib import Path
from typing import Any, List

from harness.base import files, reading
from harness.base.errors import HarnessError


def create(path: Path, header: Any) -> None:
    """Write a new file with its header, whole or not at all."""
    files.write_text(path, _line(header))


def read(path: Path) -> List[Any]:
    """Return the values of all finished lines; HarnessError names a line that is not JSON."""
    data = reading.content(path, reading.MOST_RECORD_BYTES)
    if data.count(b",") > reading.MOST_VALUES:
        raise HarnessError(f"{path}: expected at most {reading.MOST_VALUES} values, found more")
    values = []
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            values.append(reading.json_value(line))
        except ValueError as error:
            raise HarnessError(f"{path}: line {number}: not JSON: {error}") from error
    if not values:
        raise HarnessError(f"{path}: not a file of JSON lines: no line is finished")
    return values


def replace_header(path: Path, header: Any) -> None:
    """Write the file again with another header, whole or not at all; its other lines stay.

    Raises HarnessError while another process writes the file.
    """
    with Appender(path):
        rest = path.read_bytes().partition(b"\n")[2]
        files.write_bytes(path, _line(header).encode("utf-8") + rest)


class Appender:
    """Appends lines to an existing file, as its only writer; use as a context manager.

    Raises HarnessError while another process writes the file, and when it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        # Unbuffered: one line is one write.
        self._file = io.FileIO(reading.descriptor_of(path, os.O_RDWR), "r+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise HarnessError(f"{path}: another process is writing it") from None
        if os.fstat(self._file.fileno()).st_ino != path.stat().st_ino:
            self._file.close()
            raise HarnessError(f"{path}: another process has just replaced it")
        self._path = path
        self._whole = False

    def append(self, value: Any) -> None:
        """Append one value as a line, and return when it is on disk; OSError names the file."""
        if not self._whole:
            # Only now: a foreign file that was opened by mistake stays as it was.
            self._file.truncate(self._path.read_bytes().rfind(b"\n") + 1)
            self._file.seek(0, os.SEEK_END)
            self._whole = True
        data = memoryview(_line(value).encode("utf-8"))
        try:
            while data:
                data = data[self._file.write(data) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            files.name(error, self._path)
            raise

    def __enter__(self) -> Appender:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _line(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":")) + "\n"
