"""The published tables of PR #11301 (results/reference), as numbers.

Read only: measurements of this project are never written there.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Dict, NamedTuple

from harness.base import reading
from harness.base.errors import HarnessError
from harness.base.layout import here

TITLE = "PR #11301"
# The release that lacks it, and the variant that repeats it: only these compare with its ratios.
RUN = HOST, VARIANT = "1.3.1", "backward"
BATCH_SIZE = 32
CORES = 56


class BeforeAfter(NamedTuple):
    """A value before the change and after it, and the reported ratio of after to before."""

    before: float
    after: float
    ratio: float


def throughput() -> Dict[str, BeforeAfter]:
    """Return images per second by network: batch size 32, 56 cores."""
    return _read("pr11301_throughput.csv")


def operator_ms() -> Dict[str, BeforeAfter]:
    """Return the total milliseconds by MXNet's name of the operator."""
    return _read("pr11301_op_time_ms.csv")


def _read(name: str) -> Dict[str, BeforeAfter]:
    path: Path = here().root / "results" / "reference" / name
    try:
        rows = list(csv.reader(reading.text(path).splitlines()))[1:]
        return {
            subject: BeforeAfter(float(before), float(after), float(percent) / 100)
            for subject, before, after, percent in rows
        }
    except (ValueError, csv.Error) as error:
        raise HarnessError(f"{path}: expected a name and three numbers a line: {error}") from error
