"""The oracle beyond plain training: the same bits however MXNet is used.

Every scenario of harness/worker/scenarios runs on one OpenMP thread, because on more the batch
normalisation of stock itself does not repeat its own bits.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable

import pytest

from harness.base.layout import Layout
from harness.trials.jobs import ScenarioJob
from harness.trials.launch import WorkerFailed
from tests.support.bits import avoided, differences, result_of

# Operators that scope all must serve on every host. The others are not reached, or cached by MXNet
# itself, which creates them once for each shape.
SERVED = {
    "inference": {"softmax", "reorder"},
    "grad-add": {"Convolution", "reorder", "sum"},
    "grad-null": {"Convolution", "reorder"},
    "shared-weights": {"Convolution", "reorder"},
    "batch-changes": {"Convolution", "reorder"},
    "odd-channels": {"Convolution", "reorder"},
    "imperative": {"Convolution", "reorder", "sum"},
    "int8": {"reorder"},
    "threads-python": {"Convolution", "reorder"},
}
# MXNet 1.5 caches the primitives of add_n.
CACHED_BY_MXNET = {("imperative", "1.5.1.post0"): {"sum"}}
WITHOUT_BACKWARD = ("inference", "int8")
# More than the number of batch sizes of batch-changes, so that each size is met again.
STEPS = 7
# Without it MXNet runs the operators of all Python threads on one thread of its engine.
OVERRIDES = {"threads-python": (("MXNET_CPU_WORKER_NTHREADS", "2"),)}


def both(
    layout: Layout, host: str, name: str, scope: str, bypasses: Iterable[str] = ()
) -> Dict[str, Any]:
    """Run a scenario on stock MXNet and with the cache, compare; return the cached result."""
    job = ScenarioJob(name, steps=STEPS)
    overrides = OVERRIDES.get(name, ())
    stock, cached = (result_of(job, layout, host, word, 1, overrides) for word in ("stock", scope))
    assert stock["finite"], "an oracle of NaNs compares nothing"
    assert differences(stock, cached) == []
    assert set(cached["stats"]["bypasses"]) == set(bypasses)
    if scope == "all":
        assert cached["stats"]["totals"]["primitives_avoided"] > 0
    return cached


@pytest.mark.parametrize("scope", ("backward", "all"))
@pytest.mark.parametrize("name", SERVED)
def test_scenario_gives_the_same_bits(built: Layout, host: str, name: str, scope: str) -> None:
    cached = both(built, host, name, scope)
    if scope == "all":
        served = {n for n in cached["stats"]["operators"] if sum(avoided(cached, n)) > 0}
        assert SERVED[name] - CACHED_BY_MXNET.get((name, host), set()) <= served
    if host == "1.3.1" and name not in WITHOUT_BACKWARD:
        assert avoided(cached, "_backward_Convolution")[0] > 0


# On one host: some reach MKL-DNN there alone; on 1.6.0 two stand for all. Why something passes
# through.
ON_ONE_HOST = [
    ("1.5.1.post0", "fused", ()),
    ("1.5.1.post0", "recurrent", ("unknown_kind",)),
    ("1.6.0", "batch-changes", ()),
    ("1.6.0", "grad-add", ()),
]


@pytest.mark.parametrize(("host", "name", "why"), ON_ONE_HOST, indirect=["host"])
def test_scenario_of_one_host_gives_the_same_bits(
    built: Layout, host: str, name: str, why: Iterable[str]
) -> None:
    both(built, host, name, "all", why)


def test_unknown_scenario_is_refused_by_name(first_host: str, layout: Layout) -> None:
    with pytest.raises(WorkerFailed, match="unknown scenario 'nothing': expected one of inference"):
        result_of(ScenarioJob("nothing"), layout, first_host, "stock")
