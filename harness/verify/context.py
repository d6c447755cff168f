"""The settings and builds of a verification, running a worker on them, and stating a finding."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from harness.base.layout import Layout
from harness.trials.jobs import Job
from harness.trials.launch import run_worker
from harness.trials.record import Threads, threads
from harness.trials.variants import OwnLayout, parse_variant
from harness.verify.record import Check, Status, VerifySettings


class Task(NamedTuple):
    """One subject of one stage on one MXNet release; its checks run one after the other."""

    stage: str
    subject: str
    host: str


@dataclass(frozen=True, eq=False)
class Context:
    """A verification in progress.

    ``layout`` has the library under test, ``mxnet_tests`` is a checkout of MXNet.
    """

    layout: Layout
    settings: VerifySettings
    timeout_s: float
    mxnet_tests: Optional[Path] = None

    def run(
        self,
        job: Job,
        host: str,
        variant: str,
        overrides: Optional[Mapping[str, str]] = None,
        layout: Optional[Layout] = None,
        timeout_s: Optional[float] = None,
    ) -> Dict[str, Any]:
        """Run a job in a fresh process on a variant; the result contains its ``stderr``.

        Raises the errors of run_worker. ``layout`` and ``timeout_s`` replace those of the
        verification.
        """
        return run_worker(
            job,
            layout or self.layout,
            host,
            parse_variant(variant),
            self.threads,
            timeout_s or self.timeout_s,
            overrides,
            expect_hits=False,
            keep_stderr=True,
        )

    @property
    def threads(self) -> Threads:
        """The OpenMP settings of every process."""
        return threads(self.settings.omp_num_threads)

    @property
    def baseline(self) -> str:
        """The variant that the others are compared with."""
        return self.settings.baseline

    def scopes(self, host: str) -> List[str]:
        """Return the scopes that are verified on a release."""
        return self.settings.scopes[host]


def check(
    task: Task,
    variant: str,
    status: Status,
    summary: str,
    lines: Optional[List[str]] = None,
    **detail: Any,
) -> Check:
    """Return a finding of ``task``."""
    return Check(
        **task._asdict(),
        variant=variant,
        status=status,
        summary=summary,
        lines=list(lines or []),
        detail=detail,
    )


def command_for(layout: Layout, task: Task) -> str:
    """Return the command that repeats one task, without the folders of own builds."""
    selection = {
        "debug": "--models",
        "bitwise": "--models",
        "shadow": "--models",
        "operators": "--operators",
        "faults": "--faults",
    }.get(task.stage, "")
    words = [".venv/bin/python", "-m", "harness", "verify", "--stages", task.stage]
    if isinstance(layout, OwnLayout):
        words += ["--mxnet", "DIR", *(["--against", "AGAINST"] if layout.against else [])]
    else:
        words += ["--hosts", task.host]
    words += [selection, task.subject] if selection else []
    return shlex.join(words)
