"""Trains in a process that forks again and again; parent and child both go on."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import traceback
from collections import Counter
from typing import Any, Dict, List

import numpy

from harness.base import proc
from harness.trials.jobs import ForkJob
from harness.worker import counters
from harness.worker.counters import Cache
from harness.worker.hashing import combined
from harness.worker.network import initialise
from harness.worker.scenarios.training import SHAPE, Arrays, Steps, train_gluon
from models import small

# A child trains a step or two in milliseconds: one that still runs after this time hangs.
CHILD_TIMEOUT_S = 60
_WARM_UP_STEPS = 3
_SAMPLES = 100


def run(job: ForkJob, cache: Cache) -> Dict[str, Any]:
    """Fork ``job.forks`` times, parent and child both training on; see ForkJob."""
    net = small.two_convolutions("net_")
    initialise(net, job.seed, SHAPE)
    training = train_gluon(net, job.seed, _WARM_UP_STEPS + job.forks + job.child_steps)
    for _ in range(_WARM_UP_STEPS):
        next(training)
    parent, children = hashlib.sha256(), hashlib.sha256()
    codes: Counter = Counter()
    result: Dict[str, List[int]] = {"resident_bytes": [], "primitives": [], "threads": []}
    finite, avoided = True, 0
    for index in range(job.forks):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            _child(training, job, cache, writing)
        os.close(writing)
        arrays = next(training)
        _add(parent, arrays)
        finite = finite and all(bool(numpy.isfinite(array).all()) for array in arrays.values())
        with os.fdopen(reading, "rb") as pipe:
            said = pipe.read()
        status = os.waitpid(pid, 0)[1]
        codes[os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)] += 1
        children.update(said[:64])
        avoided += int(said[64:] or 0)
        if index % max(job.forks // _SAMPLES, 1) == 0:
            _sample(result, cache)
    hashes = {"parent": parent.hexdigest(), "children": children.hexdigest()}
    return {
        **result,
        "hashes": hashes,
        "digest": combined(hashes),
        "finite": finite,
        "exit_codes": {str(code): count for code, count in codes.items()},
        "children_avoided": avoided,
        "stats": counters.read(cache),
    }


def _child(training: Steps, job: ForkJob, cache: Cache, writing: int) -> None:
    """Train on, write the digest and the creations avoided to ``writing``, and end the process."""
    try:
        signal.alarm(CHILD_TIMEOUT_S)
        digest = hashlib.sha256()
        for _ in range(job.child_steps):
            _add(digest, next(training))
        # A child counts from zero.
        totals = (counters.read(cache) or {}).get("totals", {})
        said = f"{digest.hexdigest()}{totals.get('primitives_avoided', 0)}"
        os.write(writing, said.encode())
        os._exit(0)
    except BaseException:
        traceback.print_exc(file=sys.stderr)
        sys.stderr.flush()
        os._exit(1)


def _add(digest: Any, arrays: Arrays) -> None:
    for name in sorted(arrays):
        digest.update(arrays[name].tobytes())


def _sample(result: Dict[str, List[int]], cache: Cache) -> None:
    result["resident_bytes"].append(proc.resident_bytes())
    found = counters.read(cache)
    if found is not None:
        totals = found["totals"]
        result["primitives"].append(totals["live_primitives"] + totals["idle_primitives"])
        result["threads"].append(found["threads"])
