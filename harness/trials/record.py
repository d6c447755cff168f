"""Defines the common parts of all records; reads, writes and compares records.

A record has a schema version. Truncated and foreign records, and records of another machine or
other settings, are refused in one line that names both sides.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import sys
from pathlib import Path
from typing import (
    Any,
    Callable,
    ClassVar,
    Dict,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    Type,
    TypeVar,
)

import pydantic

from harness.base import files, machine, reading
from harness.base.differences import PARTS, SIDES, check_equal
from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.base.times import now, utc
from harness.base.toml import FrozenModel, project_version

# For more faults pydantic would build a list of gigabytes.
_MOST_FAULTS = 10_000

_Run = TypeVar("_Run", bound="RunRecord")


class RecordModel(FrozenModel):
    """Base of a record and of its parts."""


class Case(RecordModel):
    """A network and its input: batches of images of ``image_size`` x ``image_size`` pixels."""

    model: str
    batch_size: int = pydantic.Field(gt=0)
    image_size: int = pydantic.Field(gt=0)


class Threads(RecordModel):
    """OpenMP settings of every worker; None leaves the runtime's default."""

    omp_num_threads: int = pydantic.Field(gt=0)
    kmp_affinity: Optional[str]
    kmp_blocktime: Optional[str]


def threads(omp_num_threads: int) -> Threads:
    """Return the setting of this many OpenMP threads, without affinity."""
    return Threads(omp_num_threads=omp_num_threads, kmp_affinity=None, kmp_blocktime=None)


class Library(RecordModel):
    """A mapped library of a worker: file name and GNU build-id."""

    file: str
    build_id: Optional[str]


class RunRecord(RecordModel):
    """The first fields of every record; a subclass names its ``KIND``."""

    KIND: ClassVar[str]
    SCHEMA_VERSION: ClassVar[int] = 1

    kind: str
    schema_version: int
    run_id: str
    started_utc: str
    machine: machine.Machine
    versions: Dict[str, str]

    @classmethod
    def load(cls: Type[_Run], path: Path) -> _Run:
        """Read a record of one JSON object; HarnessError gives the reason of a refusal."""
        content = reading.json_file(path)
        cls.check_kind(content, path)
        try:
            return cls.model_validate(content)
        except pydantic.ValidationError as error:
            raise HarnessError(f"{path}: {first_fault(error)}") from error

    @classmethod
    def check_kind(cls, content: Any, path: Path) -> None:
        """Raise HarnessError unless a record's JSON object has the kind and schema of this one."""
        found = content if isinstance(content, dict) else {}
        kind, version = found.get("kind"), found.get("schema_version")
        if (kind, version) != (cls.KIND, cls.SCHEMA_VERSION):
            raise HarnessError(
                f"{path}: expected {cls.KIND} schema {cls.SCHEMA_VERSION}, "
                f"found {_shown(kind)} schema {_shown(version)}"
            )

    @classmethod
    def opening(
        cls,
        name: str,
        layout: Layout,
        versions: Mapping[str, str],
        started: Optional[datetime.datetime] = None,
    ) -> Dict[str, Any]:
        """Return these fields for a run on this machine.

        The run_id is ``name`` and the time; ``versions`` are added to those of opcache and Python.
        """
        started = started or now()
        return {
            "kind": cls.KIND,
            "schema_version": cls.SCHEMA_VERSION,
            "run_id": f"{name}-{started:%Y%m%dT%H%M%SZ}",
            "started_utc": utc(started),
            "machine": machine.describe(),
            "versions": {
                "opcache": project_version(layout.pyproject),
                "python": platform.python_version(),
                **versions,
            },
        }


def save(record: RecordModel, path: Path) -> None:
    """Write the record, completely or not at all."""
    text = json.dumps(record.model_dump(), indent=1, allow_nan=False)
    files.write_text(path, text + "\n")


def _shown(value: Any) -> str:
    text = str(value)
    return text[:40] if text.isprintable() else repr(text)[:40]


def first_fault(error: pydantic.ValidationError) -> str:
    """Return the first fault in one line: place, reason and value."""
    if error.error_count() > _MOST_FAULTS:
        return f"{error.title}: {error.error_count()} values are wrong"
    fault = error.errors()[0]
    place = ".".join(str(part) for part in fault["loc"])
    return f"{place}: {fault['msg']}, found {fault['input']!r:.60}"


def add_record_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands whose runs can be resumed, of which one may be given."""
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--out", type=Path, help="new record (default: results/raw/<run>.json)")
    target.add_argument("--show", type=Path, help="print the tables of a record, and run nothing")
    target.add_argument("--resume", type=Path, help="record to complete: what it lacks or failed")


def report(tables: str, failures: Sequence[str]) -> int:
    """Print the tables, and on stderr each failure's lines; return the exit code."""
    print(tables, end="")
    for line in failures:
        print(line, file=sys.stderr)
    return 1 if failures else 0


def start_or_resume(
    new: _Run,
    out: Optional[Path],
    resume: Optional[Path],
    folder: Path,
    read: Callable[[Path], _Run],
) -> Tuple[_Run, Path]:
    """Return the run to continue, and its file.

    This is the recorded run in ``resume``, which must be compatible, or ``new`` in a file that must
    not exist: ``out``, or the run_id in ``folder``.
    """
    if resume is not None:
        recorded = read(resume)
        check_compatible(recorded, new)
        return recorded, resume
    path = out or folder / f"{new.run_id}.json"
    if path.exists():
        raise HarnessError(f"{path} exists: continue it with --resume, or choose another --out")
    return new, path


def check_compatible(
    recorded: RunRecord,
    asked: RunRecord,
    parts: Sequence[str] = PARTS,
    sides: Tuple[str, str] = SIDES,
) -> None:
    """Raise IncompatibleRuns unless both runs, of one kind, are equal in those parts."""
    check_equal(recorded.model_dump(), asked.model_dump(), parts, sides)
