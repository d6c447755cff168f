"""The record of a distributed benchmark: its settings, and every worker's measurements.

One sample is one training, from the scheduler's start to the last worker's end.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import pydantic

from harness.trials.record import Case, Library, RecordModel, RunRecord, Threads
from harness.trials.variants import STOCK


class Worker(RecordModel):
    """One worker of a training, by the rank that the scheduler gave it.

    ``parameters`` are hashes of the parameters that all workers pull from the servers, ``own`` of
    each worker's auxiliary states and last output. The rest is as in a benchmark's sample.
    """

    rank: int = pydantic.Field(ge=0)
    warm_up_ns: List[pydantic.PositiveInt] = pydantic.Field(min_length=1)
    step_ns: List[pydantic.PositiveInt] = pydantic.Field(min_length=1)
    still_missing: Optional[bool]
    finite: bool
    parameters: Dict[str, str] = pydantic.Field(min_length=1)
    own: Dict[str, str] = pydantic.Field(min_length=1)
    peak_resident_bytes: int = pydantic.Field(gt=0)
    versions: Dict[str, str]
    libraries: List[Library]
    stats_before: Optional[Dict[str, Any]]
    stats: Optional[Dict[str, Any]]


class Sample(RecordModel):
    """One training; ``workers`` in the order of their ranks, ``environment`` common to them."""

    variant: str
    round: int = pydantic.Field(ge=0)
    started_utc: str
    environment: Dict[str, str]
    workers: List[Worker] = pydantic.Field(min_length=1)

    @pydantic.model_validator(mode="after")
    def _check(self) -> Sample:
        ranks = [worker.rank for worker in self.workers]
        if ranks != list(range(len(ranks))):
            raise ValueError(f"ranks: expected each once and in order, found {ranks}")
        return self

    def images_per_second(self, batch_size: int) -> List[float]:
        """Return each worker's throughput over all timed steps; their sum is the training's."""
        return [batch_size * len(w.step_ns) * 1e9 / sum(w.step_ns) for w in self.workers]


class DistSettings(RecordModel):
    """The work of a run: ``rounds`` trainings of each variant, compared with the baseline."""

    case: Case
    host: str
    variants: List[str] = pydantic.Field(min_length=1)
    workers: pydantic.PositiveInt
    servers: pydantic.PositiveInt
    rounds: pydantic.PositiveInt
    seed: int
    threads: Threads
    warm_up_steps: pydantic.PositiveInt
    timed_steps: pydantic.PositiveInt
    learning_rate: pydantic.FiniteFloat
    momentum: pydantic.FiniteFloat
    baseline: str = STOCK


class DistRecord(RunRecord):
    """A run with its finished rounds."""

    KIND = "opcache-bench-dist"

    settings: DistSettings
    samples: List[Sample]


load = DistRecord.load
