"""Kills a writer of files at every step of its work, and checks what each kill left.

Runs in a process with tools/kill_at preloaded, as ``python -m harness.reliability.sweep WRITER
FOLDER``, and prints its findings as JSON. A forked child writes content 1 over content 0. After the
kill one of them must exist whole, and the next write must succeed and leave nothing beside it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import numpy

from harness.base import files, jsonl
from harness.base.errors import HarnessError
from harness.converge import checkpoint
from harness.reliability.context import finding
from harness.reliability.record import Finding
from harness.trials.record import save
from patches.python.mkldnn_opcache import common

# More than any writer takes: a limit for one that never ends.
MOST_STEPS = 500


@dataclass(frozen=True)
class Writer:
    """Writes ``content``, 0 or 1, into a folder, and reads it; both raise on anything else.

    ``files`` are the names that it may leave there. Reading returns None for absent content, which
    is a fault unless it ``may_be_absent``.
    """

    write: Callable[[Path, int], None]
    read: Callable[[Path], Optional[int]]
    files: List[str]
    may_be_absent: bool = False


def _write_record(folder: Path, content: int) -> None:
    save(finding("kill", "record", "pass", str(content)), folder / "record.json")


def _read_record(folder: Path) -> int:
    text = (folder / "record.json").read_text(encoding="utf-8")
    return int(Finding.model_validate(json.loads(text)).summary)


def _append(folder: Path, content: int) -> None:
    path = folder / "lines.jsonl"
    if content == 0:
        jsonl.create(path, {"content": 0})
        return
    with jsonl.Appender(path) as file:
        file.append({"content": content, "filling": "x" * 1000})


def _read_last(folder: Path) -> int:
    return int(jsonl.read(folder / "lines.jsonl")[-1]["content"])


_TRAINED = {"model": "small"}


def _write_checkpoint(folder: Path, content: int) -> None:
    names = ("parameter:weight", "momentum:0")
    arrays = {name: numpy.full(1000, content, numpy.float32) for name in names}
    checkpoint.save(folder, arrays, _TRAINED, [{"content": content}])


def _read_checkpoint(folder: Path) -> int:
    loaded = checkpoint.load(folder, _TRAINED)
    if loaded is None:
        raise HarnessError("no checkpoint")
    arrays, epochs = loaded
    values = {int(value) for array in arrays.values() for value in array}
    values |= {epoch["content"] for epoch in epochs}
    if len(values) != 1:
        raise HarnessError(f"a mixture: {sorted(values)}")
    return values.pop()


def _write_tree(folder: Path, content: int) -> None:
    with files.folder(folder / "tree") as tree:
        for name in ("first", "second"):
            (tree / name).write_text(str(content), encoding="utf-8")


def _read_tree(folder: Path) -> Optional[int]:
    if not (folder / "tree").exists():
        return None
    texts = [(folder / "tree" / name).read_text(encoding="utf-8") for name in ("first", "second")]
    if texts[0] != texts[1]:
        raise HarnessError(f"a mixture: {texts}")
    return int(texts[0])


def _write_installed(folder: Path, content: int) -> None:
    common.write_text(str(folder / "enabled.pth"), str(content) * 200)


def _read_installed(folder: Path) -> int:
    text = (folder / "enabled.pth").read_text(encoding="utf-8")
    assert len(text) == 200, text
    return int(text[0])


WRITERS = {
    "record": Writer(_write_record, _read_record, ["record.json"]),
    "json lines": Writer(_append, _read_last, ["lines.jsonl"]),
    "enable": Writer(_write_installed, _read_installed, ["enabled.pth"]),
    "checkpoint": Writer(_write_checkpoint, _read_checkpoint, [checkpoint.FILE]),
    # Two renames: a kill between them leaves no tree, and the next build unpacks it again.
    "unpacked tree": Writer(_write_tree, _read_tree, ["tree"], may_be_absent=True),
}


def sweep(writer: Writer, folder: Path) -> Dict[str, Any]:
    """Kill a writer of the harness at every step; see ``at_every_step``."""

    def write(step: int) -> int:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        writer.write(folder, 0)
        return _write_in_child(writer, folder, step)

    return at_every_step(write, lambda found: _look(writer, folder, found))


def at_every_step(
    write: Callable[[int], int], look: Callable[[Dict[str, Any]], List[str]]
) -> Dict[str, Any]:
    """Kill a writer at every step; return counts of what the kills left, and ``problems`` in lines.

    ``write(step)`` restores content 0, and returns the exit code of a writer to be killed there.
    ``look(found)`` counts what a kill left, and returns the problems.
    """
    found: Dict[str, Any] = {"steps": 0, "old": 0, "new": 0, "absent": 0, "leftovers": 0}
    problems: List[str] = []
    for step in range(1, MOST_STEPS + 1):
        code = write(step)
        if code == 0:
            break
        found["steps"] = step
        if code != -signal.SIGKILL:
            problems.append(f"step {step}: the writer ended with {code}, without being killed")
            break
        problems += [f"step {step}: {line}" for line in look(found)]
    else:
        problems.append(f"not finished after {MOST_STEPS} steps")
    return {**found, "problems": problems}


def _look(writer: Writer, folder: Path, found: Dict[str, Any]) -> List[str]:
    """Count what a kill left, write again, and return the problems."""
    found["leftovers"] += len(_beside(writer, folder))
    try:
        content = writer.read(folder)
    except Exception as error:  # any error of a reader is a problem
        return [f"the content cannot be read: {error!r:.200}"]
    if content is None and not writer.may_be_absent:
        return ["no content is left"]
    found["absent" if content is None else ("old", "new")[content]] += 1
    code = _write_in_child(writer, folder, None)
    if code != 0:
        return [f"the next write failed ({code})"]
    if writer.read(folder) != 1:
        return ["the next write is not there"]
    return [f"left for good: {name}" for name in _beside(writer, folder)]


def _beside(writer: Writer, folder: Path) -> List[str]:
    return sorted(set(os.listdir(folder)) - set(writer.files))


def _write_in_child(writer: Writer, folder: Path, kill_at: Optional[int]) -> int:
    """Write content 1 in a child that is killed at a step; return its exit code or -signal."""
    pid = os.fork()
    if pid == 0:
        try:
            if kill_at is not None:
                os.environ["KILL_AT"] = str(kill_at)
            os.environ["KILL_AT_UNDER"] = str(folder)
            writer.write(folder, 1)
        except BaseException as error:
            print(f"{error!r:.300}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


if __name__ == "__main__":
    print(json.dumps(sweep(WRITERS[sys.argv[1]], Path(sys.argv[2]).resolve())))
