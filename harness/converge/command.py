"""The converge command: trains the curves that a record lacks, and compares their bits.

A finished epoch is in a checkpoint before the next one starts and in the record within seconds;
a killed run loses only unfinished epochs. The first differing bit ends the run.
"""

from __future__ import annotations

import argparse
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

import pydantic
from tqdm import tqdm

from harness.base import toml
from harness.base.console import say, shown
from harness.base.errors import HarnessError
from harness.base.layout import Layout, here
from harness.base.options import number, words
from harness.converge import checkpoint, cifar10, dataset, follow, table
from harness.converge.config import ConvergeConfig, resolve
from harness.converge.dataset import DataSet
from harness.converge.record import (
    ConvergeRecord,
    ConvergeSettings,
    Curve,
    Data,
    Evidence,
    Training,
    load,
    partings,
)
from harness.trials import own
from harness.trials.jobs import ConvergeJob, fields_for
from harness.trials.launch import run_worker
from harness.trials.record import (
    add_record_options,
    first_fault,
    save,
    start_or_resume,
    threads,
)
from harness.trials.variants import OwnLayout, library_versions, parse_variant

EXAMPLES = """examples:
  python -m harness converge
  python -m harness converge --model cifar-vgg-16 --scopes stock,backward,all --subset 10000
  python -m harness converge --config configs/converge-full.toml --out results/raw/converge.json
  python -m harness converge --config configs/converge-full.toml --resume results/raw/converge.json
  python -m harness converge --mxnet ../mxnet/python --against ../mxnet-before/python
  python -m harness converge --show results/raw/converge.json

data: --data-dir, else CIFAR10_DIR, else the official download, else synthetic images.
exit code: 0 when every finished training has equal bits, 1 when bits differ.
"""
_POLL_S = 1.0


class Task(NamedTuple):
    """One curve to train: a training's number in the settings, and a scope."""

    training: int
    scope: str


@dataclass(frozen=True, eq=False)
class Run:
    """A run in progress: its folders, and the data file of each training."""

    layout: Layout
    settings: ConvergeSettings
    checkpoints: Path
    data: List[Path]
    timeout_s: float

    def folder(self, task: Task) -> Path:
        """Return the folder of a curve's checkpoint."""
        return self.checkpoints / f"{task.training}-{task.scope.replace(':', '-')}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``converge``; lists are separated by commas."""
    default = here().root / "configs" / "converge-quick.toml"
    parser.add_argument("--config", type=Path, default=default, help="TOML file with defaults")
    parser.add_argument("--model", help="cifar-resnet-50 or cifar-vgg-16")
    parser.add_argument("--host", help="an MXNet release, such as 1.4.1")
    parser.add_argument("--scopes", help="stock, and scopes to compare with it, such as stock,all")
    parser.add_argument("--epochs", help="length of the schedule")
    parser.add_argument("--stock-epochs", help="stop stock after so many epochs of the schedule")
    parser.add_argument("--batch-size", help="images per step")
    parser.add_argument("--subset", help="train on the first so many images only")
    parser.add_argument("--threads", help="OpenMP threads of each training")
    parser.add_argument("--side-by-side", help="trainings at a time")
    own.add_options(parser)
    parser.add_argument("--data-dir", type=Path, help="folder of CIFAR-10's binary version")
    add_record_options(parser)


def main(args: argparse.Namespace) -> int:
    """Train the curves that the record lacks, print the tables, and return 1 if bits differ."""
    if args.show:
        return _report(load(args.show))
    layout = own.layout_of(args)
    config = toml.load(args.config, ConvergeConfig)
    trainings = _asked(args, config, layout)
    data = cifar10.load(args.data_dir, layout.build / "cifar10")
    record, path = start_or_resume(
        _new_record(layout, args, config, trainings, data),
        args.out,
        args.resume,
        layout.raw,
        load,
    )
    save(record, path)
    try:
        record = _train(_prepare(layout, record, data, config.timeout_s), record, path)
    except BaseException:
        say(
            f"the finished epochs are in {shown(path, layout.root)}: continue with the same "
            "options and --resume in place of --out"
        )
        raise
    code = _report(record)
    print(f"\nrecord: {shown(path, layout.root)}")
    return code


def _asked(args: argparse.Namespace, config: ConvergeConfig, layout: Layout) -> List[Training]:
    changes: Dict[str, Any] = {}
    if args.scopes is not None:
        changes["scopes"] = words("--scopes", args.scopes)
    for name in ("epochs", "stock_epochs", "batch_size", "subset"):
        if getattr(args, name) is not None:
            changes[name] = number(f"--{name.replace('_', '-')}", getattr(args, name))
    host, built = args.host, None
    if isinstance(layout, OwnLayout):
        host, built = layout.own.name, layout
    return resolve(config, own.toolchain_of(layout), args.model, host, changes, built)


def _new_record(
    layout: Layout,
    args: argparse.Namespace,
    config: ConvergeConfig,
    trainings: List[Training],
    data: DataSet,
) -> ConvergeRecord:
    versions: Dict[str, str] = {}
    for training in trainings:
        for scope in training.scopes:
            versions.update(library_versions(layout, training.host, parse_variant(scope)))
    omp_num_threads = config.omp_num_threads
    if args.threads is not None:
        omp_num_threads = number("--threads", args.threads)
    side_by_side = config.side_by_side
    if args.side_by_side is not None:
        side_by_side = number("--side-by-side", args.side_by_side)
    return ConvergeRecord(
        **ConvergeRecord.opening("converge", layout, versions),
        settings=ConvergeSettings(
            trainings=trainings,
            data=Data(
                source=data.source,
                sha256=dataset.digest(data),
                training=len(data.training.labels),
                validation=len(data.validation.labels),
            ),
            seed=config.seed,
            threads=threads(omp_num_threads),
            side_by_side=side_by_side,
        ),
        curves=[],
    )


def _prepare(layout: Layout, record: ConvergeRecord, data: DataSet, timeout_s: float) -> Run:
    folder, files = layout.build / "converge" / record.run_id, []
    for training in record.settings.trainings:
        part = DataSet(
            data.training.first(training.subset),
            data.validation.first(training.validation),
            data.source,
        )
        files.append(dataset.save(layout.build / "converge" / "data", part))
    return Run(layout, record.settings, folder, files, timeout_s)


def _train(run: Run, record: ConvergeRecord, path: Path) -> ConvergeRecord:
    """Train every curve that is not finished, some side by side; stop when bits differ."""
    tasks = [
        Task(number, scope)
        for number, training in enumerate(run.settings.trainings)
        for scope in training.scopes
    ]
    for task in tasks:
        follow.clear(run.folder(task))
    todo = [task for task in tasks if record.curve(*task).evidence is None]
    bar = _Progress(run, tasks)
    with ThreadPoolExecutor(run.settings.side_by_side) as pool:
        waiting = {pool.submit(_train_curve, run, task): task for task in todo}
        try:
            while waiting:
                done, _ = wait(waiting, timeout=_POLL_S, return_when=FIRST_COMPLETED)
                for task in todo:
                    record = _take_epochs(run, record, task, path)
                for future in done:
                    record = _finish(record, waiting.pop(future), future, path)
                bar.update()
                if partings(record):
                    break
        finally:
            for future, task in waiting.items():
                future.cancel()
                follow.ask_to_stop(run.folder(task))
            bar.close()
    return record


def _train_curve(run: Run, task: Task) -> Dict[str, Any]:
    training = run.settings.trainings[task.training]
    job = ConvergeJob(
        **fields_for(ConvergeJob, training),
        data=str(run.data[task.training]),
        data_sha256=run.data[task.training].stem,
        folder=str(run.folder(task)),
        last_epoch=training.last_epoch(task.scope),
        seed=run.settings.seed,
    )
    variant = parse_variant(task.scope)
    return run_worker(
        job,
        run.layout,
        training.host,
        variant,
        run.settings.threads,
        run.timeout_s,
        # A training that had ended before the resumption avoids nothing.
        expect_hits=len(checkpoint.epochs(run.folder(task))) < job.last_epoch,
    )


def _take_epochs(run: Run, record: ConvergeRecord, task: Task, path: Path) -> ConvergeRecord:
    """Copy new epochs of a training from its checkpoint into the record."""
    old = record.curve(*task)
    if follow.progress(run.folder(task)).epochs <= len(old.epochs):
        return record
    epochs = checkpoint.epochs(run.folder(task))
    try:
        curve = Curve.model_validate({**old.model_dump(), "epochs": epochs})
    except pydantic.ValidationError as error:
        path = run.folder(task) / checkpoint.FILE
        raise HarnessError(f"{path}: {first_fault(error)}") from error
    record = record.with_curve(curve)
    save(record, path)
    for epoch in curve.epochs[len(old.epochs) :]:
        tqdm.write(table.epoch_line(run.settings, task.training, task.scope, epoch))
    return record


def _finish(record: ConvergeRecord, task: Task, future: Future[Any], path: Path) -> ConvergeRecord:
    result = future.result()
    evidence = Evidence(**{name: result[name] for name in Evidence.model_fields})
    curve = Curve(
        training=task.training, scope=task.scope, epochs=result["epochs"], evidence=evidence
    )
    record = record.with_curve(curve)
    save(record, path)
    return record


class _Progress:
    """One bar over the images of all curves, with the time left."""

    def __init__(self, run: Run, tasks: List[Task]) -> None:
        self._run = run
        self._tasks = tasks
        total = 0
        for task in tasks:
            training = run.settings.trainings[task.training]
            total += training.last_epoch(task.scope) * self._epoch_images(task)
        self._bar = tqdm(
            total=total,
            initial=self._images(),
            unit="img",
            dynamic_ncols=True,
            mininterval=_POLL_S,
            smoothing=0.05,
        )

    def update(self) -> None:
        """Move the bar to the trainings' progress."""
        self._bar.update(self._images() - self._bar.n)

    def close(self) -> None:
        """End the bar."""
        self.update()
        self._bar.close()

    def _epoch_images(self, task: Task) -> int:
        training = self._run.settings.trainings[task.training]
        images = training.subset or self._run.settings.data.training
        return images // training.batch_size * training.batch_size

    def _images(self) -> int:
        return sum(
            follow.progress(self._run.folder(task)).steps
            * self._run.settings.trainings[task.training].batch_size
            for task in self._tasks
        )


def _report(record: ConvergeRecord) -> int:
    print(table.render(record), end="")
    for line in partings(record):
        say(f"error: {line}")
    return 1 if partings(record) else 0
