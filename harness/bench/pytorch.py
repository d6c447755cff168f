"""PyTorch's CPU build as a reference for whole releases: its environment, and runs in it.

The environment is made only when it is asked for: most measurements need no PyTorch.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, Dict, Mapping

from harness.base import files, process, reading
from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.bootstrap import make_environment
from harness.build import pip
from harness.trials.environment import OpenMP
from harness.trials.jobs import Job, to_json
from harness.trials.launch import WorkerFailed
from harness.trials.networks import find_network

HOST = "pytorch"
FORMATS = ("channels-first", "channels-last")
_REQUIREMENTS = ("requirements-pytorch.txt",)
_FOLDER = "build/pytorch"


def make(layout: Layout) -> None:
    """Create the environment; HarnessError when pip cannot find the pinned wheels."""
    make_environment(layout.root, pip.wheel_cache(), _FOLDER, _REQUIREMENTS)


def versions(layout: Layout) -> Dict[str, str]:
    """Return the sha256 of what names the environment's packages, by its name in a record."""
    return {name: reading.sha256_of(layout.root / name) for name in _REQUIREMENTS}


def run(
    layout: Layout,
    job: Job,
    format_: str,
    threads: OpenMP,
    timeout_s: float,
    overrides: Mapping[str, str],
) -> Dict[str, Any]:
    """Run a TrainJob in PyTorch, and return what ``run_worker`` does.

    Raises WorkerFailed, and HarnessError when the environment is absent or the network is another
    one than MXNet's.
    """
    python = layout.root / _FOLDER / "bin" / "python"
    if not python.is_file():
        raise HarnessError(f"{python.relative_to(layout.root)} is absent: give --pytorch")
    environment = {
        "LC_ALL": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": str(threads.omp_num_threads),
        **overrides,
    }
    fields = {**to_json(job), "format": format_}
    what = f"worker (train {fields['model']}, {HOST}, {format_})"
    with tempfile.TemporaryDirectory(prefix="opcache-") as name:
        job_file, out = Path(name, "job.json"), Path(name, "out.json")
        files.write_text(job_file, json.dumps(fields))
        program = layout.tools / "pytorch" / "train.py"
        command = [str(python), "-W", "ignore", str(program), str(job_file), str(out)]
        done = process.run(command, environment, timeout_s)
        if done.code != 0:
            raise WorkerFailed(f"{what} {done.failure}", done.stderr)
        result: Dict[str, Any] = reading.json_file(out)
    _check_parameters(fields["model"], result.pop("parameters"), what)
    return {**result, "environment": environment}


# MXNet's ResNets have biases in more convolutions: models/registry.py.
_MORE_BIASES = {"resnet-50": 18_880, "resnet-152": 59_840}


def _check_parameters(model: str, found: int, what: str) -> None:
    expected = find_network(model).parameters - _MORE_BIASES.get(model, 0)
    if found != expected:
        raise HarnessError(f"{what}: expected {expected} parameters, found {found}")
