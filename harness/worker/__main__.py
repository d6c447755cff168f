"""Runs one job in one fresh process, on the MXNet that PYTHONPATH names.

``python -m harness.worker JOB.json OUT.json`` (``-`` for OUT prints the result). The parent chooses
PYTHONPATH, this package never does. The result is written whole or not at all.
"""

from __future__ import annotations

import importlib
import json
import platform
import sys
from pathlib import Path
from typing import Any, Dict, List

import mxnet as mx
import numpy

from harness.base import files, proc, reading
from harness.base.errors import HarnessError
from harness.trials import jobs
from harness.worker import counters
from patches.python.mkldnn_opcache import elf

# By kind of job the module that runs it. Only that one is imported: the archive of bench-kit has
# no others.
_RUN = {
    jobs.TrainJob: "train",
    jobs.ProfileJob: "train",
    jobs.AlternateJob: "alternate",
    jobs.HashJob: "hashing",
    jobs.OperatorsJob: "operators",
    jobs.ScenarioJob: "scenarios",
    jobs.ForkJob: "fork",
    jobs.DistTrainJob: "distributed",
    jobs.ConvergeJob: "converge",
    jobs.SoakJob: "soak",
    jobs.ServeJob: "serve",
    jobs.DescribeJob: "facts",
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
    module = importlib.import_module(f"harness.worker.{_RUN[type(job)]}")
    result = module.run(job, counters.open_cache())
    return {
        **result,
        "versions": {
            "mxnet": mx.__version__,
            "numpy": numpy.__version__,
            "python": platform.python_version(),
        },
        "libraries": [{"file": p.name, "build_id": elf.build_id(str(p))} for p in libraries],
        "peak_resident_bytes": proc.peak_resident_bytes(),
    }


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except HarnessError as error:
        sys.exit(f"opcache: error: {error}")
