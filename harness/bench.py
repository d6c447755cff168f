"""Measures training throughput: stock against patched, fresh processes, interleaved.

The plan is a list of samples in rounds; each finished sample is in the record on disk before the
next one starts, so a killed run loses one sample at most and can be resumed.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

from tqdm import tqdm

from harness import machine, record, table
from harness.bench_config import BenchConfig, number, numbers, resolve, scopes_by_host, words
from harness.config import load, load_toolchain, project_version
from harness.console import shown
from harness.errors import HarnessError
from harness.job import TrainJob
from harness.layout import Layout, here
from harness.run import build_folder, library_versions, parse_variant, run_worker

_EXAMPLES = """examples:
  python -m harness bench
  python -m harness bench --models mobilenet-1.0 --image-size 64 --samples 10
  python -m harness bench --hosts 1.3.1,1.4.1 --scopes stock,backward,convolution+pooling
  python -m harness bench --scopes stock,preload:backward --out results/raw/preload.json
  python -m harness bench --resume results/raw/preload.json --scopes stock,preload:backward
"""


class Planned(NamedTuple):
    """One sample to take."""

    case: record.Case
    host: str
    variant: str
    round: int

    @property
    def key(self) -> record.SampleKey:
        """The key that the sample will have in the record."""
        return (*self.case.model_dump().values(), self.host, self.variant, self.round)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``bench``; lists are separated by commas."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EXAMPLES
    default = here().root / "configs" / "bench-quick.toml"
    parser.add_argument("--config", type=Path, default=default, help="TOML file with defaults")
    parser.add_argument("--models", help="networks, such as alexnet,resnet-50")
    parser.add_argument("--batch-size", help="images per step; several are measured one by one")
    parser.add_argument("--image-size", help="side in pixels, for every model")
    parser.add_argument("--hosts", help="MXNet releases, such as 1.3.1,1.4.1")
    parser.add_argument(
        "--scopes",
        help="for every host: stock, off, backward, all, operators joined by +, or preload: before "
        "one of these",
    )
    parser.add_argument("--samples", help="processes per model, host and scope")
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--out", type=Path, help="new record (default: results/raw/<run>.json)")
    target.add_argument("--resume", type=Path, help="record of an unfinished run to complete")


def main(args: argparse.Namespace) -> int:
    """Take the samples that the record lacks, print the table, and return 0."""
    layout = here()
    config = _configured(args)
    image_size = None if args.image_size is None else number("--image-size", args.image_size)
    run = _new_run(layout, resolve(config, load_toolchain(layout.toolchain), image_size))
    path = args.resume or args.out or layout.root / "results" / "raw" / f"{run.run_id}.json"
    if args.resume:
        run = _resumed(record.load(path), run, path)
    elif path.exists():
        raise HarnessError(f"{path} exists: continue it with --resume, or choose another --out")
    try:
        run = _take(layout, run, path, config.timeout_s)
    except BaseException:
        if path.exists():
            print(
                f"opcache: what was measured is in {shown(path, layout.root)}: continue it with "
                "the same options and --resume in place of --out",
                file=sys.stderr,
            )
        raise
    print(table.render(run))
    for line in table.warnings(run):
        print(f"opcache: warning: {line}", file=sys.stderr)
    print(f"record: {shown(path, layout.root)}")
    return 0


def plan(settings: record.Settings) -> List[Planned]:
    """Return every sample of a run, in the order in which it is taken.

    All variants of a case follow each other, so that each is close in time to the stock it is
    compared with; each round starts with another one, so that none is always first.
    """
    planned = []
    runs = [(host, word) for host, scopes in settings.variants.items() for word in scopes]
    for round_ in range(settings.samples):
        first = round_ % len(runs)
        for case in settings.cases:
            for host, variant in runs[first:] + runs[:first]:
                planned.append(Planned(case, host, variant, round_))
    return planned


def _configured(args: argparse.Namespace) -> BenchConfig:
    config = load(args.config, BenchConfig)
    asked: Dict[str, Any] = {}
    if args.models is not None:
        asked["models"] = words("--models", args.models)
    asked["scopes"] = scopes_by_host(
        config.scopes,
        None if args.hosts is None else words("--hosts", args.hosts),
        None if args.scopes is None else words("--scopes", args.scopes),
    )
    if args.batch_size is not None:
        asked["batch_sizes"] = numbers("--batch-size", args.batch_size)
    if args.samples is not None:
        asked["samples"] = number("--samples", args.samples)
    return config.model_copy(update=asked)


def _new_run(layout: Layout, settings: record.Settings) -> record.BenchRecord:
    versions = {"opcache": project_version(layout.pyproject), "python": platform.python_version()}
    for host, scopes in settings.variants.items():
        for word in scopes:
            variant = parse_variant(word)
            folder = build_folder(layout, host, variant)
            _forget_cached_pages(folder / "mxnet" / "libmxnet.so")
            # The library's own hash: a run must not go on with another build of it.
            versions.update(library_versions(layout, host, variant))
    now = datetime.datetime.now(datetime.timezone.utc)
    return record.BenchRecord(
        kind=record.KIND,
        schema_version=record.SCHEMA_VERSION,
        run_id=f"bench-{now:%Y%m%dT%H%M%SZ}",
        started_utc=record.utc(now),
        machine=machine.describe(),
        versions=versions,
        settings=settings,
        samples=[],
    )


def _forget_cached_pages(path: Path) -> None:
    """Have a library read from disk again, so that all builds are resident alike.

    Linux maps more at once of a file that it has cached since it was written: of a fresh
    libmxnet.so, 40 MiB more count as resident than of one that was read from disk.
    """
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _resumed(
    recorded: record.BenchRecord, asked: record.BenchRecord, path: Path
) -> record.BenchRecord:
    record.check_compatible(recorded, asked)
    expected = {planned.key for planned in plan(asked.settings)}
    seen = set()
    for sample in recorded.samples:
        if sample.key not in expected or sample.key in seen:
            raise HarnessError(f"{path}: expected each planned sample once, found {sample.key}")
        seen.add(sample.key)
    return recorded


def _take(
    layout: Layout, run: record.BenchRecord, path: Path, timeout_s: float
) -> record.BenchRecord:
    taken = {sample.key for sample in run.samples}
    todo = plan(run.settings)
    with tqdm(total=len(todo), initial=len(taken), unit="sample", dynamic_ncols=True) as progress:
        for planned in todo:
            if planned.key in taken:
                continue
            progress.set_description(f"{planned.case.model} {planned.host} {planned.variant}")
            sample = _sample(layout, run.settings, planned, timeout_s)
            run = run.model_copy(update={"samples": [*run.samples, sample]})
            record.save(run, path)
            progress.update()
    return run


def _sample(
    layout: Layout, settings: record.Settings, planned: Planned, timeout_s: float
) -> record.Sample:
    started = datetime.datetime.now(datetime.timezone.utc)
    job = TrainJob(
        **planned.case.model_dump(),
        seed=settings.seed,
        warm_up_steps_min=settings.warm_up_steps_min,
        warm_up_steps_max=settings.warm_up_steps_max,
        timed_steps=settings.timed_steps,
        learning_rate=settings.learning_rate,
        momentum=settings.momentum,
    )
    variant = parse_variant(planned.variant)
    result = run_worker(job, layout, planned.host, variant, settings.threads, timeout_s)
    return record.Sample.model_validate(
        {**planned._asdict(), "started_utc": record.utc(started), **result}
    )
