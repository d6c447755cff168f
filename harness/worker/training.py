"""Trains a network on dummy data step by step, by the API through which people train it.

Owns how a step is trained and timed. Decides nothing about what happens with a trained network.
"""

from __future__ import annotations

import time
from typing import Any, List, Protocol, Sequence

import mxnet as mx
import numpy

from harness.worker.network import PREFIX, data_shape, initialise, make_batch, make_module
from models.registry import Network


class Training(Protocol):
    """A network in training."""

    def step(self, batch: Any) -> None:
        """Train one step; MXNet may still compute when it returns."""

    def outputs(self) -> Sequence[Any]:
        """Return the network's outputs of the last step, as MXNet's arrays."""


class ModuleTraining:
    """A classifier in training by MXNet's Module API."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def step(self, batch: Any) -> None:
        """Train one step."""
        self._module.forward_backward(batch)
        self._module.update()

    def outputs(self) -> Sequence[Any]:
        """Return the outputs of the last step."""
        return self._module.get_outputs()


class GluonTraining:
    """A network in training by Gluon: ``hybrid``, or imperative."""

    def __init__(self, network: Network, job: Any, hybrid: bool) -> None:
        net = network.build_for(job.image_size, PREFIX)
        self.parameters = initialise(net, job.seed, data_shape(job))
        if hybrid:
            net.hybridize()
        self._net, self._batch_size = net, job.batch_size
        self._inputs = 0 if network.recipe is None else network.recipe.inputs
        optimizer = {"learning_rate": job.learning_rate, "momentum": job.momentum}
        self._trainer = mx.gluon.Trainer(self.parameters, "sgd", optimizer, kvstore=None)
        classify = mx.gluon.loss.SoftmaxCrossEntropyLoss
        self._loss = (classify if network.recipe is None else network.recipe.loss)()
        self._outputs: List[Any] = []

    def step(self, batch: Any) -> None:
        """Train one step."""
        with mx.autograd.record():
            output = self._net(batch.data[0], *batch.label[: self._inputs])
            self._outputs = list(output) if isinstance(output, (list, tuple)) else [output]
            errors = self._loss(*self._outputs, *batch.label)
        errors.backward()
        self._trainer.step(self._batch_size)

    def outputs(self) -> Sequence[Any]:
        """Return the outputs of the last step."""
        return self._outputs


def start(network: Network, job: Any, api: str = "") -> Training:
    """Return a network ready to train by ``api``, a word of HashJob, or by its own."""
    api = api or network.api
    if api == "module":
        return ModuleTraining(make_module(network, job))
    return GluonTraining(network, job, hybrid=api == "hybrid")


def make_batches(network: Network, job: Any) -> List[Any]:
    """Return the batches that each timed step trains on: one of each of the network's sides."""
    return [make_batch(network, job, step) for step in range(len(network.sides(job.image_size)))]


def image_sides(batches: Sequence[Any]) -> List[int]:
    """Return the side of each batch's images."""
    return [batch.data[0].shape[-1] for batch in batches]


def time_step(training: Training, batches: Sequence[Any]) -> int:
    """Train on the batches, from an idle MXNet to an idle MXNet, and return its nanoseconds."""
    mx.nd.waitall()
    start_ns = time.perf_counter_ns()
    for batch in batches:
        training.step(batch)
    mx.nd.waitall()
    return time.perf_counter_ns() - start_ns


def is_finite(training: Training) -> bool:
    """Tell whether the network's outputs have neither infinities nor NaN."""
    return all(bool(numpy.isfinite(each.asnumpy()).all()) for each in training.outputs())
