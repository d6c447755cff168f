"""Training with the cache ends with the arrays of training without it, bit for bit.

Stock runs several times first: equal bits can be demanded only where stock repeats its own.
docs/determinism.md explains where it does not.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, List, Mapping

import numpy

from harness.trials.jobs import HashJob
from harness.trials.variants import STOCK
from harness.verify.context import Check, Context, Task, check


def differing(stock: Mapping[str, Any], other: Mapping[str, Any]) -> List[str]:
    """Return the names of the arrays whose bits differ, in the order of the network."""
    names = list(stock["hashes"]) + [n for n in other["hashes"] if n not in stock["hashes"]]
    return [n for n in names if stock["hashes"].get(n) != other["hashes"].get(n)]


def run(context: Context, task: Task) -> List[Check]:
    """Train a network on the baseline several times, and once on every scope of the host."""
    settings = context.settings
    case = settings.case(task.subject)
    job = HashJob(**case.model_dump(), seed=settings.seed, steps=settings.steps)
    baseline = context.baseline
    runs = [context.run(job, task.host, baseline) for _ in range(settings.stock_runs)]
    outcomes = Counter(result["digest"] for result in runs)
    one = len(outcomes) == 1
    summary = f"{len(runs)} runs, {len(outcomes)} outcome{'' if one else 's'}"
    checks = [check(task, baseline, "pass" if one else "stock", summary, outcomes=dict(outcomes))]
    if not runs[0]["finite"]:
        return [check(task, baseline, "fail", "not finite: an oracle of NaNs compares nothing")]
    for scope in context.scopes(task.host):
        result = context.run(job, task.host, scope)
        names = differing(runs[0], result)
        detail = {"arrays": len(result["hashes"]), "digest": result["digest"]}
        if result["digest"] in outcomes:
            equal = f"equal, {detail['arrays']} arrays"
            checks.append(check(task, scope, "pass", equal, **detail))
        else:
            lines = explain(context, job, task.host, scope) or [
                "a second pair of runs did not differ: the fault is not in every run"
            ]
            summary = f"{len(names)} of {detail['arrays']} arrays differ"
            checks.append(check(task, scope, "fail", summary, lines, **detail))
    return checks


def explain(context: Context, job: HashJob, host: str, scope: str) -> List[str]:
    """Return the first step in which a scope differs, the array and the difference."""
    baseline = context.baseline
    for steps in range(1, job.steps + 1):
        with tempfile.TemporaryDirectory(prefix="opcache-") as folder:
            dumps, results = {}, {}
            for variant in (baseline, scope):
                dumps[variant] = str(Path(folder, f"{variant}.npz"))
                shorter = dataclasses.replace(job, steps=steps, dump=dumps[variant])
                results[variant] = context.run(shorter, host, variant)
            names = differing(results[baseline], results[scope])
            if not names:
                continue
            with numpy.load(dumps[baseline]) as stock, numpy.load(dumps[scope]) as other:
                name = first_computed(names)
                lines = [
                    f"after step {steps}: {len(names)} arrays differ; the first that is computed:",
                    describe(name, stock[name], other[name], baseline),
                ]
            operator = results[baseline]["operators"].get(variable(name))
            return lines + ([f"it belongs to {operator}"] if operator else [])
    return []


def variable(name: str) -> str:
    """Return the parameter or state that an array belongs to."""
    return name[len("gradient-") :] if name.startswith("gradient-") else name


def first_computed(names: List[str]) -> str:
    """Return which of the differing arrays, in the order of the network, was computed first.

    The forward pass comes first, and shows in the output; then the gradients, last layer first.
    """
    outputs = [name for name in names if name.startswith("output")]
    if outputs:
        return outputs[0]
    gradients = [name for name in names if name.startswith("gradient-")]
    return gradients[-1] if gradients else names[0]


def describe(name: str, stock: numpy.ndarray, other: numpy.ndarray, baseline: str = STOCK) -> str:
    """Return the place of the largest difference between two arrays, and its size."""
    if stock.shape != other.shape:
        return f"{name}: shape {stock.shape} on {baseline}, {other.shape} here"
    with numpy.errstate(invalid="ignore"):
        distance = numpy.abs(stock.astype(numpy.float64) - other.astype(numpy.float64))
    distance = numpy.where(numpy.isnan(distance), numpy.inf, distance)
    unequal = int((stock.view(numpy.uint32) != other.view(numpy.uint32)).sum())
    index = numpy.unravel_index(int(distance.argmax()), distance.shape)
    place = [int(i) for i in index]
    return (
        f"{name}: {unequal} of {stock.size} values, most at {place}: "
        f"{baseline} {stock[index]:.9g}, here {other[index]:.9g}, difference {distance[index]:.3g}"
    )
