"""The record of a reliability run: its settings, and the findings of each stage."""

from __future__ import annotations

from typing import Dict, List, Union

import pydantic
from typing_extensions import Annotated, Literal

from harness.trials.record import RecordModel, RunRecord

# skip: could not be checked here, for the reason in the summary.
Outcome = Literal["pass", "fail", "skip"]
_Finite = Annotated[float, pydantic.Field(allow_inf_nan=False)]
Figure = Union[int, _Finite, str, List[_Finite]]


class ReliabilitySettings(RecordModel):
    """The work of a run; only equal settings can resume it."""

    stages: List[str] = pydantic.Field(min_length=1)
    hosts: List[str] = pydantic.Field(min_length=1)
    quick: bool
    seed: int


class Finding(RecordModel):
    """A stage's finding about one subject; ``host`` is empty without an MXNet release.

    ``figures`` are counts and measurements, with units in their names. ``details`` are lines that
    explain a failure, or notes.
    """

    stage: str
    subject: str
    host: str
    outcome: Outcome
    summary: str
    figures: Dict[str, Figure] = {}
    details: List[str] = []


class ReliabilityRecord(RunRecord):
    """A run, finished or not; ``seconds`` is the time of each finished stage."""

    KIND = "opcache-reliability"

    settings: ReliabilitySettings
    findings: List[Finding]
    seconds: Dict[str, float] = {}

    @property
    def failures(self) -> List[Finding]:
        """The findings that failed."""
        return [finding for finding in self.findings if finding.outcome == "fail"]


load = ReliabilityRecord.load
