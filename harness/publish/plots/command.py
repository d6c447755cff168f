"""The plot command: draws every family of figures from results/ and writes them as SVG and PNG.

Another family is one more name in ``FAMILIES``. A family without data is skipped with a line that
names the missing record.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import List

from harness.base.console import say, shown
from harness.base.layout import here
from harness.base.options import known_words
from harness.bench import extrapolation
from harness.bench.record import load
from harness.publish.options import add_efficiency, add_record, predicting, record_path
from harness.publish.plots import style
from harness.publish.plots.source import Missing, Source

# Modules with draw(source).
FAMILIES = (
    *("ratios", "gluoncv", "releases", "latency"),
    *("operators", "shares", "cores", "curves", "soak"),
)
EXAMPLES = """examples:
  python -m harness plot
  python -m harness plot results/raw/bench-quick.jsonl --to /tmp/figures
  python -m harness plot --only ratios,cores --efficiency 0.7
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``plot``."""
    add_record(parser)
    parser.add_argument("--results", type=Path, help="folder of other records (default: results)")
    parser.add_argument("--to", type=Path, help="folder for the figures (default: results/figures)")
    parser.add_argument(
        "--converge", type=Path, help="record of a convergence run (default: raw/converge.json)"
    )
    parser.add_argument("--only", help=f"families: {','.join(FAMILIES)}")
    add_efficiency(parser)


def main(args: argparse.Namespace) -> int:
    """Draw and write the figures; return 0, or 1 if none could be drawn."""
    layout = here()
    results = args.results or layout.root / "results"
    folder = args.to or results / "figures"
    wanted = known_words("--only", args.only, FAMILIES, FAMILIES)
    path = record_path(args.record, results)
    run = None if path is None else load(path)
    efficiency = extrapolation.checked(args.efficiency)
    other = predicting(run, args.record, results)
    source = Source(results, run, efficiency, args.converge, predicting=other)
    written: List[Path] = []
    for name in (name for name in FAMILIES if name in wanted):
        try:
            for drawn in importlib.import_module(f"harness.publish.plots.{name}").draw(source):
                written += style.write(drawn, folder)
        except Missing as missing:
            say(f"no figure of {name}: {missing}")
    print(f"{shown(folder, layout.root)}: {len(written)} files")
    return 0 if written else 1
