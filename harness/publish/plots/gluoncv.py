"""The ratios of GluonCV's networks, from their own record."""

from __future__ import annotations

from typing import List

from harness.bench.record import load
from harness.publish.options import GLUONCV, GLUONCV_COMMAND
from harness.publish.plots import ratios, style
from harness.publish.plots.source import Missing, Source


def draw(source: Source) -> List[style.Drawn]:
    """Return the figure of the record in results/raw."""
    path = source.results / "raw" / GLUONCV
    if not path.is_file():
        raise Missing(f"no record {GLUONCV} in results/raw: {GLUONCV_COMMAND}")
    return ratios.of_record(load(path))
