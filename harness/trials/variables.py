"""Names the library's environment variables, and checks their values before anything starts.

The library itself reads them in patches/opcache/settings. Pure, except that the folder of a
statistics file is looked up.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

SCOPE = "MKLDNN_OPCACHE"
CAPACITY = "MKLDNN_OPCACHE_CAPACITY"
MEMORY = "MKLDNN_OPCACHE_MEMORY"
STATS = "MKLDNN_OPCACHE_STATS"
ASSUME = "MKLDNN_OPCACHE_ASSUME"
TRACE = "MKLDNN_OPCACHE_TRACE"
SHADOW = "MKLDNN_OPCACHE_SHADOW"
ALL = (SCOPE, CAPACITY, MEMORY, STATS, ASSUME, TRACE, SHADOW)

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
LIST_WORDS = (*OPERATORS, "forward")
_CAPACITY_MOST = 2**30
_MEMORY_MOST = 2**50
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


def is_scope(words: Sequence[str]) -> bool:
    """Tell whether the words, separated by commas, are a scope."""
    return list(words) in [[scope] for scope in SCOPES] or all(w in LIST_WORDS for w in words)


def scope_fault(text: str) -> Optional[str]:
    """Return the fault of a scope such as ``all`` or ``convolution,reorder``, or None."""
    if is_scope(text.split(",")):
        return None
    return (
        f"unknown scope '{text}': expected {', '.join(SCOPES)}, or a comma list of "
        f"{', '.join(LIST_WORDS)}"
    )


def capacity_fault(text: str) -> Optional[str]:
    """Return the fault of a capacity, a number of primitives, or None."""
    if text.isascii() and text.isdigit() and int(text) <= _CAPACITY_MOST:
        return None
    return f"capacity: expected a number from 0 to {_CAPACITY_MOST}, found '{text}'"


def memory_fault(text: str) -> Optional[str]:
    """Return the fault of a memory bound, in bytes or with a unit, or None."""
    given = re.fullmatch(r"([0-9]+)([KMG]?)", text, re.ASCII)
    if given and int(given[1]) * _UNITS[given[2]] <= _MEMORY_MOST:
        return None
    return f"memory: expected bytes such as 1048576, 64K, 512M or 2G, found '{text}'"


def shadow_fault(text: str) -> Optional[str]:
    """Return the fault of a share of hits to be checked, or None."""
    is_number = re.fullmatch(r"[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?", text, re.ASCII)
    if is_number and float(text) <= 1:
        return None
    return f"expected a share from 0 to 1, found '{text}'"


def faults(environment: Mapping[str, str], releases: Sequence[str]) -> List[Tuple[str, str]]:
    """Return (variable, fault) for each value that the library would reject.

    ``releases`` are the MKL-DNN releases that MKLDNN_OPCACHE_ASSUME may name. Unset and empty
    variables mean the defaults, as in the library.
    """
    given: Dict[str, str] = {name: environment[name] for name in ALL if environment.get(name)}
    found: List[Tuple[str, Optional[str]]] = []
    if SCOPE in given:
        found.append((SCOPE, scope_fault(given[SCOPE])))
    if CAPACITY in given:
        found.append((CAPACITY, capacity_fault(given[CAPACITY])))
    if MEMORY in given:
        found.append((MEMORY, memory_fault(given[MEMORY])))
    if SHADOW in given:
        found.append((SHADOW, shadow_fault(given[SHADOW])))
    if given.get(STATS, "stderr") != "stderr" and not Path(given[STATS]).parent.is_dir():
        found.append((STATS, f"{Path(given[STATS]).parent} is not a folder"))
    if ASSUME in given and given[ASSUME] not in releases:
        expected = ", ".join(releases)
        found.append((ASSUME, f"expected one of {expected}, found '{given[ASSUME]}'"))
    return [(name, fault) for name, fault in found if fault is not None]
