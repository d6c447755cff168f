"""Describes the machine that results were made on, so that they are not mixed with others'.

Holds what changes a measurement, and nothing that names a person, a computer or a folder.
"""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import FrozenSet

import pydantic

_SYS_CPU = Path("/sys/devices/system/cpu")


class Machine(pydantic.BaseModel):
    """A machine, as far as speed depends on it; CPUs are those that this process may use."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    cpu_model: str
    logical_cpus: int = pydantic.Field(gt=0)
    physical_cores: int = pydantic.Field(gt=0)
    memory_gib: int = pydantic.Field(ge=0)
    kernel: str
    glibc: str
    compiler: str


def describe() -> Machine:
    """Return this machine."""
    return Machine(
        cpu_model=_field(Path("/proc/cpuinfo"), "model name"),
        logical_cpus=len(os.sched_getaffinity(0)),
        physical_cores=physical_cores(),
        memory_gib=_memory_gib(),
        kernel=f"{platform.system()} {platform.release()}",
        glibc=" ".join(platform.libc_ver()),
        compiler=_compiler(),
    )


def physical_cores(sys_cpu: Path = _SYS_CPU) -> int:
    """Return how many physical cores the CPUs that this process may use belong to."""
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
    """Return what the processor can do, in the words of /proc/cpuinfo."""
    return frozenset(_field(Path("/proc/cpuinfo"), "flags").split())


def _field(path: Path, name: str) -> str:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def _memory_gib() -> int:
    # Whole GiB: the exact size differs by some kilobytes from boot to boot.
    kib = _field(Path("/proc/meminfo"), "MemTotal").split()[0]
    return round(int(kib) / 2**20) if kib.isdigit() else 0


def _compiler() -> str:
    try:
        output = subprocess.run(["g++", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "none"
    return output.stdout.splitlines()[0]
