"""What every stage is given, and the short way to say what it found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional, Sequence, Tuple

from harness.base.layout import Layout
from harness.reliability.record import Figure, Finding, Outcome


@dataclass(frozen=True)
class Context:
    """A run that is under way.

    ``hosts`` are MXNet releases, ``scratch`` an empty folder that is removed after the stage.
    A ``quick`` stage takes at most some 40 seconds on two busy cores.
    """

    layout: Layout
    quick: bool
    seed: int
    hosts: Tuple[str, ...]
    scratch: Path


def finding(
    stage: str,
    subject: str,
    outcome: Outcome,
    summary: str,
    host: str = "",
    figures: Optional[Mapping[str, Figure]] = None,
    details: Sequence[str] = (),
) -> Finding:
    """Return a finding; ``summary`` is one line that fits into a table's cell."""
    return Finding(
        stage=stage,
        subject=subject,
        host=host,
        outcome=outcome,
        summary=summary,
        figures=dict(figures or {}),
        details=list(details),
    )
