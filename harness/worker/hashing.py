"""Trains a network by Module or Gluon, and hashes every array that it learned or computed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any, Dict

import numpy

from harness.trials.jobs import HashJob
from harness.trials.networks import find_network
from harness.worker import counters
from harness.worker.counters import Cache
from harness.worker.network import (
    make_batch,
    make_module,
    operators_by_array,
    wait_for_moving_statistics,
)
from harness.worker.training import GluonTraining
from models.registry import Network


def run(job: HashJob, cache: Cache) -> Dict[str, Any]:
    """Train, and hash the learned arrays and those of the last step; see HashJob.

    ``operators`` names the layer, and MXNet's operator, of each parameter and state.
    """
    network = find_network(job.model)
    job = dataclasses.replace(job, api=job.api or network.api)
    arrays = (_by_module if job.api == "module" else _by_gluon)(network, job)
    # In the order of the network.
    hashes = {name: hashlib.sha256(arrays[name].tobytes()).hexdigest() for name in arrays}
    if job.dump is not None:
        numpy.savez(job.dump, **arrays)
    return {
        "hashes": hashes,
        "operators": operators_by_array(network),
        "digest": combined(hashes),
        "finite": all(bool(numpy.isfinite(array).all()) for array in arrays.values()),
        "stats": counters.read(cache),
    }


def combined(hashes: Dict[str, str]) -> str:
    """Return one digest of all hashes and their names, whatever their order."""
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def _by_module(network: Network, job: HashJob) -> Dict[str, numpy.ndarray]:
    module = make_module(network, job)
    for step in range(job.steps):
        module.forward_backward(make_batch(network, job, step))
        module.update()
    wait_for_moving_statistics()
    parameters, states = module.get_params()
    gradients = module._exec_group.execs[0].grad_dict
    arrays = {"output": module.get_outputs()[0].asnumpy()}
    for name in operators_by_array(network):
        arrays[name] = (parameters[name] if name in parameters else states[name]).asnumpy()
        if name in parameters:
            arrays[f"gradient-{name}"] = gradients[name].asnumpy()
    return arrays


def _by_gluon(network: Network, job: HashJob) -> Dict[str, numpy.ndarray]:
    training = GluonTraining(network, job, hybrid=job.api == "hybrid")
    for step in range(job.steps):
        training.step(make_batch(network, job, step))
    wait_for_moving_statistics()
    outputs = enumerate(training.outputs())
    arrays = {f"output-{i}" if i else "output": each.asnumpy() for i, each in outputs}
    for name, parameter in training.parameters.items():
        arrays[name] = parameter.data().asnumpy()
        if parameter.grad_req != "null":
            arrays[f"gradient-{name}"] = parameter.grad().asnumpy()
    return arrays
