"""The record of convergence runs: their settings, and every epoch of every curve."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional

import pydantic
from typing_extensions import Annotated, Literal

from harness.base.toml import Count
from harness.trials.record import Library, RecordModel, RunRecord, Threads
from harness.trials.variants import baseline_of

_Sha256 = Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{64}$")]


class Accuracy(NamedTuple):
    """Validation accuracy in percent."""

    top_1: float
    top_5: float


# On CIFAR-10, as reported in github.com/apache/mxnet/pull/11301: ResNet-50 after 99 epochs, VGG-16
# after 74.
ACCURACY: Dict[str, Accuracy] = {
    "cifar-resnet-50": Accuracy(67.88, 96.26),
    "cifar-vgg-16": Accuracy(82.56, 98.52),
}


class Training(RecordModel):
    """A network trained on one host, once in each of ``scopes``, from the same seed.

    The learning rate rises to ``learning_rate`` in ``warm_up_epochs`` and falls to 0 at the end of
    ``epochs``; a build without the cache stops after ``stock_epochs`` of the same schedule.
    """

    model: str
    host: str
    scopes: List[str] = pydantic.Field(min_length=1)
    epochs: Count
    stock_epochs: Count
    batch_size: Count
    subset: Optional[Count]
    validation: Optional[Count]
    learning_rate: pydantic.PositiveFloat
    momentum: float = pydantic.Field(ge=0, lt=1)
    weight_decay: pydantic.NonNegativeFloat
    warm_up_epochs: pydantic.NonNegativeFloat

    def last_epoch(self, scope: str) -> int:
        """Return how many epochs a scope trains."""
        return min(self.epochs, self.stock_epochs) if baseline_of([scope]) else self.epochs


class Data(RecordModel):
    """The images of all trainings; ``source`` is ``CIFAR-10`` or ``synthetic``."""

    source: Literal["CIFAR-10", "synthetic"]
    sha256: _Sha256
    training: Count
    validation: Count


class ConvergeSettings(RecordModel):
    """The work of a run; only equal settings can resume it."""

    trainings: List[Training] = pydantic.Field(min_length=1)
    data: Data
    seed: int
    threads: Threads
    side_by_side: Count


class Epoch(RecordModel):
    """One epoch's results.

    ``parameters_sha256`` covers all parameters and auxiliary states, ``state_sha256`` the
    momenta as well. ``input_cpu_s`` is the CPU time of preparing batches; ``load_average``
    is the machine's at the epoch's end.
    """

    epoch: Count
    trained: Count
    loss: pydantic.FiniteFloat
    correct_trained: pydantic.NonNegativeInt
    validated: Count
    correct_top_1: pydantic.NonNegativeInt
    correct_top_5: pydantic.NonNegativeInt
    train_s: pydantic.PositiveFloat
    validate_s: pydantic.PositiveFloat
    input_cpu_s: pydantic.PositiveFloat
    load_average: pydantic.NonNegativeFloat
    parameters_sha256: _Sha256
    state_sha256: _Sha256

    @property
    def accuracy(self) -> Accuracy:
        """Validation accuracy in percent."""
        return Accuracy(
            100 * self.correct_top_1 / self.validated, 100 * self.correct_top_5 / self.validated
        )

    @property
    def images_per_second(self) -> float:
        """Training throughput, preparation of batches included, validation not."""
        return self.trained / self.train_s


class Evidence(RecordModel):
    """The evidence of the build that finished a curve."""

    environment: Dict[str, str]
    versions: Dict[str, str]
    libraries: List[Library]
    peak_resident_bytes: Count
    stats: Optional[Dict[str, Any]]


class Curve(RecordModel):
    """One training in one scope, finished or not; ``training`` is its place in the settings."""

    training: int = pydantic.Field(ge=0)
    scope: str
    epochs: List[Epoch]
    evidence: Optional[Evidence] = None


class ConvergeRecord(RunRecord):
    """A run, finished or not."""

    KIND = "opcache-converge"

    settings: ConvergeSettings
    curves: List[Curve]

    def curve(self, training: int, scope: str) -> Curve:
        """Return the curve of one training in one scope, empty where none was recorded."""
        for curve in self.curves:
            if (curve.training, curve.scope) == (training, scope):
                return curve
        return Curve(training=training, scope=scope, epochs=[])

    def with_curve(self, curve: Curve) -> ConvergeRecord:
        """Return the record with ``curve`` in the place of the one it continues."""
        others = [c for c in self.curves if (c.training, c.scope) != (curve.training, curve.scope)]
        return self.model_copy(update={"curves": [*others, curve]})


load = ConvergeRecord.load


def partings(record: ConvergeRecord) -> List[str]:
    """Return a line per curve whose bits differ from the first of its training; none: all equal."""
    lines = []
    for number, training in enumerate(record.settings.trainings):
        first, *others = (record.curve(number, scope) for scope in training.scopes)
        for other in others:
            for a, b in zip(first.epochs, other.epochs):
                if a.state_sha256 != b.state_sha256:
                    lines.append(
                        f"{training.model} {training.host}: bits differ in epoch {a.epoch}: "
                        f"{first.scope}={a.state_sha256[:12]}, {other.scope}={b.state_sha256[:12]}"
                    )
                    break
    return lines
