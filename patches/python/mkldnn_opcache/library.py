"""Finds the cache in this process, and declares its C interface (opcache.h).

The cache is libmkldnn_opcache.so, or a part of libmxnet.so (docs/source-patch.md). The mapped files
are the evidence: the environment proves nothing. Standard library only; never imports mxnet, and
never loads a library by looking for it.
"""

import ctypes
import json
import os

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Optional  # noqa: F401

LIBRARY = "libmkldnn_opcache.so"
MXNET = "libmxnet.so"
# <dlfcn.h>; Python 2.7 has no os.RTLD_...
RTLD_LAZY, RTLD_NOW, RTLD_NOLOAD = 1, 2, 4

_name = getattr(os, "fsdecode", str)  # Python 2.7 has names of files as bytes
_loaded = None  # type: Optional[ctypes.CDLL]


class Error(RuntimeError):
    """The request cannot be met; the message names the remedy."""


class NotLoaded(Error):
    """No cache library is loaded in this process."""


def beside():
    # type: () -> str
    """Return the path of the library that an installed package has beside this file."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), LIBRARY)


def mapped(name, maps="/proc/self/maps"):
    # type: (str, str) -> List[str]
    """Return the paths of the mapped files whose names begin with ``name``, sorted, each once."""
    with open(maps, "rb") as file:  # the locale may be unable to decode a name
        paths = {_name(line).rstrip("\n").split(None, 5)[-1] for line in file}
    # A library that was rebuilt since: the old file is in use.
    found = {path.replace(" (deleted)", "") for path in paths if path.startswith("/")}
    return sorted(path for path in found if os.path.basename(path).startswith(name))


def loaded():
    # type: () -> ctypes.CDLL
    """Return the library whose cache this process runs on.

    Raises NotLoaded when there is none, and Error when there are two.
    """
    global _loaded
    if _loaded is None:  # it cannot be unloaded
        _loaded = _find()
    return _loaded


def _find():
    # type: () -> ctypes.CDLL
    library = _opened(LIBRARY)  # by its soname, whatever the file's name
    copies = mapped(LIBRARY)
    if len(copies) > 1:
        raise Error(
            "expected one %s in this process, found %s: load one of them only"
            % (LIBRARY, " and ".join(copies))
        )
    if library is None:
        library = inside_mxnet()
    if library is None:
        raise NotLoaded(
            "no cache is loaded in this process: import mxnet first if it is patched (the wheel, "
            "or a build with the source patch that exports mkldnn_opcache_*); or, for an "
            "unmodified MXNet, name %s in LD_PRELOAD when Python starts, or call "
            "mkldnn_opcache.load() before import mxnet" % LIBRARY
        )
    _declare(library)
    return library


def inside_mxnet():
    # type: () -> Optional[ctypes.CDLL]
    """Return the loaded libmxnet.so if it gives access to a cache: its own, or one it needs."""
    for path in mapped(MXNET):
        library = _opened(path)
        if library is not None and hasattr(library, "mkldnn_opcache_stats_json"):
            return library
    return None


def _opened(name):
    # type: (str) -> Optional[ctypes.CDLL]
    try:
        # NOLOAD never loads another file.
        return ctypes.CDLL(name, mode=RTLD_NOLOAD | RTLD_LAZY)
    except OSError:
        return None


def _declare(library):
    # type: (ctypes.CDLL) -> None
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
    }  # type: Dict[str, Any]
    for name, (result, arguments) in interface.items():
        try:
            function = getattr(library, "mkldnn_opcache_%s" % name)
        except AttributeError as error:
            raise Error("the cache is older than this package: %s" % error)
        function.restype, function.argtypes = result, arguments


def read_stats(library):
    # type: (ctypes.CDLL) -> Dict[str, Any]
    """Return the report of the library: its identity and its counters."""
    # Counters of other threads may grow between the two calls, and the text with them.
    size = library.mkldnn_opcache_stats_json(None, 0) + 1
    while True:
        text = ctypes.create_string_buffer(size)
        needed = library.mkldnn_opcache_stats_json(text, size)
        if needed < size:
            found = json.loads(text.value.decode("utf-8"))  # type: Dict[str, Any]
            return found
        size = needed + 1
