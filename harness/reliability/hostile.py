"""Hostile surroundings: invalid values, no resources, other libraries, programs without MXNet.

Training must give stock's bits, or end with stock's own error in the same surroundings. The library
prints one line per fault, and changes nothing else.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, List, Mapping, Sequence, Tuple

from harness.base import reading
from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.build import patching
from harness.build.toolchain import load_toolchain
from harness.reliability.context import PROCESSES, Context, finding, verdict
from harness.reliability.hostile_programs import (
    PREFIX,
    STAGE,
    Outcome,
    ended,
    programs,
    variables,
)
from harness.reliability.record import Finding
from harness.trials.environment import whole_environment
from harness.trials.jobs import HashJob, to_json
from harness.trials.variants import STOCK, parse_variant
from patches.python.mkldnn_opcache.variables import ASSUME, CAPACITY, SCOPE, SHADOW, STATS


@dataclass(frozen=True)
class Surroundings:
    """Surroundings of a training: variables, and a shell's words that lead to ``exec "$@"``.

    ``tree`` is a change to a copy of MXNet (see changed_tree), ``preload`` a choice of libraries
    (see preloads). The library must print ``lines``, and must cache if ``active``.
    """

    name: str
    environment: Tuple[Tuple[str, str], ...] = ()
    shell: str = ""
    tree: str = ""
    preload: str = ""
    variant: str = "preload:all"
    lines: Tuple[str, ...] = ()
    active: bool = True
    quick_hosts: Tuple[str, ...] = ()


_UNKNOWN = r"libmkldnn\.so\.[01] with build-id '[0-9a-f]+' is not one this library knows .*"
CASES = (
    Surroundings(
        "values that mean nothing",
        ((CAPACITY, "-1"), (SHADOW, "0x1"), (ASSUME, "v1.0"), (STATS, "/nowhere/stats.json")),
        lines=(
            r"MKLDNN_OPCACHE_CAPACITY=-1 is not a number .*",
            r"MKLDNN_OPCACHE_SHADOW=0x1 is not a share .*",
            r"cannot write the statistics to /nowhere/stats.json: No such file or directory",
        ),
        active=False,
        quick_hosts=("1.4.1",),
    ),
    Surroundings(
        "statistics to a FIFO",
        ((STATS, "stats"),),
        shell='mkfifo stats; exec "$@"',
        lines=(r"cannot write the statistics to stats: it is a FIFO",),
    ),
    Surroundings(
        "statistics to a full device",
        ((STATS, "/dev/full"),),
        lines=(r"cannot write the statistics to /dev/full: No space left on device",),
    ),
    Surroundings(
        "no stdin, stdout, stderr",
        shell='exec "$@" 0<&- 1>&- 2>&-',
        quick_hosts=("1.3.1", "1.6.0"),
    ),
    Surroundings("a folder that is gone", shell='mkdir gone; cd gone; rmdir ../gone; exec "$@"'),
    Surroundings("few open files", shell='ulimit -n 24; exec "$@"', quick_hosts=("1.5.1.post0",)),
    Surroundings("too little address space", shell='ulimit -v 250000; exec "$@"', active=False),
    Surroundings("all symbols at once", (("LD_BIND_NOW", "1"),)),
    Surroundings("two copies preloaded", preload="two"),
    Surroundings("a copy preloaded under a patched MXNet", preload="own", variant="all"),
    Surroundings("another libmkldnn", tree="other", lines=(_UNKNOWN,), active=False),
    Surroundings("a libmkldnn that is cut", tree="cut", active=False),
    Surroundings("no libmkldnn", tree="absent", active=False),
    Surroundings("a libmxnet that asks for other symbols", tree="renamed", active=False),
)


def run(context: Context) -> List[Finding]:
    """Try every variable and program, and train in all surroundings."""
    pairs = context.on_hosts(CASES)
    with ThreadPoolExecutor(PROCESSES) as pool:
        trained = list(pool.map(lambda pair: _train_case(context, *pair), pairs))
    return [*variables(context), *programs(context), *trained]


def _train_case(context: Context, case: Surroundings, host: str) -> Finding:
    folder = context.scratch / re.sub(r"\W+", "-", f"{case.name} {host}")
    try:
        stock = _train(context, case, host, STOCK, folder / "stock")
        cached = _train(context, case, host, case.variant, folder / "cached")
    except HarnessError as error:
        return finding(STAGE, case.name, "skip", str(error), host)
    return judge(case, host, stock, cached)


def _train(context: Context, case: Surroundings, host: str, word: str, folder: Path) -> Outcome:
    """Train in an empty folder, and return the end of the process with its result, if any."""
    folder.mkdir(parents=True)
    variant = parse_variant(word)
    # Stock gets the surroundings, without the library's variables.
    chosen = {k: v for k, v in case.environment if word != STOCK or not k.startswith(SCOPE)}
    if variant.scope is not None and SCOPE not in chosen:
        chosen[SCOPE] = variant.scope
    environment = whole_environment(
        context.layout, host, variant, {"OMP_NUM_THREADS": "1", **chosen}
    )
    if case.tree:
        environment["PYTHONPATH"] = str(changed_tree(context.layout, case.tree, host, folder))
    if case.preload and variant.scope is not None:
        environment["LD_PRELOAD"] = preloads(case.preload, context.layout, folder)
    environment["PYTHONPATH"] += f":{context.layout.root}"
    job = HashJob("seven-ops", batch_size=2, image_size=32, seed=context.seed, steps=2)
    job_file, out, work = folder / "job.json", folder / "out.json", folder / "work"
    work.mkdir()
    job_file.write_text(json.dumps(to_json(job)), encoding="utf-8")
    worker = [sys.executable, "-m", "harness.worker", str(job_file), str(out)]
    assigned = [f"{name}={value}" for name, value in environment.items()]
    # The shell itself runs without the library.
    command = ["sh", "-c", case.shell or 'exec "$@"', "sh", "env", "-i", *assigned, *worker]
    outcome = ended(command, {"PATH": os.environ.get("PATH", os.defpath)}, work)
    # Messages about files in the folder must not depend on its name.
    said = [line.replace(f"{folder}/", "") for line in outcome.said]
    result = reading.json_file(out) if out.is_file() else None
    return outcome._replace(said=said, result=result)


def changed_tree(layout: Layout, change: str, host: str, folder: Path) -> Path:
    """Create a tree like the host's in ``folder``, its MKL-DNN ``other``, ``cut`` or ``absent``.

    In ``renamed``, libmxnet.so needs a function of MKL-DNN that no release has.
    """
    tree = folder / "tree"
    tree.mkdir()
    patching.link_tree(layout.stock(host), tree)
    mkldnn = load_toolchain(layout.toolchain).host(host).library
    library = tree / "mxnet" / ("libmxnet.so" if change == "renamed" else mkldnn)
    data = library.read_bytes()
    library.unlink()  # shared with the source
    if change == "cut":
        library.write_bytes(data[: len(data) // 2])
    elif change == "other":
        note = data.index(b"\x14\0\0\0\x03\0\0\0GNU\0") + 16
        library.write_bytes(data[:note] + bytes([data[note] ^ 0xFF]) + data[note + 1 :])
    elif change == "renamed":
        name = b"\0mkldnn_primitive_create\0"
        library.write_bytes(data.replace(name, name.swapcase()))
    return tree


def preloads(what: str, layout: Layout, folder: Path) -> str:
    """Return LD_PRELOAD for ``two`` copies of the library, or one of ``own``."""
    first = folder / layout.library.name
    shutil.copy2(layout.library, first)
    if what != "two":
        return str(first)
    # Under another name: the worker, which reads the counters, refuses two of one name.
    return f"{first}:{shutil.copy2(layout.library, folder / 'second.so')}"


def judge(case: Surroundings, host: str, stock: Outcome, cached: Outcome) -> Finding:
    """Compare a training in these surroundings with stock's."""
    problems = []
    if (stock.result is None) != (cached.result is None) or stock.code != cached.code:
        problems.append(f"ended with {cached.error}, stock with {stock.error}")
    elif cached.result is None and cached.error[1] != stock.error[1]:
        problems.append(f"failed with {cached.error[1]!r}, stock with {stock.error[1]!r}")
    if stock.result is not None and cached.result is not None:
        problems += _compared(case, stock.result, cached.result)
    if not _told(case.lines, cached.ours):
        problems.append(f"said {cached.ours}, expected {list(case.lines)}")
    if problems:
        problems += cached.said[-5:]
    ended = "stock's bits" if cached.result is not None else "stock's own error"
    how = "cached" if case.active else "not cached"
    summary = f"{ended}, {how}, {len(case.lines)} lines" if cached.result else ended
    return verdict(STAGE, case.name, problems, summary, host, {"lines": len(cached.ours)})


def _compared(case: Surroundings, stock: Mapping[str, Any], cached: Mapping[str, Any]) -> List[str]:
    problems = []
    if not cached["finite"]:
        problems.append("not finite: an oracle of NaNs compares nothing")
    names = [n for n, digest in stock["hashes"].items() if cached["hashes"].get(n) != digest]
    if names:
        problems.append(f"{len(names)} arrays differ from stock, {names[0]} the first")
    stats = cached["stats"]
    if stats is None:
        problems.append("the library was not loaded")
    elif stats["active"] != case.active:
        problems.append(f"active: expected {case.active}, found {stats['active']}")
    elif (stats["totals"]["primitives_avoided"] > 0) != case.active:
        problems.append(f"avoided {stats['totals']['primitives_avoided']} primitives")
    return problems


def _told(expected: Sequence[str], lines: Sequence[str]) -> bool:
    """Tell whether the lines match the expected ones, each exactly once."""
    return len(lines) == len(expected) and all(
        sum(re.fullmatch(PREFIX + each, line) is not None for line in lines) == 1
        for each in expected
    )
