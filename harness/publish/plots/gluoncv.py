"""The ratios of GluonCV's networks, from their own record."""

from __future__ import annotations

from typing import List

from harness.bench.record import load
from harness.publish.options import GLUONCV, GLUONCV_COMMAND
from harness.publish.plots import ratios, style
from harness.publish.plots.source import Source


def draw(source: Source) -> List[style.Drawn]:
    """Return the figure of the record in results/raw."""
    return ratios.of_record(load(source.record(GLUONCV, GLUONCV_COMMAND)))
