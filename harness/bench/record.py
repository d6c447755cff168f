"""The record of a benchmark run: its settings, and every raw measurement in a line.

A record is a file of JSON lines (harness/base/jsonl.py). The header holds the machine, the versions
and the settings; each further line is one finished process: ``train``, ``profile``, ``memory``,
``alternate`` or ``failure``. A foreign record, or one damaged before its last line, is refused in
one line.
"""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple, Type, TypeVar, Union

import pydantic
from typing_extensions import Annotated, Literal

from harness.base import jsonl
from harness.base.errors import HarnessError
from harness.trials.record import (
    Case,
    Library,
    RecordModel,
    RunRecord,
    Threads,
    check_compatible,
    first_fault,
)
from harness.trials.variants import Variant, parse_scope, parse_variant

TRAIN, PROFILE, MEMORY, ALTERNATE = "train", "profile", "memory", "alternate"
CREATED = "created"


# Between the scopes of an alternating process.
_BETWEEN = ","

# A variant of a case in a series, sampled once per round: series, case, host, variant.
Cell = Tuple[str, Case, str, str]


class SampleKey(NamedTuple):
    """The identity of a process within a run."""

    series: str
    case: Case
    host: str
    variant: str
    round: int


class Series(RecordModel):
    """Processes of one kind: every variant of every case once per round.

    ``job`` is ``train`` (times whole steps), ``profile`` (times each operator), ``memory`` (counts
    the cache's bytes, which costs time: its steps are not compared), ``created`` (the same of
    primitives that are created and not executed: the peak has none of their data) or ``alternate``
    (switches between all scopes of a host in each process, the first of them the baseline:
    AlternateJob).
    After the warm-up a process times as many steps, or cycles, as fit into ``steps_budget_s``,
    within the two limits. After the first round a case gets as many rounds as fit into
    ``case_budget_s``, within the two limits.

    ``allocator`` is where glibc puts large blocks: ``default``, each in a mapping of its own, whose
    address differs from process to process, or ``heap``, one after the other.
    """

    name: str = pydantic.Field(min_length=1)
    job: Literal["train", "profile", "memory", "created", "alternate"]
    cases: List[Case] = pydantic.Field(min_length=1)
    variants: Dict[str, Annotated[List[str], pydantic.Field(min_length=1)]] = pydantic.Field(
        min_length=1, description="by host"
    )
    threads: Threads
    allocator: Literal["default", "heap"] = "default"
    rounds_min: pydantic.PositiveInt
    rounds_max: pydantic.PositiveInt
    case_budget_s: float = pydantic.Field(ge=0)
    warm_up_steps_min: pydantic.NonNegativeInt
    warm_up_steps_max: pydantic.PositiveInt
    timed_steps_min: pydantic.PositiveInt
    timed_steps_max: pydantic.PositiveInt
    steps_budget_s: float = pydantic.Field(ge=0)
    block_s: float = pydantic.Field(default=0.3, ge=0)
    cycles_min: pydantic.PositiveInt = 3
    cycles_max: pydantic.PositiveInt = 1000
    half_width: float = pydantic.Field(default=0.0, ge=0)

    @property
    def runs(self) -> List[Tuple[str, str]]:
        """Every host with each of its variants; one with all of them where scopes alternate."""
        if self.job == ALTERNATE:
            return [(host, _BETWEEN.join(words)) for host, words in self.variants.items()]
        return [(host, word) for host, words in self.variants.items() for word in words]

    def build(self, variant: str) -> Variant:
        """Return the build of a process: where scopes alternate, that of the last one."""
        if self.job != ALTERNATE:
            return parse_variant(variant)
        return parse_scope(variant.split(_BETWEEN)[-1])


class BenchSettings(RecordModel):
    """The work of a run; results of equal settings may be mixed.

    ``cpus`` are the CPUs of every process. A process that needs more address space than
    ``memory_limit_gib`` does not fit into memory. Networks of several batch sizes have one
    geometric mean where ``together`` names them, such as GluonCV; else each batch size has its own.
    """

    series: List[Series] = pydantic.Field(min_length=1)
    cpus: List[int] = pydantic.Field(min_length=1)
    memory_limit_gib: float = pydantic.Field(gt=0)
    seed: int
    learning_rate: pydantic.FiniteFloat
    momentum: pydantic.FiniteFloat
    together: Optional[str] = None

    def find(self, name: str) -> Series:
        """Return the series called ``name``, which must exist."""
        return next(series for series in self.series if series.name == name)


class _Process(RecordModel):
    series: str
    case: Case
    host: str
    variant: str
    round: int = pydantic.Field(ge=0)
    started_utc: str
    elapsed_s: float = pydantic.Field(ge=0, description="of the whole process")

    @property
    def key(self) -> SampleKey:
        """The identity of this process within a run."""
        return SampleKey(self.series, self.case, self.host, self.variant, self.round)


class Failure(_Process):
    """A process without a result: out of memory, dead, or not proven to run the asked build."""

    type: Literal["failure"] = "failure"
    reason: Literal["memory", "died", "not proven"]
    detail: str


class _Result(_Process):
    """The common part of all results: the evidence of the build, and its output.

    ``stats`` are the cache library's counters over the last steps, None without the library.
    ``sides`` are those of the images that each step trains on, batch by batch, in pixels: several
    for a network whose images change size. Older records lack them.
    """

    finite: bool
    peak_resident_bytes: int = pydantic.Field(gt=0)
    cpus: List[int]
    environment: Dict[str, str]
    versions: Dict[str, str]
    libraries: List[Library]
    stats: Optional[Dict[str, Any]]
    sides: List[pydantic.PositiveInt] = []

    @property
    def images_per_step(self) -> int:
        """The images that a step trains on."""
        return self.case.batch_size * max(1, len(self.sides))


class _Sample(_Result):
    """The result of one variant: wall times of the steps; ``stats`` are of the timed steps.

    ``still_missing``: the cache created something in these steps; None without an active cache.
    """

    warm_up_ns: List[pydantic.PositiveInt] = pydantic.Field(min_length=1)
    step_ns: List[pydantic.PositiveInt] = pydantic.Field(min_length=1)
    still_missing: Optional[bool]

    @property
    def step_mean_ns(self) -> float:
        """The mean step, slow ones included."""
        return sum(self.step_ns) / len(self.step_ns)

    def per_step_ns(self, part: str) -> Optional[float]:
        """Return a time among the counters' totals, such as ``create_ns``, for one step.

        None without the library.
        """
        return None if self.stats is None else self.stats["totals"][part] / len(self.step_ns)


class TrainSample(_Sample):
    """One process that timed whole training steps."""

    type: Literal["train"] = "train"

    @property
    def images_per_second(self) -> float:
        """Throughput over all timed steps, slow ones included."""
        return self.images_per_step * 1e9 / self.step_mean_ns


class OperatorTime(RecordModel):
    """How often MXNet's profiler saw an operator in the profiled steps, and for how long."""

    calls: int = pydantic.Field(ge=0)
    total_ms: float = pydantic.Field(ge=0)


class ProfileSample(_Sample):
    """One process under MXNet's profiler: ``operators`` by name, over all of ``step_ns``."""

    type: Literal["profile"] = "profile"
    operators: Dict[str, OperatorTime]

    def operator_ms(self) -> Dict[str, float]:
        """Return the milliseconds of each operator in one step."""
        steps = len(self.step_ns)
        return {name: time.total_ms / steps for name, time in self.operators.items()}


class MemorySample(_Sample):
    """One process whose cache counted its bytes, under a bound too large to be reached."""

    type: Literal["memory"] = "memory"

    @property
    def kept_bytes(self) -> Optional[int]:
        """Cached bytes at the end, descriptors included; None where nothing was counted."""
        counted = (self.stats or {}).get("memory")
        return counted["idle_bytes"] + counted["descriptor_bytes"] if counted else None


class Block(RecordModel):
    """Steps timed in one scope, and what the counters gained over them; times in nanoseconds.

    ``missed`` are the creations that the scope should have avoided. Older records lack
    ``evictions``.
    """

    cycle: int = pydantic.Field(ge=0)
    scope: str
    discarded: int = pydantic.Field(ge=0)
    step_ns: List[pydantic.PositiveInt] = pydantic.Field(min_length=1)
    missed: int
    create_ns: int
    destroy_ns: int
    cache_ns: int
    primitives_created: int
    descriptors_created: int
    primitives_avoided: int
    descriptors_avoided: int
    evictions: Optional[int] = None

    @pydantic.model_validator(mode="before")
    @classmethod
    def _of_the_first_kit(cls, values: Any) -> Any:
        """Count 0 misses where ``still_missing`` tells so in place of ``missed``."""
        if not isinstance(values, dict) or values.get("still_missing", True):
            return values
        rest = {name: value for name, value in values.items() if name != "still_missing"}
        return values if "missed" in values else {**rest, "missed": 0}


class AlternateSample(_Result):
    """One process that switched scopes between blocks of steps."""

    type: Literal["alternate"] = "alternate"
    warm_up_steps: Dict[str, pydantic.PositiveInt]
    steps_per_block: int = pydantic.Field(gt=0)
    blocks: List[Block] = pydantic.Field(min_length=1)

    @property
    def changes_size(self) -> bool:
        """Tell whether a step trains on images of several sizes."""
        return len(set(self.sides)) > 1

    @property
    def scopes(self) -> List[str]:
        """The scopes, the baseline first."""
        return self.variant.split(_BETWEEN)

    @pydantic.model_validator(mode="after")
    def _is_balanced(self) -> AlternateSample:
        cycles = range(1 + max(block.cycle for block in self.blocks))
        scopes = self.scopes
        found = collections.Counter((block.cycle, block.scope) for block in self.blocks)
        # Not the product first: a damaged record may name cycle 2**60.
        balanced = len(found) == len(cycles) * len(scopes) and all(
            found[cycle, scope] == 2 for cycle in cycles for scope in scopes
        )
        if not balanced or set(self.warm_up_steps) != set(scopes):
            raise ValueError("expected two blocks of each scope in each cycle")
        return self


Finished = Union[TrainSample, ProfileSample, MemorySample, AlternateSample, Failure]
_Sampled = TypeVar("_Sampled", TrainSample, ProfileSample, MemorySample, AlternateSample, Failure)
TYPES: Dict[str, Type[Any]] = {
    TRAIN: TrainSample,
    PROFILE: ProfileSample,
    MEMORY: MemorySample,
    CREATED: MemorySample,
    ALTERNATE: AlternateSample,
    "failure": Failure,
}


class BenchRecord(RunRecord):
    """A run, finished or not; ``finished`` are its processes in the order of their runs."""

    KIND = "opcache-bench"
    SCHEMA_VERSION = 2

    settings: BenchSettings
    finished: List[Finished] = []

    @property
    def samples(self) -> List[TrainSample]:
        """The processes that timed whole steps."""
        return self._of(TrainSample)

    @property
    def profiles(self) -> List[ProfileSample]:
        """The processes that timed operators."""
        return self._of(ProfileSample)

    @property
    def memories(self) -> List[MemorySample]:
        """The processes whose cache counted its bytes."""
        return self._of(MemorySample)

    @property
    def alternates(self) -> List[AlternateSample]:
        """The processes that switched scopes."""
        return self._of(AlternateSample)

    @property
    def failures(self) -> List[Failure]:
        """The processes without a result."""
        return self._of(Failure)

    def _of(self, type_: Type[_Sampled]) -> List[_Sampled]:
        return [each for each in self.finished if isinstance(each, type_)]

    @classmethod
    def load(cls, path: Path) -> BenchRecord:
        """Read a record; HarnessError names the fault of a file that is refused."""
        header, *lines = jsonl.read(path)
        cls.check_kind(header, path)
        finished = []
        for number, line in enumerate(lines, start=2):
            type_ = TYPES.get(str(line.get("type"))) if isinstance(line, dict) else None
            if type_ is None:
                raise HarnessError(f"{path}: line {number}: expected a type of {', '.join(TYPES)}")
            try:
                finished.append(type_.model_validate(line))
            except pydantic.ValidationError as error:
                raise HarnessError(f"{path}: line {number}: {first_fault(error)}") from error
        try:
            run = cls.model_validate({**header, "finished": finished})
        except pydantic.ValidationError as error:
            raise HarnessError(f"{path}: line 1: {first_fault(error)}") from error
        known = [series.name for series in run.settings.series]
        for number, each in enumerate(run.finished, start=2):
            if each.series not in known:
                raise HarnessError(
                    f"{path}: line {number}: series: expected one of {', '.join(known)}, "
                    f"found {each.series!r:.60}"
                )
        return run


def create(run: BenchRecord, path: Path) -> None:
    """Write a new record: the header, and the finished processes of the run."""
    jsonl.create(path, _header(run))
    if run.finished:
        with jsonl.Appender(path) as file:
            for each in run.finished:
                file.append(each.model_dump())


def add_series(asked: BenchRecord, path: Path) -> None:
    """Give a record those series of ``asked`` that it lacks, and their versions.

    Raises IncompatibleRuns unless the two are equal in the rest: the machine, the versions and the
    series that both have, and all other settings; and unless the runs are of one configuration
    file, or equal.
    """
    recorded = BenchRecord.load(path)
    # A run_id is the name of the configuration, and the time.
    if recorded.run_id.rpartition("-")[0] != asked.run_id.rpartition("-")[0]:
        check_compatible(recorded, asked)
    old, new = recorded.settings.series, asked.settings.series
    names = {series.name for series in old} & {series.name for series in new}
    versions = {*recorded.versions} & {*asked.versions}
    check_compatible(_part(recorded, names, versions), _part(asked, names, versions))
    series = [*old, *(each for each in new if each.name not in names)]
    settings = recorded.settings.model_copy(update={"series": series})
    known = {**recorded.versions, **asked.versions}
    if (settings, known) != (recorded.settings, recorded.versions):
        whole = recorded.model_copy(update={"versions": known, "settings": settings})
        jsonl.replace_header(path, _header(whole))


def _header(run: BenchRecord) -> Dict[str, Any]:
    return run.model_dump(exclude={"finished"})


def _part(run: BenchRecord, series: Set[str], versions: Set[str]) -> BenchRecord:
    settings = run.settings.model_copy(
        update={"series": [run.settings.find(name) for name in sorted(series)]}
    )
    kept = {name: value for name, value in run.versions.items() if name in versions}
    return run.model_copy(update={"settings": settings, "versions": kept, "finished": []})


load = BenchRecord.load
