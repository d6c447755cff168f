"""Trains one network and switches the cache's scope between blocks of timed steps.

All scopes share a process: its addresses, its threads and the machine's state of the minute. Owns
the steps that a switch discards. Computes no statistics.
"""

from __future__ import annotations

import os
import time
from typing import Any, Dict, List, Optional, Tuple

from harness.base.errors import HarnessError
from harness.trials.jobs import AlternateJob, scope_of
from harness.trials.networks import find_network
from harness.trials.variants import check_alternating
from harness.worker import counters
from harness.worker.counters import Cache, Stats
from harness.worker.network import limit_memory
from harness.worker.training import image_sides, is_finite, make_batches, start, time_step
from patches.python.mkldnn_opcache.library import read_stats

_COUNTS = (
    *("create_ns", "destroy_ns", "cache_ns"),
    *("primitives_created", "descriptors_created", "primitives_avoided", "descriptors_avoided"),
    "evictions",
)


def run(job: AlternateJob, cache: Cache) -> Dict[str, Any]:
    """Time blocks of steps, each step from an idle MXNet to an idle MXNet; see the job."""
    if cache is None:
        raise HarnessError("job alternate: expected the cache library in this process, found none")
    check_alternating("job alternate", job.scopes)
    limit_memory(job.memory_limit_gib)
    # The baseline first: MXNet references primitives and descriptors of its first step for ever.
    # They are then MKL-DNN's own, as in stock, and the cache has no part in scope off.
    counters.set_scope(cache, scope_of(job.scopes[0]))
    trained = _Trained(job, cache)
    warm_up_steps, last_ns = {}, {}
    # Then the last scope: what it caches also serves the scopes that cache less.
    for scope in (job.scopes[0], *reversed(job.scopes[1:])):
        warm_up_steps[scope], last_ns[scope] = trained.warm_up(scope)
    steps = job.steps_per_block(list(last_ns.values()))
    blocks: List[Dict[str, Any]] = []
    start_s, cycles = time.perf_counter(), 1
    for cycle, scopes in enumerate(job.orders()):
        blocks += [{"cycle": cycle, **trained.block(scope, steps)} for scope in scopes]
        if cycle == 0:
            cycles = job.cycles(time.perf_counter() - start_s)
        if cycle + 1 >= cycles or job.is_narrow(blocks):
            break
    return {
        "warm_up_steps": warm_up_steps,
        "steps_per_block": steps,
        "blocks": blocks,
        "finite": trained.is_finite(),
        "cpus": sorted(os.sched_getaffinity(0)),
        "sides": trained.sides,
        # The report that proves the scope is one of the last scope, with its hits.
        "stats": trained.reports[job.scopes[-1]],
    }


class _Trained:
    """A network in training, and the scope that its cache has now."""

    def __init__(self, job: AlternateJob, cache: Any) -> None:
        network = find_network(job.model)
        self._job, self._cache = job, cache
        self._training = start(network, job)
        self._batches = make_batches(network, job)
        self._scope: Optional[str] = None
        self._missed: Dict[str, int] = {}  # by a warm step, by scope
        self.reports: Dict[str, Stats] = {}  # after the last block, by scope
        self.sides = image_sides(self._batches)

    def warm_up(self, scope: str) -> Tuple[int, int]:
        """Change the scope, and train until the cache is warm; return the steps, and the last's ns.

        An inactive cache needs ``warm_up_steps_min`` steps. An active one needs further steps until
        one creates nothing that the scope caches, at most ``warm_up_steps_max`` in all. It misses
        in each step on descriptors that MXNet references since scope off: the steps also end with
        one that misses as often as the step before.
        """
        self._switch(scope)
        missed = [-1]
        while True:
            last_ns, before, after = self._step()
            missed.append(counters.missed(before, after))
            missing = counters.still_missing(before, after) and missed[-1] != missed[-2]
            count = len(missed) - 1
            fewest = count >= self._job.warm_up_steps_min
            if (fewest and not missing) or count >= self._job.warm_up_steps_max:
                self._missed[scope] = missed[-1]
                return count, last_ns

    def block(self, scope: str, steps: int) -> Dict[str, Any]:
        """Time a block of steps in a scope; return the times and what the counters gained.

        Steps after a switch are discarded until one is as a warm one, at most
        ``warm_up_steps_max``.
        """
        if scope != self._scope:
            self._switch(scope)
        discarded = 0
        ns, start, after = self._step()
        while discarded < self._job.warm_up_steps_max and self._is_late(scope, start, after):
            discarded += 1
            ns, start, after = self._step()
        step_ns = [ns, *(time_step(self._training, self._batches) for _ in range(steps - 1))]
        self.reports[scope] = after = read_stats(self._cache)
        return {
            "scope": scope,
            "discarded": discarded,
            "step_ns": step_ns,
            "missed": counters.missed(start, after),
            **_gained(start, after),
        }

    def _is_late(self, scope: str, before: Stats, after: Stats) -> bool:
        """Tell whether a step missed more often than a warm one, or avoided nothing."""
        missed = counters.missed(before, after)
        missing = counters.still_missing(before, after) is True
        return missing and (missed == 0 or missed > self._missed[scope])

    def _switch(self, scope: str) -> None:
        counters.set_scope(self._cache, scope_of(scope))
        self._scope = scope
        # Counters from zero: an operator of the previous scope looks like a miss of this one.
        self._cache.mkldnn_opcache_reset_stats()

    def _step(self) -> Tuple[int, Stats, Stats]:
        """Train one step; return its nanoseconds, and the counters before and after."""
        before = read_stats(self._cache)
        ns = time_step(self._training, self._batches)
        return ns, before, read_stats(self._cache)

    def is_finite(self) -> bool:
        """Tell whether the network's output has neither infinities nor NaN."""
        return is_finite(self._training)


def _gained(before: Stats, after: Stats) -> Dict[str, int]:
    return {name: after["totals"][name] - before["totals"][name] for name in _COUNTS}
