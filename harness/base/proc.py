"""Reads what Linux says under /proc about this process and this machine; sizes are in bytes."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Dict


def cpu_field(name: str) -> str:
    """Return a line of /proc/cpuinfo, such as ``model name``; "unknown" when it has none."""
    for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def total_bytes() -> int:
    """Return the machine's memory; 0 when Linux does not say."""
    return _sizes("/proc/meminfo").get("MemTotal", 0)


def available_bytes() -> int:
    """Return how much memory programs can still take without swapping."""
    return _sizes("/proc/meminfo")["MemAvailable"]


def resident_bytes() -> int:
    """Return this process's resident set, counted page by page."""
    return _sizes("/proc/self/smaps_rollup")["Rss"]


def peak_resident_bytes() -> int:
    """Return the largest resident set that this process ever had."""
    found = _sizes("/proc/self/status").get("VmHWM")
    # Some sandboxes lack it. The other number includes the process that started this one.
    return found or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def unique_bytes() -> int:
    """Return the part of this process's resident set that it shares with no other process."""
    sizes = _sizes("/proc/self/smaps_rollup")
    return sizes["Private_Clean"] + sizes["Private_Dirty"]


def open_files() -> int:
    """Return the number of this process's file descriptors."""
    return len(os.listdir("/proc/self/fd"))


def threads() -> int:
    """Return the number of this process's threads."""
    return len(os.listdir("/proc/self/task"))


def _sizes(path: str) -> Dict[str, int]:
    """Return the lines ``Name: N kB`` of a file."""
    found = {}
    for line in Path(path).read_text(encoding="ascii", errors="replace").splitlines():
        name, *words = line.split() or [""]
        if words[1:] == ["kB"]:
            found[name.rstrip(":")] = int(words[0]) * 1024
    return found
