"""Measures with a kit: starts processes that alternate the scopes, and writes their record.

Runs where the kit was unpacked. Standard library only; the workers need NumPy.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, NoReturn, Optional, Sequence, Tuple

from harness.base import differences, hardware, jsonl, process
from harness.base.console import exit_code, say
from harness.base.errors import HarnessError
from harness.base.layout import Layout, here
from harness.base.options import known_words, number, numbers, words
from harness.base.reading import sha256_of
from harness.base.times import now, utc
from harness.bench.kit import manifest
from harness.bench.kit.plan import Cell, Done, next_cell
from harness.trials.environment import HEAP, whole_environment
from harness.trials.jobs import AlternateJob, fields_for
from harness.trials.launch import attempt, run_worker
from harness.trials.networks import check_image_size, find_classifier
from harness.trials.variants import check_alternating, parse_scope, parse_variant
from patches.python.mkldnn_opcache.facts import cpu_flags, physical_cores

_EPILOG = """example:
  python3 run.py --models googlenet,resnet-50 --batch-size 32 --threads 16,8 --minutes 8 \\
    --out record.jsonl
The record is a line for each process, on disk before the next one starts; the same command
continues it. Copy it to a work tree: `python -m harness tables record.jsonl` writes its tables.
"""
# Every processor since 2009; MKL-DNN chooses its kernels at run time.
_NEEDED_VECTORS = "sse4_2"
# A process that hangs is killed so long after the limit.
_GRACE_S = 20.0


class _Threads(NamedTuple):
    """OpenMP's settings, as a record's Threads."""

    omp_num_threads: int
    kmp_affinity: Optional[str]
    kmp_blocktime: Optional[str]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise HarnessError(message)


def main(argv: Sequence[str]) -> int:
    """Measure, and return the exit code: 1 if a process failed, 2 for an error of the user's."""
    begin = time.monotonic()
    return exit_code(
        lambda: _main(argv, lambda: time.monotonic() - begin),
        "interrupted: the same command continues",
    )


def _parse(argv: Sequence[str], kit: Dict[str, Any]) -> argparse.Namespace:
    parser = _Parser(
        prog="run.py",
        description=f"Measure the cache under MXNet {kit['host']} on this machine.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--hosts", help=f"MXNet releases; this kit has {kit['host']}")
    series = kit["series"]
    models = ",".join(dict.fromkeys(case["model"] for case in series["cases"]))
    add("--models", default=models, help=f"networks in the order of work (default: {models})")
    batch_size = str(series["cases"][0]["batch_size"])
    add("--batch-size", default=batch_size, help=f"images per step (default: {batch_size})")
    add("--image-size", help="side in pixels, for every model (default: its paper's)")
    add("--threads", help="OpenMP threads, such as 16,8 (default: the physical cores)")
    scopes = ",".join(series["variants"][kit["host"]])
    add("--scopes", default=scopes, help=f"the first is the baseline (default: {scopes})")
    add("--minutes", type=float, default=8.0, help="limit of the whole run (default: 8)")
    most = str(series["rounds_max"])
    add("--processes", default=most, help=f"most for each network and threads (default: {most})")
    add("--out", type=Path, required=True, help="record; an unfinished one is continued")
    return parser.parse_args(argv)


def _main(argv: Sequence[str], elapsed_s: Callable[[], float]) -> int:
    layout = here()
    kit = manifest.load(layout.root)
    args = _parse(argv, kit)
    if not 0 < args.minutes < 10_000:
        raise HarnessError(f"--minutes: expected a number above 0, found {args.minutes}")
    known_words("--hosts", args.hosts, [kit["host"]], [kit["host"]])
    settings = _settings(args, kit)
    _check_processor()
    manifest.check_files(layout.root, kit)
    python_path, numpy_version = _numpy(layout, kit["host"])
    header = _header(layout, kit, settings, numpy_version)
    if not args.out.exists():
        jsonl.create(args.out, header)
    with jsonl.Appender(args.out) as file:
        recorded, *lines = jsonl.read(args.out)
        _check_header(recorded, header, args.out)
        if lines:
            say(f"continuing {args.out}, {len(lines)} processes in it")
        run = _Run(layout, kit, settings, python_path, elapsed_s, 60 * args.minutes)
        failures = run.take(lines, file)
    say(f"the record is {args.out}")
    return 1 if failures else 0


def _settings(args: argparse.Namespace, kit: Dict[str, Any]) -> Dict[str, Any]:
    """Return a record's settings: the kit's, with what the options choose."""
    models, scopes = words("--models", args.models), words("--scopes", args.scopes)
    processes = number("--processes", args.processes)
    check_alternating("--scopes", scopes)
    if args.threads is None:
        threads: Tuple[int, ...] = (physical_cores(),)
    else:
        threads = numbers("--threads", args.threads)
    side = None if args.image_size is None else number("--image-size", args.image_size)
    cases = []
    for batch_size in numbers("--batch-size", args.batch_size):
        for model in models:
            network = find_classifier(model)
            if model not in kit["networks"]:
                raise HarnessError(f"model '{model}' needs GluonCV, which this archive lacks")
            check_image_size(network, side or network.image_size)
            size = side or network.image_size
            cases.append({"model": model, "batch_size": batch_size, "image_size": size})
    series = [
        {
            **kit["series"],
            "name": f"threads-{count}",
            "cases": cases,
            "variants": {kit["host"]: list(scopes)},
            "threads": {**kit["series"]["threads"], "omp_num_threads": count},
            "rounds_min": min(kit["series"]["rounds_min"], processes),
            "rounds_max": processes,
        }
        for count in threads
    ]
    memory_limit_gib = 0.9 * hardware.memory_gib()
    cpus = hardware.cpus()
    return {**kit["settings"], "series": series, "cpus": cpus, "memory_limit_gib": memory_limit_gib}


def _check_processor() -> None:
    if not sys.platform.startswith("linux") or platform.machine() not in ("x86_64", "amd64"):
        raise HarnessError(f"Linux x86-64 is needed, found {sys.platform} {platform.machine()}")
    if _NEEDED_VECTORS not in cpu_flags():
        raise HarnessError(f"a processor with {_NEEDED_VECTORS} is needed, found one without")


def _numpy(layout: Layout, host: str) -> Tuple[List[str], str]:
    """Return the folders that a worker needs to find NumPy, and NumPy's version.

    A worker starts with an environment of its own, without the user's packages and PYTHONPATH.
    """
    try:
        import numpy
    except ImportError as error:
        raise HarnessError(
            f"NumPy is needed, not found by {sys.executable}: {error}: name another python3"
        ) from None
    folder = [str(Path(numpy.__file__).resolve().parent.parent)]
    environment = whole_environment(layout, host, parse_variant("off"), {})
    done = process.run([sys.executable, "-c", "import numpy"], environment, 60, layout.root)
    return (folder if done.code != 0 else []), str(numpy.__version__)


def _header(
    layout: Layout, kit: Dict[str, Any], settings: Dict[str, Any], numpy_version: str
) -> Dict[str, Any]:
    started = now()
    versions = {
        **kit["versions"],
        "kit": sha256_of(layout.root / manifest.NAME),
        "numpy": numpy_version,
        "python": platform.python_version(),
    }
    return {
        **kit["record"],
        "run_id": f"bench-kit-{started:%Y%m%dT%H%M%SZ}",
        "started_utc": utc(started),
        "machine": hardware.describe(),
        "versions": versions,
        "settings": settings,
    }


def _check_header(recorded: Any, header: Dict[str, Any], path: Path) -> None:
    names = (*("kind", "schema_version"), *differences.PARTS)
    if not isinstance(recorded, dict) or any(name not in recorded for name in names):
        raise HarnessError(f"{path}: expected a record of {header['kind']}, found another file")
    for name in names[:2]:
        if recorded[name] != header[name]:
            raise HarnessError(
                f"{path}: {name}: expected {header[name]}, found {recorded[name]!r:.40}"
            )
    differences.check_equal(recorded, header)


class _Run:
    """The processes of a run, each a line of the record."""

    def __init__(
        self,
        layout: Layout,
        kit: Dict[str, Any],
        settings: Dict[str, Any],
        python_path: Sequence[str],
        elapsed_s: Callable[[], float],
        limit_s: float,
    ) -> None:
        self._layout, self._host, self._python_path = layout, kit["host"], python_path
        self._settings, self._elapsed_s, self._limit_s = settings, elapsed_s, limit_s
        # All threads of a case before the next case.
        self._cells = {
            Cell(
                case["model"],
                case["batch_size"],
                series["threads"]["omp_num_threads"],
                _work(kit, case) / series["threads"]["omp_num_threads"],
            ): (series, case)
            for case in settings["series"][0]["cases"]
            for series in settings["series"]
        }

    def take(self, lines: Sequence[Any], file: jsonl.Appender) -> int:
        """Start processes while they fit into the time; return the number of failures."""
        cells = list(self._cells)
        by_name = {
            (series["name"], _key(case)): cell for cell, (series, case) in self._cells.items()
        }
        done = [
            Done(
                by_name[line["series"], _key(line["case"])],
                line["elapsed_s"],
                line["type"] != "failure",
            )
            for line in lines
        ]
        first = self._settings["series"][0]
        failures = 0
        while True:
            left_s = self._limit_s - self._elapsed_s()
            cell = next_cell(cells, done, left_s, first["rounds_min"], first["rounds_max"])
            if cell is None:
                return failures
            count = sum(each.cell == cell for each in done)
            line = self._process(cell, count, left_s)
            file.append(line)
            done.append(Done(cell, line["elapsed_s"], line["type"] != "failure"))
            failures += line["type"] == "failure"
            self._tell(cell, count, line)

    def _process(self, cell: Cell, round_: int, left_s: float) -> Dict[str, Any]:
        """Run a process and return its line."""
        series, case = self._cells[cell]
        scopes = series["variants"][self._host]
        common: Dict[str, Any] = {
            "series": series["name"],
            "case": case,
            "host": self._host,
            "variant": ",".join(scopes),
            "round": round_,
            "started_utc": utc(now()),
        }
        job = AlternateJob(
            **fields_for(AlternateJob, case.items(), series.items(), self._settings.items()),
            scopes=scopes,
            process=round_,
            budget_s=series["steps_budget_s"],
        )
        found = attempt(
            lambda: run_worker(
                job,
                self._layout,
                self._host,
                parse_scope(scopes[-1]),
                _Threads(**series["threads"]),
                left_s + _GRACE_S,
                HEAP if series["allocator"] == "heap" else {},
                python_path=self._python_path,
            ),
            self._layout,
        )
        return {"type": "alternate", **common, **found}

    def _tell(self, cell: Cell, round_: int, line: Dict[str, Any]) -> None:
        said = [f"{self._elapsed_s():4.0f} of {self._limit_s:.0f} s: {cell.model}"]
        said.append(f"batch {cell.batch_size}, {cell.threads} threads, process {round_ + 1},")
        said.append(f"{line['elapsed_s']:.1f} s:")
        if line["type"] == "failure":
            said.append(line["reason"])
        else:
            baseline, *others = self._cells[cell][0]["variants"][self._host]
            steps = {scope: _median_ns(line, scope) for scope in (baseline, *others)}
            said.append(f"{baseline} {steps[baseline] / 1e6:.1f} ms a step,")
            ratios = [f"{each} {steps[baseline] / steps[each]:.3f}x" for each in others]
            said.append(", ".join(ratios))
        say(" ".join(said))


def _work(kit: Dict[str, Any], case: Dict[str, Any]) -> float:
    """Return the multiply-adds of a step, about."""
    known = kit["networks"][case["model"]]
    scale = (case["image_size"] / known["image_size"]) ** 2
    return float(known["multiply_adds"] * case["batch_size"] * scale)


def _key(case: Dict[str, Any]) -> Tuple[str, int, int]:
    return case["model"], case["batch_size"], case["image_size"]


def _median_ns(line: Dict[str, Any], scope: str) -> float:
    blocks = [block for block in line["blocks"] if block["scope"] == scope]
    return statistics.median(ns for block in blocks for ns in block["step_ns"])
