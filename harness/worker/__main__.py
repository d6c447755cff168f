"""Runs one job in one fresh process, on the MXNet that PYTHONPATH names.

``python -m harness.worker JOB.json OUT.json`` (``-`` for OUT prints the result). The parent chooses
PYTHONPATH, this package never does. The result is written whole or not at all.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List

import mxnet as mx
import numpy

from harness.base import files, proc, reading
from harness.base.errors import HarnessError
from harness.build import elf
from harness.trials import jobs
from harness.worker import (
    alternate,
    converge,
    counters,
    distributed,
    facts,
    fork,
    hashing,
    operators,
    scenarios,
    soak,
    train,
)
from harness.worker.counters import Cache

_RUN: Dict[type, Callable[[Any, Cache], Dict[str, Any]]] = {
    jobs.TrainJob: train.run,
    jobs.ProfileJob: train.run,
    jobs.AlternateJob: alternate.run,
    jobs.HashJob: hashing.run,
    jobs.OperatorsJob: operators.run,
    jobs.ScenarioJob: scenarios.run,
    jobs.ForkJob: fork.run,
    jobs.DistTrainJob: distributed.run,
    jobs.ConvergeJob: converge.run,
    jobs.SoakJob: soak.run,
    jobs.DescribeJob: facts.run,
}


def main(argv: List[str]) -> int:
    """Run the job file ``argv[0]`` and write its result to ``argv[1]``."""
    if len(argv) != 2:
        print("usage: python -m harness.worker JOB.json OUT.json|-", file=sys.stderr)
        return 2
    job = jobs.job_from_json(reading.json_file(Path(argv[0])))
    text = json.dumps(run(job), indent=1) + "\n"
    if argv[1] == "-":
        sys.stdout.write(text)
    else:
        files.write_text(Path(argv[1]), text)
    return 0


def run(job: jobs.Job) -> Dict[str, Any]:
    """Return the job's result, with the versions and libraries of this process."""
    mx.random.seed(job.seed)
    numpy.random.seed(job.seed)
    # MXNet loads its libraries at import: the job runs on those that are mapped now.
    libraries = counters.mapped_libraries()
    result = _RUN[type(job)](job, counters.open_cache())
    return {
        **result,
        "versions": {
            "mxnet": mx.__version__,
            "numpy": numpy.__version__,
            "python": platform.python_version(),
        },
        "libraries": [{"file": p.name, "build_id": elf.build_id(p)} for p in libraries],
        "peak_resident_bytes": proc.peak_resident_bytes(),
    }


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except HarnessError as error:
        sys.exit(f"opcache: error: {error}")
