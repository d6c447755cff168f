"""One job in one fresh process, on the MXNet that PYTHONPATH names.

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
from pathlib import Path
from typing import Any, Dict, List, Optional

import mxnet as mx
import numpy

from harness.base import files, reading
from harness.base.errors import HarnessError
from harness.build import elf
from harness.trials.jobs import (
    ConvergeJob,
    DescribeJob,
    DistTrainJob,
    ForkJob,
    HashJob,
    Job,
    OperatorsJob,
    ScenarioJob,
    SoakJob,
    TrainJob,
    job_from_json,
)
from harness.trials.networks import find_network
from harness.worker import converge as converge_train
from harness.worker import counters
from harness.worker import distributed as dist_worker
from harness.worker import fork as fork_worker
from harness.worker import network as training
from harness.worker import operators as operator_run
from harness.worker import soak as soak_worker
from harness.worker import train as train_worker
from harness.worker.facts import describe
from harness.worker.scenarios import common as scenarios
from harness.worker.scenarios import forks as fork_scenarios
from harness.worker.scenarios import threads as thread_scenarios
from models.registry import NETWORKS, Network

Cache = Optional[ctypes.CDLL]


def main(argv: List[str]) -> int:
    """Run the job file ``argv[0]`` and write its result to ``argv[1]``."""
    if len(argv) != 2:
        print("usage: python -m harness.worker JOB.json OUT.json|-", file=sys.stderr)
        return 2
    job = job_from_json(reading.json_file(Path(argv[0])))
    text = json.dumps(run(job), indent=1) + "\n"
    if argv[1] == "-":
        sys.stdout.write(text)
    else:
        files.write_text(Path(argv[1]), text)
    return 0


def run(job: Job) -> Dict[str, Any]:
    """Return the job's result, with what this process ran on."""
    mx.random.seed(job.seed)
    numpy.random.seed(job.seed)
    # MXNet loads its libraries at import, so what is mapped now is what the job runs on.
    libraries = counters.mapped_libraries()
    cache = counters.open_cache()
    if isinstance(job, TrainJob):
        result = train_worker.train(job, cache)
    elif isinstance(job, HashJob):
        result = hash_training(job, cache)
    elif isinstance(job, ScenarioJob):
        result = hash_scenario(job, cache)
    elif isinstance(job, ForkJob):
        result = fork_worker.train(job, cache)
    elif isinstance(job, DistTrainJob):
        result = dist_worker.train(job, cache)
    elif isinstance(job, ConvergeJob):
        result = converge_train.train(job, cache)
    elif isinstance(job, SoakJob):
        result = soak_worker.soak(job, cache)
    elif isinstance(job, DescribeJob):
        result = describe_networks(cache)
    else:
        result = check_operators(job, cache)
    return {
        **result,
        "versions": {
            "mxnet": mx.__version__,
            "numpy": numpy.__version__,
            "python": platform.python_version(),
        },
        "libraries": [{"file": p.name, "build_id": elf.build_id(p)} for p in libraries],
        "peak_resident_bytes": peak_resident_bytes(),
    }


def peak_resident_bytes() -> int:
    """Return the largest resident set that this process ever had."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise HarnessError("/proc/self/status: expected a VmHWM line, found none")


def hash_training(job: HashJob, cache: Cache) -> Dict[str, Any]:
    """Train and hash what was learned and what the last step computed; see HashJob.

    ``operators`` names the layer and MXNet's operator that each parameter and state belongs to.
    """
    network = find_network(job.model)
    learn = _learn_with_module if job.api == "module" else _learn_with_gluon
    arrays = learn(network, job)
    # In the order of the network.
    hashes = {name: hashlib.sha256(arrays[name].tobytes()).hexdigest() for name in arrays}
    if job.dump is not None:
        numpy.savez(job.dump, **arrays)
    return {
        "hashes": hashes,
        "operators": training.operators(network),
        "digest": _combined(hashes),
        "finite": all(bool(numpy.isfinite(array).all()) for array in arrays.values()),
        "stats": counters.counters(cache),
    }


def check_operators(job: OperatorsJob, cache: Cache) -> Dict[str, Any]:
    """Run operators' cases, hash every array and compare it with the reference."""
    found = operator_run.run_operators(job, cache)
    return {**found, "digest": _combined(found["hashes"]), "stats": counters.counters(cache)}


def hash_scenario(job: ScenarioJob, cache: Cache) -> Dict[str, Any]:
    """Run a scenario and hash every array of every step."""
    known = {**scenarios.SCENARIOS, **thread_scenarios.SCENARIOS, **fork_scenarios.SCENARIOS}
    found = scenarios.run_scenario(job, known)
    return {**found, "digest": _combined(found["hashes"]), "stats": counters.counters(cache)}


def describe_networks(cache: Cache) -> Dict[str, Any]:
    """Describe every network for one image of its paper's size."""
    networks = {}
    for name, network in NETWORKS.items():
        symbol = network.build(network.classes, training.PREFIX)(mx.sym.var("data"))
        networks[name] = describe(symbol, (1, 3, network.image_size, network.image_size))
    return {"networks": networks, "stats": counters.counters(cache)}


def _wait_for_moving_statistics() -> None:
    """Let backward passes end before auxiliary states are read.

    Batch normalisation updates its moving mean and variance in its backward pass, unknown to
    MXNet's engine: who reads them at once gets values from before the update, or torn ones.
    """
    mx.nd.waitall()


def _combined(hashes: Dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def _learn_with_module(network: Network, job: HashJob) -> Dict[str, numpy.ndarray]:
    module = training.module(network, job)
    for step in range(job.steps):
        module.forward_backward(training.batch(network, job, step))
        module.update()
    _wait_for_moving_statistics()
    parameters, states = module.get_params()
    gradients = module._exec_group.execs[0].grad_dict
    arrays = {"output": module.get_outputs()[0].asnumpy()}
    for name in training.operators(network):
        arrays[name] = (parameters[name] if name in parameters else states[name]).asnumpy()
        if name in parameters:
            arrays[f"gradient-{name}"] = gradients[name].asnumpy()
    return arrays


def _learn_with_gluon(network: Network, job: HashJob) -> Dict[str, numpy.ndarray]:
    net = network.build(network.classes, training.PREFIX)
    values = training.initial_parameters(job, net(mx.sym.var("data")))
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
        batch = training.batch(network, job, step)
        with mx.autograd.record():
            output = net(batch.data[0])
            errors = loss(output, batch.label[0])
        errors.backward()
        trainer.step(job.batch_size)
    _wait_for_moving_statistics()
    arrays = {"output": output.asnumpy()}
    for name, parameter in parameters.items():
        arrays[name] = parameter.data().asnumpy()
        if parameter.grad_req != "null":
            arrays[f"gradient-{name}"] = parameter.grad().asnumpy()
    return arrays


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except HarnessError as error:
        sys.exit(f"opcache: error: {error}")
