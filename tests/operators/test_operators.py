"""The operators' reference: checked by finite differences, and MXNet checked against it.

Faults planted in the reference and in the library must be far beyond the tolerance: the reference
finds a wrong cache without stock to compare with.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any, Callable, Dict, List, Mapping, Tuple

import numpy
import pytest
from scipy import signal

from harness.base.layout import Layout
from harness.operators import judge
from harness.operators.cases import OPERATOR_CASES, Case, find_cases
from harness.operators.reference import REFERENCES, Reference
from harness.trials.jobs import OperatorsJob
from harness.trials.launch import WorkerFailed
from harness.trials.variants import mxnet_version
from harness.verify.faults import faulty
from tests.conftest import HOSTS, every_host
from tests.support.bits import EVERY_OPERATOR, result_of
from tests.support.commands import refusal

ALL_CASES = {
    f"{operator}/{case.name}": case for operator, cases in OPERATOR_CASES.items() for case in cases
}


def given(case: Case) -> Dict[str, numpy.ndarray]:
    """Inputs and head in float64, as harness/worker/operators.py makes them."""
    random = numpy.random.Generator(numpy.random.PCG64(7))
    inputs = {}
    for name, shape in case.inputs.items():
        inputs[name] = random.uniform(-1, 1, shape)
        if name == "label":
            inputs[name] = random.integers(case.inputs["data"][1], size=shape).astype(float)
        elif name == "moving_var":
            inputs[name] += 2
    output = REFERENCES[case.op].forward(inputs, case.attributes)
    return {**inputs, "head": random.uniform(-1, 1, output.shape)}


def test_names_tell_cases_apart() -> None:
    assert len(ALL_CASES) == sum(map(len, OPERATOR_CASES.values()))
    assert all("/" not in case.name for case in ALL_CASES.values())
    assert all(find_cases(operator, quick=True) for operator in OPERATOR_CASES)
    said = refusal(find_cases, "relu")
    assert said.startswith("unknown operator 'relu': expected one of activation")


def wrong_slopes(case: Case, reference: Reference) -> List[str]:
    """Return the inputs whose gradient is not a finite difference along one random direction."""
    random = numpy.random.Generator(numpy.random.PCG64(8))
    inputs = given(case)
    head = inputs.pop("head")

    def loss(values: Dict[str, numpy.ndarray]) -> float:
        output = reference.forward(values, case.attributes)
        if case.op == "SoftmaxOutput":  # its gradient is that of the cross entropy
            labels = values["label"].astype(int)
            return -float(numpy.log(output[numpy.arange(len(labels)), labels]).sum())
        return float((output * head).sum())

    wrong = []
    for name, gradient in reference.gradients(inputs, case.attributes, head).items():
        direction = 1e-6 * random.uniform(-1, 1, inputs[name].shape)
        ahead = loss({**inputs, name: inputs[name] + direction})
        behind = loss({**inputs, name: inputs[name] - direction})
        slope = 2 * float((gradient * direction).sum())
        scale = 1e-6 * numpy.sqrt(gradient.size) * (numpy.abs(gradient).max() + 1e-3)
        if abs(ahead - behind - slope) > 1e-5 * scale:
            wrong.append(name)
    return wrong


@pytest.mark.parametrize("operator", OPERATOR_CASES)
def test_gradients_are_finite_differences(operator: str) -> None:
    for case in OPERATOR_CASES[operator]:
        assert wrong_slopes(case, REFERENCES[case.op]) == [], case.name


@pytest.mark.parametrize("op", REFERENCES)
def test_finite_differences_find_a_wrong_gradient(op: str) -> None:
    right = REFERENCES[op]

    def wrong(*arguments: Any) -> Dict[str, numpy.ndarray]:
        return {name: 1.001 * value for name, value in right.gradients(*arguments).items()}

    case = next(case for case in ALL_CASES.values() if case.op == op)
    assert wrong_slopes(case, dataclasses.replace(right, gradients=wrong)) != []


def test_convolution_is_a_correlation() -> None:
    """Against SciPy's: stride takes some of its rows, dilation spreads the kernel."""
    case = ALL_CASES["convolution/dilate-2x16x8x8"]
    case = dataclasses.replace(case, attributes={**case.attributes, "stride": (2, 1)})
    inputs = given(case)
    data = numpy.pad(inputs["data"], [(0, 0), (0, 0), (2, 2), (2, 2)])
    spread = numpy.zeros((16, 16, 5, 5))
    spread[:, :, ::2, ::2] = inputs["weight"]
    found = REFERENCES["Convolution"].forward(inputs, case.attributes)
    for image in range(2):
        for filter_ in range(16):
            whole = signal.correlate(data[image], spread[filter_], mode="valid")[0]
            expected = whole[::2] + inputs["bias"][filter_]
            assert numpy.allclose(found[image, filter_], expected, rtol=0, atol=1e-12)


def test_batch_norm_moves_its_statistics() -> None:
    case = ALL_CASES["batch_norm/momentum-2x16x8x8-data"]
    inputs = given(case)
    extras = REFERENCES["BatchNorm"].extras
    assert extras is not None
    found = extras(inputs, case.attributes)["state-moving_var"]
    variance = inputs["data"].transpose(1, 0, 2, 3).reshape(16, -1).var(axis=1, ddof=0)
    assert numpy.allclose(found, (inputs["moving_var"] + variance) / 2, rtol=1e-12)


# A wrong term each, and the attributes that make the reference compute it.
WRONG: Dict[str, Tuple[str, Dict[str, Any]]] = {
    "LRN without 1/n": ("lrn/size-5-2x16x8x8", {"alpha": 5e-4}),
    "LRN's beta": ("lrn/size-5-2x16x8x8", {"beta": 0.7501}),
    "average without padding": ("pooling/avg-3x3-pad-2x16x8x8", {"count_include_pad": False}),
    "sum for average": ("pooling/avg-2x2-2x16x8x8", {"pool_type": "sum"}),
    "epsilon": ("batch_norm/plain-2x16x8x8-data", {"eps": 1.1e-3}),
    "constant statistics": ("batch_norm/plain-2x16x8x8-data", {"use_global_stats": True}),
    "gamma": ("batch_norm/plain-2x16x8x8-data", {"fix_gamma": True}),
    "momentum": ("batch_norm/plain-2x16x8x8-data", {"momentum": 0.9001}),
    "dilation": ("convolution/dilate-2x16x8x8", {"dilate": (1, 1), "pad": (1, 1)}),
    "adjustment": ("deconvolution/adjusted-2x16x5x5", {"pad": (2, 2), "adj": (3, 3)}),
    "axis": ("softmax/channels-2x16x5x5", {"axis": 2}),
    "activation": ("activation/tanh-2x16x8x8", {"act_type": "softsign"}),
}


def beyond(case: Case, wrong: judge.Expected) -> List[str]:
    """Return the arrays in which a wrong reference is twice the tolerance from the right one.

    Stock is within the tolerance of the right one, so it is beyond that of the wrong one.
    """
    values = given(case)
    right = judge.expect(case, values, values)
    found = {n: judge.compare(wrong[n][0], *right[n]) for n in right}
    return [n for n, c in found.items() if c["error"] is None or c["error"] > 2 * c["tolerance"]]


@pytest.mark.parametrize("fault", WRONG)
def test_wrong_reference_is_beyond_the_tolerance(fault: str) -> None:
    name, attributes = WRONG[fault]
    case = ALL_CASES[name]
    assert case.stock_fault is None
    values = given(case)
    altered = dataclasses.replace(case, attributes={**case.attributes, **attributes})
    assert beyond(case, judge.expect(altered, values, values)) != []
    assert beyond(case, judge.expect(case, values, values)) == []


def test_turned_kernel_and_lost_addition_are_beyond_the_tolerance() -> None:
    case = ALL_CASES["convolution/add-data-weight-bias-3x16x8x8"]
    values = given(case)
    turned = {**values, "weight": values["weight"][:, :, ::-1, ::-1]}
    found = beyond(case, judge.expect(case, turned, values))
    assert found == ["output", "gradient-data"]
    nothing = {name: numpy.zeros_like(value) for name, value in values.items()}
    found = beyond(case, judge.expect(case, values, nothing))
    assert found == ["gradient-data", "gradient-weight", "gradient-bias"]


def served_by(result: Mapping[str, Any]) -> Dict[str, int]:
    """Return by operator the avoided creations of the primitives that its cases reach.

    MXNet operators that cache their primitives themselves request none, and avoid none.
    """
    found: Dict[str, int] = {}
    for name, parts in (result["calls"] or {}).items():
        case = judge._case(*name.split("/"))
        own = set(case.reaches or ()) | judge._parts(case)
        avoided = [c["avoided"] for part in parts.values() for op, c in part.items() if op in own]
        operator = name.split("/")[0]
        found[operator] = found.get(operator, 0) + sum(avoided)
    return found


@every_host
def test_operators_are_served(built: Layout, host: str) -> None:
    """By scope all, on every host: from 1.4 on MXNet caches some primitives, 1.6 those of sums."""
    served = served_by(result_of(EVERY_OPERATOR, built, host, "all"))
    expected = {"concat", "reorder", "softmax"} | ({"sum"} if host != "1.6.0" else set())
    assert min(served[operator] for operator in expected) > 0
    every = {operator for operator, count in served.items() if count > 0}
    assert host != "1.3.1" or every == set(OPERATOR_CASES)


@every_host
@pytest.mark.parametrize("word", ("stock", "off", "backward", "all"))
def test_mxnet_computes_what_the_reference_does(built: Layout, host: str, word: str) -> None:
    result = result_of(EVERY_OPERATOR, built, host, word)
    assert judge.judge(result) == []
    names = {f"{o}/{case.name}" for o in OPERATOR_CASES for case in find_cases(o, quick=True)}
    assert {name.rsplit("/", 1)[0] for name in result["errors"]} == names


# The reason of a case, and words of its line on the page.
ON_THE_PAGE = {
    "MKL-DNN from v0.17.4 on reads out of bounds for the kernel's last row (AVX-512)": (
        "reads outside the image"
    ),
    "MXNet computes the bias's gradient together with the weight's, or not at all": (
        "a convolution's bias"
    ),
    "MXNet returns before it writes the zeros, because data needs no gradient": "`slice_like`",
    "MKL-DNN's path ignores use_global_stats in training": "`use_global_stats`",
    "MXNet keeps the backward primitive of training with the same shapes and uses it again": (
        "lacks the mode in its key"
    ),
    "BatchNorm writes its gradients where add is asked for": '`grad_req="add"` in batch',
    "SoftmaxOutput writes its gradient whatever grad_req": "and SoftmaxOutput",
    "softmax of blocked data writes a blocked result that MXNet takes for a plain one": (
        "Softmax of data in a blocked layout"
    ),
    "LRN": "Local response normalisation, backward, with a gradient in a blocked layout",
    "Pooling": "Pooling, backward, of plain data with a gradient in a blocked layout",
}


def test_faults_of_stock_are_on_the_page_of_bugs(layout: Layout) -> None:
    page = (layout.root / "docs" / "upstream-bugs.md").read_text(encoding="utf-8").splitlines()
    for case in (case for cases in OPERATOR_CASES.values() for case in cases):
        if case.stock_fault is not None:
            fault = case.stock_fault
            words = ON_THE_PAGE.get(fault.reason) or ON_THE_PAGE[case.op]
            (row,) = (line for line in page if words in line)
            hosts = row.split(" | ")[1].split(", ")
            assert set(fault.hosts or map(mxnet_version, HOSTS)) <= set(hosts), row


@every_host
def test_slice_like_leaves_a_gradient_unwritten(layout: Layout, host: str) -> None:
    faults = judge.known_faults(result_of(EVERY_OPERATOR, layout, host, "stock"))
    found = [line for line in faults if "/gradient-shape_like: " in line]
    assert len(found) == (1 if host in ("1.3.1", "1.4.1") else 0)


def test_skipped_rebind_is_beyond_the_tolerance(built: Layout) -> None:
    """Without stock beside it: the reference alone tells that a cache is wrong."""
    layout = faulty(built, "SKIP_REBIND")
    failures = {}
    for operator in ("activation", "convolution", "lrn"):
        # It writes where it must not, so a worker may crash; hardly all of them.
        with contextlib.suppress(WorkerFailed):
            job = OperatorsJob(operator, quick=True)
            result = result_of(job, layout, "1.3.1", "preload:all")
            failures[operator] = [line for line in judge.judge(result) if "error" in line]
    assert failures
    assert all(failures.values()), failures


def test_comparison_finds_the_worst() -> None:
    expected = numpy.array([[1.0, -4.0], [2.0, 0.0]])
    found = expected + numpy.array([[0.0, 0.0], [0.0, -0.5]])
    assert judge.compare(found, expected, 0.1) == {
        "error": 0.125,
        "tolerance": 0.1,
        "index": [1, 1],
        "found": "-0.5",
        "expected": "0.0",
    }
    # Nothing to be relative to.
    assert judge.compare(numpy.ones(2), numpy.zeros(2), 0.1)["error"] == 1.0


@pytest.mark.parametrize("value", (numpy.nan, numpy.inf, -numpy.inf))
def test_values_that_are_not_finite_are_the_worst(value: float) -> None:
    bad = judge.compare(numpy.array([9.0, value]), numpy.ones(2), 0.1)
    assert bad["error"] is None
    assert bad["index"] == [1]
    good = judge.compare(numpy.ones(2), numpy.ones(2), 0.1)
    assert judge.worse(None, good) is good
    assert judge.worse(good, bad) is judge.worse(bad, good) is bad
    assert judge.compare(numpy.ones(2), numpy.ones(3), 0.1)["error"] is None


PLAIN, FAULTY = "lrn/size-5-2x16x8x8", "lrn/size-5-2x16x8x8-data-head"
WORST = "tolerance 1e-06; worst at [0]: expected 1.0, found 1.0"


def made_up() -> Dict[str, Any]:
    """A result that nothing is wrong with, of one case with a fault of stock and one without."""
    names = (PLAIN, FAULTY)
    return {
        "errors": {
            f"{name}/{array}": judge.compare(numpy.ones(1), numpy.ones(1), 1e-6)
            for name in names
            for array in ("output", "gradient-data")
        },
        "calls": {
            name: {
                "first": dict.fromkeys(("LRN", "_backward_LRN"), {"created": 1, "avoided": 0}),
                "later": {"_backward_LRN": {"created": 0, "avoided": 3}},
            }
            for name in names
        },
        "stats": {"scope": "all"},
        "versions": {"mxnet": "1.3.1"},
    }


def spoil(array: str, error: Any) -> Callable[[Dict[str, Any]], None]:
    return lambda result: result["errors"][array].update(error=error)


def call(part: str, operator: str, created: int) -> Callable[[Dict[str, Any]], None]:
    counters = {"created": created, "avoided": 0}
    return lambda result: result["calls"][PLAIN][part].update({operator: counters})


def silence(result: Dict[str, Any]) -> None:
    for parts in result["calls"].values():
        parts.update(first={"LRN": {"created": 1, "avoided": 0}}, later={})


@pytest.mark.parametrize(
    ("change", "failures"),
    [
        (lambda result: None, []),
        (lambda result: result.update(calls=None, stats=None), []),
        (spoil(f"{FAULTY}/gradient-data", 1.0), []),
        (spoil(f"{FAULTY}/output", 2e-6), [f"{FAULTY}/output: error 2e-06, {WORST}"]),
        (
            spoil(f"{PLAIN}/gradient-data", None),
            [f"{PLAIN}/gradient-data: error not finite, {WORST}"],
        ),
        (
            silence,
            [f"{n}: expected primitives of _backward_LRN, found none" for n in (PLAIN, FAULTY)],
        ),
        (call("later", "reorder", 0), []),
        (call("later", "reorder", 2), [f"{PLAIN}: reorder is in scope all, but 2 created again"]),
        (call("first", "Pooling", 1), [f"{PLAIN}: expected no primitives of Pooling"]),
    ],
)
def test_judge(change: Callable[[Dict[str, Any]], None], failures: List[str]) -> None:
    result = made_up()
    change(result)
    assert judge.judge(result) == failures


@pytest.mark.parametrize(
    ("scope", "refused"),
    [("off", False), ("pooling,forward", False), ("lrn", True), ("backward", True), ("all", True)],
)
def test_judge_knows_what_a_scope_covers(scope: str, refused: bool) -> None:
    result = made_up()
    result["stats"]["scope"] = scope
    call("later", "_backward_LRN", 1)(result)
    message = f"{PLAIN}: _backward_LRN is in scope {scope}, but 1 created again"
    assert judge.judge(result) == ([message] if refused else [])


def test_served_operators_and_known_faults() -> None:
    result = made_up()
    assert served_by(result) == {"lrn": 6}
    result["calls"][PLAIN]["later"]["reorder"] = {"created": 0, "avoided": 5}
    assert served_by(result) == {"lrn": 6}
    assert served_by({**result, "calls": None}) == {}
    # A fault of stock is excused on its releases only.
    name = "convolution/depthwise-stride-2x32x8x8/gradient-weight"
    comparison = judge.compare(numpy.ones(1), numpy.zeros(1), 1e-6)
    for host, excused in (("1.3.1", False), ("1.4.0", True), ("1.5.1", True)):
        result = {"errors": {name: comparison}, "calls": None, "versions": {"mxnet": host}}
        assert len(judge.judge(result)) == (0 if excused else 1)
        assert len(judge.known_faults(result)) == (1 if excused else 0)
    assert judge.known_faults(result)[0].endswith("for the kernel's last row (AVX-512))")
