"""Reads archives and compressed files: untrusted xz and tar.gz, and npz files of the harness.

Of untrusted files, sizes in headers are checked first, so that a small file cannot unpack to a
large one. Refusals are those of reading.py. Never runs or writes anything from an archive.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import itertools
import lzma
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Sequence, Tuple

import numpy

from harness.base import reading
from harness.base.errors import HarnessError

_MOST_TAR_MEMBERS = 1000
_MOST_HEADER_BYTES = 64 * 2**10
_XZ_MEMORY_BYTES = 256 * 2**20  # what `xz -9` needs, four times
_CHUNK = 1 << 16
_DAMAGE = (
    EOFError,
    gzip.BadGzipFile,
    KeyError,
    MemoryError,  # of an array's damaged header
    NotImplementedError,  # an unusual method of compression
    OverflowError,
    RecursionError,
    RuntimeError,  # a password is asked for
    SyntaxError,
    TypeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
)


@contextlib.contextmanager
def _refusing_damage(path: Path, expected: str) -> Iterator[None]:
    """Turn the standard library's errors about damage into a HarnessError of one line."""
    try:
        yield
    except _DAMAGE as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise HarnessError(f"{path}: expected {expected}, found damage: {said:.200}") from error


def npz(
    path: Path, expected: str, only: Optional[Sequence[str]] = None
) -> Dict[str, numpy.ndarray]:
    """Return the arrays of a file that this harness wrote by ``numpy.savez``."""
    with reading.opened(path, reading.MOST_ARCHIVE_BYTES) as file, _refusing_damage(path, expected):
        archive = numpy.load(file, allow_pickle=False)
        if not isinstance(archive, numpy.lib.npyio.NpzFile):
            raise ValueError("it holds one array")
        return {name: archive[name] for name in archive.files if only is None or name in only}


def xz(path: Path, most_bytes: int, expected: str) -> bytes:
    """Return the content of an xz file, up to one byte more than ``most_bytes``."""
    # Incompressible data becomes a little longer.
    most_packed_bytes = 2 * most_bytes
    with reading.opened(path, most_packed_bytes) as file, _refusing_damage(path, expected):
        decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)
        found = bytearray()
        while not decompressor.eof and len(found) <= most_bytes:
            chunk = file.read(_CHUNK) if decompressor.needs_input else b""
            if decompressor.needs_input and not chunk:
                raise EOFError("it ends early")
            found += decompressor.decompress(chunk, most_bytes + 1 - len(found))
        return bytes(found)


class _Limited(io.RawIOBase):
    """Reads ``file``; ValueError when it has more than ``most_bytes``."""

    def __init__(self, file: Any, most_bytes: int) -> None:
        self._file = file
        self._left = most_bytes

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._file.read(min(size, _CHUNK) if size >= 0 else _CHUNK)
        self._left -= len(data)
        if self._left < 0:
            raise ValueError("it holds more than it may")
        return data


class _Member(tarfile.TarInfo):
    """A member with headers of limited size."""

    _HEADERS = (
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    )

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if self.type in self._HEADERS and self.size > _MOST_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]


def tar_gz(
    path: Path, names: Sequence[str], each_most_bytes: int, most_bytes: int, expected: str
) -> Dict[str, Tuple[str, bytes]]:
    """Return the full name and content of the members of a tar.gz that are called ``names``.

    Only plain files count. A content is cut after one byte more than ``each_most_bytes``.
    """
    found: Dict[str, Tuple[str, bytes]] = {}
    with reading.opened(path, most_bytes) as packed, _refusing_damage(path, expected):
        unpacked: Any = _Limited(gzip.GzipFile(fileobj=packed), most_bytes)
        with tarfile.open(fileobj=unpacked, mode="r|", tarinfo=_Member) as archive:
            for member in itertools.islice(archive, _MOST_TAR_MEMBERS):
                name = member.name.rsplit("/", 1)[-1]
                if name not in names or member.type not in tarfile.REGULAR_TYPES:
                    continue
                if name in found:
                    raise ValueError(f"{name} is in it twice")
                file = archive.extractfile(member)
                if file is not None and not member.issparse():
                    found[name] = (member.name, file.read(each_most_bytes + 1))
    return found
