"""Sees, from inside a process, which MKL-DNN libraries it runs on, and reads the cache's counters.

The libraries that are mapped are the evidence: what was asked for in the environment proves
nothing.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any, Dict, List, Optional

from patches.python.mkldnn_opcache.library import NotLoaded, loaded, mapped, read_stats

__all__ = [
    "mapped_libraries",
    "open_cache",
    "read_stats",
    "still_missing",
]


def mapped_libraries() -> List[Path]:
    """Return the paths of the mapped libmkldnn*.so* files, sorted, each once."""
    return [path for path in mapped("libmkldnn") if ".so" in path.name]


def open_cache() -> Optional[ctypes.CDLL]:
    """Return the cache library that this process runs on, None when it runs without one."""
    try:
        return loaded()
    except NotLoaded:
        return None


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
