"""The verify command: runs the checks that a record lacks, and shows the findings.

Every finished task is in the record on disk before the next result; a killed run loses only
unfinished tasks.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

from tqdm import tqdm

from harness.base.console import shown
from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.base.reading import sha256_of
from harness.base.toml import load
from harness.trials import own
from harness.trials.launch import WorkerFailed
from harness.trials.proof import NotProven
from harness.trials.record import add_record_options, report, save, start_or_resume
from harness.trials.variants import (
    OwnLayout,
    baseline,
    library_versions,
    parse_variant,
    without_paths,
)
from harness.verify import (
    bitwise,
    faults,
    mxnet_debug,
    mxnet_tests,
    operators,
    plan,
    record,
    shadow,
    table,
)
from harness.verify.context import Context, Task, check, command_for
from harness.verify.record import Check, VerifyRecord

_RUN: Dict[str, Callable[[Context, Task], List[Check]]] = {
    "operators": operators.run,
    "bitwise": bitwise.run,
    "debug": mxnet_debug.run,
    "shadow": shadow.run,
    "faults": faults.run,
    "upstream": mxnet_tests.run,
}
EXAMPLES = """examples:
  python -m harness verify --quick
  python -m harness verify --stages bitwise,shadow --models resnet-50 --hosts 1.3.1
  python -m harness verify --out results/raw/verify.json
  python -m harness verify --quick --mxnet ../mxnet/python --against ../mxnet-before/python
  python -m harness verify --resume results/raw/verify.json
  python -m harness verify --show results/raw/verify.json > results/verify.md

exit code: 0 when every check passed or failed on stock alike, 1 when one failed.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``verify``; lists are separated by commas."""
    parser.add_argument("--quick", action="store_true", help="configs/verify-quick.toml")
    parser.add_argument("--config", type=Path, help="default: configs/verify-full.toml")
    parser.add_argument("--stages", help=f"of {', '.join(plan.STAGES)}")
    parser.add_argument("--models", help="networks, such as alexnet,resnet-50")
    parser.add_argument("--hosts", help="MXNet releases, such as 1.3.1,1.4.1")
    parser.add_argument("--scopes", help="for every release: backward, all, operators joined by +")
    parser.add_argument("--operators", help="operators, such as convolution,pooling")
    parser.add_argument("--faults", help="planted faults, such as NO_HINT,DROP-lrn.beta")
    parser.add_argument(
        "--mxnet-tests",
        type=Path,
        metavar="DIR",
        help="a checkout of MXNet, at a release's tag",
    )
    parser.add_argument("--test-files", help="of MXNet's tests, such as mkl/test_mkldnn.py")
    own.add_options(parser)
    add_record_options(parser)


def main(args: argparse.Namespace) -> int:
    """Make the checks that the record lacks, print the tables, and return 0, or 1 on a failure."""
    if args.show:
        run = record.load(args.show)
        return report(table.render(run), table.explanations(run))
    layout = own.layout_of(args)
    name = "verify-quick.toml" if args.quick else "verify-full.toml"
    config = load(args.config or layout.root / "configs" / name, plan.VerifyConfig)
    options = ("stages", "models", "hosts", "scopes", "operators", "faults")
    asked = {name: getattr(args, name) for name in (*options, "mxnet_tests", "test_files")}
    if isinstance(layout, OwnLayout):
        config, asked = _of_own(layout, config, asked)
    toolchain = own.toolchain_of(layout)
    settings = plan.resolve(config, toolchain, **asked, baseline=baseline(layout))
    versions = _versions(layout, settings)
    opening = VerifyRecord.opening("verify", layout, versions)
    new = VerifyRecord(**opening, settings=settings, checks=[])
    run, path = start_or_resume(new, args.out, args.resume, layout.raw, record.load)
    # Failed tasks run again: their fault may be fixed now.
    failed = {check.key for check in run.failures}
    run = run.model_copy(update={"checks": [c for c in run.checks if c.key not in failed]})
    context = Context(layout, settings, config.timeout_s, args.mxnet_tests)
    run = make_checks(context, run, path, config.workers)
    code = report(table.render(run), table.explanations(run))
    print(f"\nrecord: {shown(path, layout.root)}")
    return code


def _of_own(
    layout: OwnLayout, config: plan.VerifyConfig, asked: Dict[str, Any]
) -> Tuple[plan.VerifyConfig, Dict[str, Any]]:
    """Return the configuration and the options for an MXNet that somebody built."""
    if asked["faults"] is not None or "faults" in (asked["stages"] or "").split(","):
        raise HarnessError(
            "faults: expected releases, found --mxnet: a fault is in a library that is preloaded "
            "under a release"
        )
    scopes = {layout.own.name: tuple(own.scopes_of(layout))}
    stages = asked["stages"]
    if stages is None:
        tests = ("upstream",) if asked["mxnet_tests"] is not None else ()
        stages = ",".join([s for s in plan.STAGES if s not in ("faults", "upstream")] + [*tests])
    # The hosts of a network are releases.
    networks = tuple(each.model_copy(update={"hosts": None}) for each in config.networks)
    found = config.model_copy(update={"scopes": scopes, "faults": (), "networks": networks})
    return found, {**asked, "stages": stages}


def _versions(layout: Layout, settings: record.VerifySettings) -> Dict[str, str]:
    if not isinstance(layout, OwnLayout):
        return {layout.library.name: sha256_of(layout.library)}
    found: Dict[str, str] = {}
    for word in (settings.baseline, *settings.scopes[layout.own.name]):
        found.update(library_versions(layout, layout.own.name, parse_variant(word)))
    return found


def _run_task(context: Context, task: Task) -> List[Check]:
    try:
        return _RUN[task.stage](context, task)
    except (WorkerFailed, NotProven) as error:
        return [check(task, "run", "fail", "did not finish", str(error).splitlines())]


def _explained(layout: Layout, found: Check) -> Check:
    """Return a check to record: without paths, a failure with the command that repeats it."""
    lines = [without_paths(layout, line) for line in found.lines]
    if found.status == "fail":
        lines.append(f"repeat with: {command_for(layout, Task(*found.key))}")
    return found.model_copy(update={"lines": lines})


def make_checks(context: Context, run: VerifyRecord, path: Path, workers: int) -> VerifyRecord:
    """Run the tasks that the record lacks, ``workers`` at a time; findings are in task order."""
    order = {task: i for i, task in enumerate(plan.tasks(context.settings))}
    done = {check.key for check in run.checks}
    todo = [task for task in order if task not in done]
    with ThreadPoolExecutor(workers) as pool, tqdm(
        total=len(order), initial=len(order) - len(todo), unit="task", dynamic_ncols=True
    ) as progress:
        started = {pool.submit(_run_task, context, task): task for task in todo}
        try:
            for future in as_completed(started):
                task = started[future]
                found = [_explained(context.layout, each) for each in future.result()]
                checks = sorted([*run.checks, *found], key=lambda c: order[Task(*c.key)])
                run = run.model_copy(update={"checks": checks})
                save(run, path)
                progress.set_description(f"{task.stage} {task.subject} {task.host}")
                progress.update()
        except BaseException:
            for future in started:
                future.cancel()
            raise
    return run
