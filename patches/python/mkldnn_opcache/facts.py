"""Reads from Linux which processor this is, and which cores a process may use."""

import os

MYPY = False
if MYPY:
    from typing import FrozenSet, List  # noqa: F401

_SYS_CPU = "/sys/devices/system/cpu"


def cpu_flags():
    # type: () -> FrozenSet[str]
    """Return the processor's features in the words of /proc/cpuinfo."""
    return frozenset(_field("/proc/cpuinfo", "flags").split())


def cpu_vendor():
    # type: () -> str
    """Return the processor's vendor in the words of /proc/cpuinfo, such as AuthenticAMD."""
    return _field("/proc/cpuinfo", "vendor_id")


def physical_cores(sys_cpu=_SYS_CPU):
    # type: (str) -> int
    """Count the physical cores of the CPUs that this process may use."""
    cores = set()
    for cpu in cpus():
        topology = os.path.join(sys_cpu, "cpu%d" % cpu, "topology")
        try:
            with open(os.path.join(topology, "physical_package_id")) as file:
                package = file.read().strip()
            with open(os.path.join(topology, "core_id")) as file:
                core = file.read().strip()
        except EnvironmentError:  # Some containers hide the topology: count every CPU as a core.
            package, core = "unknown", str(cpu)
        cores.add((package, core))
    return len(cores)


def cpus():
    # type: () -> List[int]
    """Return the numbers of the CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    # Python 2.7.
    found = []  # type: List[int]
    for part in _field("/proc/self/status", "Cpus_allowed_list").split(","):
        first, _, last = part.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return found


def _field(path, name):
    # type: (str, str) -> str
    with open(path) as file:
        for line in file:
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
    return ""
