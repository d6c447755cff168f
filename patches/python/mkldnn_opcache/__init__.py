"""Looks at the cache of MKL-DNN primitives that MXNet runs on, and steers it.

Works on the library that is loaded in this process, from a patched wheel, LD_PRELOAD or ``load``;
every function but ``load`` raises NotLoaded when there is none. Any thread may call at any time.

MXNet executes later than Python calls it: what is changed here holds for whatever is executed from
then on, in the whole process. Call ``mx.nd.waitall()`` first to have it hold for what is called
from then on; ``disabled`` does so by itself.
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
# What a list of operators may hold; `forward` adds the forward primitives of those listed.
OPERATORS = (
    *("activation", "batch_norm", "convolution", "deconvolution", "fully_connected", "lrn"),
    *("pooling", "softmax", "reorder", "sum", "concat", "forward"),
)
_LONGEST_SCOPE = 256  # bytes, with the NUL
_NO_MEMORY_BOUND = 2 ** (8 * ctypes.sizeof(ctypes.c_size_t)) - 1


def stats() -> Dict[str, Any]:
    """Return the report: ``active``, ``scope``, counters per operator, ``totals`` and the rest.

    docs/configuration.md explains the counters; times are in nanoseconds.
    """
    return read_stats(loaded())


def reset_stats() -> None:
    """Count from zero again; what is cached stays cached."""
    loaded().mkldnn_opcache_reset_stats()


def active() -> bool:
    """Tell whether anything is cached now: MKL-DNN is recognised, and the cache is not off."""
    return bool(stats()["active"])


def clear() -> None:
    """Drop everything that nobody holds.

    A thread can destroy only its own: the calling thread does it now, MXNet's workers each when
    they next execute something of MKL-DNN's.
    """
    loaded().mkldnn_opcache_clear()


def scope() -> str:
    """Return which operators are cached, in the words of MKLDNN_OPCACHE."""
    text = ctypes.create_string_buffer(_LONGEST_SCOPE)
    loaded().mkldnn_opcache_get_scope(text, len(text))
    return text.value.decode()


def set_scope(scope: str) -> None:
    """Cache these operators from now on: ``off``, ``backward``, ``all``, or a comma list.

    Raises ValueError, and changes nothing, for a word that is none. Operators that leave the scope
    are passed through; what is idle of them stays until ``clear`` or until its room is needed.
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
    """Return the most primitives, and most descriptors, that are kept; 0 = off."""
    return int(loaded().mkldnn_opcache_get_capacity())


def set_capacity(capacity: int) -> None:
    """Keep at most so many primitives, and as many descriptors, from now on; 0 = off.

    What is idle beyond it is evicted, by each thread its own, when ``clear`` would drop it.
    Raises ValueError, and changes nothing, below 0 and above 2**30.
    """
    library = loaded()
    number = operator.index(capacity)
    # ctypes cuts what does not fit.
    fits = 0 <= number <= sys.maxsize
    if not fits or library.mkldnn_opcache_set_capacity(number) != 0:
        raise ValueError(f"capacity: expected 0 to {2**30}, found {number}")


def memory() -> Optional[int]:
    """Return the most bytes that what is idle may take, None when any; 0 = off."""
    size = int(loaded().mkldnn_opcache_get_memory())
    return None if size == _NO_MEMORY_BOUND else size


def set_memory(size: Optional[int]) -> None:
    """Let what is idle take at most so many bytes from now on, any for None; 0 = off.

    What is beyond it is evicted, by each thread its own, when ``clear`` would drop it.
    Raises ValueError, and changes nothing, below 0 and above 2**50.
    """
    library = loaded()
    number = _NO_MEMORY_BOUND if size is None else operator.index(size)
    # ctypes cuts what does not fit.
    fits = size is None or 0 <= number <= sys.maxsize
    if not fits or library.mkldnn_opcache_set_memory(number) != 0:
        raise ValueError(f"memory: expected 0 to {2**50} bytes, found {number}")


@contextlib.contextmanager
def disabled(wait: bool = True) -> Iterator[None]:
    """Switch the cache off for a block, or for the calls of a function that this decorates.

    Holds for the whole process; what is cached stays. Blocks may nest and overlap, the cache is on
    again after the last one, and ``set_scope`` within takes effect then. With ``wait``, and if
    mxnet is imported, MXNet finishes its work at both ends: the block is what runs uncached.
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
    """Load the library under an untouched MXNet, before ``import mxnet``; a patched one needs none.

    ``path`` names it; else it is expected beside this file. Does nothing when it is loaded already.
    Raises Error when MXNet came first, when another copy is loaded, or when there is no such file.
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
    # GLOBAL: MXNet's own libraries, loaded later, then find its functions before MKL-DNN's.
    ctypes.CDLL(str(chosen), mode=os.RTLD_GLOBAL | os.RTLD_NOW)
