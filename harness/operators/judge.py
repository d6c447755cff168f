"""Judges what operators computed: against the reference, and from the cache's counters. Pure.

A reference shares nothing with MXNet or MKL-DNN, so it sees errors that two builds have in common.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

import numpy

from harness.operators.cases import Case, find_cases
from harness.operators.reference import REFERENCES

Arrays = Dict[str, numpy.ndarray]
# By array: the right values, and the largest error that rounding explains.
Expected = Dict[str, Tuple[numpy.ndarray, float]]

_EPSILON = float(numpy.finfo(numpy.float32).eps)
# How many times epsilon * sqrt(terms) an error may be. n roundings of random sign leave an error
# that grows as sqrt(n), n being the numbers that are added up in an element. The factor is the
# operator's own: 1 for moving data, where only grad_req add rounds; 4 for products, sums
# and averages; 8 for exponentials and powers, which MKL-DNN approximates; 16 for batch
# normalisation, whose gradient is a small difference of large terms when a channel has few data.
# The largest seen are 0.5, 1.3, 2.3 and 2.8; a wrong term or a stale buffer makes thousands.
_ROUNDINGS = {
    **dict.fromkeys(("Concat", "Flatten", "identity", "reshape", "slice_axis", "transpose"), 1),
    **dict.fromkeys(("Activation", "LRN", "SoftmaxOutput", "softmax"), 8),
    "BatchNorm": 16,
}
_OTHER_ROUNDINGS = 4

# What each word of a scope serves, in the names of the counters: forward, then backward.
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
# The hosts of which Case.reaches holds: MXNet 1.5 sends more to MKL-DNN, and keeps more itself.
_PATHS_KNOWN = ("1.3.1", "1.4.1")
# Any operator may make these around itself; deconvolution is made of convolution's primitives.
_HELPERS = {"memory", "reorder", "sum"}
_PARTS_OF_DECONVOLUTION = {"Convolution", "_backward_Convolution", "_backward_Deconvolution"}


def expect(case: Case, given: Arrays, before: Arrays) -> Expected:
    """Return what a case should compute, by the names of harness/worker/operators.py.

    ``given`` holds the inputs and the ``head`` as MXNet got them, ``before`` what was in each
    gradient before.
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
    """Return what a 1x1 convolution without bias makes of data, and the tolerance."""
    exact = {"data": data.astype(numpy.float64), "weight": weight.astype(numpy.float64)}
    return REFERENCES["Convolution"].forward(exact, {}), _tolerance("Convolution", data.shape[1])


def _tolerance(op: str, terms: float) -> float:
    return _ROUNDINGS.get(op, _OTHER_ROUNDINGS) * _EPSILON * max(1.0, terms) ** 0.5


def compare(found: numpy.ndarray, expected: numpy.ndarray, tolerance: float) -> Dict[str, Any]:
    """Return the largest error, in units of the largest expected value, and where it is.

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
    """Return what is wrong with the result of an OperatorsJob, a line each; empty when nothing is.

    Wrong is an error above its tolerance, unless the case names it as a fault of stock on this
    host; and, where the cache was loaded, primitives that a case should have made and did not or
    the reverse, and primitives that the cache's scope covers and that were created again.
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


def served(result: Mapping[str, Any]) -> Dict[str, int]:
    """Return by operator how many creations of the primitives that its cases reach were avoided.

    Steps of MXNet operators that keep their primitives themselves ask for none, and avoid none.
    """
    found: Dict[str, int] = {}
    for name, parts in (result["calls"] or {}).items():
        case = _case(*name.split("/"))
        own = set(case.reaches or ()) | _parts(case)
        avoided = [c["avoided"] for part in parts.values() for op, c in part.items() if op in own]
        operator = name.split("/")[0]
        found[operator] = found.get(operator, 0) + sum(avoided)
    return found


def _case(operator: str, name: str) -> Case:
    return next(case for case in find_cases(operator) if case.name == name)


def _excuse(name: str, result: Mapping[str, Any]) -> Optional[str]:
    """Return why stock itself gets the array wrong on this host, None if it should not."""
    operator, case_name, array = name.split("/")
    fault, host = _case(operator, case_name).stock_fault, result["versions"]["mxnet"]
    known = fault is not None and array in fault.arrays and host in (fault.hosts or (host,))
    return fault.reason if fault is not None and known else None


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
    """Return what is equal for cases that MXNet's own caches may take for the same."""
    return repr((case.op, case.inputs, case.attributes, case.train))


def _reached(calls: Mapping[str, Any]) -> Dict[str, Set[str]]:
    found: Dict[str, Set[str]] = {}
    for name, parts in calls.items():
        found.setdefault(_kept_as(_case(*name.split("/"))), set()).update(_called(parts))
    return found


def _called(parts: Mapping[str, Any]) -> Set[str]:
    return set(parts["first"]) | set(parts["later"])


def _covered(scope: str) -> Set[str]:
    """Return the counters whose primitives a scope keeps."""
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
