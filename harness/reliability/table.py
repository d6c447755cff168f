"""A reliability record as tables, and its failures as lines."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Dict, List

from harness.base.markdown import markdown
from harness.reliability.record import Figure, Finding, ReliabilityRecord, load
from harness.reliability.stages import STAGES

_OUTCOMES = {"pass": "passed", "fail": "failed", "skip": "skipped"}


def render(record: ReliabilityRecord) -> str:
    """Return a Markdown table per stage, and a line that counts."""
    lines: List[str] = []
    for stage in STAGES:
        found = [each for each in record.findings if each.stage == stage.name]
        if found:
            lines += [f"**{stage.title}**", "", *_table(found), ""]
    return "\n".join([*lines, summary(record)]) + "\n"


def summary(record: ReliabilityRecord) -> str:
    """Return the number of findings of each outcome, in one line."""
    count: Dict[str, int] = Counter(each.outcome for each in record.findings)
    return ", ".join(f"{count[outcome]} {word}" for outcome, word in _OUTCOMES.items())


def headline(path: Path) -> str:
    """Return a line on a record for a document, or how to make the record that is not there."""
    if not path.is_file():
        return (
            f"No record yet: `make reliability ARGS='--out results/raw/{path.name}'`, "
            "then `make tables`."
        )
    record = load(path)
    minutes = sum(record.seconds.values()) / 60
    return f"{title(record)}, {minutes:.0f} minutes: {summary(record)}."


def title(record: ReliabilityRecord) -> str:
    """Return the run, its extent and its machine."""
    machine = record.machine
    asked = "a quick run" if record.settings.quick else "a full run"
    return f"{record.run_id}, {asked} on {machine.cpu_model}, {machine.physical_cores} cores"


def explanations(record: ReliabilityRecord) -> List[str]:
    """Return each failure with its explanation, in lines."""
    lines = []
    for each in record.failures:
        name = " ".join(filter(None, (each.stage, each.subject, each.host)))
        lines.append(f"{name}: {each.summary}")
        lines += [f"  {line}" for line in each.details]
    return lines


def _table(found: List[Finding]) -> List[str]:
    titles = ["subject", "MXNet", "outcome", "found", "figures"]
    cells = [
        [each.subject, each.host or "-", _shown_outcome(each), each.summary, _figures(each)]
        for each in found
    ]
    return markdown(titles, titles, cells)


def _shown_outcome(each: Finding) -> str:
    return each.outcome.upper() if each.outcome == "fail" else each.outcome


def _figures(each: Finding) -> str:
    shown = [f"{name.replace('_', ' ')}: {_value(value)}" for name, value in each.figures.items()]
    return "; ".join(shown) or "-"


def _value(value: Figure) -> str:
    if isinstance(value, list):
        return f"{len(value)} values, {min(value):g} to {max(value):g}" if value else "no values"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else value
