"""Judges operators' results by the reference, and their primitives by the cache's counters. Pure.

A reference shares no code with MXNet or MKL-DNN, so it shows errors that two builds have in common.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

import numpy

from harness.operators.cases import Case, find_cases
from harness.operators.cases.case import Arrays
from harness.operators.reference import REFERENCES

# By array: the expected values, and the largest error that rounding explains.
Expected = Dict[str, Tuple[numpy.ndarray, float]]

_EPSILON = float(numpy.finfo(numpy.float32).eps)
# The largest error in units of epsilon * sqrt(terms): the error of n roundings of random sign grows
# as sqrt(n), n being the number of terms of an element. The factor depends on the operator: 1 for
# moving data, where only grad_req add rounds; 4 for products, sums and averages; 8 for exponentials
# and powers, which MKL-DNN approximates; 16 for batch normalisation, whose gradient is a small
# difference of large terms when a channel has few data. The largest seen errors are 0.5, 1.3, 2.3
# and 2.8; a wrong term or a stale buffer gives thousands.
_ROUNDINGS = {
    **dict.fromkeys(("Concat", "Flatten", "identity", "reshape", "transpose"), 1),
    **dict.fromkeys(("slice_axis", "slice_like"), 1),
    **dict.fromkeys(("Activation", "LRN", "SoftmaxOutput", "softmax"), 8),
    "BatchNorm": 16,
}
_OTHER_ROUNDINGS = 4

# By word of a scope, the counters of its primitives: forward, then backward.
_SERVED = {
    "activation": ("Activation", "_backward_Activation"),
    "batch_norm": ("BatchNorm", "_backward_BatchNorm"),
    "convolution": ("Convolution", "_backward_Convolution"),
    "deconvolution": ("Deconvolution", "_backward_Deconvolution"),
    "fully_connected": ("FullyConnected", "_backward_FullyConnected"),
    "lrn": ("LRN", "_backward_LRN"),
    "pooling": ("Pooling", "_backward_Pooling"),
}
_SINGLE = {"concat": "Concat", "reorder": "reorder", "softmax": "softmax", "sum": "sum"}
# Case.reaches holds for these releases: MXNet 1.5 sends more to MKL-DNN, and caches more itself.
_PATHS_KNOWN = ("1.3.1", "1.4.1")
# Primitives around any operator; deconvolution consists of convolution's primitives.
_HELPERS = {"memory", "reorder", "sum"}
_PARTS_OF_DECONVOLUTION = {"Convolution", "_backward_Convolution", "_backward_Deconvolution"}


def expect(case: Case, given: Arrays, before: Arrays) -> Expected:
    """Return the expected arrays of a case, by the names of harness/worker/operators.py.

    ``given`` has the inputs and the ``head`` as MXNet got them, ``before`` the earlier content of
    each gradient.
    """
    exact = {name: value.astype(numpy.float64) for name, value in given.items()}
    head = exact.pop("head")
    reference, attributes = REFERENCES[case.op], case.attributes
    if case.op == "BatchNorm" and not case.train:
        attributes = {**attributes, "use_global_stats": True}
    arrays = {"output": reference.forward(exact, attributes)}
    terms = reference.terms(exact, attributes, arrays["output"])
    if reference.extras is not None:
        arrays.update(reference.extras(exact, attributes))
    if case.backward:
        gradients = reference.gradients(exact, attributes, head)
        for name in case.learned():
            adds = case.grad_req.get(name) == "add"
            arrays[f"gradient-{name}"] = gradients[name] + (before[name] if adds else 0)
    return {n: (value, _tolerance(case.op, terms / value.size)) for n, value in arrays.items()}


def expect_mixed(data: numpy.ndarray, weight: numpy.ndarray) -> Tuple[numpy.ndarray, float]:
    """Return the result of a 1x1 convolution without bias, and its tolerance."""
    exact = {"data": data.astype(numpy.float64), "weight": weight.astype(numpy.float64)}
    return REFERENCES["Convolution"].forward(exact, {}), _tolerance("Convolution", data.shape[1])


def _tolerance(op: str, terms: float) -> float:
    return _ROUNDINGS.get(op, _OTHER_ROUNDINGS) * _EPSILON * max(1.0, terms) ** 0.5


def compare(found: numpy.ndarray, expected: numpy.ndarray, tolerance: float) -> Dict[str, Any]:
    """Return the largest error, in units of the largest expected value, and its place.

    ``error`` is None where a value is not finite or the shapes differ.
    """
    if found.shape != expected.shape:
        shapes = {"found": str(found.shape), "expected": str(expected.shape)}
        return {"error": None, "tolerance": tolerance, "index": None, **shapes}
    difference = numpy.abs(found - expected)
    # argmax finds a NaN before any number.
    worst = numpy.unravel_index(int(difference.argmax()), difference.shape)
    error = float(difference[worst]) / (float(numpy.abs(expected).max()) or 1.0)
    return {
        "error": error if numpy.isfinite(error) else None,
        "tolerance": tolerance,
        "index": [int(i) for i in worst],
        "found": str(found[worst]),
        "expected": str(expected[worst]),
    }


def worse(one: Optional[Dict[str, Any]], other: Dict[str, Any]) -> Dict[str, Any]:
    """Return the worse of two comparisons of one array, in two steps."""

    def size(comparison: Dict[str, Any]) -> float:
        error = comparison["error"]
        return numpy.inf if error is None else error

    return other if one is None else max(one, other, key=size)


def judge(result: Mapping[str, Any]) -> List[str]:
    """Return a line for each fault in the result of an OperatorsJob.

    Faults are errors above their tolerance, unless the case names them as a fault of stock MXNet of
    this release. With the cache loaded, faults are also missing and unexpected primitives, and
    primitives in the cache's scope that were created again.
    """
    failures = []
    for name, comparison in result["errors"].items():
        if _excuse(name, result) is None:
            failures += _judge_error(name, comparison)
    if result["calls"] is not None:
        paths_known = result["versions"]["mxnet"] in _PATHS_KNOWN
        failures += _judge_calls(result["calls"], result["stats"]["scope"], paths_known)
    return failures


def known_faults(result: Mapping[str, Any]) -> List[str]:
    """Return a line, with the reason, for each error that judge excuses as a fault of stock."""
    lines = []
    for name, comparison in result["errors"].items():
        reason = _excuse(name, result)
        if reason is not None:
            lines += [f"{line} ({reason})" for line in _judge_error(name, comparison)]
    return lines


def _case(operator: str, name: str) -> Case:
    return next(case for case in find_cases(operator) if case.name == name)


def _excuse(name: str, result: Mapping[str, Any]) -> Optional[str]:
    """Return why stock MXNet of this release computes the array wrong, None if it does not."""
    operator, case_name, array = name.split("/")
    fault, host = _case(operator, case_name).stock_fault, result["versions"]["mxnet"]
    if fault is None or array not in fault.arrays:
        return None
    # Somebody's own MXNet 1.3.0 has the faults of 1.3.1.
    known = {_minor(each) for each in fault.hosts or (host,)}
    return fault.reason if _minor(host) in known else None


def _minor(version: str) -> Tuple[str, ...]:
    return tuple(version.split(".")[:2])


def _judge_error(name: str, comparison: Mapping[str, Any]) -> List[str]:
    error, tolerance = comparison["error"], comparison["tolerance"]
    if error is not None and error <= tolerance:
        return []
    size = "not finite" if error is None else f"{error:.2g}"
    return [
        f"{name}: error {size}, tolerance {tolerance:.2g}; worst at {comparison['index']}: "
        f"expected {comparison['expected']}, found {comparison['found']}"
    ]


def _judge_calls(calls: Mapping[str, Any], scope: str, paths_known: bool) -> List[str]:
    failures = []
    covered = _covered(scope)
    reached = _reached(calls)
    for name, parts in calls.items():
        case = _case(*name.split("/"))
        if case.reaches is not None and paths_known:
            missing = set(case.reaches) - reached[_kept_as(case)]
            failures += [
                f"{name}: expected primitives of {op}, found none" for op in sorted(missing)
            ]
            surplus = _called(parts) - set(case.reaches) - _parts(case) - _HELPERS
            failures += [f"{name}: expected no primitives of {op}" for op in sorted(surplus)]
        for op in sorted(covered.intersection(parts["later"])):
            created = parts["later"][op]["created"]
            if created > 0:
                failures.append(f"{name}: {op} is in scope {scope}, but {created} created again")
    return failures


def _parts(case: Case) -> Set[str]:
    return _PARTS_OF_DECONVOLUTION if case.op == "Deconvolution" else set()


def _kept_as(case: Case) -> str:
    """Return a key that is equal for cases that share entries of MXNet's own caches."""
    return repr((case.op, case.inputs, case.attributes, case.train))


def _reached(calls: Mapping[str, Any]) -> Dict[str, Set[str]]:
    found: Dict[str, Set[str]] = {}
    for name, parts in calls.items():
        found.setdefault(_kept_as(_case(*name.split("/"))), set()).update(_called(parts))
    return found


def _called(parts: Mapping[str, Any]) -> Set[str]:
    return set(parts["first"]) | set(parts["later"])


def _covered(scope: str) -> Set[str]:
    """Return the counters of the primitives in a scope."""
    backward = {names[1] for names in _SERVED.values()}
    if scope == "backward":
        return backward
    if scope == "all":
        return backward | {names[0] for names in _SERVED.values()} | set(_SINGLE.values())
    found: Set[str] = set()
    words = scope.split(",")
    for word in words:
        if word in _SERVED:
            found.update(_SERVED[word] if "forward" in words else _SERVED[word][1:])
        elif word in _SINGLE:
            found.add(_SINGLE[word])
    return found
