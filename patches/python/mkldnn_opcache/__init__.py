"""Inspects and controls the cache of MKL-DNN primitives in this process.

The library comes from a patched wheel, LD_PRELOAD or ``load``. Without it every function except
``load`` raises NotLoaded. Any thread may call any function at any time.

MXNet executes operations later than Python calls them. A change holds for the whole process, and
for all operations that are executed after it, also those called before. Call ``mx.nd.waitall()``
first to exclude these; ``disabled`` does so by itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import operator
import os
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Union

from . import callback
from .library import LIBRARY, Error, NotLoaded, loaded, mapped, read_stats

__all__ = [
    "Error",
    "NotLoaded",
    "OPERATORS",
    "SCOPES",
    "active",
    "callback",
    "capacity",
    "clear",
    "disabled",
    "load",
    "memory",
    "reset_stats",
    "scope",
    "set_capacity",
    "set_memory",
    "set_scope",
    "stats",
]

SCOPES = ("off", "backward", "all")
# The words of a list; `forward` adds the forward primitives of the listed operators.
OPERATORS = (
    *("activation", "batch_norm", "convolution", "deconvolution", "fully_connected", "lrn"),
    *("pooling", "softmax", "reorder", "sum", "concat", "forward"),
)
_LONGEST_SCOPE = 256  # bytes, with the NUL
_NO_MEMORY_BOUND = 2 ** (8 * ctypes.sizeof(ctypes.c_size_t)) - 1


def stats() -> Dict[str, Any]:
    """Return the report: ``active``, ``scope``, counters per operator, ``totals`` and more.

    docs/configuration.md explains the counters; times are in nanoseconds.
    """
    return read_stats(loaded())


def reset_stats() -> None:
    """Reset the counters to zero; cached objects stay."""
    loaded().mkldnn_opcache_reset_stats()


def active() -> bool:
    """Tell whether the cache is active: MKL-DNN is recognised, and the cache is not off."""
    return bool(stats()["active"])


def clear() -> None:
    """Destroy all idle objects, those without references.

    A thread can destroy only its own objects: the calling thread does so now, each of MXNet's
    workers when it next calls MKL-DNN.
    """
    loaded().mkldnn_opcache_clear()


def scope() -> str:
    """Return the cached operators, in the words of MKLDNN_OPCACHE."""
    text = ctypes.create_string_buffer(_LONGEST_SCOPE)
    loaded().mkldnn_opcache_get_scope(text, len(text))
    return text.value.decode()


def set_scope(scope: str) -> None:
    """Cache these operators from now on: ``off``, ``backward``, ``all``, or a comma list.

    Raises ValueError, and changes nothing, for an unknown word. Operators that leave the scope are
    passed through; their idle objects stay until ``clear`` or eviction.
    """
    library = loaded()
    if "\0" in scope:
        raise ValueError(f"scope {scope!r}: expected words, found a null character")
    word = ctypes.create_string_buffer(_LONGEST_SCOPE)
    failure = library.mkldnn_opcache_set_scope(os.fsencode(scope), word, len(word))
    if failure == 1:
        raise ValueError(
            f"scope {scope!r}: expected {', '.join(SCOPES)}, or a comma list of "
            f"{', '.join(OPERATORS)}; found {os.fsdecode(word.value)!r}"
        )
    if failure:
        raise ValueError(
            f"scope: expected at most {_LONGEST_SCOPE - 1} characters, found {len(scope)}"
        )


def capacity() -> int:
    """Return the largest number of cached primitives, and of cached descriptors; 0 = off."""
    return int(loaded().mkldnn_opcache_get_capacity())


def set_capacity(capacity: int) -> None:
    """Set the largest number of cached primitives, and of cached descriptors; 0 = off.

    Each thread evicts its own idle objects beyond it, at the time when ``clear`` would take effect.
    Raises ValueError, and changes nothing, below 0 and above 2**30.
    """
    library = loaded()
    number = operator.index(capacity)
    # ctypes truncates numbers that do not fit.
    fits = 0 <= number <= sys.maxsize
    if not fits or library.mkldnn_opcache_set_capacity(number) != 0:
        raise ValueError(f"capacity: expected 0 to {2**30}, found {number}")


def memory() -> Optional[int]:
    """Return the memory bound of idle objects in bytes, None without a bound; 0 = off."""
    size = int(loaded().mkldnn_opcache_get_memory())
    return None if size == _NO_MEMORY_BOUND else size


def set_memory(size: Optional[int]) -> None:
    """Set the memory bound of idle objects in bytes, None for no bound; 0 = off.

    Each thread evicts its own idle objects beyond it, at the time when ``clear`` would take effect.
    Raises ValueError, and changes nothing, below 0 and above 2**50.
    """
    library = loaded()
    number = _NO_MEMORY_BOUND if size is None else operator.index(size)
    # ctypes truncates numbers that do not fit.
    fits = size is None or 0 <= number <= sys.maxsize
    if not fits or library.mkldnn_opcache_set_memory(number) != 0:
        raise ValueError(f"memory: expected 0 to {2**50} bytes, found {number}")


@contextlib.contextmanager
def disabled(wait: bool = True) -> Iterator[None]:
    """Switch the cache off for a block, or for the calls of a function that this decorates.

    Holds for the whole process; cached objects stay. Blocks may nest and overlap: the cache is on
    again after the last one, and ``set_scope`` inside takes effect then. With ``wait``, and if
    mxnet is imported, MXNet finishes its work at both ends: exactly the block runs uncached.
    """
    library = loaded()
    if wait:
        _wait_for_mxnet()
    library.mkldnn_opcache_pause()
    try:
        yield
    finally:
        try:
            if wait:
                _wait_for_mxnet()
        finally:
            library.mkldnn_opcache_resume()


def _wait_for_mxnet() -> None:
    mxnet = sys.modules.get("mxnet")
    if mxnet is not None:
        mxnet.nd.waitall()


def load(path: Optional[Union[str, os.PathLike[str]]] = None) -> None:
    """Load the library under an unmodified MXNet, before ``import mxnet``.

    A patched MXNet loads it by itself. ``path`` defaults to the file beside this one. Does nothing
    when the library is loaded already. Raises Error when MXNet was imported first, when another
    copy is loaded, or when the file is absent.
    """
    chosen = Path(__file__).with_name(LIBRARY) if path is None else Path(path)
    present = mapped(LIBRARY)
    if present:
        if path is None or (chosen.exists() and chosen.samefile(present[0])):
            return
        raise Error(f"expected to load {chosen}, found {present[0]} loaded already")
    if mapped("libmxnet.so"):
        raise Error("libmxnet.so is loaded already: call load() before import mxnet")
    if not chosen.is_file():
        raise Error(f"no {LIBRARY} at {chosen}: give its path to load()")
    # GLOBAL: MXNet's libraries, loaded later, then find these functions before MKL-DNN's.
    ctypes.CDLL(str(chosen), mode=os.RTLD_GLOBAL | os.RTLD_NOW)
