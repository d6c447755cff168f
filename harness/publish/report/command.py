"""The report command: gathers the files of results/ in one HTML page.

Parts whose files do not exist yet are left out, and named.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from harness.base import files
from harness.base.console import say, shown
from harness.base.errors import HarnessError
from harness.base.layout import Layout, here
from harness.base.toml import project_version
from harness.bench.record import BenchRecord, load
from harness.publish.options import GLUONCV, add_record, record_path
from harness.publish.report import measured, page, parts
from harness.verify.record import load as load_verification

TITLE = "opcache: what was measured"
LEAD = (
    "Stock MXNet against the same MXNet with cached MKL-DNN primitives: throughput, time per "
    "operator, memory, and the proof that results stay the same bits."
)
EXAMPLES = """example:
  python -m harness report results/raw/bench-quick.jsonl --out /tmp/report.html
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``report``."""
    add_record(parser)
    parser.add_argument("--results", type=Path, help="folder of everything else (default: results)")
    parser.add_argument("--out", type=Path, help="the page (default: results/report.html)")


def main(args: argparse.Namespace) -> int:
    """Write the page, name the missing parts, and return 0."""
    layout = here()
    results = args.results or layout.root / "results"
    path = args.out or results / "report.html"
    record = record_path(args.record, results)
    run = None if record is None else load(record)
    version = project_version(layout.pyproject)
    text, missing = render(results, run, version, bench_command(layout, record))
    for line in missing:
        say(line)
    files.write_text(path, text)
    print(f"{shown(path, layout.root)}: {len(text.encode()) / 2**20:.1f} MiB")
    return 0


def bench_command(layout: Layout, record: Optional[Path]) -> str:
    """Return the command that makes the record; a published one is named after its settings."""
    if record is None:
        return "make bench"
    config = layout.root / "configs" / f"{record.stem}.toml"
    options = f"--config {shown(config, layout.root)} " if config.is_file() else ""
    return f"make bench ARGS='{options}--out {shown(record, layout.root)}'"


def render(
    results: Path, run: Optional[BenchRecord], version: str, made_by: str
) -> Tuple[str, List[str]]:
    """Return the page, and a line for each missing part."""
    sections, missing = parts.sections(results, made_by)
    cards: List[page.Card] = []
    if run is None:
        missing.insert(0, f"no record of a benchmark in {results / 'raw'}: make bench")
    else:
        cards += measured.cards(run)
        gluoncv = results / "raw" / GLUONCV
        others = [load(gluoncv)] if gluoncv.is_file() else []
        sections[1:1] = [measured.slower(run, *others)]
        sections += [measured.limits(run), measured.machine(run)]
    cards += _verified(sorted((results / "raw").glob("verify*.json")))
    if not sections:
        raise HarnessError(f"{results}: nothing to report: run make bench, make plot, make verify")
    foot = f"opcache {version}, Apache License 2.0. This page holds everything that it shows."
    return page.render(TITLE, LEAD, cards, sections, foot), missing


def _verified(paths: Sequence[Path]) -> List[page.Card]:
    if not paths:
        return []
    runs = map(load_verification, paths)
    count = Counter(check.status for run in runs for check in run.checks)
    detail = f"{count['fail']} failed"
    if count["stock"]:
        detail += f", {count['stock']} fail on stock in the same way"
    return [page.Card(str(count["pass"]), "checks passed by make verify", detail)]
