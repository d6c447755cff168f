"""Names the library's environment variables, and checks their values before anything starts.

The library itself reads them in patches/opcache/settings/options.cc. Pure, except that the folder
of a statistics file is looked up.
"""

import os
import re

from .releases import MKLDNNS

MYPY = False
if MYPY:
    from typing import List, Mapping, Optional, Sequence, Tuple  # noqa: F401

SCOPE = "MKLDNN_OPCACHE"
CAPACITY = "MKLDNN_OPCACHE_CAPACITY"
MEMORY = "MKLDNN_OPCACHE_MEMORY"
ESTIMATE = "MKLDNN_OPCACHE_MEMORY_ESTIMATE"
TRIAL = "MKLDNN_OPCACHE_TRIAL"
STATS = "MKLDNN_OPCACHE_STATS"
ASSUME = "MKLDNN_OPCACHE_ASSUME"
TRACE = "MKLDNN_OPCACHE_TRACE"
SHADOW = "MKLDNN_OPCACHE_SHADOW"
ALL = (SCOPE, CAPACITY, MEMORY, ESTIMATE, TRIAL, STATS, ASSUME, TRACE, SHADOW)
# Of MXNet from 1.4 on: limits each of its own maps of primitives; -1, the default, is no limit.
MAPS = "MXNET_MKLDNN_CACHE_NUM"
# Of glibc: one heap, and no mapping of a large block by itself (mallopt(3)).
HEAP = (("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_MAX_", "0"))
# Read by the Python package, not by the library: 1 adds the compatibility names.
COMPAT = "MKLDNN_OPCACHE_COMPAT"

SCOPES = ("off", "backward", "all")
OPERATORS = (
    "activation",
    "batch_norm",
    "convolution",
    "deconvolution",
    "fully_connected",
    "lrn",
    "pooling",
    "concat",
    "reorder",
    "softmax",
    "sum",
)
# The words of a list in MKLDNN_OPCACHE (patches/opcache/settings/op.cc).
LIST_WORDS = OPERATORS + ("forward",)
CAPACITY_MOST = 2**30
TRIAL_MOST = 2**30  # creations
MEMORY_MOST = 2**50  # bytes
ESTIMATE_DEFAULT = "1G"
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


def is_scope(words):
    # type: (Sequence[str]) -> bool
    """Tell whether the words, separated by commas, are a scope."""
    return list(words) in [[scope] for scope in SCOPES] or all(w in LIST_WORDS for w in words)


def scope_fault(text):
    # type: (str) -> Optional[str]
    """Return the fault of a scope such as ``all`` or ``convolution,reorder``, or None."""
    if is_scope(text.split(",")):
        return None
    return "unknown scope '%s': expected %s, or a comma list of %s" % (
        text,
        ", ".join(SCOPES),
        ", ".join(LIST_WORDS),
    )


def capacity_fault(text):
    # type: (str) -> Optional[str]
    """Return the fault of a capacity, a number of primitives, or None."""
    return _number_fault("capacity", CAPACITY_MOST, text)


def trial_fault(text):
    # type: (str) -> Optional[str]
    """Return the fault of a thread's trial, a number of creations, or None."""
    return _number_fault("trial", TRIAL_MOST, text)


def _number_fault(name, most, text):
    # type: (str, int, str) -> Optional[str]
    if re.match(r"[0-9]{1,25}\Z", text) and int(text) <= most:
        return None
    return "%s: expected a number from 0 to %d, found '%s'" % (name, most, text)


def memory_fault(text):
    # type: (str) -> Optional[str]
    """Return the fault of a memory bound, in bytes or with a unit, or None."""
    given = re.match(r"([0-9]{1,25})([KMG]?)\Z", text)
    if given and int(given.group(1)) * _UNITS[given.group(2)] <= MEMORY_MOST:
        return None
    return "memory: expected bytes such as 1048576, 64K, 512M or 2G, found '%s'" % text


def shadow_fault(text):
    # type: (str) -> Optional[str]
    """Return the fault of a share of hits to be checked, or None."""
    is_number = re.match(r"[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?\Z", text)
    if is_number and float(text) <= 1:
        return None
    return "expected a share from 0 to 1, found '%s'" % text


CHECKS = {
    SCOPE: scope_fault,
    CAPACITY: capacity_fault,
    MEMORY: memory_fault,
    ESTIMATE: memory_fault,
    TRIAL: trial_fault,
    SHADOW: shadow_fault,
}


def faults(environment):
    # type: (Mapping[str, str]) -> List[Tuple[str, str]]
    """Return (variable, fault) for each value that the library would reject.

    Unset and empty variables mean the defaults, as in the library.
    """
    given = {name: environment[name] for name in ALL if environment.get(name)}
    found = [(name, CHECKS[name](given[name])) for name in ALL if name in given and name in CHECKS]
    if given.get(STATS, "stderr") != "stderr":
        folder = os.path.dirname(given[STATS]) or "."
        if not os.path.isdir(folder):
            found.append((STATS, "%s is not a folder" % folder))
    if ASSUME in given and given[ASSUME] not in MKLDNNS:
        expected = ", ".join(MKLDNNS)
        found.append((ASSUME, "expected one of %s, found '%s'" % (expected, given[ASSUME])))
    return [(name, fault) for name, fault in found if fault is not None]
