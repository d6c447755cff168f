"""Reads the build-id of an ELF file, which identifies a released MKL-DNN."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import NoteSection


def build_id(path: Path) -> Optional[str]:
    """Return the GNU build-id of an ELF file in hex, None when it has none."""
    with path.open("rb") as file:
        for section in ELFFile(file).iter_sections():
            if isinstance(section, NoteSection):
                for note in section.iter_notes():
                    if note["n_type"] == "NT_GNU_BUILD_ID":
                        return note["n_desc"]
    return None
