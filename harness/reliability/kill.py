"""SIGKILL at every step of writing files: the old or the new content survives, whole.

harness/reliability/sweep.py kills the harness's own writers, this module the library's statistics,
which a process without MXNet writes at its exit by the same code. Failing machines are not tested.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

from harness.base import process
from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.build.compiling import make_kill_at
from harness.reliability.context import Context, verdict
from harness.reliability.record import Finding
from harness.reliability.sweep import WRITERS, at_every_step

STAGE = "kill"
STATISTICS = "statistics at exit"
_TIMEOUT_S = 120
# Opening, writing, renaming: with fewer steps the writer was not observed.
_FEWEST_STEPS = 3


def run(context: Context) -> List[Finding]:
    """Sweep every writer of the harness, and the library's statistics, plain and behind a link."""
    kill_at = make_kill_at(context.layout)
    found = []
    for name in WRITERS:
        command = [sys.executable, "-m", "harness.reliability.sweep", name]
        swept = sweep_by(context.layout, kill_at, [*command, str(context.scratch / "files")])
        found.append(judge(name, swept))
    for name, link in ((STATISTICS, False), (f"{STATISTICS}, behind a link", True)):
        folder = context.scratch / f"statistics-{link}"
        swept = sweep_statistics(context.layout.library, kill_at, folder, link)
        found.append(judge(name, swept))
    return found


def sweep_by(layout: Layout, kill_at: Path, command: List[str]) -> Mapping[str, Any]:
    """Run a sweeping command under the killing tool, and return its findings."""
    environment = {"LC_ALL": "C.UTF-8", "LD_PRELOAD": str(kill_at)}
    done = process.run(command, environment, _TIMEOUT_S, layout.root, stdout=subprocess.PIPE)
    if done.code != 0:
        raise HarnessError(f"sweep {done.failure}")
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found


def sweep_statistics(library: Path, kill_at: Path, folder: Path, link: bool) -> Dict[str, Any]:
    """Kill a process at every step of writing its statistics; return the fields of at_every_step.

    With ``link`` the report's name is a link to the file.
    """
    folder.mkdir()
    file = folder / "stats.json"
    name = folder / "link.json" if link else file
    if link:
        name.symlink_to(file)

    def write(step: int) -> int:
        file.write_text(json.dumps({"schema": 0}), encoding="utf-8")
        return _end(library, kill_at, name, folder, step)

    def look(found: Dict[str, Any]) -> List[str]:
        problems = []
        for beside in set(folder.iterdir()) - {file, name}:
            found["leftovers"] += 1
            # Hidden, so that it is not taken for a report.
            if not beside.name.startswith("."):
                problems.append(f"left beside it: {beside.name}")
            beside.unlink()
        try:
            found["old" if _schema(file) == 0 else "new"] += 1
        except (OSError, ValueError, KeyError) as error:
            problems.append(f"the content cannot be read: {error!r:.200}")
        if _end(library, kill_at, name, folder, None) != 0 or _schema(file) == 0:
            problems.append("the next process left no statistics")
        return problems

    return at_every_step(write, look)


def _schema(file: Path) -> int:
    return int(json.loads(file.read_text(encoding="utf-8"))["schema"])


def _end(library: Path, kill_at: Path, stats: Path, folder: Path, step: Optional[int]) -> int:
    environment = {
        "LD_PRELOAD": f"{kill_at}:{library}",
        "MKLDNN_OPCACHE_STATS": str(stats),
        "KILL_AT_UNDER": str(folder),
        **({} if step is None else {"KILL_AT": str(step)}),
    }
    return subprocess.run(["/bin/true"], env=environment, timeout=_TIMEOUT_S).returncode


def judge(name: str, swept: Mapping[str, Any]) -> Finding:
    """Judge a sweep of a writer."""
    problems = list(swept["problems"])
    if swept["steps"] < _FEWEST_STEPS:
        problems.append(f"only {swept['steps']} steps were seen: nothing was put to the test")
    elif not swept["old"]:
        problems.append("no kill left the old content: none came before the new one")
    figures = {
        "kills": swept["steps"],
        "old_content": swept["old"],
        "new_content": swept["new"],
        "absent": swept["absent"],
        "hidden_leftovers": swept["leftovers"],
    }
    return verdict(STAGE, name, problems, "whole after every kill", figures=figures)
