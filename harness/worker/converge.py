"""Trains a network on CIFAR-10: epochs, each with a validation and a checkpoint."""

from __future__ import annotations

import gc
import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Tuple

import mxnet as mx
import numpy

from harness.base import files, proc
from harness.base.errors import HarnessError
from harness.converge import checkpoint, dataset
from harness.converge.follow import Follower, Progress
from harness.converge.images import Batch, Normalisation, TrainingImages, validation_batches
from harness.converge.schedule import learning_rate
from harness.trials.jobs import ConvergeJob
from harness.trials.networks import find_network
from harness.worker import counters
from harness.worker.counters import Cache
from harness.worker.network import make_module, wait_for_moving_statistics

# Fields that may differ between two processes of one training.
_NOT_TRAINED = ("data", "folder", "last_epoch")
STATISTICS = "statistics.json"


def run(job: ConvergeJob, cache: Cache) -> Dict[str, Any]:
    """Train from the folder's checkpoint, or from the start, to ``last_epoch``; see ConvergeJob.

    Returns the finished ``epochs`` and the cache's ``stats``.
    """
    folder = Path(job.folder)
    with files.lock(folder / "lock"):
        return _train(job, folder, cache)


def _train(job: ConvergeJob, folder: Path, cache: Cache) -> Dict[str, Any]:
    data = dataset.load(Path(job.data), job.data_sha256)
    normalisation = Normalisation.of(data.training)
    images = TrainingImages(data.training, normalisation, job.batch_size)
    loaded = _Loaded(job, images) if job.loaders else None
    network = find_network(job.model)
    module = make_module(network, job, weight_decay=job.weight_decay)
    trained = {k: v for k, v in asdict(job).items() if k not in _NOT_TRAINED}
    trained["mxnet"] = mx.__version__
    kept = checkpoint.load(folder, trained)
    epochs: List[Dict[str, Any]] = []
    if kept is not None:
        arrays, epochs = kept
        _restore(module, arrays)
    follower = Follower(folder)
    follower.tell(Progress(len(epochs) * images.batches, len(epochs)))
    first = len(epochs) + 1
    for epoch in range(len(epochs), job.last_epoch):
        started_s = time.perf_counter()
        batches = loaded.epoch(epoch) if loaded else images.epoch(job.seed, epoch)
        learned = _learn(job, module, images.batches, batches, epoch, follower)
        train_s = time.perf_counter() - started_s
        started_s = time.perf_counter()
        top_1, top_5 = _validate(
            module, validation_batches(data.validation, normalisation, job.batch_size)
        )
        validate_s = time.perf_counter() - started_s
        arrays = _arrays(module)
        epochs.append(
            {
                "epoch": epoch + 1,
                **learned,
                "correct_top_1": top_1,
                "correct_top_5": top_5,
                "validated": len(data.validation.labels),
                "train_s": train_s,
                "validate_s": validate_s,
                "parameters_sha256": checkpoint.digest(
                    {name: a for name, a in arrays.items() if not name.startswith("momentum:")}
                ),
                "state_sha256": checkpoint.digest(arrays),
                "load_average": os.getloadavg()[0],
                **({"sample": _sample(folder, cache, first)} if loaded else {}),
            }
        )
        checkpoint.save(folder, arrays, trained, epochs)
        follower.tell(Progress(len(epochs) * images.batches, len(epochs)))
    return {"epochs": epochs, "stats": counters.read(cache)}


def _sample(folder: Path, cache: Cache, first: int) -> Dict[str, int]:
    stats = counters.read(cache)
    if stats is not None:
        files.write_text(folder / STATISTICS, json.dumps(stats))
    gc.collect()
    return {
        "avoided": 0 if stats is None else stats["totals"]["primitives_avoided"],
        "first_epoch": first,
        "resident_bytes": proc.resident_bytes(),
        "open_files": proc.open_files(),
        "threads": proc.threads(),
    }


class _Loaded:
    """The training images from the processes of one DataLoader, which live as long as it does."""

    def __init__(self, job: ConvergeJob, images: TrainingImages) -> None:
        self._order = _Order(job.seed, images, images.batches * job.batch_size)
        self._loader = mx.gluon.data.DataLoader(
            _Drawn(job.seed, images),
            batch_size=job.batch_size,
            sampler=self._order,
            num_workers=job.loaders,
        )

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of an epoch, as ``TrainingImages.epoch`` does."""
        self._order.epoch = epoch
        for pixels, labels in self._loader:
            yield pixels.asnumpy(), labels.asnumpy()


class _Order:
    """A sampler. It names the epoch to processes that were forked before."""

    def __init__(self, seed: int, images: TrainingImages, count: int) -> None:
        self._seed = seed
        self._images = images
        self._count = count
        self.epoch = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Tuple[int, int]]:
        for number in self._images.order(self._seed, self.epoch):
            yield self.epoch, int(number)


class _Drawn:
    """A dataset. MXNet 1.3 follows its attributes in each process, so it must not be in a cycle."""

    def __init__(self, seed: int, images: TrainingImages) -> None:
        self._seed = seed
        self._images = images

    def __getitem__(self, drawn: Tuple[int, int]) -> Tuple[numpy.ndarray, numpy.float32]:
        return self._images.image(self._seed, *drawn)


def _learn(
    job: ConvergeJob,
    module: Any,
    count: int,
    batches: Iterator[Batch],
    epoch: int,
    follower: Follower,
) -> Dict[str, Any]:
    """Train ``count`` batches, an epoch numbered from 0.

    ``input_cpu_s`` is the CPU time of making batches in this process.
    """
    steps, first = job.epochs * count, epoch * count
    warm_up = round(job.warm_up_epochs * count)
    loss, correct, input_cpu_s = 0.0, 0, 0.0
    for step in range(count):
        follower.step(Progress(first + step, epoch))
        # CPU time of this thread: the last step's backward pass still runs on others.
        started_s = time.thread_time()
        pixels, labels = next(batches)
        batch = _batch((pixels, labels))
        input_cpu_s += time.thread_time() - started_s
        module._optimizer.set_learning_rate(
            learning_rate(first + step, steps, warm_up, job.learning_rate)
        )
        module.forward_backward(batch)
        module.update()
        # Waits for the forward pass; the next step's read of its output waits for this one's rest.
        output = module.get_outputs()[0].asnumpy()
        chosen = output[numpy.arange(len(labels)), labels.astype(int)]
        loss += float(-numpy.log(numpy.maximum(chosen, numpy.float32(1e-30))).mean())
        correct += int((output.argmax(axis=1) == labels).sum())
        if not numpy.isfinite(output).all():
            raise HarnessError(
                f"{job.model}: epoch {epoch + 1}, step {step + 1}: the output is not finite: "
                f"train with a lower learning rate than {job.learning_rate:g}"
            )
    mx.nd.waitall()
    return {
        "trained": count * job.batch_size,
        "loss": loss / count,
        "correct_trained": correct,
        "input_cpu_s": input_cpu_s,
    }


def _validate(module: Any, batches: Iterable[Batch]) -> Tuple[int, int]:
    """Count the images whose label ranks first, and those whose label is among the first five."""
    top_1 = top_5 = 0
    for pixels, labels in batches:
        module.forward(_batch((pixels, numpy.zeros(len(pixels), numpy.float32))), is_train=False)
        scores = module.get_outputs()[0].asnumpy()[: len(labels)]
        # Stable, so that equal scores rank alike in every process.
        ranked = numpy.argsort(-scores, axis=1, kind="stable")[:, :5]
        hits = ranked == labels[:, None]
        top_1 += int(hits[:, 0].sum())
        top_5 += int(hits.any(axis=1).sum())
    return top_1, top_5


def _batch(arrays: Batch) -> Any:
    return mx.io.DataBatch([mx.nd.array(arrays[0])], [mx.nd.array(arrays[1])])


def _arrays(module: Any) -> checkpoint.Arrays:
    wait_for_moving_statistics()
    parameters, states = module.get_params()
    named = {**parameters, **states}
    arrays = {f"parameter:{name}": value.asnumpy() for name, value in named.items()}
    for index, momentum in module._updater.states.items():
        arrays[f"momentum:{index}"] = momentum.asnumpy()
    return arrays


def _restore(module: Any, arrays: checkpoint.Arrays) -> None:
    values: Dict[str, Dict[str, Any]] = {"parameter": {}, "momentum": {}}
    for name, array in arrays.items():
        kind, _, key = name.partition(":")
        values[kind][key] = mx.nd.array(array)
    parameters, states = module.get_params()
    wanted = {name: array.shape for name, array in {**parameters, **states}.items()}
    found = {name: array.shape for name, array in values["parameter"].items()}
    if found != wanted:
        raise HarnessError(
            f"{checkpoint.FILE}: its parameters are not those of this network: delete it"
        )
    module.set_params(
        {k: v for k, v in values["parameter"].items() if k not in states},
        {k: v for k, v in values["parameter"].items() if k in states},
    )
    updater = module._updater
    for index, momentum in values["momentum"].items():
        updater.states[int(index)] = momentum
        updater.states_synced[int(index)] = True
