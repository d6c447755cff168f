"""The input of every stage, running workers and programs, and stating a finding."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import (
    Any,
    Iterable,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
    Union,
)

from typing_extensions import Protocol

from harness.base import process
from harness.base.layout import Layout
from harness.reliability.record import Figure, Finding, Outcome
from harness.trials.jobs import Job
from harness.trials.launch import WorkerFailed, run_worker
from harness.trials.proof import NotProven
from harness.trials.record import threads
from harness.trials.variants import parse_variant
from patches.python.mkldnn_opcache import variables

# A worker's result, or the error that it ended with.
Result = Union[Mapping[str, Any], str]
# Every thread caches, however soon the threads before it ended.
EVERY_THREAD = {variables.TRIAL: "0"}
# Stages run two processes at a time.
PROCESSES = 2
HANGS = -1


class _Quick(Protocol):
    @property
    def quick_hosts(self) -> Tuple[str, ...]: ...


_Case = TypeVar("_Case", bound=_Quick)


@dataclass(frozen=True)
class Context:
    """A run in progress.

    ``hosts`` are MXNet releases, ``scratch`` is an empty folder that is removed after the stage.
    A ``quick`` stage takes at most some 40 seconds on two busy cores.
    """

    layout: Layout
    quick: bool
    seed: int
    hosts: Tuple[str, ...]
    scratch: Path

    def on_hosts(self, cases: Iterable[_Case]) -> List[Tuple[_Case, str]]:
        """Return each case with each of its hosts; a quick run takes the ``quick_hosts`` only."""
        return [
            (case, host)
            for case in cases
            for host in self.hosts
            if host in case.quick_hosts or not self.quick
        ]


def attempt(
    layout: Layout,
    job: Job,
    host: str,
    variant: str,
    environment: Mapping[str, str],
    timeout_s: float,
    omp_num_threads: int = 1,
) -> Result:
    """Run a job in a fresh process; return its result, or the message of its error."""
    try:
        return run_worker(
            job,
            layout,
            host,
            parse_variant(variant),
            threads(omp_num_threads),
            timeout_s,
            environment,
            expect_hits=False,
        )
    except (WorkerFailed, NotProven) as error:
        return str(error) or type(error).__name__


class Ended(NamedTuple):
    """A program's exit code (``HANGS`` after a timeout), and its stdout and stderr together."""

    code: int
    output: str


def execute(command: List[str], timeout_s: float, variables: Mapping[str, str]) -> Ended:
    """Run a C++ program or a make in this process's environment, changed by ``variables``."""
    environment = {**process.own_environment(), **variables}
    done = process.run(
        command, environment, timeout_s, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.code is None:
        return Ended(HANGS, f"hangs: it was still running after {timeout_s:.0f} s")
    return Ended(done.code, done.stdout)


def finding(
    stage: str,
    subject: str,
    outcome: Outcome,
    summary: str,
    host: str = "",
    figures: Optional[Mapping[str, Figure]] = None,
    details: Sequence[str] = (),
) -> Finding:
    """Return a finding; ``summary`` is one line that fits into a table's cell."""
    return Finding(
        stage=stage,
        subject=subject,
        host=host,
        outcome=outcome,
        summary=summary,
        figures=dict(figures or {}),
        details=list(details),
    )


def verdict(
    stage: str,
    subject: str,
    problems: Sequence[str],
    summary: str,
    host: str = "",
    figures: Optional[Mapping[str, Figure]] = None,
) -> Finding:
    """Return a finding that fails for the first of ``problems``, or passes with ``summary``."""
    if problems:
        return finding(stage, subject, "fail", problems[0], host, figures, problems)
    return finding(stage, subject, "pass", summary, host, figures)


def idle_comparison(finite: bool, avoided: int) -> List[str]:
    """Return the reasons why a comparison with stock would prove nothing."""
    problems = [] if finite else ["not finite: an oracle of NaNs compares nothing"]
    if avoided == 0:
        problems.append("no creation was avoided: nothing was put to the test")
    return problems
