"""Kills while files are written: what is careless is found, what killed runs left is removed."""

from __future__ import annotations

import fcntl
import sys
from pathlib import Path
from typing import Any, Dict, Optional

import pytest

from harness.base import files
from harness.base.layout import Layout
from harness.build.compiling import make_kill_at
from harness.reliability import kill
from harness.reliability.sweep import WRITERS
from harness.verify.faults import faulty

# A writer is planted into a process of its own, for the tool must be preloaded.
PLANTED = """
import json, os, sys
from pathlib import Path
from harness.reliability.sweep import Writer, sweep

def in_place(folder, content):
    (folder / "file").write_text(str(content) * 20)

def leaves_something(folder, content):
    temporary = folder / f"file.{os.getpid()}"
    temporary.write_text(str(content) * 20)
    temporary.rename(folder / "file")

def read(folder):
    text = (folder / "file").read_text()
    assert len(text) == 20, text
    return int(text[0])

print(json.dumps(sweep(Writer(globals()[sys.argv[1]], read, ["file"]), Path(sys.argv[2]))))
"""


def swept(layout: Layout, folder: Path, *command: str) -> Any:
    return kill.sweep_by(layout, make_kill_at(layout), [sys.executable, *command, str(folder)])


@pytest.mark.parametrize(
    ("name", "problem"),
    [("in_place", "cannot be read"), ("leaves_something", "left for good: file.")],
)
def test_careless_writers_are_found(
    layout: Layout, tmp_path: Path, name: str, problem: str
) -> None:
    found = kill.judge(name, swept(layout, tmp_path / "files", "-c", PLANTED, name))
    assert found.outcome == "fail"
    assert any(problem in line for line in found.details), found.details


@pytest.mark.parametrize("name", WRITERS)
def test_files_of_the_harness_are_whole(layout: Layout, tmp_path: Path, name: str) -> None:
    sweep = "harness.reliability.sweep"
    found = kill.judge(name, swept(layout, tmp_path / "files", "-m", sweep, name))
    assert (found.outcome, found.details) == ("pass", [])


@pytest.mark.parametrize(("fault", "link"), [(None, False), (None, True), ("LINK_IN_PLACE", True)])
def test_statistics_are_whole(
    built: Layout, tmp_path: Path, fault: Optional[str], link: bool
) -> None:
    """Unless the planted fault writes them in place."""
    library, kill_at = (faulty(built, fault) if fault else built).library, make_kill_at(built)
    found = kill.judge("it", kill.sweep_statistics(library, kill_at, tmp_path / "files", link))
    assert found.outcome == ("fail" if fault else "pass")
    assert any("cannot be read" in line for line in found.details) == bool(fault)


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, "pass"),
        ({"steps": 2}, "fail"),
        ({"old": 0}, "fail"),
        # The library's last step gives the report its name.
        ({"new": 0}, "pass"),
        ({"problems": ["step 1: nothing is there"]}, "fail"),
    ],
)
def test_sweeps_are_judged(changes: Dict[str, Any], outcome: str) -> None:
    sound = {"steps": 8, "old": 7, "new": 1, "absent": 0, "leftovers": 3, "problems": []}
    assert kill.judge("it", {**sound, **changes}).outcome == outcome


def test_leftovers_of_killed_runs_are_removed_and_others_work_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a [b]*.json"
    dead, alive = (tmp_path / f".{path.name}.partial-{end}" for end in ("x", "xy"))
    other = tmp_path / ".else.partial-x"
    for file in (dead, alive, other):
        file.touch()
    with alive.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        files.write_text(path, "new")
        assert sorted(tmp_path.iterdir()) == sorted([path, alive, other])
    files.write_text(path, "newer")
    assert sorted(tmp_path.iterdir()) == sorted([path, other])
