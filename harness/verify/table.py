"""A verification's record as tables, and its failures as lines."""

from __future__ import annotations

from collections import Counter
from typing import Callable, Dict, List, Tuple

from harness.base.markdown import markdown
from harness.trials.variants import STOCK
from harness.verify.record import Check, VerifyRecord

TITLES = {
    "operators": "Operators: against NumPy and against stock, bit for bit",
    "bitwise": "Training: parameters, gradients, states and outputs against stock, bit for bit",
    "debug": "Training under MXNET_MKLDNN_DEBUG=1: MXNet's own checker",
    "shadow": "Shadow mode: every hit against a new primitive",
    "faults": "Injected bugs: the checks that caught them",
    "upstream": "MXNet's own unit tests: outcomes on stock and patched",
}
_ORDER = ("off", "backward", "all", "operators", "bitwise", "debug", "shadow")
_SIGNS = {"pass": "", "fail": "FAIL: ", "stock": "stock: "}


def render(record: VerifyRecord) -> str:
    """Return a Markdown table per kind of check, an overview, and a line that counts."""
    lines: List[str] = []
    baseline = record.settings.baseline
    for stage, title in TITLES.items():
        checks = [check for check in record.checks if check.stage == stage]
        if checks:
            title = title.replace(STOCK, baseline)
            lines += [f"**{title}**", "", *_table(checks, baseline), ""]
    if any(check.stage in ("bitwise", "debug", "shadow") for check in record.checks):
        lines += ["**Networks: all hosts and scopes together**", "", *overview(record), ""]
    return "\n".join([*lines, summary(record)]) + "\n"


def overview(record: VerifyRecord) -> List[str]:
    """Return a table with a row per network: the checks passed on all releases together."""
    kinds: Dict[str, Tuple[str, Callable[[Check], int], str]] = {
        "debug": ("MXNET_MKLDNN_DEBUG=1", lambda c: sum(c.detail["checks"].values()), "checks"),
        "bitwise": (
            f"bits against {record.settings.baseline}",
            lambda c: int(c.detail["arrays"]),
            "arrays",
        ),
        "shadow": ("shadow mode", lambda c: int(c.detail["shadow"]["executions"]), "executions"),
    }
    rows = []
    for case in record.settings.networks:
        row = [case.model, str(case.batch_size), str(case.image_size)]
        for stage, (_, count, what) in kinds.items():
            checks = [
                check
                for check in record.checks
                if (check.stage, check.subject) == (stage, case.model)
                and check.variant != record.settings.baseline
            ]
            passed = [check for check in checks if check.status == "pass"]
            others = sorted({check.status for check in checks} - {"pass"})
            cell = f"pass, {sum(map(count, passed)):,} {what}" if passed else ""
            row.append(", ".join(filter(None, [cell, *others])) or "-")
        rows.append(row)
    titles = ["network", "batch", "image", *(title for title, _, _ in kinds.values())]
    return markdown(titles, [titles[0], *titles[3:]], rows)


def summary(record: VerifyRecord) -> str:
    """Return one line: how many checks passed and failed."""
    count = Counter(check.status for check in record.checks)
    as_stock = f", {count['stock']} fail on stock too" if count["stock"] else ""
    return f"{count['pass']} passed{as_stock}, {count['fail']} failed"


def _table(checks: List[Check], baseline: str) -> List[str]:
    found = {check.variant for check in checks}
    order = dict.fromkeys((baseline, *_ORDER))
    variants = [v for v in order if v in found] + sorted(found.difference(order))
    rows: Dict[Tuple[str, str], Dict[str, str]] = {}
    for check in checks:
        row = rows.setdefault((check.subject, check.host), {})
        row[check.variant] = _SIGNS[check.status] + check.summary
    titles = ["subject", "MXNet", *variants]
    cells = [[*key, *(row.get(v, "-") for v in variants)] for key, row in rows.items()]
    return markdown(titles, titles, cells)


def explanations(record: VerifyRecord) -> List[str]:
    """Return each failure with its explanation, in lines."""
    lines = []
    for check in record.failures:
        lines.append(f"{check.stage} {check.subject} {check.host} {check.variant}: {check.summary}")
        lines += [f"  {line}" for line in check.lines]
    return lines
