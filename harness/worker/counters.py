"""Finds the MKL-DNN libraries of this process, and reads the cache's counters.

The mapped libraries are the evidence: the environment proves nothing.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any, Dict, List, Optional

from harness.base.errors import HarnessError
from patches.python.mkldnn_opcache.library import NotLoaded, loaded, mapped, read_stats

Cache = Optional[ctypes.CDLL]  # None in a process without the cache
Stats = Dict[str, Any]


def mapped_libraries() -> List[Path]:
    """Return the paths of the mapped libmkldnn*.so* files, sorted, each once."""
    return [Path(name) for name in mapped("libmkldnn") if ".so" in Path(name).name]


def open_cache() -> Cache:
    """Return the cache library of this process, None when it runs without one."""
    try:
        return loaded()
    except NotLoaded:
        return None


def read(cache: Cache) -> Optional[Stats]:
    """Return the library's report, None for a process without the cache."""
    return None if cache is None else read_stats(cache)


def set_scope(cache: ctypes.CDLL, scope: str) -> None:
    """Change the scope of the cache; HarnessError when the library refuses it."""
    if cache.mkldnn_opcache_set_scope(scope.encode(), None, 0) != 0:
        raise HarnessError(f"scope: expected one that the library knows, found '{scope}'")


def still_missing(before: Optional[Stats], after: Optional[Stats]) -> Optional[bool]:
    """Tell from the reports around one step whether the cache missed in it, None if not active.

    A step that avoided nothing is not warm.
    """
    if before is None or after is None or not after["active"]:
        return None
    if missed(before, after) > 0:
        return True
    return not any(
        counters[avoided] > before["operators"].get(name, {}).get(avoided, 0)
        for name, counters in after["operators"].items()
        for avoided in ("primitives_avoided", "descriptors_avoided")
    )


def missed(before: Stats, after: Stats) -> int:
    """Return the number of creations, between two reports, that the scope should have avoided.

    Operators outside the scope are created in every step and avoided in none, so only operators
    with avoided creations count.
    """
    count = 0
    for name, counters in after["operators"].items():
        earlier = before["operators"].get(name, {})
        # Separately: a scope may include an operator's descriptors without its primitives.
        for what in ("primitives", "descriptors"):
            created = f"{what}_created"
            if counters[f"{what}_avoided"] > 0:
                count += counters[created] - earlier.get(created, 0)
    return count
