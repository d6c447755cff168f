"""The stats command: prints a statistics file as a table for each process."""

from .common import read_json, show
from .library import Error
from .options import Command

MYPY = False
if MYPY:
    import argparse  # noqa: F401
    from typing import Any, Dict, List, Sequence  # noqa: F401

_EXAMPLES = """\
examples:
  {program} stats stats.json

FILE is written by `{program} run --stats FILE`, or by a process with MKLDNN_OPCACHE_STATS=FILE.
"""
_HEAD = (
    ("operator", "primitives", "", "descriptors", "", "time not"),
    ("", "avoided", "created", "avoided", "created", "spent, s"),
)


def add_arguments(parser):
    # type: (argparse.ArgumentParser) -> None
    """Add the arguments of ``stats``."""
    parser.add_argument("file", metavar="FILE", help="the statistics file")


def main(args):
    # type: (argparse.Namespace) -> int
    """Print the tables; Error when the file has another schema."""
    text = tables(read_json(args.file), args.file)
    show("\n\n".join(text))
    return 0


def tables(content, path):
    # type: (Any, str) -> List[str]
    """Return the text of each process; Error names ``path`` when it has no such content."""
    found = content if isinstance(content, dict) else {}
    try:
        if (found.get("kind"), found.get("schema_version")) == ("opcache-run", 1):
            texts = [_text(each["counters"], each["pid"]) for each in found["processes"]]
            return texts or ["no process had loaded an MKL-DNN"]
        if found.get("schema") == 1 and "operators" in found:
            return [_text(found, None)]
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise Error("%s: expected counters of opcache, found others (%r)" % (path, error))
    kind, version = found.get("kind"), found.get("schema_version", found.get("schema"))
    raise Error(
        "%s: expected a statistics file of opcache, schema 1, found kind %.40s, schema %.40s"
        % (path, kind, version)
    )


def _text(counters, pid):
    # type: (Dict[str, Any], Any) -> str
    totals = counters["totals"]
    state = "active" if counters["active"] else "not active"
    of = "process %d: " % pid if pid is not None else ""
    head = "%s%s, MKL-DNN %s, scope %s, %d evicted" % (
        of,
        state,
        counters["mkldnn"] or "unknown",
        counters["scope"],
        totals["evictions"],
    )
    # The operators that gained most first.
    operators = sorted(
        counters["operators"].items(), key=lambda item: (-item[1]["avoided_ns"], item[0])
    )
    rows = [_row(name, each) for name, each in operators] + [_row("total", totals)]
    return "\n".join([head] + _aligned(list(_HEAD) + rows))


def _row(name, counters):
    # type: (str, Dict[str, Any]) -> Sequence[str]
    numbers = [
        "%d" % counters["%s_%s" % (what, fate)]
        for what in ("primitives", "descriptors")
        for fate in ("avoided", "created")
    ]
    return [name] + numbers + ["%.3f" % (counters["avoided_ns"] / 1e9)]


def _aligned(rows):
    # type: (Sequence[Sequence[str]]) -> List[str]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join([row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])])
        for row in rows
    ]


COMMAND = Command("stats", "print a statistics file as a table", _EXAMPLES, add_arguments, main)
