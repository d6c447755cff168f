"""A made-up record of `make verify`, and settings with which one can really be made."""

from __future__ import annotations

from typing import Any, Dict, List

from harness.trials.record import Case
from harness.verify.context import Check
from harness.verify.record import VerifyRecord, VerifySettings
from tests.support.records import header


def settings(**changes: Any) -> VerifySettings:
    """Return the settings of a small verification on one host."""
    small: Dict[str, Any] = {
        "stages": ["bitwise"],
        "scopes": {"1.3.1": ["all"]},
        "networks": [Case(model="seven-ops", batch_size=2, image_size=16)],
        "operators": [],
        "quick": True,
        "faults": [],
        "mxnet_tests": {},
        "seed": 1,
        "steps": 2,
        "stock_runs": 2,
        "omp_num_threads": 1,
    }
    return VerifySettings(**{**small, **changes})


def record(checks: List[Check], asked: VerifySettings) -> VerifyRecord:
    return VerifyRecord(**header(VerifyRecord), settings=asked, checks=checks)
