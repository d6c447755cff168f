"""The bench-releases command: one step of each network on every MXNet release, served or not.

Builds what only this comparison needs, then measures as ``bench`` does.
"""

from __future__ import annotations

import argparse

from harness.base.errors import HarnessError
from harness.base.layout import here
from harness.bench import command, pytorch
from harness.bench.views import releases
from harness.build import pip, trees, work_tree
from harness.build.toolchain import load_toolchain

EXAMPLES = """examples:
  python -m harness bench-releases --series releases --models mobilenet-1.0 --samples 3
  python -m harness bench-releases --pytorch --out results/raw/bench-releases.jsonl
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``bench-releases``: those of ``bench``, and ``--pytorch``."""
    command.add_arguments(parser)
    parser.set_defaults(config=here().root / "configs" / "bench-releases.toml")
    parser.add_argument(
        "--pytorch", action="store_true", help="measure PyTorch too; makes its environment first"
    )


def main(args: argparse.Namespace) -> int:
    """Measure, print the tables of ``bench`` and the releases side by side; return as it does."""
    if args.mxnet is not None or args.against is not None:
        raise HarnessError("bench-releases: expected releases, found a build: bench measures it")
    with work_tree.locked() as paths:
        for wheel in load_toolchain(paths.toolchain).unserved:
            trees.make_stock(paths, wheel, pip.wheel_cache())
        if args.pytorch:
            pytorch.make(paths)
    run, code = command.measure(args)
    if run.samples:  # alternating scopes have tables of their own
        print("\n".join(releases.table(run)))
    return code
