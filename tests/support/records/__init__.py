"""Made-up records, a module for each kind; no number in here was ever measured."""

from __future__ import annotations

from typing import Any, Dict, Type

from harness.base.machine import Machine
from harness.trials.record import RunRecord

STARTED = {"started_utc": "2000-01-01T00:00:00+00:00"}
MACHINE = Machine(
    cpu_model="Made-up CPU",
    logical_cpus=2,
    physical_cores=2,
    memory_gib=8,
    kernel="Linux 0.0",
    glibc="glibc 0.0",
    compiler="none",
)


def header(kind: Type[RunRecord]) -> Dict[str, Any]:
    """Return the fields that all records share; ``kind`` is the record's model."""
    return {
        **STARTED,
        "kind": kind.KIND,
        "schema_version": kind.SCHEMA_VERSION,
        "run_id": "made-up",
        "machine": MACHINE,
        "versions": {"opcache": "0.0.0", "python": "3.8.0"},
    }
