"""Defines the jobs of worker processes: one frozen dataclass per kind, and its JSON form.

Does not depend on builds, environments or mxnet.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
import statistics
from dataclasses import dataclass
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from harness.base.errors import HarnessError

_AGAIN = "-again"


def scope_of(word: str) -> str:
    """Return a scope in the library's words.

    Operators of a word are joined by +; ``NAME-again`` is scope NAME under another name.
    """
    return (word[: -len(_AGAIN)] if word.endswith(_AGAIN) else word).replace("+", ",")


@dataclass(frozen=True)
class _Training:
    """A network, the shape of its dummy data, and the rates of SGD."""

    model: str
    batch_size: int
    image_size: int
    seed: int = 1
    learning_rate: float = 0.01
    momentum: float = 0.9


@dataclass(frozen=True)
class TrainJob(_Training):
    """Time training steps on dummy data, by the API through which people train the network.

    Warm-up runs ``warm_up_steps_min`` steps, and then further steps until the cache misses in none,
    at most ``warm_up_steps_max`` in all. Then as many steps as fit into ``steps_budget_s``, judged
    by the last warm-up step, are timed one by one: at least ``timed_steps_min``, at most
    ``timed_steps_max``. ``memory_limit_gib`` limits the address space of the process.
    """

    warm_up_steps_min: int = 2
    warm_up_steps_max: int = 10
    timed_steps_min: int = 8
    timed_steps_max: int = 8
    steps_budget_s: float = 0.0
    memory_limit_gib: Optional[float] = None

    def timed_steps(self, last_ns: int) -> int:
        """Return the number of steps to time after a last warm-up step of ``last_ns``.

        Decided in advance: stopping when time runs out would over-sample slow steps.
        """
        fitting = int(self.steps_budget_s * 1e9 / last_ns)
        return min(max(fitting, self.timed_steps_min), self.timed_steps_max)


@dataclass(frozen=True)
class ProfileJob(TrainJob):
    """Like TrainJob by MXNet's Module API, with the timed steps under MXNet's profiler.

    The result has ``operators`` too: by MXNet's name the calls in the timed steps, and their total
    milliseconds. The profiler slows steps down: do not read these as throughput.
    """


@dataclass(frozen=True)
class AlternateJob(_Training):
    """Time training steps while the scope of the cache alternates between blocks of steps.

    A cycle has two blocks of each of ``scopes``, whose words ``scope_of`` reads: a random
    permutation and its reverse. ``seed`` draws the permutations, each as often as any other;
    ``process``, the number of the process in its case, begins with another one. The first scope is
    the baseline and trains first, the last one next. The warm-up takes at least
    ``warm_up_steps_min`` steps in each scope. A block has as many steps as take ``block_s``, the
    same number in all scopes. After a switch, steps are discarded until the cache misses in none,
    or as often as before (at most ``warm_up_steps_max``).

    Cycles fill ``budget_s``, judged by the first, within ``cycles_min`` and ``cycles_max``. They
    end earlier once the 95 % interval inside the process has a relative half width below
    ``half_width``; 0 uses the whole budget. ``memory_limit_gib`` is that of TrainJob.

    The result has ``warm_up_steps`` by scope, ``steps_per_block``, and ``blocks`` in the order of
    time: ``cycle``, ``scope``, steps ``discarded``, ``step_ns``, creations that the scope
    should have avoided (``missed``), and the counters' gains over the timed steps, times in
    nanoseconds. ``sides`` are those of the images of a step, batch by batch. ``stats`` are the
    counters at the end of the last block of the last scope.
    """

    scopes: Sequence[str] = ("off", "all")
    process: int = 0
    budget_s: float = 5.0
    block_s: float = 0.3
    cycles_min: int = 3
    cycles_max: int = 1000
    warm_up_steps_min: int = 2
    warm_up_steps_max: int = 10
    half_width: float = 0.0
    memory_limit_gib: Optional[float] = None

    def steps_per_block(self, last_ns: Sequence[int]) -> int:
        """Return the number of steps in a block after last warm-up steps of ``last_ns``."""
        return max(1, round(self.block_s * 1e9 * len(last_ns) / sum(last_ns)))

    def cycles(self, first_s: float) -> int:
        """Return the number of cycles, after a first one of ``first_s``.

        Decided in advance, as in TrainJob.
        """
        return min(max(int(self.budget_s / first_s), self.cycles_min), self.cycles_max)

    def orders(self) -> Iterator[List[str]]:
        """Yield the scopes of each cycle's blocks, without end.

        A speed that drifts linearly over a cycle changes all scopes alike. What remains, such as a
        slow first block, cancels over processes: each permutation comes first in one of them.
        """
        draw = random.Random(str(self.seed))

        def drawn() -> Iterator[Tuple[str, ...]]:
            while True:
                every = list(itertools.permutations(self.scopes))
                draw.shuffle(every)
                yield from every

        for scopes in itertools.islice(drawn(), self.process, None):
            yield [*scopes, *reversed(scopes)]

    def is_narrow(self, blocks: Sequence[Mapping[str, Any]]) -> bool:
        """Tell whether two standard errors of each scope's mean log ratio are below the target."""
        cycles = len(blocks) // (2 * len(self.scopes))
        if self.half_width == 0 or cycles < max(3, self.cycles_min):
            return False
        logs: Dict[Any, float] = {}
        for block in blocks:
            key = block["cycle"], block["scope"]
            logs[key] = logs.get(key, 0.0) + math.log(statistics.median(block["step_ns"])) / 2
        errors = [
            statistics.stdev(
                logs[cycle, self.scopes[0]] - logs[cycle, scope] for cycle in range(cycles)
            )
            / math.sqrt(cycles)
            for scope in self.scopes[1:]
        ]
        return 2 * max(errors) < self.half_width


@dataclass(frozen=True)
class HashJob(_Training):
    """Train ``steps`` steps from a fixed seed and hash the computed arrays.

    These are every parameter and auxiliary state, and the last step's gradients and outputs.
    ``api`` is ``module`` (Module API on symbols), ``gluon`` (imperative), ``hybrid`` (hybridized
    Gluon), or None: that of the network. ``dump`` names an .npz file for the hashed arrays, or is
    None.
    """

    steps: int = 5
    api: Optional[str] = None
    dump: Optional[str] = None


@dataclass(frozen=True)
class OperatorsJob:
    """Run every case of operators (words of harness/operators/cases, joined by ``+``).

    The result has, by ``operator/case/array``:

    - ``hashes``: SHA-256 over the array's bytes in all steps;
    - ``errors``: the worst step's comparison with the reference: ``error`` (the largest difference
      over the largest expected value, None if not finite), ``tolerance``, ``index``, ``found``
      and ``expected``, the last two as text;

    and by ``operator/case``, or None when no cache is loaded:

    - ``calls``: for the ``first`` step and the sum of the ``later`` ones, by the counters' names
      of operators, the numbers of primitives ``created`` and of creations ``avoided``.

    harness/operators/judge.py finds the errors in it. ``quick`` runs a part of the cases.
    """

    operator: str
    seed: int = 1
    steps: int = 4
    quick: bool = False


@dataclass(frozen=True)
class ScenarioJob:
    """Run a scenario of harness/worker/scenarios; hash its arrays."""

    name: str
    seed: int = 1
    steps: int = 4


@dataclass(frozen=True)
class ForkJob:
    """Train a small network and fork ``forks`` times; parent and child both train on.

    The parent takes one step a fork, each child ``child_steps`` from the parent's state. The result
    has ``hashes`` over the arrays of the ``parent`` and of the ``children``, the numbers of the
    children's ``exit_codes``, the creations that they avoided (``children_avoided``), and samples
    over the run: ``resident_bytes`` and, with the cache, the live ``primitives`` and ``threads``.
    """

    forks: int
    seed: int = 1
    child_steps: int = 2


@dataclass(frozen=True)
class DistTrainJob(_Training):
    """Train as one worker of a distributed training: time the steps, hash the final arrays.

    The warm-up has a fixed length, because workers wait for each other in every step. Batches
    differ by worker and by step.
    """

    warm_up_steps: int = 3
    timed_steps: int = 20


@dataclass(frozen=True)
class ConvergeJob:
    """Train a network on images that harness/converge prepared, with a checkpoint each epoch.

    ``data`` is a file of prepared images with the digest ``data_sha256``. Training continues from
    the checkpoint in ``folder``, if any, and stops after ``last_epoch``. The learning rate reaches
    ``learning_rate`` after ``warm_up_epochs`` and 0 after ``epochs``.

    With ``loaders``, so many processes of Gluon's DataLoader make the batches, image by image. Then
    each epoch writes the cache's statistics to a file in the folder, and has a ``sample``: the
    ``resident_bytes``, ``open_files`` and ``threads`` of the process, its ``first_epoch``, and the
    creations of primitives that it ``avoided``.
    """

    model: str
    batch_size: int
    data: str
    data_sha256: str
    folder: str
    epochs: int
    last_epoch: int
    learning_rate: float
    momentum: float
    weight_decay: float
    warm_up_epochs: float
    image_size: int = 32
    seed: int = 1
    loaders: int = 0


@dataclass(frozen=True)
class SoakJob:
    """Train the network of all seven operators on ``shapes`` different shapes, one by one.

    Every shape gets its own executor and is trained ``steps`` steps. After every ``restart_every``
    shapes MXNet's worker threads are replaced; 0 means never. The result has ``digests``, one per
    shape over all computed arrays, and ``samples`` after every ``sample_every`` shapes: the memory
    of the process in bytes, and the numbers of cached objects. The job stops early when the machine
    has less than ``stop_below_bytes`` of memory left. Without ``deconvolution`` the network has the
    other six operators.
    """

    shapes: int
    seed: int = 1
    steps: int = 2
    sample_every: int = 100
    restart_every: int = 0
    stop_below_bytes: int = 0
    deconvolution: bool = True


@dataclass(frozen=True)
class ServeJob:
    """Predict on ``threads`` threads, one after the other, ``requests`` times on each.

    A request draws one of ``models`` networks and one of ``sizes`` image sizes; the last one of a
    thread repeats its first. The result has the ``latency_ns`` of each request, one ``digest`` of
    all answers, and ``samples`` after every ``sample_every`` threads.
    """

    threads: int
    seed: int = 1
    models: int = 20
    sizes: int = 10
    requests: int = 3
    sample_every: int = 100


@dataclass(frozen=True)
class DescribeJob:
    """Describe every network of the registry for an image of its paper's size; run none."""

    seed: int = 1


Job = Union[
    TrainJob,
    ProfileJob,
    AlternateJob,
    HashJob,
    OperatorsJob,
    ScenarioJob,
    ForkJob,
    DistTrainJob,
    ConvergeJob,
    SoakJob,
    ServeJob,
    DescribeJob,
]
_KINDS = {
    "train": TrainJob,
    "profile": ProfileJob,
    "alternate": AlternateJob,
    "hash": HashJob,
    "operators": OperatorsJob,
    "scenario": ScenarioJob,
    "fork": ForkJob,
    "dist-train": DistTrainJob,
    "converge": ConvergeJob,
    "soak": SoakJob,
    "serve": ServeJob,
    "describe": DescribeJob,
}


def fields_for(kind: type, *sources: Iterable[Tuple[str, Any]]) -> Dict[str, Any]:
    """Return the values that models (parts of a record) have for the fields of a kind of job."""
    names = {field.name for field in dataclasses.fields(kind)}
    return {name: value for each in sources for name, value in each if name in names}


def to_json(job: Job) -> Dict[str, Any]:
    """Return the job as a JSON object with its ``kind``."""
    kind = next(name for name, type_ in _KINDS.items() if type(job) is type_)
    return {"kind": kind, **dataclasses.asdict(job)}


def job_from_json(value: Any) -> Job:
    """Return the job in a JSON object; HarnessError names the field that is wrong."""
    fields = dict(value) if isinstance(value, dict) else {}
    kind = fields.pop("kind", None)
    if not isinstance(kind, str) or kind not in _KINDS:
        raise HarnessError(f"job: expected an object with a kind of {', '.join(_KINDS)}")
    try:
        return _KINDS[kind](**fields)
    except TypeError as error:
        raise HarnessError(f"job of kind {kind}: {error}") from error
