"""Programs without MXNet under the preloaded library, and invalid values of its variables.

Runs with and without the library may differ only in one line per invalid value.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from harness.reliability.context import Context, verdict
from harness.reliability.record import Finding
from patches.python.mkldnn_opcache.variables import (
    ALL,
    ASSUME,
    CAPACITY,
    MEMORY,
    SCOPE,
    SHADOW,
    STATS,
    TRACE,
)

STAGE = "hostile"
TIMEOUT_S = 120.0
PREFIX = "opcache: "
# Near the longest variable that Linux passes on.
_LONG = 120_000


class Outcome(NamedTuple):
    """The end of a process; ``result`` is that of a worker, None without one."""

    code: int
    stdout: bytes
    said: List[str]
    result: Optional[Mapping[str, Any]] = None

    @property
    def ours(self) -> List[str]:
        """The lines that the library wrote."""
        return [line for line in self.said if line.startswith(PREFIX)]

    @property
    def error(self) -> Tuple[int, str]:
        """The exit code and the last line of others than the library, without its addresses."""
        others = [line for line in self.said if line and not line.startswith(PREFIX)]
        # MXNet 1.6 ends a crash with a stack, which lies elsewhere in every process.
        return self.code, re.sub(r"0x[0-9a-f]+", "0x", others[-1]) if others else ""


VALUES: Dict[str, Tuple[bytes, ...]] = {
    SCOPE: (b"All", b"on", b"backward,all", b",", b"lrn;pooling", b"0x1"),
    CAPACITY: (b"-1", b"0x10", b"1e3", b"99999999999999999999", b"1073741825", b"many"),
    MEMORY: (b"-1", b"0x10", b"1e3", b"1.5G", b"1KB", b"K", b"99999999999999999999", b"all"),
    SHADOW: (b"-1", b"0x1", b"1.5", b"0,5", b"nan", b"yes"),
    STATS: (b"/nowhere/s", b"/", b"/dev/full", b"/dev/null/s"),
}
_ANYWHERE = (b"\xff\xfe", b"a\nb", b"\x1b[2J", b"9" * _LONG, b"%s%n%s%n")


def variables(context: Context) -> List[Finding]:
    """Start a program with every value: an invalid one gives one line, an empty one none."""
    found = []
    for name in ALL:
        values = [*VALUES.get(name, ()), *_ANYWHERE]
        problems = []
        for value in [b"", *values]:
            outcome = _start(context, ["true"], {name: value}, context.layout.library)
            # ASSUME and TRACE are read when MKL-DNN is used; any word may be a file's name.
            free = name == STATS and value not in VALUES[STATS]
            heard = value != b"" and name not in (ASSUME, TRACE)
            right = len(outcome.said) <= 1 if free else len(outcome.said) == heard
            whole = all(line.startswith(PREFIX) and line.isprintable() for line in outcome.said)
            if outcome.code != 0 or outcome.stdout or not right or not whole:
                problems.append(f"{value[:40]!r}: code {outcome.code}, said {outcome.said}")
        figures = {"values": len(values) + 1}
        found.append(
            verdict(STAGE, name, problems, "one line each, and no other effect", figures=figures)
        )
    return found


PROGRAMS: Dict[str, List[str]] = {
    "ls": ["ls", "-l", "/usr"],
    "shell with forks": [
        "sh",
        "-c",
        "for i in 1 2 3 4; do (echo $i | cat; exit $i) & wait $!; done",
    ],
    "shell without input and outputs": ["sh", "-c", 'exec 0<&- 1>&- 2>&-; : "$(cat 2>/dev/null)"'],
    "python with forks": [
        sys.executable,
        "-c",
        "import os\nfor i in range(20):\n p = os.fork()\n if p == 0: os._exit(i)\n"
        " assert os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]) == i"
        if sys.version_info >= (3, 9)
        else "import os\nfor i in range(20):\n if os.fork() == 0: os._exit(0)\n os.wait()",
    ],
    "a program that fails": ["sh", "-c", "echo out; echo err >&2; kill -9 $$"],
}


def programs(context: Context) -> List[Finding]:
    """Run programs without MXNet with the library and without: nothing may differ."""
    found = []
    for name, command in PROGRAMS.items():
        statistics = {STATS: os.fsencode(context.scratch / "%p.json")}
        without = _start(context, command, {}, None)
        preloaded = _start(context, command, statistics, context.layout.library)
        problems = [] if preloaded == without else [f"without {without}", f"with {preloaded}"]
        problems += [f"left {path.name}" for path in context.scratch.glob("*.json")]
        found.append(verdict(STAGE, name, problems, "not noticed"))
    return found


def _start(
    context: Context, command: Sequence[str], settings: Mapping[str, bytes], library: Optional[Path]
) -> Outcome:
    environment = {os.fsencode(name): value for name, value in settings.items()}
    environment[b"PATH"] = os.fsencode(os.environ.get("PATH", os.defpath))
    if library is not None:
        environment[b"LD_PRELOAD"] = os.fsencode(library)
    return ended(list(command), environment, context.scratch)


def ended(command: List[str], environment: Mapping[Any, Any], folder: Path) -> Outcome:
    """Run a command with this environment in a folder, and return its end."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return Outcome(-1, b"", [f"did not end in {TIMEOUT_S:g} s"])
    # Not splitlines: a line is what a terminal shows as one.
    said = done.stderr.decode("utf-8", errors="replace").split("\n")
    return Outcome(done.returncode, done.stdout, said[:-1] if said[-1] == "" else said)
