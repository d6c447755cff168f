"""Reads untrusted files; defines the limits of size, depth and number of values.

The limits bound memory and time. Only regular files are read: a FIFO or a device could block for
ever. A refusal is a HarnessError of one line with the file and the reason. Standard library only.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import json
import math
import os
import stat
from pathlib import Path
from typing import IO, Any, Dict, Iterator, List, Tuple

from harness.base.errors import HarnessError

# Many times the size of the project's own files: a checkpoint has at most 300 MB, the record of a
# whole benchmark some megabytes and 100,000 values, a configuration 3 kilobytes.
MOST_ARCHIVE_BYTES = 2**30
MOST_RECORD_BYTES = 64 * 2**20
MOST_TEXT_BYTES = 16 * 2**20
MOST_CONFIG_BYTES = 64 * 2**10
MOST_VALUES = 1_000_000
MOST_DEPTH = 64
_INTEGER_BITS = 64
_KINDS = (
    (stat.S_ISDIR, "Is a directory"),
    (stat.S_ISFIFO, "expected a file, found a FIFO"),
    (stat.S_ISSOCK, "expected a file, found a socket"),
    (stat.S_ISCHR, "expected a file, found a device"),
    (stat.S_ISBLK, "expected a file, found a device"),
)


@contextlib.contextmanager
def opened(path: Path, most_bytes: int) -> Iterator[IO[bytes]]:
    """Yield the regular file, open for reading; HarnessError for any OSError, in the block too."""
    with os.fdopen(descriptor_of(path, os.O_RDONLY), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > most_bytes:
            raise HarnessError(f"{path}: expected at most {most_bytes} bytes, found {size}")
        try:
            yield file
        except OSError as error:
            raise HarnessError(f"{path}: {error.strerror or error}") from error


def descriptor_of(path: Path, access: int) -> int:
    """Open a regular file with the flag ``access``; HarnessError for any OSError."""
    try:
        # Flags: never wait for the other end of a FIFO, never become this process's terminal.
        descriptor = os.open(path, access | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise HarnessError(f"{path}: {error.strerror}") from error
    except ValueError as error:  # a NUL in the path
        raise HarnessError(f"{str(path)!r}: {error}") from error
    mode = os.fstat(descriptor).st_mode
    faults = [fault for is_kind, fault in _KINDS if is_kind(mode)]
    if faults:
        os.close(descriptor)
        raise HarnessError(f"{path}: {faults[0]}")
    return descriptor


def content(path: Path, most_bytes: int) -> bytes:
    """Return the file's content, with the length that it has when it is opened."""
    with opened(path, most_bytes) as file:
        return file.read(os.fstat(file.fileno()).st_size)


def digest(path: Path, algorithm: str, most_bytes: int) -> str:
    """Return the digest of a file's content, in hex; ``algorithm`` is one of hashlib's."""
    found = hashlib.new(algorithm)
    with opened(path, most_bytes) as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            found.update(block)
    return found.hexdigest()


def text(path: Path, most_bytes: int = MOST_TEXT_BYTES) -> str:
    """Return the file's text, which must be UTF-8."""
    try:
        return content(path, most_bytes).decode("utf-8")
    except UnicodeDecodeError as error:
        raise HarnessError(f"{path}: not UTF-8: {error}") from error


def json_file(path: Path, most_bytes: int = MOST_RECORD_BYTES) -> Any:
    """Return the value of a JSON file."""
    try:
        return json_value(content(path, most_bytes))
    except ValueError as error:
        raise HarnessError(f"{path}: truncated or not JSON: {error}") from error


def json_value(data: bytes) -> Any:
    """Return the value of a JSON text in UTF-8; ValueError, in one line, when it is refused.

    Stricter than the standard library's reader: what it takes beyond JSON (NaN, Infinity), what it
    resolves in silence (a name that stands twice) and what is good for nothing but trouble (numbers
    that no computation holds, lone surrogates) is refused.
    """
    separators = sum(data.count(mark) for mark in (b",", b"[", b"{"))
    if separators > MOST_VALUES:
        raise ValueError(f"expected at most {MOST_VALUES} values, found about {separators}")
    try:
        value = json.loads(
            data.decode("utf-8"),
            parse_int=_integer,
            parse_float=number,
            parse_constant=number,
            object_pairs_hook=_object,
        )
    except RecursionError:
        raise ValueError(f"nested more than {MOST_DEPTH} deep") from None
    check_value(value)
    return value


def check_value(value: Any) -> None:
    """Raise ValueError unless a value from a file is bounded in depth and in every part."""
    level: List[Any] = [value]
    for _ in range(MOST_DEPTH + 1):
        inner: List[Any] = []
        for each in level:
            if isinstance(each, dict):
                inner.extend(each)
                inner.extend(each.values())
            elif isinstance(each, list):
                inner.extend(each)
            elif isinstance(each, str) and not each.isascii():
                each.encode("utf-8")  # UnicodeEncodeError, a ValueError: lone surrogates
            elif isinstance(each, int) and each.bit_length() > _INTEGER_BITS:
                raise ValueError(f"expected integers of {_INTEGER_BITS} bits at most")
        if not inner:
            return
        level = inner
    raise ValueError(f"nested more than {MOST_DEPTH} deep")


def number(digits: str) -> float:
    """Return a float; ValueError for NaN, Infinity and what is too large for one."""
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"expected finite numbers, found {digits:.20}")
    return value


def _integer(digits: str) -> int:
    # Checked first: conversion needs the square of the length, in time.
    if len(digits) > 20:
        raise ValueError(f"expected integers of {_INTEGER_BITS} bits at most")
    return int(digits)


def _object(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice, times = collections.Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"{twice!r:.60} stands {times} times in an object")
    return found


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    return digest(path, "sha256", MOST_ARCHIVE_BYTES)
