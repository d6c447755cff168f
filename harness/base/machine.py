"""Describes the machine of a measurement, so that results of two machines are never mixed.

A description has what changes a measurement, and names no person, computer or folder.
"""

from __future__ import annotations

from typing import Optional

import pydantic

from harness.base import hardware
from harness.base.toml import FrozenModel


class Machine(FrozenModel):
    """The properties of a machine that speed depends on, with the CPUs that a process may use."""

    cpu_model: str
    vectors: Optional[str] = None  # not in older records
    logical_cpus: int = pydantic.Field(gt=0)
    physical_cores: int = pydantic.Field(gt=0)
    cpu_limit: Optional[float] = None  # of a container; not in older records
    memory_gib: int = pydantic.Field(ge=0)
    kernel: str
    glibc: str
    compiler: str


def describe() -> Machine:
    """Return the description of this machine."""
    return Machine(**hardware.describe())
