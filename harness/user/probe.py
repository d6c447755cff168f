"""Measures the share of creation in a training step, and the gain from the cache, for the doctor.

Runs a small network on the user's MXNet for about half a minute. Each sample is a fresh process;
scope off and scope all alternate, and are compared in pairs.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

import pydantic

from harness.base import process, reading, statistics
from harness.base.errors import HarnessError
from harness.trials.record import RecordModel
from harness.trials.variables import SCOPE
from harness.user.doctor_rules import Finding, ok, warning

BUDGET_S = 30.0
SCOPES = ("off", "all")
_ROUNDS_MOST = 6  # fewer pairs give no 95 % interval of a median


class ProbeSample(RecordModel):
    """One process: the wall time of each timed step, and the counters over all of them."""

    scope: str
    round: int
    step_ns: List[pydantic.PositiveInt] = pydantic.Field(min_length=1)
    counters: Dict[str, Any]

    @property
    def median_ns(self) -> float:
        """The median step, which a single slow step does not move."""
        return statistics.median(self.step_ns)

    @property
    def creating(self) -> float:
        """The share of creating and destroying in the time of the steps."""
        totals = self.counters["totals"]
        return float((totals["create_ns"] + totals["destroy_ns"]) / sum(self.step_ns))


def run(
    python: str,
    environment: Mapping[str, str],
    budget_s: float = BUDGET_S,
    timeout_s: float = BUDGET_S,
    clock: Callable[[], float] = time.monotonic,
) -> List[ProbeSample]:
    """Return samples, the same number of each scope; ``environment`` preloads the library.

    No round after the first begins if it would end after ``budget_s``. Raises HarnessError when a
    process fails or takes longer than ``timeout_s``.
    """
    start, slowest_s = clock(), 0.0
    samples: List[ProbeSample] = []
    for round_ in range(_ROUNDS_MOST):
        begin = clock()
        if round_ > 0 and begin - start + slowest_s > budget_s:
            break
        # The first of a round alternates as well.
        for scope in SCOPES if round_ % 2 == 0 else SCOPES[::-1]:
            result = _sample(python, {**environment, SCOPE: scope}, timeout_s)
            samples.append(ProbeSample(scope=scope, round=round_, **result))
        slowest_s = max(slowest_s, clock() - begin)
    return samples


def _sample(python: str, environment: Mapping[str, str], timeout_s: float) -> Dict[str, Any]:
    script = (Path(__file__).parent / "scripts" / "probe_train.py").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="opcache-") as name:
        out = Path(name, "out.json")
        command = [python, "-W", "ignore", "-c", script, str(out)]
        done = process.run(command, environment, timeout_s)
        if done.code != 0:
            raise HarnessError(f"a process {done.failure}")
        found: Dict[str, Any] = reading.json_file(out)
        return found


def findings(samples: Sequence[ProbeSample]) -> List[Finding]:
    """Return findings on the share of creation and on the ratio of the scopes."""
    off = {sample.round: sample for sample in samples if sample.scope == "off"}
    on = {sample.round: sample for sample in samples if sample.scope == "all"}
    if not all(sample.counters["active"] for sample in on.values()):
        return [warning("probe", "the cache was not active in the probe's processes")]
    share = [sample.creating for sample in off.values()]
    ratios = statistics.ratios(
        [on[r].median_ns for r in sorted(on)], [off[r].median_ns for r in sorted(on)]
    )
    step_ms = statistics.median([sample.median_ns for sample in off.values()]) / 1e6
    creation = ok(
        "probe",
        f"without the cache creation takes {statistics.median(share):.0%} of a step "
        f"({_spread(share, '.0%', 'processes')}); mobilenet-1.0, batch 1, 64x64, {step_ms:.0f} ms",
    )
    measured = (
        f"with scope all a step is {statistics.median(ratios):.2f} times as fast "
        f"({_spread(ratios, '.2f', 'pairs')})"
    )
    if len(ratios) < statistics.FEWEST_PAIRS:
        return [creation, warning("probe", f"{measured}: too few to tell, this machine is busy")]
    if spread_of(ratios)[0] <= 1.0:
        return [creation, warning("probe", f"{measured}: no gain was shown")]
    return [creation, ok("probe", f"{measured}; larger images and batches gain less")]


def _spread(values: Sequence[float], form: str, what: str) -> str:
    if len(values) == 1:
        return f"spread unknown, {what}: 1"
    low, high = spread_of(values)
    return f"{low:{form}} to {high:{form}}, {what}: {len(values)}"


def spread_of(values: Sequence[float]) -> Tuple[float, float]:
    """Return the 95 % interval of the median, or the range of few values."""
    interval = statistics.median_interval(values)
    return interval if interval is not None else (min(values), max(values))
