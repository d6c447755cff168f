"""Finds libmkldnn_opcache.so in this process, and declares its C interface (opcache.h).

The mapped files are the evidence: the environment proves nothing. Standard library only; never
imports mxnet, and never loads a library by looking for it.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
from pathlib import Path
from typing import Any, Dict, List

LIBRARY = "libmkldnn_opcache.so"


class Error(RuntimeError):
    """The request cannot be met; the message names the remedy."""


class NotLoaded(Error):
    """No cache library is loaded in this process."""


def mapped(name: str, maps: Path = Path("/proc/self/maps")) -> List[Path]:
    """Return the paths of the mapped files whose names begin with ``name``, sorted, each once."""
    paths = {line.split(maxsplit=5)[-1] for line in maps.read_text().splitlines()}
    # A library that was rebuilt since: the old file is in use.
    found = {Path(path.replace(" (deleted)", "")) for path in paths if path.startswith("/")}
    return sorted(path for path in found if path.name.startswith(name))


@functools.lru_cache(maxsize=None)  # it cannot be unloaded
def loaded() -> ctypes.CDLL:
    """Return the cache library that this process runs on.

    Raises NotLoaded when there is none, and Error when there are two.
    """
    try:
        # By its soname, whatever the file's name; NOLOAD never loads another file.
        library = ctypes.CDLL(LIBRARY, mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
    except OSError:
        raise NotLoaded(
            f"no {LIBRARY} is loaded in this process: import mxnet from the patched wheel first; "
            "or, for an unmodified MXNet, name the library in LD_PRELOAD when Python starts, or "
            "call mkldnn_opcache.load() before import mxnet"
        ) from None
    copies = mapped(LIBRARY)
    if len(copies) > 1:
        raise Error(
            f"expected one {LIBRARY} in this process, found {' and '.join(map(str, copies))}: "
            "load one of them only"
        )
    _declare(library)
    return library


def _declare(library: ctypes.CDLL) -> None:
    size, text, number = ctypes.c_size_t, ctypes.c_char_p, ctypes.c_int
    interface = {
        "stats_json": (size, (text, size)),
        "reset_stats": (None, ()),
        "clear": (None, ()),
        "get_scope": (size, (text, size)),
        "set_scope": (number, (text, text, size)),
        "get_capacity": (size, ()),
        "set_capacity": (number, (size,)),
        "get_memory": (size, ()),
        "set_memory": (number, (size,)),
        "pause": (None, ()),
        "resume": (number, ()),
    }
    for name, (result, arguments) in interface.items():
        try:
            function = getattr(library, f"mkldnn_opcache_{name}")
        except AttributeError as error:
            raise Error(f"{LIBRARY} is older than this package: {error}") from None
        function.restype, function.argtypes = result, arguments


def read_stats(library: ctypes.CDLL) -> Dict[str, Any]:
    """Return the report of the library: its identity and its counters."""
    # Counters of other threads may grow between the two calls, and the text with them.
    size = library.mkldnn_opcache_stats_json(None, 0) + 1
    while True:
        text = ctypes.create_string_buffer(size)
        needed = library.mkldnn_opcache_stats_json(text, size)
        if needed < size:
            found: Dict[str, Any] = json.loads(text.value)
            return found
        size = needed + 1
