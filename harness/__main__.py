"""Parses the command line, dispatches to one module per command, reports an error in one line.

A command is a module named in ``COMMANDS``, with ``EXAMPLES`` (shown at the end of --help),
``add_arguments(parser)`` and ``main(args) -> int``. Only the chosen command's module is imported.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import types
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from harness.base.console import exit_code, shown
from harness.base.errors import HarnessError
from harness.base.layout import here

# (command, module of harness or None for a command of the package that users install, summary)
COMMANDS: Tuple[Tuple[str, Optional[str], str], ...] = (
    ("build", "build.command", "build the library, the patched MXNets and their wheels"),
    ("bench", "bench.command", "measure training throughput, unmodified and patched"),
    ("bench-releases", "bench.releases", "measure every MXNet release, served or not"),
    ("bench-kit", "bench.kit.command", "write an archive that measures on other machines"),
    ("tables", "publish.tables", "write the tables in results and in the documents"),
    ("compare", "bench.compare", "compare two records of the same benchmark"),
    ("plot", "publish.plots.command", "draw the figures of the records in results"),
    ("report", "publish.report.command", "write one HTML page of everything in results"),
    ("verify", "verify.command", "prove that the cache changes no bit of any result"),
    ("reliability", "reliability.command", "test threads, forks, kills and hostile input"),
    ("converge", "converge.command", "train CIFAR-10 unmodified and patched, bit for bit"),
    ("bench-dist", "distributed.command", "measure distributed training on this machine"),
    ("run", None, "run any command with the cache under its MXNet"),
    ("doctor", None, "diagnose an interpreter's MXNet, and measure its gain"),
    ("microbench", "microbench.command", "time single MKL-DNN calls, uncached and cached"),
    ("wheel", "build.wheel", "write our own wheel: the library, the package, its command"),
    ("dist", "build.dist", "write all that a release hands out"),
    ("source-patch", "build.source_patch", "write the cache as a patch for MXNet sources"),
)

# The commands of the package, and their options before the user's.
_INSTALLED: Dict[str, List[str]] = {"run": [], "doctor": ["--python", "python3"]}
_DOCTORS_OWN = (
    "--mxnet DIR: diagnose the MXNet that you built in DIR, a folder with mxnet/ inside\n"
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
        command = commands.add_parser(
            name,
            help=summary,
            description=summary,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == chosen and module_name is not None:
            module = _import(module_name)
            module.add_arguments(command)
            command.epilog = module.EXAMPLES
            command.set_defaults(main=module.main)
    return parser.parse_args(argv)


def _import(module_name: str) -> types.ModuleType:
    try:
        return importlib.import_module(f"harness.{module_name}")
    except ModuleNotFoundError as error:
        raise HarnessError(
            f"{sys.executable} has no module {error.name!r}: "
            "run `make venv`, then use .venv/bin/python"
        ) from error


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit code: 2 for an error of the user's, 130 for Ctrl-C."""
    return exit_code(lambda: _run(argv))


def _run(argv: Sequence[str]) -> int:
    if argv[:1] and argv[0] in _INSTALLED:
        return _installed(argv[0], argv[1:])
    args = parse(argv)
    return int(args.main(args))


def _installed(command: str, words: Sequence[str]) -> int:
    """Run a command of the package with the library of this work tree."""
    from patches.python.mkldnn_opcache import __main__ as package

    if command == "doctor" and not {"-h", "--help"}.isdisjoint(words):
        print(_DOCTORS_OWN)  # the package, whose help follows, does not know the option
    words, options = _with_own_build(command, words)
    library = here().library
    if not library.is_file():
        raise HarnessError(f"{shown(library, here().root)} not found: run make build first")
    options = ["--library", str(library), *options]
    return package.main([command, *options, *words], "python -m harness")


def _with_own_build(command: str, words: Sequence[str]) -> Tuple[List[str], List[str]]:
    """Return the doctor's words without --mxnet DIR, and the options by which it runs on that."""
    options = _INSTALLED[command]
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--mxnet")
    if command != "doctor" or not any(word.startswith("--mxnet") for word in words):
        return list(words), options
    found, rest = parser.parse_known_args(words)
    if found.mxnet is None:
        return list(words), options
    own = _import("trials.own")
    os.environ["PYTHONPATH"] = str(own.identified(Path(found.mxnet)).folder)
    return rest, ["--python", sys.executable]


def _forget_pythonpath() -> None:
    """Drop PYTHONPATH from sys.path: it is meant for the MXNet of ``run`` and ``doctor``."""
    named = {os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p}
    own = str(here().root)
    sys.path[:] = [p for p in sys.path if os.path.abspath(p) == own or p not in named]


if __name__ == "__main__":
    _forget_pythonpath()
    sys.exit(main(sys.argv[1:]))
