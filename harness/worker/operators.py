"""Runs operators' cases in MXNet, and compares the results with those of harness/operators.

Judges nothing: harness/operators/judge.py does.
"""

from __future__ import annotations

import hashlib
from typing import Any, Dict, Iterable, List, Tuple

import mxnet as mx
import numpy

from harness.operators import judge
from harness.operators.cases import Case, find_cases
from harness.trials.jobs import OperatorsJob
from harness.worker import counters
from harness.worker.counters import Cache
from harness.worker.data import uniform
from harness.worker.hashing import combined
from harness.worker.network import wait_for_moving_statistics

Arrays = Dict[str, numpy.ndarray]
# By operator, how many primitives were ``created`` and how many creations were ``avoided``.
Calls = Dict[str, Dict[str, int]]


def run(job: OperatorsJob, cache: Cache) -> Dict[str, Any]:
    """Run every case on new data in every step; see OperatorsJob for the result.

    On equal data a cached primitive that still pointed at an earlier step's buffers would give the
    right answer.
    """
    running: Dict[str, Any] = {}
    errors: Dict[str, Any] = {}
    calls: Dict[str, Any] = {}
    for operator in job.operator.split("+"):
        for case in find_cases(operator, job.quick):
            case_name = f"{operator}/{case.name}"
            steps: List[Calls] = []
            for step in range(job.steps):
                arrays, expected, called = _run_step(job.seed, f"{case_name}/{step}", case, cache)
                steps.append(called)
                for array_name, value in arrays.items():
                    name = f"{case_name}/{array_name}"
                    running.setdefault(name, hashlib.sha256()).update(value.tobytes())
                    found = judge.compare(value, *expected[array_name])
                    errors[name] = judge.worse(errors.get(name), found)
            calls[case_name] = {"first": steps[0], "later": _sum(steps[1:])}
    hashes = {name: digest.hexdigest() for name, digest in sorted(running.items())}
    return {
        "hashes": hashes,
        "digest": combined(hashes),
        "errors": errors,
        "calls": None if cache is None else calls,
        "stats": counters.read(cache),
    }


def _run_step(
    seed: int, what: str, case: Case, cache: Cache
) -> Tuple[Arrays, judge.Expected, Calls]:
    """Return the arrays that MXNet computed, the expected ones, and the primitives requested."""

    def fresh(name: str, shape: Tuple[int, ...]) -> numpy.ndarray:
        return uniform(seed, f"{what}/{name}", shape)

    plain = {name: _input(case, name, fresh(name, shape)) for name, shape in case.inputs.items()}
    inputs = {n: _blocked(value) if n in case.blocked else value for n, value in plain.items()}
    # Copied first: batch normalisation writes to its states, and to a gamma that is fixed.
    given = {name: value.asnumpy() for name, value in inputs.items()}
    # Not zero, so that a gradient that is not written, or not added to, is noticed.
    before = {name: fresh(f"before/{name}", case.inputs[name]) for name in case.learned()}
    for name, value in before.items():
        inputs[name].attach_grad(case.grad_req.get(name, "write"))
        inputs[name].grad[:] = value
    mx.nd.waitall()

    # Count the operator's own calls only: preparing blocked arrays creates primitives too.
    start = _counters(cache)
    with mx.autograd.record(train_mode=case.train):
        outputs = getattr(mx.nd, case.op)(*inputs.values(), **case.attributes)
    mx.nd.waitall()
    called = _difference(start, _counters(cache))
    outputs = outputs if isinstance(outputs, list) else [outputs]
    plain["head"] = mx.nd.array(fresh("head", outputs[0].shape))
    head = _blocked(plain["head"]) if "head" in case.blocked else plain["head"]
    given["head"] = head.asnumpy()
    if case.backward:
        start = _counters(cache)
        outputs[0].backward(head, train_mode=case.train)
        wait_for_moving_statistics()
        called = _sum([called, _difference(start, _counters(cache))])

    arrays = {"output": outputs[0].asnumpy()}
    arrays.update((f"output-{i}", output.asnumpy()) for i, output in enumerate(outputs[1:], 1))
    arrays.update((f"gradient-{name}", inputs[name].grad.asnumpy()) for name in before)
    states = (name for name in inputs if name.startswith("moving_"))
    arrays.update((f"state-{name}", inputs[name].asnumpy()) for name in states)
    expected = judge.expect(case, given, before)
    # The expected arrays follow from the blocked inputs as MXNet reads them: judge these first.
    for name in case.blocked:
        arrays[f"blocked-{name}"] = given[name]
        channels = plain[name].shape[1]
        expected[f"blocked-{name}"] = judge.expect_mixed(
            plain[name].asnumpy(), _mixing_weight(channels)
        )
    return arrays, expected, called


def _input(case: Case, name: str, value: numpy.ndarray) -> Any:
    if name == "label":
        classes = case.inputs["data"][1]
        value = numpy.floor((value + 1) / 2 * classes)
    elif name == "moving_var":
        value = value + 2  # must be positive
    return mx.nd.array(value)


def _blocked(data: Any) -> Any:
    """Mix the channels of data in a convolution, whose output has MKL-DNN's layout."""
    channels = data.shape[1]
    weight = mx.nd.array(_mixing_weight(channels))
    return mx.nd.Convolution(data, weight, kernel=(1, 1), num_filter=channels, no_bias=True)


def _mixing_weight(channels: int) -> numpy.ndarray:
    return uniform(1, "blocked", (channels, channels, 1, 1))


def _counters(cache: Cache) -> Dict[str, Any]:
    return (counters.read(cache) or {"operators": {}})["operators"]


def _difference(before: Dict[str, Any], after: Dict[str, Any]) -> Calls:
    """Return the calls between two readings of the counters, without operators that had none."""
    found: Calls = {}
    for operator, now in after.items():
        earlier = before.get(operator, {})
        calls = {
            what: now[f"primitives_{what}"] - earlier.get(f"primitives_{what}", 0)
            for what in ("created", "avoided")
        }
        if any(calls.values()):
            found[operator] = calls
    return found


def _sum(parts: Iterable[Calls]) -> Calls:
    total: Calls = {}
    for part in parts:
        for operator, calls in part.items():
            sums = total.setdefault(operator, {"created": 0, "avoided": 0})
            for what, count in calls.items():
                sums[what] += count
    return total
