"""The form of a command, and the options that several commands have."""

import collections
import os

from . import variables
from .library import LIBRARY, Error, beside

MYPY = False
if MYPY:
    import argparse  # noqa: F401
    from typing import Dict, Mapping  # noqa: F401

# ``add_arguments(parser)``, ``main(arguments)`` returns the exit code; ``examples`` open the help.
Command = collections.namedtuple("Command", "name summary examples add_arguments main")

SETTINGS = (
    ("scope", variables.SCOPE),
    ("capacity", variables.CAPACITY),
    ("memory", variables.MEMORY),
)
# Of --bounded. MXNet's maps then keep next to nothing: the cache keeps it, and evicts the oldest.
_BOUNDED_MAPS = "1"
_BOUNDED_MEMORY = "512M"


def add_library(parser):
    # type: (argparse.ArgumentParser) -> None
    """Add --library."""
    parser.add_argument(
        "--library", metavar="FILE", help="%s to use (default: the installed one)" % LIBRARY
    )


def add_cache(parser):
    # type: (argparse.ArgumentParser) -> None
    """Add --scope, --capacity, --memory, --bounded and --compat."""
    parser.add_argument(
        "--scope", help="operators to cache: all (default), backward, off, or a comma list"
    )
    parser.add_argument("--capacity", metavar="N", help="most primitives cached (default: 4096)")
    parser.add_argument(
        "--memory",
        metavar="BYTES",
        help="most memory of idle objects, such as 512M (default: 1G, estimated)",
    )
    parser.add_argument(
        "--bounded",
        action="store_true",
        help="for shapes that vary: limit MXNet's own maps, and --memory to %s unless given"
        % _BOUNDED_MEMORY,
    )
    parser.add_argument(
        "--compat",
        action="store_true",
        help="add the names that newer NumPy and Python removed, before MXNet is imported",
    )


def library(args):
    # type: (argparse.Namespace) -> str
    """Return the absolute path of the library; Error when there is none."""
    path = os.path.abspath(beside() if args.library is None else args.library)
    if os.path.isfile(path):
        return path
    if args.library is not None:
        raise Error("--library %s: no such file" % args.library)
    raise Error(
        "no %s at %s: install the wheel mkldnn_opcache, or name a file with --library"
        % (LIBRARY, path)
    )


def cache(args, outer):
    # type: (argparse.Namespace, Mapping[str, str]) -> Dict[str, str]
    """Return the variables of the settings that were given; Error when one is wrong.

    ``outer`` are variables that apply as well.
    """
    found = {}
    for name, variable in SETTINGS:
        value = getattr(args, name)
        if value is not None:
            fault = variables.CHECKS[variable](value)
            if fault is not None:
                raise Error(fault)
            found[variable] = value
    if args.bounded:
        found[variables.MAPS] = _BOUNDED_MAPS
        if not outer.get(variables.MEMORY):
            found.setdefault(variables.MEMORY, _BOUNDED_MEMORY)
    if args.compat:
        found[variables.COMPAT] = "1"
    return found
