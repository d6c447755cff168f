"""The data of all figures: a folder of results, and the record of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Sequence

from harness.base.errors import HarnessError
from harness.bench.record import BenchRecord
from harness.trials.record import Threads


class Missing(HarnessError):
    """Nothing to draw; names the missing record and the command that makes it."""


@dataclass(frozen=True)
class Source:
    """``results`` is the folder; ``efficiency`` is the model's of docs/extrapolation.md.

    ``converge`` is the record of a convergence run to draw in place of the published one,
    ``predicting`` that of which more cores are predicted, if it is not ``run``.
    """

    results: Path
    run: Optional[BenchRecord]
    efficiency: float
    converge: Optional[Path] = None
    predicting: Optional[BenchRecord] = None

    @property
    def bench(self) -> BenchRecord:
        """The benchmark's record; raises Missing without one."""
        if self.run is None:
            raise Missing("no record of a benchmark in results/raw: make bench")
        return self.run

    def record(self, name: str, command: str) -> Path:
        """Return the path of a figure's own record; raises Missing without one."""
        path = self.results / "raw" / name
        if not path.is_file():
            raise Missing(f"no record {name} in results/raw: {command}")
        return path


def machine_line(run: BenchRecord, threads: Threads, hosts: Sequence[str]) -> str:
    """Return the release, the machine and the threads, for a figure's second line."""
    number = threads.omp_num_threads
    return (
        f"MXNet {' and '.join(dict.fromkeys(hosts))} on {run.machine.cpu_model}, "
        f"{run.machine.physical_cores} cores, {number} OpenMP thread{'s' * (number != 1)}"
    )
