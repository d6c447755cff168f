"""Random calls and random primitives, with and without the cache, by C++ programs.

On the counting fake, sequences of calls are compared call by call. On the MKL-DNN of each release,
random primitives are compared with direct creation, bit for bit. A full run adds libFuzzer, and
random calls on libraries with a planted fault, which must be found.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional

from harness.base.layout import Layout
from harness.build.compiling import make_cpp_test
from harness.build.toolchain import load_toolchain
from harness.reliability.context import Context, Ended, execute, finding, verdict
from harness.reliability.record import Figure, Finding
from harness.verify import faults

STAGE = "fuzz"
CALLS = "random calls on the fake"
AT_ONCE = "random calls on the fake, four threads at once"
PRIMITIVES = "random primitives"
GUIDED = "calls led by coverage"
KEPT = "kept sequences"
FAULTS = "planted faults"
OPERATIONS = 1_000_000
CASES = 20_000
QUICK_CASES = 2_000
GUIDED_S = 120
TIMEOUT_S = 900.0

# The program for each interface of MKL-DNN.
_ON_MKLDNN = {0: "test_fuzz_real", 1: "test1_fuzz_real"}
_CLANGS = ("clang++", "clang++-14")
_COVERED = re.compile(r"^#\d+\s+DONE\s+cov: (\d+) ft: (\d+) corp: (\d+)", re.MULTILINE)
_COUNTERS = re.compile(r"\((\d+) inline 8-bit counters\)")
_UNITS = re.compile(r"^stat::number_of_executed_units: (\d+)", re.MULTILINE)


def run(context: Context) -> List[Finding]:
    """Fuzz the fake, then every release; a full run adds fuzzing led by coverage."""
    toolchain = load_toolchain(context.layout.toolchain)
    seed = str(context.seed)
    program = make_cpp_test(context.layout, toolchain, "fuzz")
    command = [str(program), "--operations", str(OPERATIONS), "--seed", seed]
    fake = str(context.layout.build / "tests-cpp" / "fake")
    found = [judge(CALLS, "", on_mkldnn(context.layout, command, fake), OPERATIONS)]
    ended = on_mkldnn(context.layout, [*command, "--at-once", "4"], fake)
    found.append(judge(AT_ONCE, "", ended, OPERATIONS))
    kept = sorted(map(str, corpus(context.layout).iterdir()))
    found.append(judge(KEPT, "", on_mkldnn(context.layout, [str(program), *kept], fake), 1))
    if not context.quick:
        found.append(planted(context.layout, program, fake, faults.planted()))
    cases = QUICK_CASES if context.quick else CASES
    names = {host: _ON_MKLDNN[toolchain.host(host).interface] for host in context.hosts}
    made = {n: make_cpp_test(context.layout, toolchain, n) for n in dict.fromkeys(names.values())}
    for host in context.hosts:
        variables = {"FUZZ_CASES": str(cases), "FUZZ_SEED": seed}
        mkldnn = str(context.layout.stock(host) / "mxnet")
        ended = on_mkldnn(context.layout, [str(made[names[host]])], mkldnn, variables)
        found.append(judge(PRIMITIVES, host, ended, cases))
    if not context.quick:
        found.append(guided(context))
    return found


def corpus(layout: Layout) -> Path:
    """Return the folder of short sequences, each of which shows the fault that names its file."""
    return layout.cpp_tests / "corpus"


def planted(layout: Layout, program: Path, fake: str, known: Iterable[faults.Planted]) -> Finding:
    """Let random calls find each fault that has a number of operations for it."""
    problems = []
    operations: Dict[str, Figure] = {}
    for fault in known:
        if fault.fuzz == 0:
            continue
        library = faults.faulty(layout, fault.name)
        kept = on_mkldnn(library, [str(program), str(corpus(layout) / fault.name)], fake)
        if _told(kept.output).get("ok", True):
            problems.append(f"{fault.name}: the kept sequence does not show it")
        command = [str(program), "--operations", str(fault.fuzz), "--as-found"]
        told = _told(on_mkldnn(library, command, fake).output)
        if told.get("ok", True) or int(told["operations"]) > fault.fuzz:
            problems.append(f"{fault.name}: not found within {fault.fuzz:,} operations")
        else:
            operations[fault.name] = int(told["operations"])
    summary = f"{len(operations)} found, each by its kept sequence too"
    return verdict(STAGE, FAULTS, problems, summary, figures=operations)


def guided(context: Context) -> Finding:
    """Return libFuzzer's finding; a skip without clang."""
    if not any(shutil.which(name) for name in _CLANGS):
        return finding(STAGE, GUIDED, "skip", f"no {' or '.join(_CLANGS)} with libFuzzer is here")
    layout = context.layout
    headers = layout.headers(load_toolchain(layout.toolchain).headers)
    command = ["make", "-s", "-C", str(layout.cpp_tests), "fuzz-guided", f"HEADERS={headers}"]
    command += [f"BUILD={layout.build}", f"SEED={context.seed}", f"FUZZ_SECONDS={GUIDED_S}"]
    return judge_guided(on_mkldnn(layout, command))


def on_mkldnn(
    layout: Layout,
    command: List[str],
    mkldnn: str = "",
    variables: Optional[Mapping[str, str]] = None,
) -> Ended:
    """Run a program with the library and the MKL-DNN in the folder ``mkldnn``."""
    paths = {"LD_LIBRARY_PATH": f"{layout.library.parent}:{mkldnn}"} if mkldnn else {}
    return execute(command, TIMEOUT_S, {**(variables or {}), **paths})


def judge(subject: str, host: str, ended: Ended, wanted: int) -> Finding:
    """Judge a fuzzer's output; fewer operations than ``wanted`` are a failure."""
    told = _told(ended.output)
    unit = "cases" if subject == PRIMITIVES else "operations"
    figures: Dict[str, Figure] = {
        name: value
        for name, value in told.items()
        if isinstance(value, (int, float, str)) and not isinstance(value, bool)
    }
    kinds = told.get("steps", told.get("kinds", {}))
    done = int(told.get(unit, 0))
    # The program leaves out, and counts, cases that crash MKL-DNN itself.
    if ended.code == 0 and done >= 0.98 * wanted and int(told.get("hits", 0)) > 0:
        summary = f"{done:,} {unit}, {told['hits']:,} hits: the same as without the cache"
        counts = [f"{kind}: {count:,}" for kind, count in kinds.items()]
        return finding(STAGE, subject, "pass", summary, host, figures, ["; ".join(counts)])
    lines = [line for line in ended.output.splitlines() if line and not line.startswith("{")]
    why = lines[0] if lines else f"{done:,} of {wanted:,} {unit}"
    return finding(
        STAGE, subject, "fail", f"exit code {ended.code}: {why[:200]}", host, figures, lines[:60]
    )


def judge_guided(ended: Ended) -> Finding:
    """Judge libFuzzer's output; coverage is counted in edges of the library."""
    covered, counters = _COVERED.search(ended.output), _COUNTERS.search(ended.output)
    units = _UNITS.search(ended.output)
    if ended.code != 0 or covered is None or counters is None or units is None:
        lines = ended.output.splitlines()[-40:]
        summary = f"exit code {ended.code}: libFuzzer did not come to its end"
        return finding(STAGE, GUIDED, "fail", summary, details=lines)
    edges, sequences = int(covered.group(1)), int(units.group(1))
    figures: Dict[str, Figure] = {
        "sequences": sequences,
        "edges_covered": edges,
        "edges": int(counters.group(1)),
        "features": int(covered.group(2)),
        "sequences_kept": int(covered.group(3)),
        "seconds": GUIDED_S,
    }
    summary = f"{sequences:,} sequences over {edges:,} edges: the same as without the cache"
    return finding(STAGE, GUIDED, "pass", summary, figures=figures)


def _told(output: str) -> Mapping[str, Any]:
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            told: Mapping[str, Any] = json.loads(line)
            return told
    return {}
