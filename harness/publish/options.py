"""The options of the commands that show a benchmark: the record, and the model's efficiency."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Optional

from harness.bench import extrapolation, pr11301
from harness.bench.record import BenchRecord, load

# The published records in results/raw, in order of preference.
PUBLISHED = ("bench-full.jsonl", "bench-quick.jsonl")
# The older one, which has batch 32 on every network.
FRESH = "bench-fresh-processes.jsonl"
# That of GluonCV's networks, which has a page and a figure of its own.
GLUONCV = "bench-gluoncv.jsonl"
GLUONCV_COMMAND = (
    f"make bench ARGS='--config configs/bench-gluoncv.toml --out results/raw/{GLUONCV}'"
)


def add_record(parser: argparse.ArgumentParser, more: str = "") -> None:
    """Add the record's path; its help mentions ``more`` after the default."""
    parser.add_argument(
        "record",
        nargs="?",
        type=Path,
        help="record of a benchmark, finished or not (default: that of the full one in "
        f"results/raw, or else of the quick one{more})",
    )


def add_efficiency(parser: argparse.ArgumentParser) -> None:
    """Add the parallel efficiency of the model for more cores; ``checked`` takes it."""
    parser.add_argument(
        "--efficiency",
        type=float,
        default=extrapolation.EFFICIENCY,
        help="what each further core adds, as a part of one here; see docs/extrapolation.md "
        "(default: %(default)s)",
    )


def record_path(asked: Optional[Path], results: Path) -> Optional[Path]:
    """Return the record asked for, or else the published one; None without either."""
    paths = [results / "raw" / name for name in PUBLISHED]
    return asked or next((path for path in paths if path.is_file()), None)


def predicting(
    run: Optional[BenchRecord], asked: Optional[Path], results: Path
) -> Optional[BenchRecord]:
    """Return the record of which more cores are predicted, at the batch size of PR #11301.

    It is ``run``, the one to show, if it was asked for or has that batch size; else the one of
    fresh processes if it exists.
    """
    fresh = results / "raw" / FRESH
    if run is not None and (asked is not None or not fresh.is_file() or _predicts(run)):
        return run
    return load(fresh) if fresh.is_file() else None


def _predicts(run: BenchRecord) -> bool:
    found = extrapolation.measured(run)
    return any(each.case.batch_size == pr11301.BATCH_SIZE for each in found)
