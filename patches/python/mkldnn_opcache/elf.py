"""Reads the build-id of an ELF file, which identifies a released MKL-DNN."""

import binascii
import struct

MYPY = False
if MYPY:
    from typing import BinaryIO, Iterator, Optional  # noqa: F401

_HEADER = "<32xQ14xHH"  # Elf64_Ehdr: e_phoff, e_phentsize, e_phnum
_PROGRAM_HEADER = "<I4xQ16xQ"  # Elf64_Phdr: p_type, p_offset, p_filesz
_NOTE, _GNU_BUILD_ID = 4, 3  # PT_NOTE, NT_GNU_BUILD_ID
_MOST_BYTES = 1 << 16


def build_id(path):
    # type: (str) -> Optional[str]
    """Return the GNU build-id of a 64-bit ELF file in hex, None when it has none."""
    try:
        with open(path, "rb") as file:
            for notes in _notes(file):
                found = _build_id_of(notes)
                if found is not None:
                    return found
    except (EnvironmentError, struct.error):  # a damaged file
        pass
    return None


def _notes(file):
    # type: (BinaryIO) -> Iterator[bytes]
    """Yield the contents of the segments with notes."""
    header = file.read(64)
    if header[:5] != b"\x7fELF\x02":
        return
    offset, size, number = struct.unpack_from(_HEADER, header)
    for index in range(number):
        file.seek(offset + index * size)
        program_header = file.read(size)
        kind, start, length = struct.unpack_from(_PROGRAM_HEADER, program_header)
        if kind == _NOTE and length <= _MOST_BYTES:
            file.seek(start)
            yield file.read(length)


def _build_id_of(notes):
    # type: (bytes) -> Optional[str]
    at = 0
    while at + 12 <= len(notes):
        name_bytes, length, kind = struct.unpack_from("<III", notes, at)
        name = at + 12
        content = name + (name_bytes + 3) // 4 * 4
        if kind == _GNU_BUILD_ID and notes[name : name + 4] == b"GNU\0":
            return str(binascii.hexlify(notes[content : content + length]).decode("ascii"))
        at = content + (length + 3) // 4 * 4
    return None
