"""Exits while threads work in MKL-DNN: no more crashes than without the library.

Such a thread may crash without the library too: OpenMP has shut down, and starts again for it. So
processes with and without the library take turns, and their shares of bad ends are compared.
"""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence

from harness.base import statistics
from harness.reliability import unload
from harness.reliability.context import PROCESSES, Context, verdict
from harness.reliability.record import Figure, Finding

STAGE = "exit"
# Of each variant.
FULL, QUICK = 500, 8
# More crashes than this makes likely are no chance. Of four releases that are as stock, one in
# twenty-five runs fails at most.
LEVEL = 0.01

MODES = ("busy", "exit")
STOCK, CACHED = ("MKLDNN", "CLIENT"), unload.LIBRARIES


class Ends(NamedTuple):
    """The faults in the ends of the processes of each variant; "" for a clean one."""

    stock: Sequence[str]
    cached: Sequence[str]


def run(context: Context) -> List[Finding]:
    """Let processes end on every release."""
    program = unload.compiled(context, "unload_program")
    count = QUICK if context.quick else FULL
    return [
        judge(host, take_turns(program, unload.real_environment(context, host), count))
        for host in context.hosts
    ]


def take_turns(program: Path, environment: Dict[str, str], count: int) -> Ends:
    """Run so many processes of each variant, in turns, in each mode equally often."""
    # Closed as the program does: a reference of its threads keeps the client.
    orders = [
        unload.Order(opened, ("CLIENT",), MODES[i % len(MODES)])
        for i in range(count)
        for opened in (STOCK, CACHED)
    ]
    with ThreadPoolExecutor(PROCESSES) as pool:
        ends = list(pool.map(functools.partial(unload.end_of, program, environment), orders))
    return Ends(ends[::2], ends[1::2])


def judge(host: str, ends: Ends) -> Finding:
    """Judge the ends of equally many processes of both variants."""
    count = len(ends.stock)
    stock, cached = (sum(map(bool, each)) for each in ends)
    chance = statistics.more_often(cached, stock, count)
    figures: Dict[str, Figure] = {
        "processes_of_each": count,
        "bad_ends": cached,
        "bad_ends_of_stock": stock,
        "p": chance,
        "at_most_above_stock": statistics.most_above(cached, stock, count),
    }
    summary = f"{cached} of {count} processes did not end cleanly, {stock} of {count} of stock"
    problems = [summary, *filter(None, ends.cached)] if chance < LEVEL else []
    subject = "threads work while main returns or exit is called"
    return verdict(STAGE, subject, problems[:20], summary, host, figures)
