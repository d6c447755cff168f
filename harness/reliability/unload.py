"""Clean exits: libraries opened and closed in every order, with live primitives and busy threads.

A program opens MKL-DNN, the library and a client that stands for libmxnet.so, closes them in every
order and ends in four ways. It must end by itself, with exit code 0 and nothing on stderr.
"""

from __future__ import annotations

import functools
import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

from harness.build.compiling import make_cpp_test
from harness.build.toolchain import load_toolchain
from harness.reliability.context import HANGS, PROCESSES, Context, execute, finding
from harness.reliability.record import Finding

STAGE = "unload"
TIMEOUT_S = 60.0

LIBRARIES = ("OPCACHE", "MKLDNN", "CLIENT")
# The end of the threads: before closing, with main, after all is closed, or in exit().
MODES = ("quiet", "busy", "late", "exit")
# A real MKL-DNN may crash in the other modes, without the library too: its OpenMP runtime restarts
# at exit for a thread that still calls it.
REAL_MODES = ("quiet", "late")
FAKE = "fake"
# The client of an MKL-DNN, by the number of its interface.
CLIENTS = ("unload_client.so", "unload_client1.so")
# Numbers of enumerations that differ between releases of interface 0: the format nchw, the
# algorithm relu.
_NUMBERS: Dict[str, Tuple[str, str]] = {
    "1.3.1": ("5", "8"),
    "1.4.1": ("7", "8"),
    "1.5.1.post0": ("7", "31"),
}


class Order(NamedTuple):
    """One process; ``opened`` and ``closed`` are orders of LIBRARIES."""

    opened: Tuple[str, ...]
    closed: Tuple[str, ...]
    mode: str

    def name(self) -> str:
        """Return the arguments of the program."""
        return f"{','.join(self.opened)} {','.join(self.closed)} {self.mode}"


def cases(every_opening: bool, modes: Sequence[str] = MODES) -> List[Order]:
    """Return every order of closing, combined with every order of opening or that of a preload."""
    orders = list(itertools.permutations(LIBRARIES))
    openings = orders if every_opening else [LIBRARIES]
    return [Order(*each) for each in itertools.product(openings, orders, modes)]


def run(context: Context) -> List[Finding]:
    """Run the orders on the fake MKL-DNN and on every real one."""
    program = compiled(context, "unload_program")
    fake, client = compiled(context, "fake/libmkldnn.so.0"), compiled(context, CLIENTS[0])
    environments = {FAKE: environment_of(context.layout.library, FAKE, fake, client)}
    for host in context.hosts:
        environments[host] = real_environment(context, host)
    found = []
    for host, environment in environments.items():
        modes = MODES if host == FAKE else REAL_MODES
        chosen = cases(not context.quick, modes)
        end = functools.partial(end_of, program, environment)
        with ThreadPoolExecutor(PROCESSES) as pool:
            problems = list(pool.map(end, chosen))
        found.append(judge(host, chosen, problems))
    return found


def compiled(context: Context, name: str) -> Path:
    """Compile one of the C++ tests and return it."""
    return make_cpp_test(context.layout, load_toolchain(context.layout.toolchain), name)


def real_environment(context: Context, host: str) -> Dict[str, str]:
    """Return the variables that lead the program to the MKL-DNN of a release."""
    release = load_toolchain(context.layout.toolchain).host(host)
    mkldnn = context.layout.stock(host) / "mxnet" / release.library
    client = compiled(context, CLIENTS[release.interface])
    return environment_of(context.layout.library, host, mkldnn, client)


def environment_of(library: Path, host: str, mkldnn: Path, client: Path) -> Dict[str, str]:
    """Return the variables that lead the program to ``library`` and the file ``mkldnn``."""
    environment = {
        "LD_LIBRARY_PATH": str(mkldnn.parent),
        "OMP_NUM_THREADS": "1",
        "MKLDNN": str(mkldnn),
        "OPCACHE": str(library),
        "CLIENT": str(client),
        "CLIENT_ATEXIT": "1",
    }
    if host == FAKE:
        environment["MKLDNN_OPCACHE_ASSUME"] = "v0.17.4"
    elif host in _NUMBERS:
        environment["CLIENT_NCHW"], environment["CLIENT_RELU"] = _NUMBERS[host]
    return environment


def end_of(program: Path, environment: Dict[str, str], case: Order) -> str:
    """Return the fault in the end of a process; "" for a clean one."""
    ended = execute([str(program), *case.name().split()], TIMEOUT_S, environment)
    if ended.code == HANGS:
        return f"{case.name()}: hangs"
    if ended.code == 0 and not ended.output:
        return ""
    said = ended.output.strip().splitlines()
    return f"{case.name()}: exit code {ended.code}: {said[-1] if said else ''}"


def judge(host: str, chosen: Sequence[Order], problems: Sequence[str]) -> Finding:
    """Judge the processes of one MKL-DNN; "" stands for a clean end."""
    bad = [problem for problem in problems if problem]
    subject = "every order of closing, threads " + ", ".join(MODES if host == FAKE else REAL_MODES)
    figures = {"processes": len(chosen), "failed": len(bad)}
    name = "" if host == FAKE else host
    if host == FAKE:
        subject += ", before the counting fake"
    if bad or not chosen:
        summary = f"{len(bad)} of {len(chosen)} processes did not end cleanly"
        return finding(STAGE, subject, "fail", summary, name, figures, bad[:20])
    summary = f"{len(chosen)} processes ended cleanly"
    return finding(STAGE, subject, "pass", summary, name, figures)
