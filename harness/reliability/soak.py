"""Ten thousand shapes through all seven operators: memory does not grow, bits equal stock's.

MXNet itself references primitives of every shape in maps of its worker threads, and the cache never
evicts referenced primitives. So both variants run with MXNet's own caches bounded: by its variable
where a release has it, and by restarted worker threads. Stock also runs as released, and a network
whose maps the variable bounds alone runs with ``--bounded`` of ``opcache run``.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from harness.base.layout import Layout
from harness.reliability.context import (
    EVERY_THREAD,
    PROCESSES,
    Context,
    Result,
    attempt,
    finding,
    idle_comparison,
    verdict,
)
from harness.reliability.record import Figure, Finding
from harness.reliability.shapes import shapes
from harness.trials.jobs import SoakJob
from harness.trials.variants import STOCK, parse_variant
from patches.python.mkldnn_opcache.variables import MAPS

STAGE = "soak"
CACHED = "all"
# The name of a curve: this, the variant and the state of MXNet's own caches.
MEMORY = "memory, "
BOUNDED, RELEASED, LIMITED = "bounded", "as released", "limited maps"
_STOP_BELOW_BYTES = 3 * 2**30


@dataclass(frozen=True)
class Plan:
    """The length of a soak, and its limits.

    After ``settled`` shapes resident memory may grow by ``growth_most_percent`` more than that of
    stock until the last. After every ``every`` shapes the process is sampled, then MXNet's workers
    restart. ``released`` is the number of shapes of each variant as released, ``limited`` that of
    the variants whose maps hold ``maps`` primitives each, and whose workers do not restart. With
    ``one_arena``, glibc takes all memory from one place, which settles sooner than one place for
    each thread.
    """

    shapes: int
    settled: int
    every: int
    growth_most_percent: float
    capacity: int
    memory_bytes: int
    hosts: Tuple[str, ...]
    released_hosts: Tuple[str, ...] = ()
    released: Tuple[Tuple[str, int], ...] = ()
    limited_hosts: Tuple[str, ...] = ()
    limited: int = 0
    maps: int = 1
    timeout_s: float = 7200.0
    steps: int = 2
    one_arena: bool = False

    @property
    def bounds(self) -> Dict[str, str]:
        """The variables that bound the cache, of every thread, and glibc's memory."""
        return {
            **EVERY_THREAD,
            **({"MALLOC_ARENA_MAX": "1"} if self.one_arena else {}),
            "MKLDNN_OPCACHE_CAPACITY": str(self.capacity),
            "MKLDNN_OPCACHE_MEMORY": str(self.memory_bytes),
        }


FULL = Plan(
    shapes=10_000,
    settled=2_000,
    every=100,
    growth_most_percent=5.0,
    capacity=1024,
    memory_bytes=12 * 2**20,
    hosts=("1.3.1", "1.4.1", "1.5.1.post0", "1.6.0"),
    released_hosts=("1.4.1",),
    released=((STOCK, 10_000), (CACHED, 2_000)),
    limited_hosts=("1.4.1", "1.5.1.post0", "1.6.0"),
    limited=5_000,
)
# Memory is still settling then: only a full run can show a leak of a few KiB per shape.
QUICK = Plan(
    shapes=300,
    settled=150,
    every=10,
    growth_most_percent=15.0,
    capacity=512,
    memory_bytes=4 * 2**20,
    hosts=("1.4.1",),
    timeout_s=300.0,
    one_arena=True,
)
_BYTES = ("idle_bytes", "descriptor_bytes")
# The primitives of a kind that MXNet from 1.4 on holds; 1.3 ignores the variable.
_MXNET_BOUND = {MAPS: "16"}


@dataclass(frozen=True)
class Curve:
    """One process: ``word`` is its variant, ``way`` the state of MXNet's own caches."""

    host: str
    word: str
    way: str
    shapes: int

    @property
    def name(self) -> str:
        """The finding's subject."""
        return f"{MEMORY}{STOCK if self.is_stock else 'cached'}, {self.way}"

    @property
    def is_stock(self) -> bool:
        """Tell whether the process runs without the cache."""
        return parse_variant(self.word).scope is None


def run(context: Context) -> List[Finding]:
    """Run every curve of the plan on its releases among those asked for."""
    plan = QUICK if context.quick else FULL
    hosts = [host for host in plan.hosts if host in context.hosts]
    if not hosts:
        return [finding(STAGE, "hosts", "skip", f"runs on {', '.join(plan.hosts)} only")]
    return run_plan(context.layout, plan, hosts, context.seed)


def run_plan(
    layout: Layout, plan: Plan, hosts: Sequence[str], seed: int, cached: str = CACHED
) -> List[Finding]:
    """Run a plan; ``cached`` is the variant that is compared with stock."""
    curves = [
        Curve(host, word, BOUNDED, plan.shapes)
        for word in (cached, STOCK)
        for host in hosts
        if plan.shapes
    ]
    curves += [
        Curve(host, cached if word == CACHED else word, RELEASED, count)
        for host in hosts
        if host in plan.released_hosts
        for word, count in plan.released
    ]
    curves += [
        Curve(host, f"{word}-maps-{plan.maps}", LIMITED, plan.limited)
        for word in (cached, STOCK)
        for host in hosts
        if host in plan.limited_hosts
    ]
    with ThreadPoolExecutor(PROCESSES) as pool:
        results = dict(zip(curves, pool.map(lambda c: result_of(layout, plan, c, seed), curves)))
    found: List[Finding] = []
    for host in hosts:
        of_host = {curve: result for curve, result in results.items() if curve.host == host}
        grown = {
            curve.way: growth_percent(result["samples"], plan.settled)
            for curve, result in of_host.items()
            if curve.is_stock and not isinstance(result, str)
        }
        found += [
            judge_memory(plan, curve, result, grown.get(curve.way))
            for curve, result in of_host.items()
        ]
        for way, count in ((BOUNDED, plan.shapes), (LIMITED, plan.limited)):
            pair = {c.is_stock: result for c, result in of_host.items() if c.way == way}
            if pair:
                found.append(judge_bits(way, count, host, seed, pair[True], pair[False]))
    return found


def result_of(layout: Layout, plan: Plan, curve: Curve, seed: int) -> Result:
    """Run the process of a curve."""
    bounded, limited = curve.way == BOUNDED, curve.way == LIMITED
    job = SoakJob(
        curve.shapes,
        seed,
        plan.steps,
        sample_every=plan.every,
        restart_every=plan.every if bounded else 0,
        stop_below_bytes=_STOP_BELOW_BYTES if curve.way == RELEASED else 0,
        deconvolution=not limited,
    )
    environment = {**plan.bounds, **(_MXNET_BOUND if bounded else {})}
    return attempt(layout, job, curve.host, curve.word, environment, plan.timeout_s)


def growth_percent(samples: Sequence[Mapping[str, int]], settled: int) -> Optional[float]:
    """Return the largest growth of resident memory after ``settled`` shapes; None before."""
    later = [each["resident_bytes"] for each in samples if each["shapes"] >= settled]
    return 100 * (max(later) / later[0] - 1) if len(later) > 1 else None


def judge_memory(
    plan: Plan, curve: Curve, result: Result, grown_stock: Optional[float] = None
) -> Finding:
    """Judge the memory of a curve; that of stock is recorded, not judged.

    ``grown_stock`` is the growth of stock in percent: MXNet 1.6.0 itself keeps 17 KiB of a shape.
    """
    if isinstance(result, str):
        lines = result.splitlines()
        return finding(STAGE, curve.name, "fail", lines[0], curve.host, details=lines)
    samples = result["samples"]
    figures = _figures(samples)
    grown = growth_percent(samples, plan.settled)
    last = samples[-1]["shapes"]
    if grown is not None:
        figures["growth_percent"] = round(grown, 2)
        change = f"{grown:+.1f} % from {plan.settled:,} to {last:,} shapes"
    else:
        change = f"{last:,} shapes"
    if curve.is_stock:
        if last < curve.shapes:
            change += ", stopped: memory of the machine ran short"
        return finding(STAGE, curve.name, "pass", f"{change} (not judged)", curve.host, figures)
    problems = []
    evictions = result["stats"]["totals"]["evictions"]
    figures["evictions"] = evictions
    if evictions == 0:
        problems.append("nothing was evicted: no bound was put to the test")
    most_idle = max(each["idle_primitives"] for each in samples)
    if most_idle > plan.capacity:
        problems.append(f"{most_idle} idle primitives, expected at most {plan.capacity}")
    # Without descriptors: MXNet references most of them.
    idle_bytes = max(each["idle_bytes"] for each in samples)
    if idle_bytes > plan.memory_bytes:
        problems.append(f"{idle_bytes:,} bytes idle, expected at most {plan.memory_bytes:,}")
    most = round(plan.growth_most_percent + (grown_stock or 0.0), 1)
    if curve.way != RELEASED and (grown is None or grown > most):
        problems.append(f"{change}, expected at most {most:g} %")
    held = (
        f", {samples[-1]['live_primitives']:,} referenced by MXNet" if curve.way == RELEASED else ""
    )
    return verdict(STAGE, curve.name, problems, f"{change}{held}", curve.host, figures)


def _figures(samples: Sequence[Mapping[str, int]]) -> Dict[str, Figure]:
    """Return the curve, as lists over the samples."""
    found: Dict[str, Figure] = {"shapes": [float(each["shapes"]) for each in samples]}
    for name in ("resident", "unique"):
        found[f"{name}_mib"] = [round(each[f"{name}_bytes"] / 2**20, 1) for each in samples]
    for name in ("live_primitives", "idle_primitives", "descriptors", *_BYTES):
        if name in samples[0]:
            found[name] = [float(each[name]) for each in samples]
    return found


def judge_bits(
    way: str, count: int, host: str, seed: int, stock: Result, cached: Result
) -> Finding:
    """Compare every shape's digest of output, gradients, parameters and states with stock's."""
    subject = "bits" if way == BOUNDED else f"bits, {way}"
    for each in (stock, cached):
        if isinstance(each, str):
            return finding(STAGE, subject, "fail", each.splitlines()[0], host)
    assert not isinstance(stock, str) and not isinstance(cached, str)  # for the type checker
    totals = cached["stats"]["totals"]
    figures: Dict[str, Figure] = {
        "shapes": len(stock["digests"]),
        "different_digests": len(set(stock["digests"])),
        "primitives_avoided": totals["primitives_avoided"],
        "primitives_created": totals["primitives_created"],
    }
    finite = stock["finite"] and cached["finite"]
    problems = idle_comparison(finite, totals["primitives_avoided"])
    if len(set(stock["digests"])) < count:
        problems.append("shapes with equal digests: the digest does not tell shapes apart")
    pairs = list(zip(shapes(seed, count), stock["digests"], cached["digests"]))
    differing = [shape for shape, a, b in pairs if a != b]
    if differing or len(pairs) < count:
        problems.append(f"{len(differing)} of {len(pairs)} shapes differ from stock")
        problems += [f"differs: {'x'.join(map(str, shape))}" for shape in differing[:10]]
    return verdict(STAGE, subject, problems, f"equal in {len(pairs):,} shapes", host, figures)
