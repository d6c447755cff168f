"""Training in a process that forks again and again, for the worker process: parent and child go on.

Imports mxnet, so only the worker process may import it.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import traceback
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy

from harness.trials.jobs import ForkJob
from harness.worker import counters
from harness.worker.scenarios.common import SHAPE, Arrays, Steps, initialise, train_gluon
from models import small

# A child that trains a step or two takes milliseconds: what still runs then, hangs.
CHILD_TIMEOUT_S = 60
_WARM_UP_STEPS = 3
_SAMPLES = 100


def train(job: ForkJob, cache: Any) -> Dict[str, Any]:
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
        "digest": hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest(),
        "finite": finite,
        "exit_codes": {str(code): count for code, count in codes.items()},
        "children_avoided": avoided,
        "stats": counters.counters(cache),
    }


def _child(training: Steps, job: ForkJob, cache: Any, writing: int) -> None:
    """Train on, tell the digest and the creations avoided, and end; never returns."""
    try:
        signal.alarm(CHILD_TIMEOUT_S)
        digest = hashlib.sha256()
        for _ in range(job.child_steps):
            _add(digest, next(training))
        # A child counts from zero.
        totals = (counters.counters(cache) or {}).get("totals", {})
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


def _sample(result: Dict[str, List[int]], cache: Any) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    result["resident_bytes"].append(pages * os.sysconf("SC_PAGE_SIZE"))
    found: Optional[Dict[str, Any]] = counters.counters(cache)
    if found is not None:
        totals = found["totals"]
        result["primitives"].append(totals["live_primitives"] + totals["idle_primitives"])
        result["threads"].append(found["threads"])
