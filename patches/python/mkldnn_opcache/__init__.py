"""Inspects and controls the cache of MKL-DNN primitives in this process.

The cache comes from a patched wheel, a libmxnet.so built with the source patch, LD_PRELOAD,
``opcache enable`` or ``load``. Without it every function except ``load`` raises NotLoaded. Any
thread may call any function at any time.

MXNet executes operations later than Python calls them. A change holds for the whole process, and
for all operations that are executed after it, also those called before. Call ``mx.nd.waitall()``
first to exclude these; ``disabled`` does so by itself.
"""

import ctypes
import functools
import operator
import os
import sys

from . import callback, variables
from .library import (
    LIBRARY,
    MXNET,
    RTLD_NOW,
    Error,
    NotLoaded,
    beside,
    inside_mxnet,
    loaded,
    mapped,
    read_stats,
)

MYPY = False
if MYPY:
    from typing import Any, Callable, Dict, Optional, TypeVar, Union  # noqa: F401

    _Function = TypeVar("_Function", bound=Callable[..., Any])

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

SCOPES = variables.SCOPES
# The words of a list; `forward` adds the forward primitives of the listed operators.
OPERATORS = variables.LIST_WORDS
_LONGEST_SCOPE = 256  # bytes, with the NUL
_NO_MEMORY_BOUND = 2 ** (8 * ctypes.sizeof(ctypes.c_size_t)) - 1


def stats():
    # type: () -> Dict[str, Any]
    """Return the report: ``active``, ``scope``, counters per operator, ``totals`` and more.

    docs/configuration.md explains the counters; times are in nanoseconds.
    """
    return read_stats(loaded())


def reset_stats():
    # type: () -> None
    """Reset the counters to zero; cached objects stay."""
    loaded().mkldnn_opcache_reset_stats()


def active():
    # type: () -> bool
    """Tell whether the cache is active: MKL-DNN is recognised, and the cache is not off."""
    return bool(stats()["active"])


def clear():
    # type: () -> None
    """Destroy all idle objects, those without references.

    A thread can destroy only its own objects: the calling thread does so now, each of MXNet's
    workers when it next calls MKL-DNN.
    """
    loaded().mkldnn_opcache_clear()


def scope():
    # type: () -> str
    """Return the cached operators, in the words of MKLDNN_OPCACHE."""
    text = ctypes.create_string_buffer(_LONGEST_SCOPE)
    loaded().mkldnn_opcache_get_scope(text, len(text))
    return _native(text.value)


def set_scope(scope):
    # type: (str) -> None
    """Cache these operators from now on: ``off``, ``backward``, ``all``, or a comma list.

    Raises ValueError, and changes nothing, for an unknown word. Operators that leave the scope are
    passed through; their idle objects stay until ``clear`` or eviction.
    """
    library = loaded()
    if "\0" in scope:
        raise ValueError("scope %r: expected words, found a null character" % scope)
    word = ctypes.create_string_buffer(_LONGEST_SCOPE)
    failure = library.mkldnn_opcache_set_scope(_bytes(scope), word, len(word))
    if failure == 1:
        raise ValueError(
            "scope %r: expected %s, or a comma list of %s; found %r"
            % (scope, ", ".join(SCOPES), ", ".join(OPERATORS), _native(word.value))
        )
    if failure:
        raise ValueError(
            "scope: expected at most %d characters, found %d" % (_LONGEST_SCOPE - 1, len(scope))
        )


def _bytes(text):
    # type: (Any) -> bytes
    return text if isinstance(text, bytes) else text.encode("utf-8", *_ERRORS)


def _native(text):
    # type: (Any) -> str
    return text if isinstance(text, str) else text.decode("utf-8", *_ERRORS)


_ERRORS = ("surrogateescape",) if sys.version_info[0] > 2 else ()


def capacity():
    # type: () -> int
    """Return the largest number of cached primitives, and of cached descriptors; 0 = off."""
    return int(loaded().mkldnn_opcache_get_capacity())


def set_capacity(capacity):
    # type: (int) -> None
    """Set the largest number of cached primitives, and of cached descriptors; 0 = off.

    Each thread evicts its own idle objects beyond it, at the time when ``clear`` would take effect.
    Raises ValueError, and changes nothing, below 0 and above 2**30.
    """
    library = loaded()
    number = operator.index(capacity)
    # ctypes truncates numbers that do not fit.
    fits = 0 <= number <= sys.maxsize
    if not fits or library.mkldnn_opcache_set_capacity(number) != 0:
        raise ValueError("capacity: expected 0 to %d, found %d" % (variables.CAPACITY_MOST, number))


def memory():
    # type: () -> Optional[int]
    """Return the memory bound of idle objects in bytes, None without a bound; 0 = off."""
    size = int(loaded().mkldnn_opcache_get_memory())
    return None if size == _NO_MEMORY_BOUND else size


def set_memory(size):
    # type: (Optional[int]) -> None
    """Set the memory bound of idle objects in bytes, None for no bound; 0 = off.

    Each thread evicts its own idle objects beyond it, at the time when ``clear`` would take effect.
    Raises ValueError, and changes nothing, below 0 and above 2**50.
    """
    library = loaded()
    number = _NO_MEMORY_BOUND if size is None else operator.index(size)
    # ctypes truncates numbers that do not fit.
    fits = size is None or 0 <= number <= sys.maxsize
    if not fits or library.mkldnn_opcache_set_memory(number) != 0:
        raise ValueError(
            "memory: expected 0 to %d bytes, found %d" % (variables.MEMORY_MOST, number)
        )


def disabled(wait=True):
    # type: (bool) -> _Disabled
    """Switch the cache off for a block, or for the calls of a function that this decorates.

    Holds for the whole process; cached objects stay. Blocks may nest and overlap: the cache is on
    again after the last one, and ``set_scope`` inside takes effect then. With ``wait``, and if
    mxnet is imported, MXNet finishes its work at both ends: exactly the block runs uncached.
    """
    return _Disabled(wait)


class _Disabled(object):
    # Not contextlib.contextmanager, which decorates no function under Python 2.7.

    def __init__(self, wait):
        # type: (bool) -> None
        self._wait = wait

    def __enter__(self):
        # type: () -> None
        library = loaded()
        if self._wait:
            _wait_for_mxnet()
        library.mkldnn_opcache_pause()

    def __exit__(self, *_):
        # type: (object) -> None
        try:
            if self._wait:
                _wait_for_mxnet()
        finally:
            loaded().mkldnn_opcache_resume()

    def __call__(self, function):
        # type: (_Function) -> _Function
        @functools.wraps(function)
        def uncached(*words, **options):
            # type: (Any, Any) -> Any
            with self:
                return function(*words, **options)

        return uncached  # type: ignore[return-value]


def _wait_for_mxnet():
    # type: () -> None
    mxnet = sys.modules.get("mxnet")
    if mxnet is not None:
        mxnet.nd.waitall()


def load(path=None):
    # type: (Optional[Union[str, os.PathLike[str]]]) -> None
    """Load the library under an unmodified MXNet, before ``import mxnet``.

    A patched MXNet needs no call. ``path`` defaults to the file beside this one. Does nothing when
    the library is loaded already, and without ``path`` when the cache is inside libmxnet.so. Raises
    Error when MXNet was imported first, when another copy is loaded, or when the file is absent or
    cannot be loaded.
    """
    is_text = isinstance(path, bytes) or hasattr(path, "encode")
    chosen = beside() if path is None else path if is_text else str(path)  # type: Any
    present = mapped(LIBRARY)
    if present:
        if path is None or (os.path.exists(chosen) and os.path.samefile(chosen, present[0])):
            return
        raise Error("expected to load %s, found %s loaded already" % (chosen, present[0]))
    if mapped(MXNET):
        if path is None and inside_mxnet() is not None:
            return
        raise Error("libmxnet.so is loaded already: call load() before import mxnet")
    if not os.path.isfile(chosen):
        raise Error("no %s at %s: give its path to load()" % (LIBRARY, chosen))
    try:
        # GLOBAL: MXNet's libraries, loaded later, then find these functions before MKL-DNN's.
        ctypes.CDLL(chosen, mode=ctypes.RTLD_GLOBAL | RTLD_NOW)
    except OSError as error:
        raise Error(str(error))
