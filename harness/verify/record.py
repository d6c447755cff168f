"""The record of a verification: its settings, and the finding of each check.

A check is one kind of evidence for one subject on one MXNet release in one variant.
"""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import pydantic
from typing_extensions import Literal

from harness.trials.record import Case, RecordModel, RunRecord
from harness.trials.variants import STOCK

# stock: the baseline fails this check too, in the same way.
Status = Literal["pass", "fail", "stock"]
CheckKey = Tuple[str, str, str]


class VerifySettings(RecordModel):
    """The work of a verification; only equal settings can resume it.

    ``baseline`` is the variant that all others are compared with.
    """

    stages: List[str] = pydantic.Field(min_length=1)
    scopes: Dict[str, List[str]] = pydantic.Field(min_length=1, description="by host")
    networks: List[Case]
    only_on: Dict[str, List[str]] = pydantic.Field({}, description="hosts, by network")
    operators: List[str]
    quick: bool
    faults: List[str]
    mxnet_tests: Dict[str, List[str]] = pydantic.Field(description="files, by host")
    seed: int
    steps: int = pydantic.Field(gt=0)
    stock_runs: int = pydantic.Field(gt=0)
    omp_num_threads: int = pydantic.Field(gt=0)
    baseline: str = STOCK

    def case(self, model: str) -> Case:
        """Return the training of the network ``model``."""
        return next(case for case in self.networks if case.model == model)


class Check(RecordModel):
    """A check's finding; ``summary`` fits into a table's cell, ``lines`` explain a failure."""

    stage: str
    subject: str
    host: str
    variant: str
    status: Status
    summary: str
    lines: List[str] = []
    detail: Dict[str, Any] = {}

    @property
    def key(self) -> CheckKey:
        """The task that made this check; a task makes all its checks at once."""
        return (self.stage, self.subject, self.host)


class VerifyRecord(RunRecord):
    """A verification, finished or not."""

    KIND = "opcache-verify"

    settings: VerifySettings
    checks: List[Check]

    @property
    def failures(self) -> List[Check]:
        """The checks that failed."""
        return [check for check in self.checks if check.status == "fail"]


load = VerifyRecord.load
