"""One job in one fresh process; imports mxnet at its top, as do scenarios.py and operator_run.py.

Run as ``python -m harness.worker JOB.json OUT.json`` (``-`` for OUT prints the result) with
PYTHONPATH naming the MXNet to use; the parent chooses it, this file never does. The result is
written whole or not at all.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import mxnet as mx
import numpy

from harness import atomic, initial, library, operator_run, scenarios
from harness.errors import HarnessError
from harness.job import HashJob, Job, OperatorsJob, ScenarioJob, TrainJob, job_from_json
from models.registry import Network, find_network

# The same in every process, so that parameters have the same names everywhere.
PREFIX = "net_"

Cache = Optional[ctypes.CDLL]


def main(argv: List[str]) -> int:
    """Run the job file ``argv[0]`` and write its result to ``argv[1]``."""
    if len(argv) != 2:
        print("usage: python -m harness.worker JOB.json OUT.json|-", file=sys.stderr)
        return 2
    job = job_from_json(json.loads(Path(argv[0]).read_text(encoding="utf-8")))
    text = json.dumps(run(job), indent=1) + "\n"
    if argv[1] == "-":
        sys.stdout.write(text)
    else:
        atomic.write_text(Path(argv[1]), text)
    return 0


def run(job: Job) -> Dict[str, Any]:
    """Return the job's result, with what this process ran on."""
    mx.random.seed(job.seed)
    numpy.random.seed(job.seed)
    # MXNet loads its libraries at import, so what is mapped now is what the job runs on.
    libraries = library.mapped_libraries()
    cache = library.open_cache(libraries)
    if isinstance(job, TrainJob):
        result = train(job, cache)
    elif isinstance(job, HashJob):
        result = hash_training(job, cache)
    elif isinstance(job, ScenarioJob):
        result = hash_scenario(job, cache)
    else:
        result = check_operators(job, cache)
    return {
        **result,
        "versions": {
            "mxnet": mx.__version__,
            "numpy": numpy.__version__,
            "python": platform.python_version(),
        },
        "libraries": [{"file": p.name, "build_id": library.build_id(p)} for p in libraries],
        "peak_resident_bytes": peak_resident_bytes(),
    }


def peak_resident_bytes() -> int:
    """Return the largest resident set that this process ever had."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise HarnessError("/proc/self/status: expected a VmHWM line, found none")


def train(job: TrainJob, cache: Cache) -> Dict[str, Any]:
    """Time training steps, each from an idle MXNet to an idle MXNet; see TrainJob."""
    network = find_network(job.model)
    module = _module(network, job)
    batch = _batch(network, job, step=0)

    def timed_step() -> int:
        mx.nd.waitall()
        start_ns = time.perf_counter_ns()
        module.forward_backward(batch)
        module.update()
        mx.nd.waitall()
        return time.perf_counter_ns() - start_ns

    warm_up_ns, missing = _warm_up(job, timed_step, cache)
    if cache is not None:
        cache.mkldnn_opcache_reset_stats()
    stats_before = _counters(cache)
    step_ns = [timed_step() for _ in range(job.timed_steps)]
    return {
        "warm_up_ns": warm_up_ns,
        "step_ns": step_ns,
        "still_missing": missing,
        "stats_before": stats_before,
        "stats": _counters(cache),
        "finite": bool(numpy.isfinite(module.get_outputs()[0].asnumpy()).all()),
    }


def _warm_up(
    job: TrainJob, timed_step: Callable[[], int], cache: Cache
) -> Tuple[List[int], Optional[bool]]:
    """Return the steps' times, and whether the cache missed in the last; None without a cache."""
    elapsed_ns: List[int] = []
    if cache is None or not library.read_stats(cache)["active"]:
        # As many as a cache takes that misses in none of the steps after the minimum.
        return [timed_step() for _ in range(job.warm_up_steps_min + 1)], None
    missing = True
    while len(elapsed_ns) < job.warm_up_steps_max:
        before = library.read_stats(cache)
        elapsed_ns.append(timed_step())
        missing = library.still_missing(before, library.read_stats(cache))
        if len(elapsed_ns) > job.warm_up_steps_min and not missing:
            break
    return elapsed_ns, missing


def _counters(cache: Cache) -> Optional[Dict[str, Any]]:
    return None if cache is None else library.read_stats(cache)


def hash_training(job: HashJob, cache: Cache) -> Dict[str, Any]:
    """Train and hash every parameter, auxiliary state and the last outputs; see HashJob."""
    network = find_network(job.model)
    learn = _learn_with_module if job.api == "module" else _learn_with_gluon
    arrays = learn(network, job)
    hashes = {name: hashlib.sha256(arrays[name].tobytes()).hexdigest() for name in sorted(arrays)}
    if job.dump is not None:
        numpy.savez(job.dump, **arrays)
    return {
        "hashes": hashes,
        "digest": _combined(hashes),
        "finite": all(bool(numpy.isfinite(array).all()) for array in arrays.values()),
        "stats": _counters(cache),
    }


def check_operators(job: OperatorsJob, cache: Cache) -> Dict[str, Any]:
    """Run operators' cases, hash every array and compare it with the reference."""
    found = operator_run.run_operators(job, cache)
    return {**found, "digest": _combined(found["hashes"]), "stats": _counters(cache)}


def hash_scenario(job: ScenarioJob, cache: Cache) -> Dict[str, Any]:
    """Run a scenario and hash every array of every step."""
    found = scenarios.run_scenario(job)
    return {**found, "digest": _combined(found["hashes"]), "stats": _counters(cache)}


def _wait_for_moving_statistics() -> None:
    """Let backward passes end before auxiliary states are read.

    Batch normalisation updates its moving mean and variance in its backward pass, unknown to
    MXNet's engine: who reads them at once gets values from before the update, or torn ones.
    """
    mx.nd.waitall()


def _combined(hashes: Dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def _data_shape(job: Any) -> tuple:
    return (job.batch_size, 3, job.image_size, job.image_size)


def _batch(network: Network, job: Any, step: int) -> Any:
    data = initial.uniform(job.seed, f"data/{step}", _data_shape(job))
    labels = initial.labels(job.seed, f"label/{step}", job.batch_size, network.classes)
    return mx.io.DataBatch([mx.nd.array(data)], [mx.nd.array(labels)])


def _initial_parameters(job: Any, symbol: Any) -> Dict[str, numpy.ndarray]:
    argument_shapes, _, state_shapes = symbol.infer_shape(data=_data_shape(job))
    names = symbol.list_arguments() + symbol.list_auxiliary_states()
    shapes = dict(zip(names, argument_shapes + state_shapes))
    parameters = (name for name in names if name.startswith(PREFIX))
    return {name: initial.parameter(job.seed, name, shapes[name]) for name in parameters}


def _module(network: Network, job: Any) -> Any:
    scores = network.build(network.classes, PREFIX)(mx.sym.var("data"))
    symbol = mx.sym.SoftmaxOutput(scores, mx.sym.var("softmax_label"), name="softmax")
    module = mx.mod.Module(symbol, context=mx.cpu())
    module.bind([("data", _data_shape(job))], [("softmax_label", (job.batch_size,))])
    values = _initial_parameters(job, symbol)
    states = set(symbol.list_auxiliary_states())
    parameters: Dict[bool, Dict[str, Any]] = {True: {}, False: {}}
    for name, value in values.items():
        parameters[name in states][name] = mx.nd.array(value)
    module.init_params(arg_params=parameters[False], aux_params=parameters[True])
    optimizer = {"learning_rate": job.learning_rate, "momentum": job.momentum}
    module.init_optimizer(kvstore=None, optimizer="sgd", optimizer_params=optimizer)
    return module


def _learn_with_module(network: Network, job: HashJob) -> Dict[str, numpy.ndarray]:
    module = _module(network, job)
    for step in range(job.steps):
        module.forward_backward(_batch(network, job, step))
        module.update()
    _wait_for_moving_statistics()
    parameters, states = module.get_params()
    arrays = {name: value.asnumpy() for name, value in {**parameters, **states}.items()}
    arrays["output"] = module.get_outputs()[0].asnumpy()
    return arrays


def _learn_with_gluon(network: Network, job: HashJob) -> Dict[str, numpy.ndarray]:
    net = network.build(network.classes, PREFIX)
    values = _initial_parameters(job, net(mx.sym.var("data")))
    net.initialize()
    if job.api == "hybrid":
        net.hybridize()
    parameters = net.collect_params()
    for name, value in values.items():
        parameters[name].set_data(mx.nd.array(value))
    optimizer = {"learning_rate": job.learning_rate, "momentum": job.momentum}
    trainer = mx.gluon.Trainer(parameters, "sgd", optimizer, kvstore=None)
    loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    output: Any = None
    for step in range(job.steps):
        batch = _batch(network, job, step)
        with mx.autograd.record():
            output = net(batch.data[0])
            errors = loss(output, batch.label[0])
        errors.backward()
        trainer.step(job.batch_size)
    _wait_for_moving_statistics()
    arrays = {name: parameter.data().asnumpy() for name, parameter in parameters.items()}
    arrays["output"] = output.asnumpy()
    return arrays


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except HarnessError as error:
        sys.exit(f"opcache: error: {error}")
