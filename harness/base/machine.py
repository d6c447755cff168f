"""Describes the machine of a measurement, so that results of two machines are never mixed.

A description has what changes a measurement, and names no person, computer or folder.
"""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import FrozenSet

import pydantic

from harness.base import proc
from harness.base.toml import FrozenModel

_SYS_CPU = Path("/sys/devices/system/cpu")


class Machine(FrozenModel):
    """The properties of a machine that speed depends on, with the CPUs that a process may use."""

    cpu_model: str
    logical_cpus: int = pydantic.Field(gt=0)
    physical_cores: int = pydantic.Field(gt=0)
    memory_gib: int = pydantic.Field(ge=0)
    kernel: str
    glibc: str
    compiler: str


def describe() -> Machine:
    """Return the description of this machine."""
    return Machine(
        cpu_model=proc.cpu_field("model name"),
        logical_cpus=len(os.sched_getaffinity(0)),
        physical_cores=physical_cores(),
        # Whole GiB: the exact size differs by some kilobytes from boot to boot.
        memory_gib=round(proc.total_bytes() / 2**30),
        kernel=f"{platform.system()} {platform.release()}",
        glibc=" ".join(platform.libc_ver()),
        compiler=_compiler(),
    )


def physical_cores(sys_cpu: Path = _SYS_CPU) -> int:
    """Count the physical cores of the CPUs that this process may use."""
    cores = set()
    for cpu in os.sched_getaffinity(0):
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
