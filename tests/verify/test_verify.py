"""The verification's own parts: what it reads, how it judges, and that it notices what is wrong."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any, List

import numpy
import pytest

from harness.__main__ import main
from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.base.toml import load
from harness.build.toolchain import load_toolchain
from harness.trials.jobs import HashJob, OperatorsJob
from harness.trials.launch import WorkerFailed
from harness.verify import bitwise, mxnet_debug, mxnet_tests, operators, plan, shadow, table
from harness.verify.command import make_checks
from harness.verify.context import Check, Context, Task
from harness.verify.faults import faulty, known
from harness.verify.record import VerifyRecord
from tests.support.commands import refusal
from tests.support.own_builds import OwnPair
from tests.support.records.verify import record, settings

LOG = """[15:26:30] src/operator/nn/mkldnn/mkldnn_base.cc:74: Allocate 16384 bytes with malloc directly
[15:26:30] src/operator/nn/mkldnn/mkldnn_base.cc:511: test Convolution
[15:26:30] src/operator/nn/mkldnn/mkldnn_base.cc:511: test LRN
[15:26:30] src/operator/nn/mkldnn/mkldnn_base.cc:501: _backward_LRN not checked. TExcludeMKLDNNDebug flag present
[15:26:31] src/operator/nn/mkldnn/mkldnn_base.cc:511: test _backward_Convolution
[15:26:31] src/operator/nn/mkldnn/mkldnn_base.cc:511: test _backward_Convolution
"""  # noqa: E501


def test_report_of_mxnets_checker_is_read() -> None:
    report = mxnet_debug.parse(LOG)
    assert report.counts == {"Convolution": 1, "LRN": 1, "_backward_Convolution": 2}
    assert report.excluded == ("_backward_LRN",)
    assert report.failed is None
    fails = "[1] src/operator/nn/mkldnn/mkldnn_base.cc:528: _backward_LRN fails\n"
    assert mxnet_debug.parse(LOG + fails).failed == "_backward_LRN"
    # Backward operators that were never checked are named.
    report = mxnet_debug.parse(LOG)
    assert mxnet_debug.unchecked({"Convolution": 3, "LRN": 1, "FullyConnected": 1}, report) == []
    # Sent to MKL-DNN in neither direction: MXNet's choice, which is reported.
    assert mxnet_debug.unchecked({"Convolution": 3, "Pooling": 1}, report) == []
    assert mxnet_debug.left_to_mxnet({"Convolution": 3, "Pooling": 1}, report) == ["Pooling"]
    forward_only = mxnet_debug.parse(LOG + "[1] x.cc:511: test Pooling\n")
    assert mxnet_debug.unchecked({"Pooling": 1}, forward_only) == ["_backward_Pooling"]
    assert mxnet_debug.left_to_mxnet({"Pooling": 1}, forward_only) == []


def test_debug_checker_is_compared_with_stock() -> None:
    task = Task("debug", "mobilenet-1.0", "1.4.1")
    silent, sound = mxnet_debug.parse(""), mxnet_debug.parse(LOG)
    failed = mxnet_debug.parse(LOG + "[1] x.cc:528: _backward_Convolution fails\n")
    fewer = dataclasses.replace(sound, counts={"Convolution": 1, "_backward_Convolution": 1})

    def judged(here: mxnet_debug.Report, stock: mxnet_debug.Report) -> Check:
        return mxnet_debug.judge(task, "all", here, stock, {"Convolution": 1})

    assert judged(silent, silent).status == "fail"
    assert judged(failed, failed).status == "stock"
    assert judged(failed, sound).status == "fail"
    assert judged(sound, sound).status == "pass"
    assert judged(fewer, sound).summary == "other checks than on stock"


def test_shadow_counters_are_judged() -> None:
    sound = {"executions": 3, "descriptors": 5, "mismatches": 0, "skipped": 0}
    assert shadow.judge(sound) == []
    assert shadow.judge({**sound, "mismatches": 2}) == ["2 mismatches"]
    assert shadow.judge({**sound, "executions": 0}) == ["nothing was compared"]
    assert shadow.judge({**sound, "skipped": 1}) == ["1 executions could not be compared"]


def test_first_computed_array_is_found() -> None:
    assert bitwise.first_computed(["a_weight", "output", "gradient-a_weight"]) == "output"
    # The second of several outputs.
    assert bitwise.first_computed(["a_weight", "output-1", "gradient-a_weight"]) == "output-1"
    # Backward: the gradient of the last layer comes first.
    names = ["a_weight", "b_weight", "gradient-a_weight", "gradient-b_weight"]
    assert bitwise.first_computed(names) == "gradient-b_weight"
    assert bitwise.first_computed(["a_running_mean"]) == "a_running_mean"
    stock = numpy.array([[1, 2], [3, 4]], dtype=numpy.float32)
    other = stock.copy()
    other[1, 0] += 0.5
    other[0, 1] = numpy.nextafter(other[0, 1], numpy.float32(9))
    text = bitwise.describe("weight", stock, other)
    assert text == "weight: 2 of 4 values, most at [1, 0]: stock 3, here 3.5, difference 0.5"
    other[0, 0] = numpy.nan
    assert "most at [0, 0]: stock 1, here nan" in bitwise.describe("weight", stock, other)


def test_configurations_are_whole(layout: Layout) -> None:
    toolchain = load_toolchain(layout.toolchain)
    for name in ("verify-full.toml", "verify-quick.toml"):
        config = load(layout.root / "configs" / name, plan.VerifyConfig)
        found = plan.resolve(config, toolchain)
        assert plan.tasks(found)
        # Every host there is, every operator.
        assert set(found.scopes) == {host.version for host in toolchain.hosts}
    assert set(load(layout.root / "configs" / "verify-full.toml", plan.VerifyConfig).faults) == set(
        known()
    )


def test_network_may_be_verified_on_some_hosts(layout: Layout) -> None:
    toolchain = load_toolchain(layout.toolchain)
    config = load(layout.root / "configs" / "verify-quick.toml", plan.VerifyConfig)
    model, other = "cifar_resnet20_v1", "1.4.1"

    def hosts(**asked: str) -> List[str]:
        found = plan.tasks(plan.resolve(config, toolchain, stages="bitwise", **asked))
        return [task.host for task in found if task.subject == model]

    assert hosts() == ["1.3.1"]
    # Asked for, it trains wherever it is asked to.
    assert hosts(hosts=other) == [other]
    assert hosts(models=model) == list(config.scopes)
    config = config.model_copy(update={"scopes": {other: ("all",)}})
    with pytest.raises(HarnessError, match=f"{model}: no scopes are configured for MXNet 1.3.1"):
        hosts()


def test_network_is_verified_where_stock_can_train_it(layout: Layout) -> None:
    toolchain = load_toolchain(layout.toolchain)
    config = load(layout.root / "configs" / "verify-full.toml", plan.VerifyConfig)
    model = "mask_rcnn_resnet50_v1b_coco"

    def hosts(**asked: str) -> List[str]:
        found = plan.tasks(plan.resolve(config, toolchain, stages="bitwise", **asked))
        return [task.host for task in found if task.subject == model]

    assert hosts() == hosts(models=model) == hosts(hosts="1.4.1,1.6.0") == ["1.6.0"]
    assert hosts(hosts="1.4.1") == []
    with pytest.raises(HarnessError, match="stock MXNet 1.4.1 cannot train it"):
        hosts(models=model, hosts="1.4.1")
    (network,) = (each for each in config.networks if each.model == model)
    assert network.trains_on("own-1.6.0-0123abcd") and not network.trains_on("own-1.3.0-0123abcd")


def test_tables_show_every_check() -> None:
    task = Task("bitwise", "seven-ops", "1.3.1")
    passed = Check(**task._asdict(), variant="stock", status="pass", summary="2 runs, 1 outcome")
    failed = Check(
        **task._asdict(), variant="all", status="fail", summary="1 of 9 differ", lines=["why"]
    )
    run = record([passed, failed], settings())
    text = table.render(run)
    assert "| seven-ops | 1.3.1 | 2 runs, 1 outcome | FAIL: 1 of 9 differ |" in text
    assert text.endswith("1 passed, 1 failed\n")
    assert table.explanations(run) == ["bitwise seven-ops 1.3.1 all: 1 of 9 differ", "  why"]


def test_finished_tasks_are_not_done_again(built: Layout, tmp_path: Path) -> None:
    asked = settings(stages=["bitwise", "shadow"])
    context = Context(built, asked, timeout_s=300)
    path = tmp_path / "verify.json"
    whole = make_checks(context, record([], asked), path, workers=2)
    assert [check.status for check in whole.checks] == ["pass", "pass", "pass"]
    marked = [c.model_copy(update={"summary": "was here"}) for c in whole.checks[:2]]
    resumed = make_checks(context, record(marked, asked), path, workers=1)
    assert [c.summary == "was here" for c in resumed.checks] == [True, True, False]


def test_quick_operators_share_a_process(built: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it dies: then each has its own, and the same results."""
    asked = settings(stages=["operators"], operators=["lrn", "softmax"])
    ran: List[str] = []
    run = Context.run

    def counted(self: Context, job: OperatorsJob, *others: Any) -> Any:
        ran.append(job.operator)
        if len(ran) == 4:
            raise WorkerFailed("it died", "")
        return run(self, job, *others)

    monkeypatch.setattr(Context, "run", counted)
    found = []
    for _ in range(2):
        context = Context(built, asked, timeout_s=300)
        found.append([each for task in plan.tasks(asked) for each in operators.run(context, task)])
    assert ran == ["lrn+softmax"] * 4 + ["lrn", "softmax"]
    assert found[0] == found[1] and {each.status for each in found[0]} == {"pass"}
    assert [each.subject for each in found[0]] == ["lrn", "lrn", "softmax", "softmax"]


def test_wrong_bits_are_found_and_explained(built: Layout, tmp_path: Path) -> None:
    asked = settings(scopes={"1.3.1": ["preload:all"]})
    context = Context(faulty(built, "SKIP_REBIND"), asked, timeout_s=300)
    stock, found = make_checks(context, record([], asked), tmp_path / "verify.json", 1).checks
    assert stock.status == "pass"
    assert found.status == "fail"
    text = "\n".join(found.lines)
    assert "the first that is computed:" in text
    assert "difference" in text
    assert "it belongs to" in text
    assert "--stages bitwise --hosts 1.3.1 --models seven-ops" in text


def test_a_build_has_the_bits_of_another(
    own_pair: OwnPair, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "own.json"
    asked = "verify --quick --stages bitwise --models seven-ops --scopes all".split()
    assert main([*asked, *own_pair.options, "--out", str(path)]) == 0
    printed = capsys.readouterr()
    assert f"against {own_pair.against}, bit for bit**" in printed.out
    assert printed.out.count(f"| {own_pair.name} |") == 1 and "2 passed, 0 failed" in printed.out
    assert f"opcache: {own_pair.name}: MXNet 1.3.1 (commit " in printed.err
    checks = VerifyRecord.load(path).checks
    assert [each.variant for each in checks] == [own_pair.against, "all"]
    assert own_pair.has_no_path(path)


def test_shadow_mode_reports_the_key(built: Layout) -> None:
    """A network of two kinds of pooling, and a library that cannot tell them apart."""
    asked = settings(stages=["shadow"])
    context = Context(faulty(built, "DROP-op.alg_kind"), asked, timeout_s=300)
    job = HashJob("seven-ops", 2, 16, steps=2)
    result = context.run(job, "1.3.1", "preload:all", {"MKLDNN_OPCACHE_SHADOW": "1"})
    assert result["stats"]["shadow"]["mismatches"] > 0
    assert any("alg_kind=" in line for line in shadow.reports(result["stderr"]))


# Outcomes as MXNet's tests have them: one that crashes (MXNet catches SIGSEGV itself), one that
# differs with the cache.
MXNET_TESTS = """
import os, signal
import mxnet as mx

def cached():
    return "libmkldnn_opcache" in open("/proc/self/maps").read()

def test_passes():
    assert mx.nd.ones(3).asnumpy().sum() == 3

def test_fails():
    assert False

def test_crashes():
    os.kill(os.getpid(), signal.SIGABRT)

def test_after_the_crash():
    pass

def test_differs():
    assert not cached()
"""


def checkout(folder: Path, version: str) -> Path:
    libinfo = folder / "python" / "mxnet" / "libinfo.py"
    tests = folder / "tests" / "python" / "unittest" / "test_small.py"
    for path in (libinfo, tests):
        path.parent.mkdir(parents=True)
    libinfo.write_text(f'__version__ = "{version}"\n')
    tests.write_text(MXNET_TESTS)
    return folder


def test_mxnets_own_tests_are_compared_one_by_one(built: Layout, tmp_path: Path) -> None:
    asked = settings(stages=["upstream"])
    context = Context(built, asked, 300, checkout(tmp_path, "1.3.1"))
    stock, found = mxnet_tests.run(context, Task("upstream", "unittest/test_small.py", "1.3.1"))
    name = "test_small.py::test_"
    assert stock.detail["outcomes"] == {
        f"{name}passes": "PASSED",
        f"{name}fails": "FAILED",
        f"{name}crashes": "ended with SIGABRT",
        f"{name}after_the_crash": "PASSED",
        f"{name}differs": "PASSED",
    }
    assert stock.status == "pass"
    assert found.status == "fail"
    assert found.lines[0] == f"{name}differs: PASSED on stock, FAILED here"


def test_checkout_tells_its_host(layout: Layout, tmp_path: Path) -> None:
    toolchain = load_toolchain(layout.toolchain)
    assert mxnet_tests.host_of(checkout(tmp_path / "a", "1.4.1"), toolchain) == "1.4.1"
    said = refusal(mxnet_tests.host_of, checkout(tmp_path / "b", "2.0.0"), toolchain)
    assert re.search(r"expected MXNet 1.3.1, .*found 2.0", said)
    said = refusal(mxnet_tests.host_of, tmp_path, toolchain)
    assert "expected a checkout of MXNet" in said
    said = refusal(mxnet_tests.files_of, tmp_path)
    assert "expected tests/python/mkl and unittest" in said
