"""Reports the processes' counters as three lines and as a file.

Pure: counters in, text out. The counters are the library's own, as explained in
docs/configuration.md; a process that was killed, or never loaded a libmkldnn.so.0, has left none.
"""

from __future__ import annotations

import signal
from typing import Any, Dict, List, Optional, Sequence

from typing_extensions import Literal

from harness.trials.record import RecordModel


class Process(RecordModel):
    """A process that loaded a libmkldnn.so.0 and was not killed."""

    pid: int
    counters: Dict[str, Any]


class RunStatistics(RecordModel):
    """The file of --stats: the command's exit code or signal, and all processes."""

    kind: Literal["opcache-run"] = "opcache-run"
    schema_version: Literal[1] = 1
    command: List[str]
    exit_code: Optional[int]
    signal: Optional[int]
    processes: List[Process]


def lines(
    processes: Sequence[Process], ended_by: Optional[int], releases: Sequence[str]
) -> List[str]:
    """Return three lines: whether the cache was active, creations avoided, time saved.

    ``ended_by`` is the signal that killed the command, None if none did; ``releases`` are the
    MKL-DNN releases that the library knows.
    """
    active = [process for process in processes if process.counters["active"]]
    if not active:
        reason = _why_inactive(processes, ended_by, releases)
        unknown = ended_by is not None and not processes
        return [
            f"the cache was {'not seen' if unknown else 'not'} active: {reason}",
            f"creations avoided: {'unknown' if unknown else 0}",
            f"time not spent creating: {'unknown' if unknown else '0 s'}",
        ]
    total = {
        name: sum(process.counters["totals"][name] for process in active)
        for name in active[0].counters["totals"]
    }
    evicted = total["evictions"]
    return [
        f"the cache was active{_where(active, processes)}{_but_killed(ended_by)}",
        f"creations avoided: {total['primitives_avoided']} primitives and "
        f"{total['descriptors_avoided']} descriptors (created: {total['primitives_created']} and "
        f"{total['descriptors_created']})"
        + (f"; {evicted} were evicted: a larger {_bound(active)} avoids more" if evicted else ""),
        f"time not spent creating: {_seconds(total['avoided_ns'])} (spent creating: "
        f"{_seconds(total['create_ns'])}, in the cache: {_seconds(total['cache_ns'])})",
    ]


def _bound(active: Sequence[Process]) -> str:
    bounds = [process.counters["memory"] for process in active]
    return "--memory" if any(bound and bound["evictions"] for bound in bounds) else "--capacity"


def _where(active: Sequence[Process], processes: Sequence[Process]) -> str:
    kinds = {f"MKL-DNN {p.counters['mkldnn']}, scope {p.counters['scope']}" for p in active}
    many = f" in {len(active)} of {len(processes)} processes" if len(processes) > 1 else ""
    return f"{many}: {'; '.join(sorted(kinds))}"


def _but_killed(ended_by: Optional[int]) -> str:
    if ended_by is None:
        return ""
    return f" (without what {_name(ended_by)} killed: such a process leaves no counters)"


def _why_inactive(
    processes: Sequence[Process], ended_by: Optional[int], releases: Sequence[str]
) -> str:
    if not processes and ended_by is not None:
        return f"{_name(ended_by)} killed the command, and such a process leaves no counters"
    if not processes:
        return (
            "no process that ended by itself had loaded a libmkldnn.so.0, which MXNet 1.3 to 1.5 "
            "with MKL-DNN brings"
        )
    unknown = sorted(
        {p.counters["build_id"] or "none" for p in processes if not p.counters["recognised"]}
    )
    if unknown:
        return (
            f"libmkldnn.so.0 has build-id {', '.join(unknown)}, expected one of MXNet's releases "
            f"({', '.join(releases)})"
        )
    first = processes[0].counters
    memory = f", memory {first['memory']['bound_bytes']} bytes" if first["memory"] else ""
    return f"scope {first['scope']}, capacity {first['capacity']}{memory}"


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e9:.3f} s"
