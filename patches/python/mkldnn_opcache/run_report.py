"""Reports the processes' counters as three lines.

Pure: counters in, text out. The counters are the library's own, as explained in
docs/configuration.md; a process that was killed, or never loaded an MKL-DNN, has left none.
"""

import collections

from . import variables
from .common import signal_name

MYPY = False
if MYPY:
    from typing import List, Optional, Sequence  # noqa: F401

# A process that loaded an MKL-DNN and was not killed.
Process = collections.namedtuple("Process", "pid counters")


def lines(processes, ended_by, releases):
    # type: (Sequence[Process], Optional[int], Sequence[str]) -> List[str]
    """Return three lines: whether the cache was active, creations avoided, time saved.

    ``ended_by`` is the signal that killed the command, None if none did; ``releases`` are the
    MKL-DNN releases that the library knows.
    """
    active = [process for process in processes if process.counters["active"]]
    if not active:
        reason = _why_inactive(processes, ended_by, releases)
        unknown = ended_by is not None and not processes
        return [
            "the cache was %s active: %s" % ("not seen" if unknown else "not", reason),
            "creations avoided: %s" % ("unknown" if unknown else 0),
            "time not spent creating: %s" % ("unknown" if unknown else "0 s"),
        ]
    total = {
        name: sum(process.counters["totals"][name] for process in active)
        for name in active[0].counters["totals"]
    }
    evicted = total["evictions"]
    hint = "; %d were evicted: a larger %s avoids more"
    return [
        "the cache was active%s%s" % (_where(active, processes), _but_killed(ended_by)),
        "creations avoided: %d primitives and %d descriptors (created: %d and %d)%s"
        % (
            total["primitives_avoided"],
            total["descriptors_avoided"],
            total["primitives_created"],
            total["descriptors_created"],
            hint % (evicted, _bound(active)) if evicted else "",
        ),
        "time not spent creating: %s (spent creating: %s, in the cache: %s)"
        % (
            _seconds(total["avoided_ns"]),
            _seconds(total["create_ns"]),
            _seconds(total["cache_ns"]),
        ),
    ]


def _bound(active):
    # type: (Sequence[Process]) -> str
    for name, option in (("memory", "--memory"), ("estimate", variables.ESTIMATE)):
        bounds = [process.counters.get(name) for process in active]
        if any(bound and bound["evictions"] for bound in bounds):
            return option
    return "--capacity"


def _where(active, processes):
    # type: (Sequence[Process], Sequence[Process]) -> str
    found = [process.counters for process in active]
    kinds = {"MKL-DNN %s, scope %s" % (each["mkldnn"], each["scope"]) for each in found}
    many = " in %d of %d processes" % (len(active), len(processes)) if len(processes) > 1 else ""
    return "%s: %s" % (many, "; ".join(sorted(kinds)))


def _but_killed(ended_by):
    # type: (Optional[int]) -> str
    if ended_by is None:
        return ""
    name = signal_name(ended_by)
    return " (without what %s killed: such a process leaves no counters)" % name


def _why_inactive(processes, ended_by, releases):
    # type: (Sequence[Process], Optional[int], Sequence[str]) -> str
    if not processes and ended_by is not None:
        name = signal_name(ended_by)
        return "%s killed the command, and such a process leaves no counters" % name
    if not processes:
        return (
            "no process that ended by itself had loaded a libmkldnn.so.0 or libmkldnn.so.1, "
            "which MXNet 1.3 to 1.6 with MKL-DNN brings"
        )
    all_counters = [process.counters for process in processes]
    unknown = {each["build_id"] or "none" for each in all_counters if not each["recognised"]}
    if unknown:
        return "MKL-DNN has build-id %s, expected one of MXNet's releases (%s)" % (
            ", ".join(sorted(unknown)),
            ", ".join(releases),
        )
    first = all_counters[0]
    memory = ", memory %d bytes" % first["memory"]["bound_bytes"] if first["memory"] else ""
    return "scope %s, capacity %d%s" % (first["scope"], first["capacity"], memory)


def _seconds(nanoseconds):
    # type: (int) -> str
    return "%.3f s" % (nanoseconds / 1e9)
