"""The doctor command: diagnoses an interpreter's MXNet, and measures its gain from the cache.

Gathers facts by running the interpreter, and prints the findings of doctor_rules.py and probe.py.
Changes nothing on the machine.
"""

import fcntl
import os
import struct
import sys
import termios
import textwrap

from . import doctor_rules, elf, facts, probe, run, variables
from .common import json_text, say, show, which, write_text
from .doctor_rules import warning
from .library import Error, beside
from .options import Command

MYPY = False
if MYPY:
    import argparse  # noqa: F401
    from typing import Any, Dict, List, Mapping, Sequence  # noqa: F401

    from .doctor_rules import Finding  # noqa: F401

_EXAMPLES = """\
examples:
  {program} doctor
  {program} doctor --python ~/venv/bin/python --json doctor.json
  {program} doctor --no-probe

Exit code: 1 when a line says problem, 2 when doctor itself was misused, else 0.
"""
_TIMEOUT_S = 60
_COLOURS = {"ok": "32", "warning": "33", "problem": "1;31"}
_NARROWEST = 40  # characters of text beside status and subject


def add_arguments(parser):
    # type: (argparse.ArgumentParser) -> None
    """Add the options of ``doctor``."""
    parser.add_argument("--library", metavar="FILE", help="library to use (default: installed)")
    parser.add_argument(
        "--python",
        default=sys.executable,
        metavar="PATH",
        help="interpreter to diagnose (default: %(default)s)",
    )
    parser.add_argument("--no-probe", action="store_true", help="skip the training; takes seconds")
    parser.add_argument("--json", metavar="FILE", help="write findings and facts")


def main(args):
    # type: (argparse.Namespace) -> int
    """Print the findings; return 1 when one of them is a problem, else 0."""
    library = os.path.abspath(beside() if args.library is None else args.library)
    python = which(args.python)
    if python is None:
        raise Error("--python %s: no such program" % args.python)
    look, loaded = gather(python, os.environ)
    found = judge(look, loaded, library, os.environ)
    samples = []  # type: List[probe.ProbeSample]
    if may_probe(look, loaded, found) and not args.no_probe:
        say("training a small network for up to %.0f seconds" % probe.BUDGET_S)
        try:
            samples = probe.run(python, _probe_environment(library, loaded))
            found += probe.findings(samples)
        except Error as error:
            found.append(warning("probe", str(error)))
    _print(found)
    if args.json is not None:
        record = {
            "kind": "opcache-doctor",
            "schema_version": 1,
            "findings": [dict(finding._asdict()) for finding in found],
            "interpreter": look,
            "imported": loaded,
            "probe": [dict(sample._asdict()) for sample in samples],
        }
        try:
            write_text(args.json, json_text(record))
        except EnvironmentError as error:
            raise Error("--json %s: %s" % (args.json, error.strerror))
        show("record: %s" % args.json)
    return 1 if doctor_rules.worst(found) == "problem" else 0


def gather(python, environment):
    # type: (str, Mapping[str, str]) -> List[Dict[str, Any]]
    """Return the facts of probe_inspect.py before MXNet is imported, and after."""
    try:
        look = probe.ask([python], "probe_inspect.py", ["look"], environment, _TIMEOUT_S)
    except OSError as error:
        raise Error("%s: expected a Python, found none: %s" % (python, error.strerror))
    except Error as error:
        raise Error("%s: expected a Python, found a program that %s" % (python, error))
    if look["mxnet"] is None:
        return [look, {}]
    try:
        loaded = probe.ask([python], "probe_inspect.py", ["import"], environment, _TIMEOUT_S)
    except Error as error:  # a crash
        loaded = {"error": str(error)}
    return [look, loaded]


def judge(look, loaded, library, environment):
    # type: (Dict[str, Any], Dict[str, Any], str, Mapping[str, str]) -> List[Finding]
    """Return all findings except the probe's."""
    cores = facts.physical_cores()
    found = [doctor_rules.interpreter(look)] + doctor_rules.mxnet(look, loaded)
    if look["mxnet"] is not None:
        path = doctor_rules.mkldnn_library(look, loaded)
        build_id = elf.build_id(path) if path is not None else None
        found.append(doctor_rules.mkldnn(look, loaded, build_id, environment))
        if doctor_rules.is_served(look, loaded) and found[-1].status == "ok":
            found.append(doctor_rules.cache(look, loaded, library))
            found.append(doctor_rules.maps(look, loaded, environment))
    found.append(doctor_rules.cpu(facts.cpu_flags()))
    found += doctor_rules.threads(loaded, environment, cores)
    found += doctor_rules.allocator(facts.cpu_vendor(), environment)
    found += doctor_rules.engine(environment, loaded.get("omp_max_threads"), cores)
    found += doctor_rules.debugging(environment)
    return found + doctor_rules.options(environment)


def may_probe(look, loaded, found):
    # type: (Dict[str, Any], Dict[str, Any], Sequence[Finding]) -> bool
    """Tell whether the cache could be active in that interpreter's MXNet."""
    if look["mxnet"] is None or not doctor_rules.is_served(look, loaded):
        return False
    broken = {finding.subject for finding in found if finding.status == "problem"}
    return not broken & {"python", "mxnet", "mkl-dnn", "cache"}


def _probe_environment(library, loaded):
    # type: (str, Mapping[str, Any]) -> Dict[str, str]
    # The user's variables, without those of the cache that would change the measurement.
    kept = (variables.ASSUME, variables.COMPAT)
    outer = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(variables.SCOPE) or name in kept
    }
    return outer if loaded.get("inside") else run.preloaded(library, outer, {})


def _print(found):
    # type: (Sequence[Finding]) -> None
    width = 0
    if sys.stdout is not None and sys.stdout.isatty():
        # struct winsize: rows, columns, and both in pixels.
        size = fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, b"\0" * 8)
        width = struct.unpack("HHHH", size)[1]
    for line in lines(found, width):
        show(line)


def lines(found, width=0):
    # type: (Sequence[Finding], int) -> List[str]
    """Return a line for each finding; for a terminal ``width`` wide, in colours and columns."""
    subjects = max(len(finding.subject) for finding in found)
    shown = []
    for status, subject, text in found:
        head = "%-7s  %-*s  " % (status, subjects, subject)
        if width < len(head) + _NARROWEST:
            shown.append(head + text)
            continue
        colour = "\x1b[%sm%s\x1b[0m" % (_COLOURS[status], status)
        first, rest = head.replace(status, colour, 1), " " * len(head)
        wrapped = textwrap.wrap(text, width - len(head))
        shown += [(rest if number else first) + line for number, line in enumerate(wrapped)]
    return shown


COMMAND = Command(
    "doctor",
    "diagnose an interpreter's MXNet, and measure its gain",
    _EXAMPLES,
    add_arguments,
    main,
)
