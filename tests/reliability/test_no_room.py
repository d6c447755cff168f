"""A file system that is full: what was written stays whole, and one line says what is lacking."""

from __future__ import annotations

import contextlib
import re
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from harness.base import jsonl
from harness.base.layout import Layout
from tests.support.commands import CONVOLVE, clean_environment, harness, python, run

NO_ROOM = "No space left on device"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """An empty file system of 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    done = run(command)
    if done.returncode != 0:
        pytest.skip(f"only root can mount a small file system: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Leave no room; files of the folder can then be made, but hold nothing."""
    with contextlib.suppress(OSError), (folder / "fill").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def names(folder: Path) -> set:
    return {path.name for path in folder.iterdir()}


def test_lines_without_room_follow_later(small: Path) -> None:
    path = small / "record.jsonl"
    jsonl.create(path, {"kind": "x"})
    with jsonl.Appender(path) as file:
        file.append(1)
        fill(small)
        with pytest.raises(OSError, match=f"{NO_ROOM}: '{path}'"):
            file.append("a" * 2**13)
    assert jsonl.read(path) == [{"kind": "x"}, 1]
    (small / "fill").unlink()
    with jsonl.Appender(path) as file:
        file.append(2)
    assert jsonl.read(path) == [{"kind": "x"}, 1, 2]


def test_a_command_without_room_says_so_in_one_line(small: Path) -> None:
    fill(small)
    done = harness("tables", "results/raw/bench-quick.jsonl", "--to", small)
    assert done.returncode == 2
    assert re.fullmatch(f"opcache: error: {small}/[a-z.-]+: {NO_ROOM}\n", done.stderr)
    assert names(small) == {"fill"}


def test_statistics_without_room_leave_the_old_ones(built: Layout, host: str, small: Path) -> None:
    path = small / "stats.json"
    path.write_text("old")
    fill(small)
    settings = {"PYTHONPATH": built.patched(host), "MKLDNN_OPCACHE_STATS": path}
    done = run(python(CONVOLVE + "print(y)"), env=clean_environment(**settings))
    assert (done.returncode, done.stdout) == (0, "7776.0\n")
    assert done.stderr == f"opcache: cannot write the statistics to {path}: {NO_ROOM}\n"
    assert path.read_text() == "old"
    assert names(small) == {"stats.json", "fill"}
