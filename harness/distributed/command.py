"""The bench-dist command: MXNet's distributed training on this machine, stock against patched.

Every training has a scheduler, servers and workers of its own on 127.0.0.1. Only the workers run
the measured variant; servers and scheduler always run the baseline.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from tqdm import tqdm

from harness.base import files, reading
from harness.base.console import say, shown
from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.base.options import number, words
from harness.distributed import bits, table
from harness.distributed.record import DistRecord, DistSettings, Sample
from harness.trials import group, own, record
from harness.trials.environment import settings, whole_environment
from harness.trials.jobs import DistTrainJob, fields_for, to_json
from harness.trials.networks import check_image_size, find_classifier
from harness.trials.proof import check_proof
from harness.trials.variants import (
    STOCK,
    OwnLayout,
    baseline,
    build_folder,
    library_versions,
    own_build,
    parse_variant,
)

_LOOPBACK = "127.0.0.1"
_HOST, _SCOPES = "1.3.1", (STOCK, "all")
EXAMPLES = """examples:
  python -m harness bench-dist
  python -m harness bench-dist --workers 4 --servers 2 --model resnet-18 --image-size 32
  python -m harness bench-dist --host 1.4.1 --scopes stock,off,all --steps 40 --rounds 10
"""


class BitsDiffer(HarnessError):
    """Bits of trainings differ that must be equal; each fault is a line."""

    several_lines = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``bench-dist``."""
    for option, default, text in (
        ("--workers", "2", "worker processes"),
        ("--servers", "1", "server processes"),
        ("--model", "mobilenet-1.0", "network"),
        ("--batch-size", "4", "images per step and worker"),
        ("--image-size", "64", "side in pixels"),
        ("--steps", "20", "timed steps of every worker"),
        ("--rounds", "6", "trainings of each scope"),
        ("--omp-threads", "1", "OpenMP threads of each worker"),
        ("--timeout", "300", "seconds that one training may take"),
    ):
        parser.add_argument(option, default=default, help=f"{text} (default: %(default)s)")
    parser.add_argument("--host", help=f"MXNet release (default: {_HOST})")
    parser.add_argument(
        "--scopes",
        help=f"{STOCK} and the variants to compare with it, as for bench "
        f"(default: {','.join(_SCOPES)})",
    )
    own.add_options(parser)
    parser.add_argument("--port", help="the scheduler's on 127.0.0.1 (default: a free one)")
    parser.add_argument("--out", type=Path, help="new record (default: results/raw/<run>.json)")


def main(args: argparse.Namespace) -> int:
    """Measure, print the table, write the record, and return 0.

    Raises BitsDiffer, after the table is printed, for unequal bits.
    """
    layout = own.layout_of(args)
    asked = _asked(layout, args)
    port = None if args.port is None else number("--port", args.port)
    timeout_s = number("--timeout", args.timeout)
    run = _new_run(layout, asked)
    path = args.out or layout.raw / f"{run.run_id}.json"
    if path.exists():
        raise HarnessError(f"{path} exists: choose another --out")
    try:
        with reserved_port(port) as chosen:
            run = _take(layout, run, path, chosen, timeout_s)
    except BaseException:
        if path.exists():
            say(f"the finished rounds are in {shown(path, layout.root)}")
        raise
    print(table.render(run))
    for line in table.warnings(run):
        say(f"warning: {line}")
    print(f"record: {shown(path, layout.root)}", flush=True)
    check_bits(run)
    return 0


def check_bits(run: DistRecord) -> None:
    """Raise BitsDiffer, which names each fault, unless all bits are equal that must be."""
    faults = bits.wrong(run)
    if not faults:
        return
    lines = [f"  {fault}" for fault in faults]
    if any(fault.variant == run.settings.baseline for fault in faults):
        lines.append(
            f"{run.settings.baseline} itself is at fault: this says nothing about the cache"
        )
    raise BitsDiffer("\n".join(["bits of the trainings differ that must be equal:", *lines]))


@contextlib.contextmanager
def reserved_port(asked: Optional[int]) -> Iterator[int]:
    """Yield the port asked for, or a free one, reserved until the block ends.

    Raises HarnessError when the port is in use or forbidden. The scheduler can use it: both sockets
    are bound with SO_REUSEADDR, and only the scheduler's listens.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind((_LOOPBACK, asked or 0))
        except OverflowError as error:
            raise HarnessError(f"--port: expected at most 65535, found {asked}") from error
        except OSError as error:
            raise HarnessError(
                f"--port: expected a free port of {_LOOPBACK}, found {asked}: {error.strerror}"
            ) from error
        yield held.getsockname()[1]


def plan(asked: DistSettings) -> List[Tuple[str, int]]:
    """Return (variant, round) of every training in order; rounds begin with different variants."""
    planned = []
    for round_ in range(asked.rounds):
        first = round_ % len(asked.variants)
        variants = asked.variants[first:] + asked.variants[:first]
        planned += [(variant, round_) for variant in variants]
    return planned


def members(
    layout: Layout, asked: DistSettings, variant: str, port: int, folder: Path
) -> List[group.Member]:
    """Return the processes of one training; workers read and write their files in ``folder``."""
    stock, measured = parse_variant(asked.baseline), parse_variant(variant)
    where = {
        "DMLC_PS_ROOT_URI": _LOOPBACK,
        "DMLC_PS_ROOT_PORT": str(port),
        "DMLC_NODE_HOST": _LOOPBACK,  # ps-lite listens on this address alone
        "DMLC_NUM_SERVER": str(asked.servers),
        "DMLC_NUM_WORKER": str(asked.workers),
    }
    others = whole_environment(layout, asked.host, stock, settings(stock, asked.threads, {}))
    # Importing mxnet runs the role until the workers have ended.
    run_role = (sys.executable, "-c", "import mxnet")
    found = [group.Member("scheduler", run_role, {**others, **where, "DMLC_ROLE": "scheduler"})]
    for number_ in range(1, asked.servers + 1):
        environment = {**others, **where, "DMLC_ROLE": "server"}
        found.append(group.Member(f"server {number_}", run_role, environment))
    chosen = settings(measured, asked.threads, {})
    environment = whole_environment(layout, asked.host, measured, chosen)
    for number_ in range(1, asked.workers + 1):
        paths = (str(folder / "job.json"), str(_result(folder, number_)))
        command = (sys.executable, "-m", "harness.worker", *paths)
        variables = {**environment, **where, "DMLC_ROLE": "worker"}
        found.append(group.Member(f"worker {number_}", command, variables))
    return found


def sample(
    layout: Layout, asked: DistSettings, variant: str, round_: int, port: int, timeout_s: float
) -> Sample:
    """Run one training and return its workers' measurements, each proven to run the variant."""
    started = record.now()
    what = f"training (host {asked.host}, {variant}, round {round_})"
    job = DistTrainJob(**fields_for(DistTrainJob, asked.case, asked))
    with tempfile.TemporaryDirectory(prefix="opcache-") as name:
        folder = Path(name)
        files.write_text(folder / "job.json", json.dumps(to_json(job)))
        processes = members(layout, asked, variant, port, folder)
        group.run(processes, what, layout.root, timeout_s)
        results: List[Dict[str, Any]] = [
            reading.json_file(_result(folder, number_)) for number_ in range(1, asked.workers + 1)
        ]
    results.sort(key=lambda result: int(result["rank"]))
    measured = parse_variant(variant)
    for result in results:
        build = own_build(layout, asked.host, measured)
        rank = f"rank {result['rank']} of {what}"
        check_proof(measured, result, True, rank, asked.host, build)
    return Sample.model_validate(
        {
            "variant": variant,
            "round": round_,
            "started_utc": record.utc(started),
            "environment": settings(measured, asked.threads, {}),
            "workers": results,
        }
    )


def _result(folder: Path, number_: int) -> Path:
    return folder / f"result-{number_}.json"


def _asked(layout: Layout, args: argparse.Namespace) -> DistSettings:
    network = find_classifier(args.model)
    image_size = number("--image-size", args.image_size)
    check_image_size(network, image_size)
    host = args.host or _HOST
    variants = list(_SCOPES if args.scopes is None else words("--scopes", args.scopes))
    if isinstance(layout, OwnLayout):
        host, variants = layout.own.name, own.variants_of(layout, variants)
    own.toolchain_of(layout).host(host)
    for variant in variants:
        build_folder(layout, host, parse_variant(variant))
    first = baseline(layout)
    if first not in variants:
        raise HarnessError(f"--scopes: expected {first} among them, found '{args.scopes}'")
    return DistSettings(
        case=record.Case(
            model=network.name,
            batch_size=number("--batch-size", args.batch_size),
            image_size=image_size,
        ),
        host=host,
        variants=variants,
        baseline=first,
        workers=number("--workers", args.workers),
        servers=number("--servers", args.servers),
        rounds=number("--rounds", args.rounds),
        seed=1,
        threads=record.threads(number("--omp-threads", args.omp_threads)),
        warm_up_steps=3,
        timed_steps=number("--steps", args.steps),
        learning_rate=0.01,
        momentum=0.9,
    )


def _new_run(layout: Layout, asked: DistSettings) -> DistRecord:
    versions: Dict[str, str] = {}
    for word in asked.variants:
        versions.update(library_versions(layout, asked.host, parse_variant(word)))
    return DistRecord(
        **DistRecord.opening("bench-dist", layout, versions),
        settings=asked,
        samples=[],
    )


def _take(layout: Layout, run: DistRecord, path: Path, port: int, timeout_s: float) -> DistRecord:
    taken: List[Sample] = []
    with tqdm(plan(run.settings), unit="training", dynamic_ncols=True) as progress:
        for variant, round_ in progress:
            progress.set_description(f"{run.settings.host} {variant}")
            taken.append(sample(layout, run.settings, variant, round_, port, timeout_s))
            if len(taken) % len(run.settings.variants) == 0:
                run = run.model_copy(update={"samples": list(taken)})
                record.save(run, path)
    return run
