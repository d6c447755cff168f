"""Starts workers: chooses the build and the environment, and believes no sample without proof.

What a worker sees is built from nothing here, so that a variable set in somebody's shell cannot
change one variant and not the other.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple

from harness import atomic, reading
from harness.errors import HarnessError
from harness.job import Job, to_json
from harness.layout import Layout
from harness.library import CACHE_LIBRARY
from harness.record import Threads
from harness.variables import LIST_WORDS, SCOPES, is_scope
from harness.wheels import sha256_of

_PRELOAD = "preload:"
_STDERR_LINES = 20
# Python's, C++'s, MXNet's and the C library's words for it.
_NO_MEMORY = ("MemoryError", "bad_alloc", "Failed to allocate", "Cannot allocate memory")
STOCK = "stock"
STOCK_AGAIN = "stock-again"


class WorkerFailed(HarnessError):
    """A worker that crashed or took too long: its last lines, and how to run it again.

    ``stderr`` is all that it said.
    """

    several_lines = True

    def __init__(self, message: str, stderr: str) -> None:
        super().__init__(message)
        self.stderr = stderr

    @property
    def out_of_memory(self) -> bool:
        """Tell whether it died of memory that it asked for: refused, or taken by Linux."""
        return any(mark in self.stderr for mark in _NO_MEMORY) or "(SIGKILL)" in str(self)


class NotProven(HarnessError):
    """A sample that cannot count: it did not run on what it asked for."""


@dataclass(frozen=True)
class Variant:
    """One way to run a host: ``scope`` is None for stock, else the value of MKLDNN_OPCACHE.

    With ``preload`` the library is preloaded under the stock build, else the patched one runs.
    """

    name: str
    scope: Optional[str]
    preload: bool = False


def parse_variant(word: str) -> Variant:
    """Return the variant for ``stock``, a scope, operators joined by ``+``, or preload:SCOPE.

    ``stock-again`` is stock under another name: what it differs by is noise.
    """
    if word in (STOCK, STOCK_AGAIN):
        return Variant(word, None)
    preload = word.startswith(_PRELOAD)
    scope = word[len(_PRELOAD) :] if preload else word
    operators = scope.split("+")
    if not is_scope(operators):
        raise HarnessError(
            f"unknown scope '{word}': expected stock, {', '.join(SCOPES)}, operators joined by + "
            f"({', '.join(LIST_WORDS)}), or {_PRELOAD} before one of these"
        )
    return Variant(word, ",".join(operators), preload)


def build_folder(layout: Layout, host: str, variant: Variant) -> Path:
    """Return the PYTHONPATH folder of the build that a variant runs on, which must exist."""
    patched = variant.scope is not None and not variant.preload
    folder = layout.patched(host) if patched else layout.stock(host)
    needed = [folder / "mxnet" / "libmxnet.so"] + ([layout.library] if variant.preload else [])
    for path in needed:
        if not path.is_file():
            raise HarnessError(f"{path.relative_to(layout.root)} not found: run make build first")
    return folder


def library_versions(layout: Layout, host: str, variant: Variant) -> Dict[str, str]:
    """Return the sha256 of the cache library that a variant runs on, by its name in a record."""
    if variant.preload:
        return {f"preloaded {CACHE_LIBRARY}": sha256_of(layout.library)}
    if variant.scope is None:
        return {}
    path = build_folder(layout, host, variant) / "mxnet" / CACHE_LIBRARY
    return {f"{host} {CACHE_LIBRARY}": sha256_of(path)}


def settings(variant: Variant, threads: Threads, overrides: Mapping[str, str]) -> Dict[str, str]:
    """Return the variables that change what a worker measures, to be recorded with it.

    Stock never sees a variable of the cache, whatever the overrides say.
    """
    environment = {"OMP_NUM_THREADS": str(threads.omp_num_threads)}
    if threads.kmp_affinity is not None:
        environment["KMP_AFFINITY"] = threads.kmp_affinity
    if threads.kmp_blocktime is not None:
        environment["KMP_BLOCKTIME"] = threads.kmp_blocktime
    if variant.scope is not None:
        environment["MKLDNN_OPCACHE"] = variant.scope
    for name, value in overrides.items():
        if variant.scope is not None or not name.startswith("MKLDNN_OPCACHE"):
            environment[name] = value
    return environment


def whole_environment(
    layout: Layout, host: str, variant: Variant, chosen: Mapping[str, str]
) -> Dict[str, str]:
    """Return all variables of a Python process that runs on a variant's build: these, no others."""
    environment = {
        "LC_ALL": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "PYTHONPATH": str(build_folder(layout, host, variant)),
        **chosen,
    }
    if variant.preload:
        environment["LD_PRELOAD"] = str(layout.library)
    return environment


def run_worker(
    job: Job,
    layout: Layout,
    host: str,
    variant: Variant,
    threads: Threads,
    timeout_s: float,
    overrides: Optional[Mapping[str, str]] = None,
    expect_hits: bool = True,
    keep_stderr: bool = False,
) -> Dict[str, Any]:
    """Run a job in a fresh process and return its result with the ``environment`` it ran in.

    Raises WorkerFailed, or NotProven if it did not run on what ``variant`` asks for; with
    ``expect_hits`` a cache that avoided nothing is not proven either. With ``keep_stderr`` the
    result has what the worker said, as ``stderr``.
    """
    chosen = settings(variant, threads, overrides or {})
    environment = whole_environment(layout, host, variant, chosen)
    what = f"worker ({_describe(job)}, host {host}, {variant.name})"
    result, stderr = _spawn(job, layout, environment, timeout_s, what)
    check_proof(variant, result, expect_hits, what)
    said = {"stderr": stderr} if keep_stderr else {}
    return {**result, "environment": chosen, **said}


def check_proof(variant: Variant, result: Mapping[str, Any], expect_hits: bool, what: str) -> None:
    """Raise NotProven, naming both sides, unless the worker ran on what the variant asks for."""
    mapped = [library["file"] for library in result["libraries"]]
    found = f"found {', '.join(mapped) or 'no MKL-DNN'}"
    if variant.scope is None:
        if CACHE_LIBRARY in mapped:
            raise NotProven(f"{what}: expected no {CACHE_LIBRARY} in a stock process, {found}")
        return
    if CACHE_LIBRARY not in mapped or result["stats"] is None:
        raise NotProven(f"{what}: expected scope {variant.scope} of {CACHE_LIBRARY}, {found}")
    stats = result["stats"]
    if not stats["recognised"]:
        raise NotProven(
            f"{what}: expected an MKL-DNN that {CACHE_LIBRARY} recognises, "
            f"found build-id {stats['build_id']}"
        )
    expected = {"scope": variant.scope, "active": variant.scope != "off"}
    actual = {"scope": stats["scope"], "active": stats["active"]}
    if _unordered(expected) != _unordered(actual):
        raise NotProven(
            f"{what}: expected scope {expected['scope']} and active {expected['active']}, "
            f"found scope {actual['scope']} and active {actual['active']}"
        )
    totals = stats["totals"]
    avoided = totals["primitives_avoided"] + totals["descriptors_avoided"]
    if expected["active"] and expect_hits and avoided == 0:
        raise NotProven(f"{what}: expected creations avoided, found 0")
    if not expected["active"] and avoided != 0:
        raise NotProven(f"{what}: expected no creations avoided, found {avoided}")


def _unordered(claim: Mapping[str, Any]) -> Dict[str, Any]:
    return {**claim, "scope": set(claim["scope"].split(","))}


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
        try:
            done = subprocess.run(
                command,
                cwd=layout.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired as error:
            reason = f"took longer than {timeout_s:g} s"
            raise _failure(what, reason, error.stderr or b"", text, layout, environment) from error
        if done.returncode != 0:
            reason = exit_reason(done.returncode)
            raise _failure(what, reason, done.stderr, text, layout, environment)
        result = reading.json_file(result_file)
        return result, done.stderr.decode(errors="replace")


def exit_reason(returncode: int) -> str:
    """Say how a process ended that did not end well."""
    if returncode < 0:
        return f"ended with signal {-returncode} ({signal.Signals(-returncode).name})"
    return f"ended with exit code {returncode}"


def _failure(
    what: str,
    reason: str,
    stderr: bytes,
    job_text: str,
    layout: Layout,
    environment: Mapping[str, str],
) -> WorkerFailed:
    """Keep the job, and return the error that shows how to run it again."""
    digest = hashlib.sha256(job_text.encode()).hexdigest()[:12]
    job_file = layout.build / "failed" / f"{digest}.json"
    atomic.write_text(job_file, job_text)
    said = stderr.decode(errors="replace")
    lines = said.splitlines()[-_STDERR_LINES:]
    variables = [f"{name}={value}" for name, value in sorted(environment.items())]
    again = ["env", "-i", *variables, sys.executable, "-m", "harness.worker"]
    again += [str(job_file.relative_to(layout.root)), "-"]
    shown = [f"{what} {reason}; its last lines:", *(f"  {line}" for line in lines)]
    return WorkerFailed("\n".join([*shown, f"run it again with: {shlex.join(again)}"]), said)
