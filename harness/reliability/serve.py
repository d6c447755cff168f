"""A prediction service of short-lived threads: memory does not grow, and no answer comes later.

MXNet's NaiveEngine predicts on the thread that calls it, so each thread has a cache of its own,
which ends with it, or none, when it is on trial. Processes with and without the cache take turns,
and the 99th percentiles of their latencies are compared. In one more process every thread has a
cache: its memory and answers are judged too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Mapping, Sequence, Tuple

import numpy

from harness.base import statistics
from harness.base.layout import Layout
from harness.reliability.context import (
    EVERY_THREAD,
    Context,
    Result,
    attempt,
    finding,
    idle_comparison,
    verdict,
)
from harness.reliability.record import Figure, Finding
from harness.trials.jobs import ServeJob
from harness.trials.variants import STOCK

STAGE = "serve"
CACHED = "all"
# More late answers than this makes likely are no chance.
LEVEL = 0.01
_ENVIRONMENT = {"MXNET_ENGINE_TYPE": "NaiveEngine", "MALLOC_ARENA_MAX": "1"}
# MXNet 1.6.0 crashes when a network with fused operators predicts on another thread.
_UNFUSED = {"1.6.0": {"MXNET_SUBGRAPH_BACKEND": "NONE"}}
_TIMEOUT_S = 1800.0


@dataclass(frozen=True)
class Plan:
    """The size of the service, and the number of processes of each variant.

    After ``settled`` threads resident memory may grow by ``growth_most_percent`` more than that of
    stock until the last.
    """

    threads: int
    settled: int
    rounds: int
    hosts: Tuple[str, ...]
    growth_most_percent: float = 5.0
    models: int = 20
    sizes: int = 10


FULL = Plan(threads=2_000, settled=500, rounds=8, hosts=("1.3.1", "1.4.1", "1.6.0"))
QUICK = Plan(threads=100, settled=50, rounds=1, hosts=("1.4.1",), models=4, sizes=4)


def run(context: Context) -> List[Finding]:
    """Serve on the releases of the plan among those asked for."""
    plan = QUICK if context.quick else FULL
    hosts = [host for host in plan.hosts if host in context.hosts]
    if not hosts:
        return [finding(STAGE, "hosts", "skip", f"runs on {', '.join(plan.hosts)} only")]
    return [each for host in hosts for each in run_plan(context.layout, plan, host, context.seed)]


def run_plan(
    layout: Layout, plan: Plan, host: str, seed: int, cached: str = CACHED
) -> List[Finding]:
    """Run the processes of one release in turns."""
    job = ServeJob(
        plan.threads, seed, models=plan.models, sizes=plan.sizes, sample_every=plan.settled // 5
    )
    environment = {**_ENVIRONMENT, **_UNFUSED.get(host, {})}
    results: Dict[str, List[Result]] = {STOCK: [], cached: []}
    for number in range(plan.rounds):
        words = (STOCK, cached) if number % 2 else (cached, STOCK)
        for word in words:
            results[word].append(attempt(layout, job, host, word, environment, _TIMEOUT_S))
    environment.update(EVERY_THREAD)
    every = attempt(layout, job, host, cached, environment, _TIMEOUT_S)
    return judge(plan, host, results[STOCK], results[cached], every)


def judge(
    plan: Plan, host: str, stock: Sequence[Result], cached: Sequence[Result], every: Result
) -> List[Finding]:
    """Judge memory and bits over all processes, latency over all but ``every``.

    In that process every thread has a cache.
    """
    broken = [each for each in (*stock, *cached, every) if isinstance(each, str)]
    if broken or isinstance(every, str):
        return [finding(STAGE, "run", "fail", broken[0].splitlines()[0], host, details=broken)]
    ours = [each for each in cached if not isinstance(each, str)]
    theirs = [each for each in stock if not isinstance(each, str)]
    return [
        _judge_memory(plan, host, theirs, [*ours, every]),
        _judge_bits(plan, host, theirs, ours, every),
        _judge_latency(host, theirs, ours),
    ]


def _judge_memory(
    plan: Plan, host: str, stock: Sequence[Mapping], cached: Sequence[Mapping]
) -> Finding:
    growth, of_stock = (
        max(_growth_percent(plan, result["samples"]) for result in results)
        for results in (cached, stock)
    )
    summary = f"{growth:+.1f} % from {plan.settled:,} to {plan.threads:,} threads"
    figures: Dict[str, Figure] = {
        "growth_percent": round(growth, 2),
        "growth_percent_of_stock": round(of_stock, 2),
    }
    most = round(plan.growth_most_percent + max(0.0, of_stock), 1)
    problems = [f"{summary}, expected at most {most:g} %"] if growth > most else []
    return verdict(STAGE, "memory", problems, summary, host, figures)


def _growth_percent(plan: Plan, samples: Sequence[Mapping[str, int]]) -> float:
    later = [each["resident_bytes"] for each in samples if each["threads"] >= plan.settled]
    return 100 * (max(later) / later[0] - 1)


def _judge_bits(
    plan: Plan, host: str, stock: Sequence[Mapping], cached: Sequence[Mapping], every: Mapping
) -> Finding:
    results = [*stock, *cached, every]
    totals = [each["stats"]["totals"] for each in (*cached, every)]
    avoided = min(each["primitives_avoided"] + each["descriptors_avoided"] for each in totals)
    problems = idle_comparison(all(each["finite"] for each in results), avoided)
    *usual, none = [each["stats"]["bypasses"].get("trial", 0) for each in (*cached, every)]
    if none or min(usual) < plan.threads // 2:
        problems.append(f"threads on trial: expected most, and then none, found {usual} and {none}")
    if len({each["digest"] for each in results}) > 1:
        problems.append("the answers of the processes differ")
    figures: Dict[str, Figure] = {"threads_on_trial": usual}
    return verdict(STAGE, "bits", problems, "equal answers in all processes", host, figures)


def _judge_latency(host: str, stock: Sequence[Mapping], cached: Sequence[Mapping]) -> Finding:
    of_stock, ours = (
        [float(numpy.percentile(each["latency_ns"], 99)) / 1e6 for each in results]
        for results in (stock, cached)
    )
    chance = statistics.higher(ours, of_stock)
    figures: Dict[str, Figure] = {
        "processes_of_each": len(ours),
        "p99_ms": [round(each, 3) for each in ours],
        "p99_ms_of_stock": [round(each, 3) for each in of_stock],
        "p": chance,
    }
    summary = f"p99 {statistics.median(ours):.2f} ms, {statistics.median(of_stock):.2f} ms of stock"
    problems = [f"{summary}: later"] if chance < LEVEL else []
    return verdict(STAGE, "latency", problems, summary, host, figures)
