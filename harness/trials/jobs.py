"""What a worker process is asked to do, as plain data that crosses the process boundary.

One frozen dataclass per kind of job; ``to_json`` and ``job_from_json`` are the only two ways
across. Knows nothing of builds, environments or mxnet.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Dict, Optional, Union

from harness.base.errors import HarnessError


@dataclass(frozen=True)
class TrainJob:
    """Time training steps on dummy data through MXNet's Module API.

    Warm-up runs ``warm_up_steps_min`` steps and one more, in which a cache must not miss, or on
    until it does not, to ``warm_up_steps_max`` at most. Then as many steps as fit into
    ``steps_budget_s``, judged by the last warm-up step, are timed one by one: ``timed_steps_min``
    at least, ``timed_steps_max`` at most. With ``memory_limit_gib`` the process gets no more
    address space than that.
    """

    model: str
    batch_size: int
    image_size: int
    seed: int = 1
    warm_up_steps_min: int = 2
    warm_up_steps_max: int = 10
    timed_steps_min: int = 8
    timed_steps_max: int = 8
    steps_budget_s: float = 0.0
    memory_limit_gib: Optional[float] = None
    learning_rate: float = 0.01
    momentum: float = 0.9

    def timed_steps(self, last_ns: int) -> int:
        """Return how many steps to time after a warm-up whose last step took ``last_ns``.

        Chosen beforehand: who stops when the time is up stops after slow steps more often.
        """
        fitting = int(self.steps_budget_s * 1e9 / last_ns)
        return min(max(fitting, self.timed_steps_min), self.timed_steps_max)


@dataclass(frozen=True)
class ProfileJob(TrainJob):
    """Like TrainJob, with the timed steps under MXNet's profiler.

    The result holds ``operators`` too: by MXNet's name how often each was called in the timed
    steps, and its total milliseconds. The profiler slows steps down, so they are no throughput.
    """


@dataclass(frozen=True)
class HashJob:
    """Train ``steps`` steps from a fixed seed and hash everything that was computed.

    That is every parameter and auxiliary state, and the last step's gradients and outputs.

    ``api`` is ``module`` (Module API on symbols), ``gluon`` (imperative) or ``hybrid`` (hybridized
    Gluon). ``dump`` names an .npz file for the hashed arrays, or is None.
    """

    model: str
    batch_size: int
    image_size: int
    seed: int = 1
    steps: int = 5
    api: str = "module"
    learning_rate: float = 0.01
    momentum: float = 0.9
    dump: Optional[str] = None


@dataclass(frozen=True)
class OperatorsJob:
    """Run every case of operators (of harness/operator_cases, joined by ``+``) for some steps.

    The result holds, by ``operator/case/array``:

    - ``hashes``: SHA-256 over the array's bytes in all steps;
    - ``errors``: the worst step's comparison with the reference: ``error`` (the largest difference
      over the largest expected value, None if not finite), ``tolerance``, ``index``, ``found``
      and ``expected``, the last two as text;

    and by ``operator/case``, or None for the whole where no cache is loaded:

    - ``calls``: for the ``first`` step and the sum of the ``later`` ones, by the counters' names
      of operators, how many primitives MXNet had ``created`` and how many were ``avoided``.

    harness/operator_check.judge tells what is wrong with it. ``quick`` runs a part of the cases.
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

    The parent takes one step a fork, each child ``child_steps`` from where the parent was. The
    result holds ``hashes`` over what the ``parent`` and the ``children`` computed, the children's
    ``exit_codes`` with their numbers, how many creations they avoided (``children_avoided``), and
    samples over the run: ``resident_bytes`` and, with the cache, ``primitives`` and ``threads``
    alive.
    """

    forks: int
    seed: int = 1
    child_steps: int = 2


@dataclass(frozen=True)
class DistTrainJob:
    """Be one worker of a distributed training: time its steps, then hash what it ends with.

    Every worker runs the same number of steps, or the others would wait for it forever: the
    warm-up has a fixed length. Batches differ by worker and by step.
    """

    model: str
    batch_size: int
    image_size: int
    seed: int = 1
    warm_up_steps: int = 3
    timed_steps: int = 20
    learning_rate: float = 0.01
    momentum: float = 0.9


@dataclass(frozen=True)
class ConvergeJob:
    """Train a network to its end on images that harness/converge prepared, and keep checkpoints.

    ``data`` is a file of prepared images whose digest is ``data_sha256``; ``folder`` keeps the
    checkpoint, and training goes on from the one that is there. The learning rate reaches
    ``learning_rate`` after ``warm_up_epochs`` and would be 0 after ``epochs``; training stops
    after ``last_epoch``.
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


@dataclass(frozen=True)
class SoakJob:
    """Train the network of all seven operators on ``shapes`` different shapes, one by one.

    Every shape is bound anew and trained ``steps`` steps. After every ``restart_every`` shapes
    MXNet's worker threads end and others begin; 0 is never. The result holds ``digests``, one for
    each shape over everything that was computed, and ``samples`` of the process after every
    ``sample_every`` shapes: its memory in bytes, and the population of the cache. It stops early
    when the machine has less memory left than ``stop_below_bytes``.
    """

    shapes: int
    seed: int = 1
    steps: int = 2
    sample_every: int = 100
    restart_every: int = 0
    stop_below_bytes: int = 0


@dataclass(frozen=True)
class DescribeJob:
    """Describe every network of the registry for one image of its paper's size; runs none."""

    seed: int = 1


Job = Union[
    TrainJob,
    ProfileJob,
    HashJob,
    OperatorsJob,
    ScenarioJob,
    ForkJob,
    DistTrainJob,
    ConvergeJob,
    SoakJob,
    DescribeJob,
]
_KINDS = {
    "train": TrainJob,
    "profile": ProfileJob,
    "hash": HashJob,
    "operators": OperatorsJob,
    "scenario": ScenarioJob,
    "fork": ForkJob,
    "dist-train": DistTrainJob,
    "converge": ConvergeJob,
    "soak": SoakJob,
    "describe": DescribeJob,
}


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
