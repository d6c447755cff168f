"""Reads from Linux the properties of this machine that speed depends on. Standard library only.

Names no person, computer or folder.
"""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from typing import Any, Dict, Optional

from harness.base import proc
from patches.python.mkldnn_opcache.facts import cpu_flags, cpus, physical_cores

# MKL-DNN chooses its kernels by these.
_VECTORS = ("sse4_2", "avx", "avx2", "avx512f")


def describe() -> Dict[str, Any]:
    """Return the fields of a machine's description (harness/base/machine.py)."""
    return {
        "cpu_model": proc.cpu_field("model name"),
        "vectors": " ".join(word for word in _VECTORS if word in cpu_flags()),
        "logical_cpus": len(cpus()),
        "physical_cores": physical_cores(),
        "cpu_limit": cpu_limit(),
        "memory_gib": memory_gib(),
        "kernel": f"{platform.system()} {platform.release()}",
        "glibc": " ".join(platform.libc_ver()),
        "compiler": _compiler(),
    }


def memory_gib() -> int:
    """Return the machine's memory in whole GiB: kilobytes differ from boot to boot."""
    return round(proc.total_bytes() / 2**30)


def cpu_limit(cpu_max: Path = Path("/sys/fs/cgroup/cpu.max")) -> Optional[float]:
    """Return how many CPUs a container may use at a time; None without a limit."""
    try:
        quota, period = cpu_max.read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError):  # no such file, or the word max
        return None


def _compiler() -> str:
    try:
        output = subprocess.run(["g++", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "none"
    return output.stdout.splitlines()[0]
