"""A made-up record of a convergence run."""

from __future__ import annotations

import hashlib
from typing import Any

from harness.converge.record import ConvergeRecord, ConvergeSettings, Curve, Data, Epoch, Training
from harness.trials.record import threads
from tests.support.records import header

# Correct ones of 10,000 after each epoch; the third reaches the reference's top-1, not its top-5.
TOP_1 = (4000, 6000, 7000, 7500)
TOP_5 = (9000, 9400, 9500, 9700)
STOCK_EPOCHS = 3
TRAIN_S, VALIDATE_S = 100.0, 20.0


def training(**changes: Any) -> Training:
    fields = {
        "model": "cifar-resnet-50",
        "host": "1.4.1",
        "scopes": ["stock", "all"],
        "epochs": len(TOP_1),
        "stock_epochs": STOCK_EPOCHS,
        "batch_size": 50,
        "subset": None,
        "validation": None,
        "learning_rate": 0.1,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "warm_up_epochs": 1.0,
    }
    return Training.model_validate({**fields, **changes})


def epoch(number: int) -> Epoch:
    """The results of epoch ``number``, from 1; the same in every scope."""
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    return Epoch(
        epoch=number,
        trained=50_000,
        loss=1 / number,
        correct_trained=20_000 + number,
        validated=10_000,
        correct_top_1=TOP_1[number - 1],
        correct_top_5=TOP_5[number - 1],
        train_s=TRAIN_S,
        validate_s=VALIDATE_S,
        input_cpu_s=1.0,
        load_average=2.0,
        parameters_sha256=digest,
        state_sha256=digest,
    )


def record(source: Any = "CIFAR-10", **changes: Any) -> ConvergeRecord:
    """A finished run of one training, stock for fewer epochs; ``changes`` are the training's."""
    asked = training(**changes)
    settings = ConvergeSettings(
        trainings=[asked],
        data=Data(source=source, sha256="0" * 64, training=50_000, validation=10_000),
        seed=1,
        threads=threads(1),
        side_by_side=2,
    )
    curves = []
    for scope in asked.scopes:
        epochs = [epoch(n + 1) for n in range(asked.last_epoch(scope))]
        curves.append(Curve(training=0, scope=scope, epochs=epochs))
    return ConvergeRecord(**header(ConvergeRecord), settings=settings, curves=curves)


def parted(at: int) -> ConvergeRecord:
    """The same, but from epoch ``at`` on the second scope has other bits."""
    whole = record()
    curve = whole.curve(0, "all")
    epochs = [
        e.model_copy(update={"state_sha256": "f" * 64}) if e.epoch >= at else e
        for e in curve.epochs
    ]
    return whole.with_curve(curve.model_copy(update={"epochs": epochs}))
