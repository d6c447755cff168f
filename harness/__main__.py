"""The command line: parses, dispatches to one module per command, and reports errors in a line.

A command is a module of this package with ``add_arguments(parser)`` and ``main(args) -> int``,
named in ``COMMANDS``. Only the chosen command's module is imported.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import types
from typing import Sequence

from harness.console import say
from harness.errors import HarnessError

# (command, module, what it does)
COMMANDS = (
    ("build", "harness.build", "build the library, the patched MXNets and their wheels"),
    ("bench", "harness.bench", "measure training throughput, stock against patched"),
    ("bench-dist", "harness.bench_dist", "measure distributed training on this machine"),
    ("microbench", "harness.microbench", "measure single MKL-DNN calls, real against cached"),
)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse ``argv`` (without the program's name); exits with code 2 on bad usage."""
    parser = argparse.ArgumentParser(
        prog="python -m harness",
        description="Build, measure and verify MXNet with cached MKL-DNN primitives.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((word for word in argv if not word.startswith("-")), None)
    for name, module_name, summary in COMMANDS:
        command = commands.add_parser(name, help=summary, description=summary)
        if name == chosen:
            module = _import(module_name)
            module.add_arguments(command)
            command.set_defaults(main=module.main)
    return parser.parse_args(argv)


def _import(module_name: str) -> types.ModuleType:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise HarnessError(
            f"{sys.executable} has no module {error.name!r}: "
            "run `make venv`, then use .venv/bin/python"
        ) from error


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit code: 2 for a HarnessError, 130 when interrupted."""
    try:
        args = parse(argv)
        return int(args.main(args))
    except HarnessError as error:
        say(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        say("interrupted")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
