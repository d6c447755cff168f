"""The configuration of a convergence run: a TOML file's values, replaced by the command line's.

Checks every name before data is loaded or a process started.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import pydantic

from harness.base.errors import HarnessError
from harness.base.toml import Count, FrozenModel
from harness.build.toolchain import Toolchain
from harness.converge.dataset import CLASSES, SIDE
from harness.converge.record import Training
from harness.trials.networks import find_classifier
from harness.trials.own import variants_of
from harness.trials.variants import OwnLayout, baseline_of, parse_variant
from models.registry import NETWORKS


class TrainingConfig(Training):
    """One training; a missing value means all images, or all epochs of stock."""

    stock_epochs: Optional[Count] = None  # type: ignore[assignment]
    subset: Optional[Count] = None
    validation: Optional[Count] = None


class ConvergeConfig(FrozenModel):
    """A convergence run's configuration file."""

    trainings: Tuple[TrainingConfig, ...] = pydantic.Field(min_length=1)
    seed: int
    omp_num_threads: Count
    side_by_side: Count
    timeout_s: float = pydantic.Field(gt=0, le=604800)


def resolve(
    config: ConvergeConfig,
    toolchain: Toolchain,
    model: Optional[str],
    host: Optional[str],
    changes: Dict[str, Any],
    own: Optional[OwnLayout] = None,
) -> List[Training]:
    """Return what to train; HarnessError names an unknown word and the known ones.

    ``model`` and ``host`` choose among the configured trainings; without a match they replace those
    of the first training. ``changes`` replace fields of every training. On the build of ``own``
    each training has the baseline's curve.
    """
    chosen = [
        training
        for training in config.trainings
        if model in (None, training.model) and host in (None, training.host)
    ]
    named = {k: v for k, v in (("model", model), ("host", host)) if v is not None}
    chosen = chosen or [config.trainings[0].model_copy(update=named)]
    trainings = []
    for training in chosen:
        fields = {**training.model_dump(), **changes}
        if own is not None:
            fields["scopes"] = variants_of(own, fields["scopes"])
        fields["stock_epochs"] = fields["stock_epochs"] or fields["epochs"]
        trainings.append(_checked(Training.model_validate(fields), toolchain))
    return trainings


def _checked(training: Training, toolchain: Toolchain) -> Training:
    network = find_classifier(training.model)
    if network.classes != CLASSES or network.smallest_image_size > SIDE:
        fitting = [
            n.name
            for n in NETWORKS.values()
            if n.classes == CLASSES and n.smallest_image_size <= SIDE
        ]
        raise HarnessError(
            f"model '{training.model}' is not one for CIFAR-10: expected {', '.join(fitting)}"
        )
    toolchain.host(training.host)
    for scope in training.scopes:
        parse_variant(scope)
    first = baseline_of(training.scopes)
    if first is not None:
        # All scopes are compared with the first.
        others = [scope for scope in training.scopes if scope != first]
        training = training.model_copy(update={"scopes": [first, *others]})
    if training.warm_up_epochs >= training.epochs:
        raise HarnessError(
            f"warm_up_epochs: expected fewer than epochs ({training.epochs}), "
            f"found {training.warm_up_epochs:g}"
        )
    if training.subset is not None and training.subset < training.batch_size:
        raise HarnessError(
            f"subset: expected at least a batch ({training.batch_size}), found {training.subset}"
        )
    return training
