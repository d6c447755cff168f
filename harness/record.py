"""The record of a benchmark run: everything that was asked for, and every raw measurement.

Records carry a schema version. One that is truncated, foreign or made on another machine or
with other settings is refused in one line that names both sides.
"""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, Type, TypeVar

import pydantic
from typing_extensions import Annotated

from harness import atomic
from harness.errors import HarnessError
from harness.machine import Machine

KIND = "opcache-bench"
SCHEMA_VERSION = 1

_Record = TypeVar("_Record", bound=pydantic.BaseModel)
SampleKey = Tuple[str, int, int, str, str, int]


class IncompatibleRuns(HarnessError):
    """Two runs that may not be mixed; names each setting with both of its values."""


class RecordModel(pydantic.BaseModel):
    """Part of a record, of any kind."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Case(RecordModel):
    """What is trained: images of ``image_size`` x ``image_size`` pixels in batches."""

    model: str
    batch_size: int = pydantic.Field(gt=0)
    image_size: int = pydantic.Field(gt=0)


class Threads(RecordModel):
    """OpenMP settings, the same in every worker; None leaves the runtime's default."""

    omp_num_threads: int = pydantic.Field(gt=0)
    kmp_affinity: Optional[str]
    kmp_blocktime: Optional[str]


class Settings(RecordModel):
    """What a run was asked to measure; two runs with equal settings may be mixed."""

    cases: List[Case] = pydantic.Field(min_length=1)
    variants: Dict[str, Annotated[List[str], pydantic.Field(min_length=1)]] = pydantic.Field(
        min_length=1, description="by host"
    )
    samples: int = pydantic.Field(gt=0)
    seed: int
    threads: Threads
    warm_up_steps_min: int = pydantic.Field(gt=0)
    warm_up_steps_max: int = pydantic.Field(gt=0)
    timed_steps: int = pydantic.Field(gt=0)
    learning_rate: pydantic.FiniteFloat
    momentum: pydantic.FiniteFloat


class Library(RecordModel):
    """A library that a worker ran on, by file name and GNU build-id."""

    file: str
    build_id: Optional[str]


class Sample(RecordModel):
    """One worker process: every step's wall time, and the evidence of what it ran on.

    ``stats_before`` and ``stats`` are the cache library's counters around the timed steps,
    None without the library. ``still_missing`` tells that the cache created something in the
    last warm-up step; None where no cache was at work.
    """

    case: Case
    host: str
    variant: str
    round: int = pydantic.Field(ge=0)
    started_utc: str
    warm_up_ns: List[pydantic.PositiveInt] = pydantic.Field(min_length=1)
    step_ns: List[pydantic.PositiveInt] = pydantic.Field(min_length=1)
    still_missing: Optional[bool]
    finite: bool
    peak_resident_bytes: int = pydantic.Field(gt=0)
    environment: Dict[str, str]
    versions: Dict[str, str]
    libraries: List[Library]
    stats_before: Optional[Dict[str, Any]]
    stats: Optional[Dict[str, Any]]

    @property
    def key(self) -> SampleKey:
        """What makes this sample one of its kind within a run."""
        return (*self.case.model_dump().values(), self.host, self.variant, self.round)

    @property
    def images_per_second(self) -> float:
        """Throughput over all timed steps, slow ones included."""
        return self.case.batch_size * len(self.step_ns) * 1e9 / sum(self.step_ns)


class RunRecord(RecordModel):
    """What records of all kinds begin with."""

    kind: str
    schema_version: int
    run_id: str
    started_utc: str
    machine: Machine
    versions: Dict[str, str]


class BenchRecord(RunRecord):
    """A run, finished or not."""

    kind: str = pydantic.Field(pattern=f"^{KIND}$")
    schema_version: int = pydantic.Field(ge=SCHEMA_VERSION, le=SCHEMA_VERSION)
    settings: Settings
    samples: List[Sample]


def utc(moment: datetime.datetime) -> str:
    """Return a moment as records hold it."""
    return moment.isoformat(timespec="seconds")


def save(record: RecordModel, path: Path) -> None:
    """Write the record, whole or not at all."""
    text = json.dumps(record.model_dump(), indent=1, allow_nan=False)
    atomic.write_text(path, text + "\n")


def load(path: Path) -> BenchRecord:
    """Read a record; HarnessError says in one line why a file is refused."""
    return load_as(BenchRecord, KIND, SCHEMA_VERSION, path)


def load_as(model: Type[_Record], kind: str, schema_version: int, path: Path) -> _Record:
    """Read a record of any kind, like ``load``."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HarnessError(f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise HarnessError(f"{path}: truncated or not JSON: {error}") from error
    found = content if isinstance(content, dict) else {}
    if found.get("kind") != kind or found.get("schema_version") != schema_version:
        raise HarnessError(
            f"{path}: expected {kind} schema {schema_version}, "
            f"found {found.get('kind')!s:.40} schema {found.get('schema_version')!s:.40}"
        )
    try:
        return model.model_validate(content)
    except pydantic.ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise HarnessError(
            f"{path}: {place}: {fault['msg']}, found {fault['input']!r:.60}"
        ) from error


def check_compatible(recorded: RunRecord, asked: RunRecord) -> None:
    """Raise IncompatibleRuns unless results of both, of one kind, may stand in one record."""
    differences: List[str] = []
    for part in ("machine", "versions", "settings"):
        old, new = recorded.model_dump()[part], asked.model_dump()[part]
        differences += _differences(part, old, new)
    if differences:
        raise IncompatibleRuns("; ".join(differences))


def _differences(name: str, recorded: Any, asked: Any) -> List[str]:
    if isinstance(recorded, dict) and isinstance(asked, dict):
        found = []
        for key in sorted({*recorded, *asked}):
            found += _differences(f"{name}.{key}", recorded.get(key), asked.get(key))
        return found
    return [] if recorded == asked else [f"{name}: recorded={recorded}, asked={asked}"]
