"""MXNet's own checker: with MXNET_MKLDNN_DEBUG=1 it computes every MKL-DNN operator again.

MXNet runs its plain CPU kernel beside each operator that went to MKL-DNN, compares with
rtol = atol = 1e-2 and logs ``test <operator>`` for each check (OpCheck in
src/operator/nn/mkldnn/mkldnn_base.cc); a mismatch ends the process. Stock runs first, as the
control: it fails this check on some networks.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from harness.trials.jobs import DescribeJob, HashJob, Job
from harness.trials.launch import WorkerFailed
from harness.trials.variants import STOCK
from harness.verify.context import Check, Context, Task, check

_TEST = re.compile(r": test (\S+)$", re.MULTILINE)
_FAILS = re.compile(r": (\S+) fails$", re.MULTILINE)
_EXCLUDED = re.compile(r": (\S+) not checked\.", re.MULTILINE)
STEPS = 2
# MXNet 1.3 to 1.6 send fully connected backward passes to BLAS, where there is nothing to check.
BACKWARD = ("Activation", "BatchNorm", "Convolution", "Deconvolution", "LRN", "Pooling")


@dataclass(frozen=True)
class Report:
    """The output of MXNet's checker: the number of checks by operator, the operator that failed.

    ``excluded`` are operators that MXNet reports as unchecked.
    """

    counts: Dict[str, int]
    failed: Optional[str]
    excluded: Tuple[str, ...]
    crash: Optional[str] = None

    @property
    def total(self) -> int:
        """The number of checks."""
        return sum(self.counts.values())


def parse(stderr: str) -> Report:
    """Read the checker's report from a process's stderr."""
    failed = _FAILS.search(stderr)
    return Report(
        counts=dict(sorted(Counter(_TEST.findall(stderr)).items())),
        failed=failed.group(1) if failed else None,
        excluded=tuple(sorted(set(_EXCLUDED.findall(stderr)))),
    )


def unchecked(operators: Mapping[str, int], report: Report) -> List[str]:
    """Return the backward operators of a network that were checked zero times.

    ``operators`` counts the network's trained operators by MXNet's name. Operators without a check
    of the forward pass do not count: see ``left_to_mxnet``.
    """
    left = left_to_mxnet(operators, report)
    expected = [f"_backward_{name}" for name in _used(operators) if name not in left]
    checked = {*report.counts, *report.excluded}
    return [name for name in expected if name not in checked]


def left_to_mxnet(operators: Mapping[str, int], report: Report) -> List[str]:
    """Return the operators that MXNet did not send to MKL-DNN at all.

    An example is pooling over whole images (SupportMKLDNNPooling in mkldnn_pooling-inl.h).
    """
    counts = report.counts
    return [n for n in _used(operators) if n not in counts and f"_backward_{n}" not in counts]


def _used(operators: Mapping[str, int]) -> List[str]:
    return [name for name in BACKWARD if operators.get(name, 0) > 0]


def run(context: Context, task: Task) -> List[Check]:
    """Train a network under MXNet's checker, on the baseline and on every scope of the host."""
    baseline = context.baseline
    case = context.settings.case(task.subject)
    operators = _operators(context, task.host)[case.model]["trained_operators"]
    job = HashJob(**case.model_dump(), seed=context.settings.seed, steps=STEPS)
    stock = report(context, job, task.host, baseline)
    checks = [judge(task, baseline, stock, stock, operators, baseline)]
    for scope in context.scopes(task.host):
        found = report(context, job, task.host, scope)
        checks.append(judge(task, scope, found, stock, operators, baseline))
    return checks


@functools.lru_cache(maxsize=None)
def _operators(context: Context, host: str) -> Any:
    return context.run(DescribeJob(), host, context.baseline)["networks"]


def report(
    context: Context,
    job: Job,
    host: str,
    variant: str,
    overrides: Optional[Mapping[str, str]] = None,
    **options: Any,
) -> Report:
    """Run a job under MXNet's checker; the arguments are those of Context.run."""
    variables = {**(overrides or {}), "MXNET_MKLDNN_DEBUG": "1"}
    try:
        return parse(context.run(job, host, variant, variables, **options)["stderr"])
    except WorkerFailed as error:
        found = parse(error.stderr)
        return found if found.failed else replace(found, crash=str(error))


def judge(
    task: Task,
    variant: str,
    report: Report,
    stock: Report,
    operators: Mapping[str, int],
    baseline: str = STOCK,
) -> Check:
    detail: Dict[str, Any] = {"checks": report.counts, "excluded": list(report.excluded)}

    def found(status: Any, summary: str, *lines: str) -> Check:
        return check(task, variant, status, summary, list(lines), **detail)

    if report.crash is not None:
        return found("fail", "crashed", report.crash)
    if report.failed is not None:
        where = f"{report.failed} after {report.total} checks"
        if variant == baseline or (report.failed, report.counts) == (stock.failed, stock.counts):
            return found(
                "stock", f"{report.failed} fails, on {baseline} too ({report.total} checks)"
            )
        return found(
            "fail", f"{report.failed} fails", f"{baseline}: {outcome(stock)}, here: {where}"
        )
    missing = unchecked(operators, report)
    if report.total == 0:
        return found("fail", "nothing was checked")
    if missing:
        return found("fail", f"{', '.join(missing)} never checked")
    if stock.failed is None and stock.crash is None and report.counts != stock.counts:
        return found(
            "fail",
            f"other checks than on {baseline}",
            f"{baseline}: {stock.counts}, here: {report.counts}",
        )
    remarks = [f"{name} left out by MXNet" for name in report.excluded]
    remarks += [f"{name} not by MKL-DNN" for name in left_to_mxnet(operators, report)]
    return found("pass", ", ".join([f"pass, {report.total} checks", *remarks]))


def outcome(report: Report) -> str:
    """Return the checker's outcome in a few words."""
    if report.crash is not None:
        return "crashed"
    if report.failed is not None:
        return f"{report.failed} fails after {report.total} checks"
    return f"passes {report.total} checks"
