"""Reads from Linux the properties of this machine that speed depends on. Standard library only.

Names no person, computer or folder.
"""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any, Dict, FrozenSet, List

from harness.base import proc

_SYS_CPU = Path("/sys/devices/system/cpu")
# MKL-DNN chooses its kernels by these.
_VECTORS = ("sse4_2", "avx", "avx2", "avx512f")


def describe() -> Dict[str, Any]:
    """Return the fields of a machine's description (harness/base/machine.py)."""
    return {
        "cpu_model": proc.cpu_field("model name"),
        "vectors": " ".join(word for word in _VECTORS if word in cpu_flags()),
        "logical_cpus": len(cpus()),
        "physical_cores": physical_cores(),
        # Whole GiB: the exact size differs by some kilobytes from boot to boot.
        "memory_gib": round(proc.total_bytes() / 2**30),
        "kernel": f"{platform.system()} {platform.release()}",
        "glibc": " ".join(platform.libc_ver()),
        "compiler": _compiler(),
    }


def cpus() -> List[int]:
    """Return the numbers of the CPUs that this process may use."""
    return sorted(os.sched_getaffinity(0))


def physical_cores(sys_cpu: Path = _SYS_CPU) -> int:
    """Count the physical cores of the CPUs that this process may use."""
    cores = set()
    for cpu in cpus():
        topology = sys_cpu / f"cpu{cpu}" / "topology"
        try:
            package = (topology / "physical_package_id").read_text()
            core = (topology / "core_id").read_text()
        except OSError:  # Some containers hide the topology: count every CPU as a core.
            package, core = "unknown", str(cpu)
        cores.add((package.strip(), core.strip()))
    return len(cores)


def cpu_flags() -> FrozenSet[str]:
    """Return the processor's features in the words of /proc/cpuinfo."""
    return frozenset(proc.cpu_field("flags").split())


def _compiler() -> str:
    try:
        output = subprocess.run(["g++", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "none"
    return output.stdout.splitlines()[0]
