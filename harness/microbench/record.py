"""The record of a micro-benchmark run: its settings, and every raw measurement.

One sample is the validated output of one process of the C++ benchmark.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import pydantic
from typing_extensions import Literal

from harness.trials.record import Library, RecordModel, RunRecord, Threads


class Summary(RecordModel):
    """The values of all repetitions in one process, in the order of measurement."""

    values: List[pydantic.PositiveFloat] = pydantic.Field(min_length=1)
    median: pydantic.PositiveFloat
    lower_quartile: pydantic.PositiveFloat
    upper_quartile: pydantic.PositiveFloat
    repetitions: pydantic.PositiveInt

    @pydantic.model_validator(mode="after")
    def _check(self) -> Summary:
        if len(self.values) != self.repetitions:
            raise ValueError(f"repetitions={self.repetitions}, values={len(self.values)}")
        return self


class Timing(RecordModel):
    """Nanoseconds of one operation; a repetition is the mean of ``iterations`` in a row."""

    ns: Summary
    iterations: pydantic.PositiveInt


class Submit(RecordModel):
    """Submitting a tiny primitive: with the same buffers, and with other buffers each time."""

    plain: Timing
    rebinding: Timing


class Throughput(RecordModel):
    """Hits of all threads together, on one key or on one for each thread."""

    keys: Literal["same", "different"]
    threads: pydantic.PositiveInt
    hits_per_second: Summary


class Sample(RecordModel):
    """The measurements of a process. ``cycles``: creating and destroying, by operation.

    ``threads`` is empty without the cache; ``stats`` are the library's counters, None without it.
    ``libraries`` are the evidence that it ran on the requested ones.
    """

    cycles: Dict[str, Timing] = pydantic.Field(min_length=1)
    submit: Submit
    threads: List[Throughput]
    stats: Optional[Dict[str, Any]]
    host: str
    variant: str
    round: int = pydantic.Field(ge=0)
    started_utc: str
    environment: Dict[str, str]
    libraries: List[Library]


class MicrobenchSettings(RecordModel):
    """The work of a run: ``rounds`` processes for each MXNet release and variant."""

    hosts: List[str] = pydantic.Field(min_length=1)
    variants: List[str] = pydantic.Field(min_length=1)
    rounds: pydantic.PositiveInt
    repetitions: pydantic.PositiveInt
    threads: Threads


class MicrobenchRecord(RunRecord):
    """A finished run."""

    KIND = "opcache-microbench"

    settings: MicrobenchSettings
    samples: List[Sample]


load = MicrobenchRecord.load
