"""The command ``opcache``: parses the command line, and reports an error in one line."""

import argparse
import sys

from . import doctor, enable, run, stats_table
from .common import one_line, say
from .library import Error

MYPY = False
if MYPY:
    from typing import List, NoReturn, Optional, Sequence, Tuple  # noqa: F401

COMMANDS = (run.COMMAND, doctor.COMMAND, stats_table.COMMAND) + enable.COMMANDS
_EXAMPLES = """\
examples:
  {program} run -- python train.py
  {program} doctor
"""
_MISUSED, _INTERRUPTED = 2, 130


class _Parser(argparse.ArgumentParser):
    """A parser whose help opens with examples, and whose errors are one line."""

    examples = ""

    def format_help(self):
        # type: () -> str
        return "%s\n%s" % (self.examples, argparse.ArgumentParser.format_help(self))

    def error(self, message):
        # type: (str) -> NoReturn
        raise Error("%s (%s --help lists the options)" % (message, self.prog))


def main(words=None, program="opcache"):
    # type: (Optional[Sequence[str]], str) -> int
    """Run the command in ``words`` (default: sys.argv) and return its exit code.

    The code is 2 for an error of the user's, 130 for Ctrl-C. ``program`` stands in help texts.
    """
    try:
        args = _parse(sys.argv[1:] if words is None else words, program)
        return int(args.main(args))
    except Error as error:
        say("error: %s" % one_line(str(error)))
    except EnvironmentError as error:  # no room, no permission
        named = "" if error.filename is None else "%s: " % error.filename
        say("error: %s" % one_line(named + (error.strerror or str(error))))
    except KeyboardInterrupt:
        say("interrupted")
        return _INTERRUPTED
    return _MISUSED


def _parse(words, program):
    # type: (Sequence[str], str) -> argparse.Namespace
    parser = _Parser(
        prog=program,
        description="Caches the MKL-DNN primitives of MXNet 1.3 to 1.6.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.examples = _EXAMPLES.format(program=program)
    commands = parser.add_subparsers(dest="name", metavar="COMMAND")
    for each in COMMANDS:
        command = commands.add_parser(each.name, help=each.summary, description=each.summary)
        command.examples = each.examples.format(program=program)
        each.add_arguments(command)
        command.set_defaults(main=each.main)
    own, after = _split(words)
    args = parser.parse_args(own)
    if getattr(args, "main", None) is None:  # Python 3 lets the command be absent
        parser.error("expected a command: %s" % ", ".join(each.name for each in COMMANDS))
    if after and args.name != "run":
        parser.error("unexpected words: %s" % " ".join(after))
    if args.name == "run":
        args.command += after
    return args


def _split(words):
    # type: (Sequence[str]) -> Tuple[List[str], List[str]]
    """Return the words before the first ``--``, and those behind it, which are all COMMAND's."""
    words = list(words)
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


if __name__ == "__main__":
    sys.exit(main())
