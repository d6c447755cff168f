"""The bench command: scopes against each other, in one process or in interleaved fresh ones.

``plan`` decides the next process. Each finished process is a line of the record on disk before the
next one starts: a killed run loses at most one process, and the same command continues it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

from tqdm import tqdm

from harness.base import jsonl
from harness.base.console import say, shown
from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.base.options import known_words, number, numbers, words
from harness.base.times import now, utc
from harness.base.toml import load
from harness.bench import alternation, plan, pytorch, record, rows, tables
from harness.bench.config import BenchConfig, resolve, scopes_by_host
from harness.bench.record import (
    ALTERNATE,
    CREATED,
    MEMORY,
    PROFILE,
    TRAIN,
    BenchRecord,
    BenchSettings,
    Failure,
    Finished,
    SampleKey,
    Series,
)
from harness.bench.views import cached, memory, ratios
from harness.build.compiling import make_no_execution
from harness.trials import own
from harness.trials.environment import HEAP
from harness.trials.jobs import AlternateJob, Job, ProfileJob, TrainJob, fields_for
from harness.trials.launch import attempt, run_worker
from harness.trials.proof import NotProven
from harness.trials.record import check_compatible
from harness.trials.variants import (
    OFF,
    STOCK,
    OwnLayout,
    baseline,
    build_folder,
    library_versions,
    own_build,
)
from patches.python.mkldnn_opcache import variables

# MXNet's profiler then sees every operator, not groups of operators.
_PROFILING = {"MXNET_EXEC_BULK_EXEC_TRAIN": "0"}
# The library counts bytes under a bound only; this bound exceeds every machine's memory.
_COUNTING = {variables.MEMORY: "1024G"}

EXAMPLES = """examples:
  python -m harness bench
  python -m harness bench --models mobilenet-1.0 --image-size 64 --samples 10
  python -m harness bench --hosts 1.3.1,1.4.1 --scopes off,backward,convolution+pooling
  python -m harness bench --scopes off,off-again --out results/raw/bench-aa.jsonl
  python -m harness bench --config configs/bench-batch-1.toml --scopes stock,preload:backward
  python -m harness bench --mxnet ../mxnet/python --against ../mxnet-before/python
  python -m harness bench --config configs/bench-full.toml --out results/raw/bench-full.jsonl
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``bench``; lists are separated by commas."""
    parser.add_argument(
        "--config",
        type=Path,
        help="TOML file with defaults (default: configs/bench-quick.toml; with --against "
        "configs/bench-against.toml)",
    )
    parser.add_argument("--models", help="networks, such as alexnet,resnet-50")
    parser.add_argument("--batch-size", help="images per step; several are measured one by one")
    parser.add_argument("--image-size", help="side in pixels, for every model")
    parser.add_argument("--hosts", help="MXNet releases, such as 1.3.1,1.4.1")
    parser.add_argument(
        "--scopes",
        help="for every release: off, backward, all, operators joined by +; NAME-again for the "
        "noise; in series of fresh processes also stock, stock-again, preload: before a scope, and "
        "-maps-16 behind each, for MXNET_MKLDNN_CACHE_NUM=16",
    )
    parser.add_argument(
        "--samples", help="timed processes per model, release and scope, whatever time they take"
    )
    parser.add_argument("--series", help="run these series of the configuration only")
    parser.add_argument(
        "--out",
        type=Path,
        help="record; an unfinished one of the same settings is continued, and gets the series "
        "that it lacks (default: that of the last unfinished run, or else a new "
        "results/raw/<configuration>-<time>.jsonl)",
    )
    own.add_options(parser)
    parser.add_argument(
        "--tables", type=Path, help="folder to write the tables to (default: beside the record)"
    )


def main(args: argparse.Namespace) -> int:
    """Run what the record lacks, print and write the tables; return 0, or 1 if a result is missing.

    A case that did not fit into memory is a row of the tables and no missing result.
    """
    _, code = measure(args)
    return code


def measure(args: argparse.Namespace) -> Tuple[BenchRecord, int]:
    """Do all of ``main``; return the record too."""
    layout = own.layout_of(args)
    compares = isinstance(layout, OwnLayout) and layout.against is not None
    name = "bench-against.toml" if compares else "bench-quick.toml"
    chosen = args.config or layout.root / "configs" / name
    config = _configured(args, chosen)
    if isinstance(layout, OwnLayout):
        config = _of_own(layout, config, chosen)
    image_size = None if args.image_size is None else number("--image-size", args.image_size)
    settings = resolve(config, own.toolchain_of(layout), image_size)
    run = _new_run(layout, settings, chosen.stem)
    path = args.out or _unfinished(layout, run, chosen.stem)
    path = path or layout.raw / f"{run.run_id}.jsonl"
    if path.exists():
        record.add_series(run, path)
    else:
        record.create(run, path)
    with jsonl.Appender(path) as file:
        recorded = record.load(path)
        if recorded.finished:
            say(f"continuing {shown(path, layout.root)}, {len(recorded.finished)} processes in it")
        try:
            run = _take(layout, recorded, settings, file, config.timeout_s)
        except BaseException:
            say(
                f"the results so far are in {shown(path, layout.root)}: the same command "
                f"continues, and `python -m harness tables {shown(path, layout.root)}` shows them"
            )
            raise
    folder = args.tables or tables.beside(path)
    tables.write(run, folder)
    if run.alternates:
        print(alternation.render(run))
        if cached.cached(run):
            print(cached.render(run))
        fresh = [group for group in ratios.groups(run) if not group.alternates]
        if fresh:
            print(ratios.text(fresh))
    elif rows.cells(run):
        print(rows.render(run))
        print(ratios.render(run))
    if run.memories:
        print(memory.render(run))
    for line in rows.warnings(run):
        say(f"warning: {line}")
    print(f"record: {shown(path, layout.root)}, tables: {shown(folder, layout.root)}")
    # The warnings name processes that died and whose second try succeeded.
    found = {each.key for each in run.finished if not isinstance(each, Failure)}
    lost = [each for each in run.failures if each.reason != "memory" and each.key not in found]
    return run, 1 if lost else 0


def _unfinished(layout: Layout, run: BenchRecord, stem: str) -> Optional[Path]:
    """Return the newest unfinished record in results/raw that ``run`` can continue."""
    for path in sorted(layout.raw.glob(f"{stem}-*.jsonl"), reverse=True):
        with contextlib.suppress(HarnessError):
            recorded = record.load(path)
            check_compatible(recorded, run)
            if plan.todo(recorded.settings, recorded.finished):
                return path
    return None


def _configured(args: argparse.Namespace, path: Path) -> BenchConfig:
    """Return the file's values, in every series replaced by those of the command line."""
    config = load(path, BenchConfig)
    asked: Dict[str, Any] = {}
    series = list(config.series)
    if args.series is not None:
        known = [each.name for each in series]
        names = known_words("--series", args.series, known, known)
        series = [each for each in series if each.name in names]
    if args.models is not None:
        asked["models"] = words("--models", args.models)
    if args.batch_size is not None:
        asked["batch_sizes"] = numbers("--batch-size", args.batch_size)
    hosts = None if args.hosts is None else words("--hosts", args.hosts)
    scopes = None if args.scopes is None else words("--scopes", args.scopes)
    alternating = any(each.job == ALTERNATE for each in series)
    for at, each in enumerate(series):
        update = dict(asked)
        configured = each.scopes or config.scopes
        if not getattr(args, "pytorch", False):  # no option of ``bench`` itself
            configured = {h: words_ for h, words_ in configured.items() if h != pytorch.HOST}
            update["scopes"] = configured
        # Beside alternating scopes, other series keep theirs: what is compared with stock.
        mine = scopes if each.job == ALTERNATE or not alternating else None
        if hosts is not None or mine is not None:
            update["scopes"] = scopes_by_host(configured, hosts, mine)
        if args.samples is not None and each.job in (TRAIN, ALTERNATE):
            update["rounds_min"] = update["rounds_max"] = number("--samples", args.samples)
        series[at] = each.model_copy(update=update)
    return config.model_copy(update={"series": tuple(series)})


def _of_own(layout: OwnLayout, config: BenchConfig, path: Path) -> BenchConfig:
    """Return the configuration for an MXNet that somebody built; say which series it lacks.

    Its variants are those of the first release: the baseline in place of stock. Between alternating
    scopes there is no other build. Fresh processes are compared with stock or another build, never
    with scope off; profiles and memory with stock alone.
    """
    kept = []
    first = baseline(layout)
    for series in config.series:
        words = own.variants_of(layout, next(iter((series.scopes or config.scopes).values())))
        if series.job == ALTERNATE and first != OFF:
            words = words[1:]
        compares = {ALTERNATE: True, TRAIN: first != OFF}.get(series.job, first == STOCK)
        if len(words) > 1 and compares:
            kept.append(series.model_copy(update={"scopes": {layout.own.name: tuple(words)}}))
        else:
            say(f"series {series.name} is left out: it compares with stock, which is not there")
    fresh = any(series.job != ALTERNATE for series in kept)
    if not kept or (layout.against is not None and not fresh):
        raise HarnessError(
            f"{path}: expected a series that this build can be compared in, found none"
        )
    return config.model_copy(update={"series": tuple(kept)})


def _new_run(layout: Layout, settings: BenchSettings, stem: str) -> BenchRecord:
    runs = [(series, *run) for series in settings.series for run in series.runs]
    builds = [(host, each.build(variant)) for each, host, variant in runs if host != pytorch.HOST]
    versions = pytorch.versions(layout) if len(builds) < len(runs) else {}
    for host, variant in dict.fromkeys(builds):
        folder = build_folder(layout, host, variant)
        built = own_build(layout, host, variant)
        _forget_cached_pages(built.libmxnet if built else folder / "mxnet" / "libmxnet.so")
        # With the library's hash: another build of it must not continue the run.
        versions.update(library_versions(layout, host, variant))
    return BenchRecord(
        **BenchRecord.opening(stem, layout, versions),
        settings=settings,
    )


def _forget_cached_pages(path: Path) -> None:
    """Have Linux read a library from disk again, so that all builds have equal resident sizes.

    Linux maps larger pieces of a file that is still cached from its writing: a fresh libmxnet.so
    counts 40 MiB more as resident than one that was read from disk.
    """
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _take(
    layout: Layout,
    run: BenchRecord,
    settings: BenchSettings,
    file: jsonl.Appender,
    timeout_s: float,
) -> BenchRecord:
    """Run what the recorded run lacks of the series in ``settings``, some of its own."""
    finished = list(run.finished)
    with tqdm(initial=len(finished), unit="process", dynamic_ncols=True) as progress:
        while True:
            # Planned again each time: the number of rounds depends on the results so far.
            left = plan.todo(settings, finished)
            progress.total = len(finished) + len(left)
            if not left:
                progress.refresh()
                return run.model_copy(update={"finished": finished})
            key = left[0]
            seconds = plan.remaining_s(settings, finished)
            progress.set_postfix_str(_left(seconds), refresh=False)
            progress.set_description(
                f"{key.series}: {key.case.model} batch {key.case.batch_size} {key.host} "
                f"{key.variant}"
            )
            finished.append(_process(layout, settings, key, timeout_s))
            file.append(finished[-1].model_dump())
            progress.update()


def _left(seconds: Optional[float]) -> str:
    if seconds is None:
        return "time left not known yet"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"about {hours} h {minutes} min left" if hours else f"about {minutes} min left"


def _process(layout: Layout, settings: BenchSettings, key: SampleKey, timeout_s: float) -> Finished:
    """Run one process; a failure is a result too."""
    started = now()
    series = settings.find(key.series)
    found = attempt(lambda: _run(layout, settings, series, key, timeout_s), layout)
    kind = record.TYPES[found.get("type", series.job)]
    return kind.model_validate({**key._asdict(), "started_utc": utc(started), **found})


def _run(
    layout: Layout, settings: BenchSettings, series: Series, key: SampleKey, timeout_s: float
) -> Dict[str, Any]:
    job = _job(settings, series, key)
    overrides = {
        **(_PROFILING if series.job == PROFILE else {}),
        **(HEAP if series.allocator == "heap" else {}),
        **(_COUNTING if series.job in (MEMORY, CREATED) else {}),
    }
    if key.host == pytorch.HOST:
        result = pytorch.run(layout, job, key.variant, series.threads, timeout_s, overrides)
    else:
        variant = series.build(key.variant)
        preload = make_no_execution(layout) if series.job == CREATED else None
        result = run_worker(
            *(job, layout, key.host, variant, series.threads, timeout_s, overrides),
            preload=preload,
        )
    if result["cpus"] != settings.cpus:
        raise NotProven(f"expected to run on CPUs {settings.cpus}, found {result['cpus']}")
    return result


def _job(settings: BenchSettings, series: Series, key: SampleKey) -> Job:
    if series.job != ALTERNATE:
        kind = ProfileJob if series.job == PROFILE else TrainJob
        return kind(**fields_for(kind, key.case, series, settings))
    return AlternateJob(
        **fields_for(AlternateJob, key.case, series, settings),
        scopes=series.variants[key.host],
        process=key.round,
        budget_s=series.steps_budget_s,
    )
