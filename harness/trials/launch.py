"""Starts workers on the chosen build, and rejects results that did not run on it."""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Tuple

from harness.base import files, process, reading
from harness.base.console import say
from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.base.process import Ended
from harness.trials.environment import OpenMP, settings, whole_environment
from harness.trials.jobs import Job, to_json
from harness.trials.proof import NotProven, check_proof
from harness.trials.variants import Variant, own_build, without_paths

_STDERR_LINES = 20
# Messages of Python, C++, MXNet and the C library.
_NO_MEMORY = ("MemoryError", "bad_alloc", "Failed to allocate", "Cannot allocate memory")


class WorkerFailed(HarnessError):
    """A worker crashed or took too long: its last lines, and a command that runs it again.

    ``stderr`` is its whole output.
    """

    several_lines = True

    def __init__(self, message: str, stderr: str) -> None:
        super().__init__(message)
        self.stderr = stderr

    @property
    def out_of_memory(self) -> bool:
        """Tell whether an allocation failed, or Linux killed the worker for its memory."""
        return any(mark in self.stderr for mark in _NO_MEMORY) or "(SIGKILL)" in str(self)

    def in_short(self, layout: Layout) -> str:
        """Return the end of a process in a line to publish, without the folders of builds."""
        how = str(self).splitlines()[0].replace("; its last lines:", "")
        said = [line.strip() for line in self.stderr.splitlines() if line.strip()]
        told = [line for line in said if "rror" in line or "bad_alloc" in line] or said
        return without_paths(layout, ": ".join([how, *told[-1:]]))[:300]


def run_worker(
    job: Job,
    layout: Layout,
    host: str,
    variant: Variant,
    threads: OpenMP,
    timeout_s: float,
    overrides: Optional[Mapping[str, str]] = None,
    expect_hits: bool = True,
    keep_stderr: bool = False,
    python_path: Sequence[str] = (),
    preload: Optional[Path] = None,
) -> Dict[str, Any]:
    """Run a job in a fresh process and return its result with its ``environment``.

    Raises WorkerFailed, or NotProven unless the worker ran on the variant's libraries and, with
    ``expect_hits``, the cache avoided creations. ``keep_stderr`` adds the worker's ``stderr``.
    ``preload`` is a library that is searched before all others.
    """
    chosen = settings(variant, threads, overrides or {})
    environment = whole_environment(layout, host, variant, chosen, python_path)
    if preload is not None:
        others = environment.get("LD_PRELOAD", "")
        environment["LD_PRELOAD"] = f"{preload} {others}".rstrip()
    what = f"worker ({_describe(job)}, host {host}, {variant.name})"
    result, stderr = _spawn(job, layout, environment, timeout_s, what)
    check_proof(variant, result, expect_hits, what, host, own_build(layout, host, variant))
    said = {"stderr": stderr} if keep_stderr else {}
    return {**result, "environment": chosen, **said}


def attempt(run: Callable[[], Dict[str, Any]], layout: Layout) -> Dict[str, Any]:
    """Return the result of ``run``, which uses ``run_worker``, with its ``elapsed_s``.

    A failure is printed, and is a result of type ``failure`` with its ``reason`` and ``detail``,
    which does not name the folders of builds.
    """
    begin = time.monotonic()
    try:
        result = run()
    except WorkerFailed as error:
        reason = "memory" if error.out_of_memory else "died"
        result = {"type": "failure", "reason": reason, "detail": error.in_short(layout)}
        say(str(error) if reason == "died" else result["detail"])
    except NotProven as error:
        result = {"type": "failure", "reason": "not proven", "detail": str(error)}
        say(str(error))
    return {**result, "elapsed_s": round(time.monotonic() - begin, 3)}


def _describe(job: Job) -> str:
    fields = to_json(job)
    subject = fields.get("model") or fields.get("operator") or fields.get("name") or "networks"
    return f"{fields['kind']} {subject}"


def _spawn(
    job: Job, layout: Layout, environment: Dict[str, str], timeout_s: float, what: str
) -> Tuple[Dict[str, Any], str]:
    text = json.dumps(to_json(job), indent=1) + "\n"
    with tempfile.TemporaryDirectory(prefix="opcache-") as name:
        job_file, result_file = Path(name, "job.json"), Path(name, "result.json")
        job_file.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "harness.worker", str(job_file), str(result_file)]
        done = process.run(command, environment, timeout_s, layout.root)
        if done.code != 0:
            raise _failure(what, done, text, layout, environment)
        return reading.json_file(result_file), done.stderr


def _failure(
    what: str, done: Ended, job_text: str, layout: Layout, environment: Mapping[str, str]
) -> WorkerFailed:
    """Save the job, and return the error that shows how to run it again."""
    digest = hashlib.sha256(job_text.encode()).hexdigest()[:12]
    job_file = layout.build / "failed" / f"{digest}.json"
    files.write_text(job_file, job_text)
    lines = process.last_lines(done.stderr, _STDERR_LINES)
    variables = [f"{name}={value}" for name, value in sorted(environment.items())]
    again = ["env", "-i", *variables, sys.executable, "-m", "harness.worker"]
    again += [str(job_file.relative_to(layout.root)), "-"]
    shown = [f"{what} {done.reason}; its last lines:", *(f"  {line}" for line in lines)]
    shown.append(f"run it again with: {shlex.join(again)}")
    return WorkerFailed("\n".join(shown), done.stderr)
