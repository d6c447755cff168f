"""Sees, from inside a process, which MKL-DNN libraries it runs on, and reads the cache's counters.

The libraries that are mapped are the evidence: what was asked for in the environment proves
nothing.
"""

from __future__ import annotations

import ctypes
import json
from pathlib import Path
from typing import Any, Dict, List, Optional

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import NoteSection

CACHE_LIBRARY = "libmkldnn_opcache.so"


def mapped_libraries(maps: Path = Path("/proc/self/maps")) -> List[Path]:
    """Return the paths of the mapped libmkldnn*.so* files, sorted, each once."""
    paths = {line.split(maxsplit=5)[-1] for line in maps.read_text().splitlines()}
    found = (Path(path) for path in paths if path.startswith("/"))
    return sorted(p for p in found if p.name.startswith("libmkldnn") and ".so" in p.name)


def build_id(path: Path) -> Optional[str]:
    """Return the GNU build-id of an ELF file in hex, None when it has none."""
    with path.open("rb") as file:
        for section in ELFFile(file).iter_sections():
            if isinstance(section, NoteSection):
                for note in section.iter_notes():
                    if note["n_type"] == "NT_GNU_BUILD_ID":
                        return note["n_desc"]
    return None


def open_cache(libraries: List[Path]) -> Optional[ctypes.CDLL]:
    """Return the mapped cache library, None when the process runs without one."""
    for path in libraries:
        if path.name == CACHE_LIBRARY:
            cache = ctypes.CDLL(str(path))
            cache.mkldnn_opcache_stats_json.argtypes = (ctypes.c_char_p, ctypes.c_size_t)
            cache.mkldnn_opcache_stats_json.restype = ctypes.c_size_t
            cache.mkldnn_opcache_reset_stats.argtypes = ()
            cache.mkldnn_opcache_reset_stats.restype = None
            return cache
    return None


def read_stats(cache: ctypes.CDLL) -> Dict[str, Any]:
    """Return the cache's counters."""
    # Counters of other threads may grow between the two calls, and the text with them.
    size = cache.mkldnn_opcache_stats_json(None, 0) + 1
    while True:
        text = ctypes.create_string_buffer(size)
        needed = cache.mkldnn_opcache_stats_json(text, size)
        if needed < size:
            found: Dict[str, Any] = json.loads(text.value)
            return found
        size = needed + 1


def counters(cache: Optional[ctypes.CDLL]) -> Optional[Dict[str, Any]]:
    """Return what ``read_stats`` does, None for a process without the cache."""
    return None if cache is None else read_stats(cache)


def still_missing(before: Dict[str, Any], after: Dict[str, Any]) -> bool:
    """Tell from the counters around one step whether the cache had to create anything in it.

    What is outside the scope is created in every step and avoided in none, so only what the
    cache ever avoided counts; a step that avoided nothing is not warm.
    """
    avoided_any = False
    for name, counters in after["operators"].items():
        earlier = before["operators"].get(name, {})
        # Apart, because a scope may hold an operator's descriptors without its primitives.
        for what in ("primitives", "descriptors"):
            avoided, created = f"{what}_avoided", f"{what}_created"
            if counters[avoided] > 0 and counters[created] > earlier.get(created, 0):
                return True
            avoided_any = avoided_any or counters[avoided] > earlier.get(avoided, 0)
    return not avoided_any
