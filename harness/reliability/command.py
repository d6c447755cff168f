"""The reliability command: runs the stages that a record lacks, and shows the findings.

The record is on disk after every stage; a killed run loses only the unfinished stage.
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
import time
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from tqdm import tqdm

from harness.base.console import shown
from harness.base.errors import HarnessError
from harness.base.layout import Layout, here
from harness.base.options import known_words, words
from harness.base.reading import sha256_of
from harness.build.toolchain import Toolchain, load_toolchain
from harness.reliability import record, table
from harness.reliability.context import Context, finding
from harness.reliability.record import (
    Finding,
    ReliabilityRecord,
    ReliabilitySettings,
)
from harness.reliability.stages import STAGES, Stage
from harness.trials.record import add_record_options, report, save, start_or_resume

EXAMPLES = """examples:
  python -m harness reliability --quick
  python -m harness reliability --stages threads,fork --seed 7
  python -m harness reliability --out results/raw/reliability.json
  python -m harness reliability --resume results/raw/reliability.json
  python -m harness reliability --stages training --hosts 1.6.0
  python -m harness reliability --show results/raw/reliability.json

exit code: 0 when nothing failed, 1 when something did.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``reliability``; lists are separated by commas."""
    parser.add_argument("--quick", action="store_true", help="a part of every stage, in minutes")
    names, hours = (
        ", ".join(stage.name for stage in stages)
        for stages in (STAGES, [stage for stage in STAGES if stage.hours])
    )
    parser.add_argument("--stages", help=f"of {names} (default: all; a full run without {hours})")
    parser.add_argument("--hosts", help="MXNet releases, such as 1.3.1,1.4.1")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    add_record_options(parser)


def main(args: argparse.Namespace) -> int:
    """Run the stages that the record lacks, print the tables, and return 0, or 1 on a failure."""
    layout = here()
    if args.show:
        run = record.load(args.show)
        return report(table.render(run), table.explanations(run))
    settings = resolve(
        load_toolchain(layout.toolchain), args.stages, args.hosts, args.quick, args.seed
    )
    versions = {layout.library.name: sha256_of(layout.library)}
    opening = ReliabilityRecord.opening("reliability", layout, versions)
    new = ReliabilityRecord(**opening, settings=settings, findings=[])
    run, path = start_or_resume(new, args.out, args.resume, layout.raw, record.load)
    run = run_stages(layout, without_failures(run), path)
    code = report(table.render(run), table.explanations(run))
    print(f"\nrecord: {shown(path, layout.root)} (`make tables` writes the published one's tables)")
    return code


def resolve(
    toolchain: Toolchain, stages: Optional[str], hosts: Optional[str], quick: bool, seed: int
) -> ReliabilitySettings:
    """Return the settings of a run; HarnessError names an unknown word and the known ones."""
    known = [stage.name for stage in STAGES]
    usual = [stage.name for stage in STAGES if quick or not stage.hours]
    chosen = known_words("--stages", stages, usual, known)
    all_hosts = [host.version for host in toolchain.hosts]
    asked_hosts = all_hosts if hosts is None else list(words("--hosts", hosts))
    for version in asked_hosts:
        toolchain.host(version)
    in_order = [name for name in known if name in chosen]
    return ReliabilitySettings(stages=in_order, hosts=asked_hosts, quick=quick, seed=seed)


def without_failures(run: ReliabilityRecord) -> ReliabilityRecord:
    """Return the run without its failed stages, which run again."""
    failed = {each.stage for each in run.failures}
    return run.model_copy(
        update={
            "findings": [each for each in run.findings if each.stage not in failed],
            "seconds": {name: s for name, s in run.seconds.items() if name not in failed},
        }
    )


def run_stages(
    layout: Layout,
    run: ReliabilityRecord,
    path: Path,
    stages: Sequence[Stage] = STAGES,
) -> ReliabilityRecord:
    """Run the stages that the record asks for and lacks; save it after each, in their order."""
    asked = [stage for stage in stages if stage.name in run.settings.stages]
    order = {stage.name: i for i, stage in enumerate(asked)}
    todo = [stage for stage in asked if stage.name not in run.seconds]
    with tqdm(
        total=len(asked), initial=len(asked) - len(todo), unit="stage", dynamic_ncols=True
    ) as progress:
        for stage in todo:
            progress.set_description(stage.name)
            start = time.monotonic()
            found = [_portable(layout, each) for each in _run_stage(layout, run.settings, stage)]
            seconds: Dict[str, float] = {
                **run.seconds,
                stage.name: round(time.monotonic() - start, 1),
            }
            findings = sorted([*run.findings, *found], key=lambda each: order[each.stage])
            run = run.model_copy(update={"findings": findings, "seconds": seconds})
            save(run, path)
            progress.update()
    return run


def _portable(layout: Layout, found: Finding) -> Finding:
    """Return a finding to publish, without folders of this machine."""
    details = [line.replace(f"{layout.root}/", "") for line in found.details]
    summary = found.summary.replace(f"{layout.root}/", "")
    return found.model_copy(update={"summary": summary, "details": details})


def _run_stage(layout: Layout, settings: ReliabilitySettings, stage: Stage) -> List[Finding]:
    module = importlib.import_module(stage.module)
    with tempfile.TemporaryDirectory(prefix="opcache-reliability-") as folder:
        context = Context(
            layout, settings.quick, settings.seed, tuple(settings.hosts), Path(folder)
        )
        try:
            found: List[Finding] = module.run(context)
        except HarnessError as error:
            first, *rest = str(error).splitlines()
            summary = "did not finish"
            return [finding(stage.name, "run", "fail", summary, details=[first, *rest])]
    foreign = sorted({each.stage for each in found} - {stage.name})
    if foreign or not found:
        summary = f"findings of {', '.join(foreign)}" if foreign else "no findings"
        return [finding(stage.name, "run", "fail", summary)]
    return found
