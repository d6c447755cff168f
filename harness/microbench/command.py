"""The microbench command: the time of single MKL-DNN calls, real and cached.

Runs the C++ benchmark in fresh processes, all variants of an MXNet release in turn, round by round.
Rejects processes that did not run on the requested libraries.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence

import pydantic
from tqdm import tqdm

from harness.base import process, reading
from harness.base.console import shown
from harness.base.errors import HarnessError
from harness.base.layout import CACHE_LIBRARY, Layout
from harness.base.options import number, words
from harness.build.compiling import make_microbench
from harness.build.toolchain import Host, load_toolchain
from harness.microbench import table
from harness.microbench.record import (
    MicrobenchRecord,
    MicrobenchSettings,
    Sample,
)
from harness.trials import own, record
from harness.trials.environment import settings
from harness.trials.proof import NotProven, check_proof
from harness.trials.variants import OwnLayout, Variant, build_folder, own_versions, parse_variant
from patches.python.mkldnn_opcache import elf
from patches.python.mkldnn_opcache.facts import physical_cores
from patches.python.mkldnn_opcache.variables import ASSUME

_ROUNDS = 6  # the fewest pairs with a 95 % interval of their median
_REPETITIONS = 11
_TIMEOUT_S = 120


class _Planned(NamedTuple):
    host: Host
    variant: str
    round: int


EXAMPLES = """examples:
  python -m harness microbench
  python -m harness microbench --mxnet ../mxnet/python
  python -m harness microbench --hosts 1.5.1.post0 --rounds 3 --out results/raw/micro.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``microbench``."""
    parser.add_argument(
        "--hosts", help="MXNet releases, such as 1.3.1,1.4.1 (default: all with MKL-DNN 0.x)"
    )
    own.add_options(parser, against=False)
    parser.add_argument(
        "--rounds",
        default=str(_ROUNDS),
        help="processes per release and variant (default: %(default)s)",
    )
    parser.add_argument(
        "--repetitions",
        default=str(_REPETITIONS),
        help="timed repetitions in each process (default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, help="record (default: results/raw/<run>.json)")


def main(args: argparse.Namespace) -> int:
    """Measure, print the tables, write the record, and return 0."""
    layout = own.layout_of(args)
    toolchain = own.toolchain_of(layout)
    served = [host for host in toolchain.hosts if host.interface == 0] or toolchain.hosts
    names = words("--hosts", args.hosts) if args.hosts else [host.version for host in served]
    hosts = [toolchain.host(name) for name in names]
    for host in hosts:
        if host.interface != 0:
            raise HarnessError(
                f"expected MKL-DNN 0.x, whose functions the benchmark calls, "
                f"found {host.mkldnn} of MXNet {host.version}"
            )
    asked = MicrobenchSettings(
        hosts=list(names),
        variants=list(table.VARIANTS),
        rounds=number("--rounds", args.rounds),
        repetitions=number("--repetitions", args.repetitions),
        threads=record.threads(physical_cores()),
    )
    if args.out is not None and args.out.exists():
        raise HarnessError(f"{args.out} exists: choose another --out")
    for host in hosts:
        for variant in asked.variants:
            _libraries(layout, host.version, parse_variant(variant))
    make_microbench(layout, toolchain)
    run = _take(layout, hosts, asked)
    path = args.out or layout.raw / f"{run.run_id}.json"
    record.save(run, path)
    print(table.render(run))
    print(f"record: {shown(path, layout.root)}")
    return 0


def _take(layout: Layout, hosts: Sequence[Host], asked: MicrobenchSettings) -> MicrobenchRecord:
    started = record.now()
    digest = reading.sha256_of(layout.library)
    samples: List[Sample] = []
    with tqdm(_plan(hosts, asked), unit="process", dynamic_ncols=True) as progress:
        for planned in progress:
            progress.set_description(f"{planned.host.version} {planned.variant}")
            samples.append(_sample(layout, asked, planned))
    if reading.sha256_of(layout.library) != digest:
        raise HarnessError(f"{layout.library.name} was rebuilt during the run: run it again")
    versions = {
        f"preloaded {CACHE_LIBRARY}": digest,
        **{f"{host.version} MKL-DNN": host.mkldnn for host in hosts},
        **(own_versions(layout.own) if isinstance(layout, OwnLayout) else {}),
    }
    return MicrobenchRecord(
        **MicrobenchRecord.opening("microbench", layout, versions, started),
        settings=asked,
        samples=samples,
    )


def _plan(hosts: Sequence[Host], asked: MicrobenchSettings) -> List[_Planned]:
    """Return all processes in order: each round begins with another variant."""
    planned = []
    for round_ in range(asked.rounds):
        first = round_ % len(asked.variants)
        for host in hosts:
            for variant in asked.variants[first:] + asked.variants[:first]:
                planned.append(_Planned(host, variant, round_))
    return planned


def _sample(layout: Layout, asked: MicrobenchSettings, planned: _Planned) -> Sample:
    started = record.now()
    variant = parse_variant(planned.variant)
    what = f"microbench (host {planned.host.version}, {variant.name})"
    environment = settings(variant, asked.threads, {})
    loaded = _libraries(layout, planned.host.version, variant)
    if variant.preload:
        loaded["LD_PRELOAD"] = str(layout.library)
    command = [str(layout.microbench), planned.host.mkldnn, variant.scope or variant.name]
    command.append(str(asked.repetitions))
    result = _output(command, {**environment, **loaded}, what)
    paths = [Path(name) for name in result.pop("libraries")]
    libraries = [{"file": path.name, "build_id": elf.build_id(str(path))} for path in paths]
    check_proof(variant, {"libraries": libraries, "stats": result["stats"]}, True, what)
    check_mkldnn(planned.host, libraries, what)
    taken = {
        **result,
        "host": planned.host.version,
        "variant": variant.name,
        "round": planned.round,
        "started_utc": record.utc(started),
        "environment": environment,
        "libraries": libraries,
    }
    try:
        return Sample.model_validate(taken)
    except pydantic.ValidationError as error:
        raise HarnessError(f"{what}: {record.first_fault(error)}") from error


def _libraries(layout: Layout, host: str, variant: Variant) -> Dict[str, str]:
    """Return the variables by which a process finds the MKL-DNN of a host."""
    if not isinstance(layout, OwnLayout):
        return {"LD_LIBRARY_PATH": str(build_folder(layout, host, variant) / "mxnet")}
    # Of the release that the program is linked to; for libiomp5.so, where the build has none.
    release = load_toolchain(layout.toolchain).headers
    linked = build_folder(Layout(layout.root), release, variant) / "mxnet"
    folders = [str(layout.own.libmkldnn.parent), layout.own.environment.get("LD_LIBRARY_PATH", "")]
    found = {"LD_LIBRARY_PATH": ":".join(filter(None, [*folders, str(linked)]))}
    return found if variant.scope is None else {**found, ASSUME: layout.own.mkldnn}


def check_mkldnn(host: Host, libraries: Sequence[Dict[str, Any]], what: str) -> None:
    """Raise NotProven unless the process ran on the MKL-DNN that ``host`` shipped."""
    found = [str(entry["build_id"]) for entry in libraries if entry["file"] == host.library]
    if found != [host.mkldnn_build_id]:
        raise NotProven(
            f"{what}: expected {host.library} with build-id {host.mkldnn_build_id}, "
            f"found {', '.join(found) or 'none'}"
        )


def _output(command: Sequence[str], environment: Dict[str, str], what: str) -> Dict[str, Any]:
    environment = {"LC_ALL": "C.UTF-8", **environment}
    done = process.run(command, environment, _TIMEOUT_S, stdout=subprocess.PIPE)
    if done.code != 0:
        raise HarnessError(f"{what} {done.failure}")
    found: Dict[str, Any] = json.loads(done.stdout)
    return found
