"""A convergence record as tables. Pure: a record in, text out."""

from __future__ import annotations

from typing import List, Optional

from harness.base.markdown import markdown
from harness.base.statistics import median
from harness.converge.record import (
    ACCURACY,
    ConvergeRecord,
    ConvergeSettings,
    Curve,
    Epoch,
    Training,
    partings,
)

_SYNTHETIC = "synthetic"
LEGEND = (
    "top-1, top-5: validation accuracy after the last epoch, in percent; reference: as "
    "reported by PR #11301",
    "minutes to it: training and validation until both reference values were reached",
    "input: CPU time of making batches over the time of training; equal bits: epochs after which "
    "all parameters, states and momenta are those of the first scope, compared by SHA-256",
)


def render(record: ConvergeRecord) -> str:
    """Return a table of the curves, one of all epochs, and the verdict on the bits."""
    return "\n".join(
        [
            f"**{title(record)}**",
            "",
            *summary(record),
            "",
            *(f"{line}  " for line in LEGEND),
            "",
            f"**Epochs ({record.settings.data.source})**",
            "",
            *_epochs(record),
            "",
            verdict(record),
            "",
        ]
    )


def title(record: ConvergeRecord) -> str:
    """Return the data, the threads and the number of trainings at a time."""
    data, threads = record.settings.data, record.settings.threads.omp_num_threads
    made_up = ", a generated stand-in for CIFAR-10" if data.source == _SYNTHETIC else ""
    return (
        f"Convergence on {data.source}{made_up}: {threads} thread{'s' * (threads != 1)} each, "
        f"{record.settings.side_by_side} side by side"
    )


def summary(record: ConvergeRecord) -> List[str]:
    """Return a Markdown table with a row per curve."""
    titles = ["model", "MXNet", "scope", "images", "epochs", "top-1", "reference", "top-5"]
    titles += ["reference", "img/s", "minutes", "minutes to it", "input", "equal bits"]
    rows = []
    for number, training in enumerate(record.settings.trainings):
        first = record.curve(number, training.scopes[0])
        for scope in training.scopes:
            curve = record.curve(number, scope)
            if curve.epochs:
                rows.append(_row(record.settings, training, curve, first))
    return markdown(titles, ["model", "MXNet", "scope", "equal bits"], rows)


def _row(settings: ConvergeSettings, training: Training, curve: Curve, first: Curve) -> List[str]:
    last = curve.epochs[-1]
    reference = ACCURACY.get(training.model)
    at_reference = minutes_to_reference(training.model, curve)
    trained = sum(e.train_s for e in curve.epochs)
    return [
        training.model,
        training.host,
        curve.scope,
        f"{training.subset or settings.data.training:,}",
        f"{len(curve.epochs)} of {training.epochs}",
        f"{last.accuracy.top_1:.2f}",
        "-" if reference is None else f"{reference.top_1:.2f}",
        f"{last.accuracy.top_5:.2f}",
        "-" if reference is None else f"{reference.top_5:.2f}",
        f"{median([e.images_per_second for e in curve.epochs]):.1f}",
        f"{minutes(curve)[-1]:.1f}",
        "-" if at_reference is None else f"{at_reference:.1f}",
        f"{sum(e.input_cpu_s for e in curve.epochs) / trained:.2%}",
        "-" if curve is first else _equal(first, curve),
    ]


def _equal(first: Curve, curve: Curve) -> str:
    pairs = list(zip(first.epochs, curve.epochs))
    equal = [a.epoch for a, b in pairs if a.state_sha256 == b.state_sha256]
    both = f"{len(equal)} of {len(pairs)} epochs that both trained"
    return both if len(equal) == len(pairs) else f"DIFFER: {both}"


def minutes(curve: Curve) -> List[float]:
    """Return the wall-clock time at each epoch's end: training and validation."""
    found, total = [], 0.0
    for epoch in curve.epochs:
        total += epoch.train_s + epoch.validate_s
        found.append(total / 60)
    return found


def minutes_to_reference(model: str, curve: Curve) -> Optional[float]:
    """Return the time at the first epoch that reaches both reference values, None if none does."""
    reference = ACCURACY.get(model)
    for at, epoch in zip(minutes(curve), curve.epochs):
        found = epoch.accuracy
        if reference and found.top_1 >= reference.top_1 and found.top_5 >= reference.top_5:
            return at
    return None


def _epochs(record: ConvergeRecord) -> List[str]:
    titles = ["model", "MXNet", "scope", "epoch", "loss", "trained top-1", "top-1", "top-5"]
    titles += ["img/s", "train s", "validate s", "load", "all bits (SHA-256)"]
    rows = []
    for number, training in enumerate(record.settings.trainings):
        for scope in training.scopes:
            for epoch in record.curve(number, scope).epochs:
                rows.append(
                    [
                        training.model,
                        training.host,
                        scope,
                        str(epoch.epoch),
                        f"{epoch.loss:.4f}",
                        f"{100 * epoch.correct_trained / epoch.trained:.2f}",
                        f"{epoch.accuracy.top_1:.2f}",
                        f"{epoch.accuracy.top_5:.2f}",
                        f"{epoch.images_per_second:.1f}",
                        f"{epoch.train_s:.0f}",
                        f"{epoch.validate_s:.0f}",
                        f"{epoch.load_average:.1f}",
                        epoch.state_sha256[:16],
                    ]
                )
    return markdown(titles, ["model", "MXNet", "scope", "all bits (SHA-256)"], rows)


def epoch_line(settings: ConvergeSettings, training: int, scope: str, epoch: Epoch) -> str:
    """Return one line about an epoch that has just ended."""
    asked = settings.trainings[training]
    source = f" ({_SYNTHETIC})" if settings.data.source == _SYNTHETIC else ""
    return (
        f"{asked.model} {asked.host} {scope}: epoch {epoch.epoch} of {asked.last_epoch(scope)}: "
        f"top-1 {epoch.accuracy.top_1:.2f} %, top-5 {epoch.accuracy.top_5:.2f} %{source}, "
        f"{epoch.images_per_second:.1f} img/s, {epoch.train_s + epoch.validate_s:.0f} s, "
        f"bits {epoch.state_sha256[:12]}"
    )


def verdict(record: ConvergeRecord) -> str:
    """Return one line: whether curves have equal bits, and the number of epochs compared."""
    compared = 0
    for number, training in enumerate(record.settings.trainings):
        first, *others = (record.curve(number, scope) for scope in training.scopes)
        compared += sum(len(list(zip(first.epochs, other.epochs))) for other in others)
    differing = len(partings(record))
    if differing:
        many = "curves differ" if differing != 1 else "curve differs"
        return f"{differing} {many} from the first of the same training"
    if compared == 0:
        return "nothing was compared: no epoch was trained in two scopes"
    return f"equal bits in all of the {compared} epochs that were trained in several scopes"
