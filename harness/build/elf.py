"""Reads the build-id of an ELF file, which identifies a released MKL-DNN. Standard library only."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Optional

_ELF64_LITTLE_ENDIAN = b"\x7fELF\x02\x01"
_PT_NOTE = 4
_NT_GNU_BUILD_ID = 3
_MOST_NOTE_BYTES = 64 * 2**10


def build_id(path: Path) -> Optional[str]:
    """Return the GNU build-id of an ELF file in hex, None when it has none or is damaged."""
    with path.open("rb") as file:
        head = file.read(64)
        if len(head) < 64 or not head.startswith(_ELF64_LITTLE_ENDIAN):
            return None
        (table,) = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        for number in range(count):
            file.seek(min(table + number * size, 2**62))
            segment = file.read(56)
            if len(segment) == 56 and struct.unpack_from("<I", segment) == (_PT_NOTE,):
                offset, _, _, length = struct.unpack_from("<QQQQ", segment, 8)
                file.seek(min(offset, 2**62))
                found = _gnu_build_id(file.read(min(length, _MOST_NOTE_BYTES)))
                if found is not None:
                    return found
    return None


def _gnu_build_id(notes: bytes) -> Optional[str]:
    while len(notes) >= 12:
        name_size, size, kind = struct.unpack_from("<III", notes)
        start = 12 + (name_size + 3) // 4 * 4
        if kind == _NT_GNU_BUILD_ID and notes[12:16] == b"GNU\0" and len(notes) >= start + size:
            return notes[start : start + size].hex()
        notes = notes[start + (size + 3) // 4 * 4 :]
    return None
