"""The stage of long trainings: its judgement, and a training whose bits differ."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any, Dict, List

import numpy
import pytest

from harness.base.layout import Layout
from harness.converge import cifar10
from harness.converge.images import Normalisation, TrainingImages
from harness.reliability import training
from harness.verify.faults import VARIANT, faulty

HOST = "1.4.1"
PLAN = dataclasses.replace(training.QUICK, epochs=6)


def trained(avoided: int = 9) -> Dict[str, Any]:
    """Return what two processes hand over: the first was interrupted after its second epoch."""
    samples = [
        {
            "avoided": avoided,
            "first_epoch": first,
            "resident_bytes": size * 2**20,
            "open_files": 17,
            "threads": 10,
        }
        for first, size in ((1, 100), (1, 160), (3, 100), (3, 150), (3, 152), (3, 151))
    ]
    return {
        "epochs": [
            {"state_sha256": f"{number:064x}", "sample": sample}
            for number, sample in enumerate(samples)
        ]
    }


def judged(result: Any, word: str = "all") -> training.Finding:
    return training.judge_process(PLAN, HOST, word, result, "CIFAR-10")


def test_a_training_that_does_not_grow_passes() -> None:
    found = judged(trained())
    assert (found.outcome, found.subject) == ("pass", "cached, CIFAR-10")
    assert found.summary == "memory, open files and threads flat over 6 epochs"
    assert (found.figures["epochs"], found.figures["processes"]) == (6, 2)
    bits = training.judge_bits(PLAN, HOST, trained(0), trained())
    assert (bits.outcome, bits.summary) == ("pass", "equal after each of 6 epochs")


@pytest.mark.parametrize(
    ("name", "value", "summary"),
    [
        ("resident_bytes", 200 * 2**20, "memory: +33.3 % since epoch 4, expected at most 15 %"),
        ("open_files", 18, "open files: 17 after epoch 4, later 18"),
        ("threads", 11, "threads: 10 after epoch 4, later 11"),
        ("avoided", 0, "no creation was avoided: nothing was put to the test"),
    ],
)
def test_growth_is_noticed(name: str, value: int, summary: str) -> None:
    result = trained()
    result["epochs"][4]["sample"][name] = value
    found = judged(result)
    assert (found.outcome, found.summary) == ("fail", summary)
    if name != "avoided":
        assert judged(result, "stock").summary == f"{summary} (not judged)"


def test_runs_that_prove_nothing_fail() -> None:
    short = trained()
    short["epochs"] = short["epochs"][:4]
    assert judged(short).details == [
        "no process trained long enough to tell",
        "4 epochs, expected 6",
    ]
    alike = trained()
    for epoch in alike["epochs"]:
        epoch["state_sha256"] = "0"
    assert "nothing was learned" in training.judge_bits(PLAN, HOST, alike, alike).summary
    message = "worker (converge seven-ops, host 1.4.1, all) ended with SIGSEGV\n  last line"
    for found in (judged(message), training.judge_bits(PLAN, HOST, trained(), message)):
        assert (found.outcome, found.summary) == ("fail", message.splitlines()[0])


def test_bits_that_differ_are_told_with_their_epoch() -> None:
    wrong = copy.deepcopy(trained())
    wrong["epochs"][3]["state_sha256"] = "f"
    found = training.judge_bits(PLAN, HOST, trained(), wrong)
    assert (found.outcome, found.summary) == ("fail", "differs from stock after epoch 4")


def test_images_do_not_depend_on_the_process_that_makes_them() -> None:
    data = cifar10.synthetic(8, 1).training

    def images(epoch: int, numbers: List[int]) -> numpy.ndarray:
        made = TrainingImages(data, Normalisation.of(data), 4)
        return numpy.stack([made.image(1, epoch, number)[0] for number in numbers])

    assert (images(0, [0, 1, 2])[1:] == images(0, [1, 2])).all()
    assert (images(0, [0, 1, 2]) != images(1, [0, 1, 2])).any()
    orders = [TrainingImages(data, Normalisation.of(data), 3).order(1, epoch) for epoch in (0, 1)]
    assert [len(set(order)) for order in orders] == [6, 6]
    assert list(orders[0]) != list(orders[1])


def test_a_dropped_key_field_is_caught(built: Layout) -> None:
    layout = faulty(built, "DROP-op.alg_kind")
    plan = dataclasses.replace(training.QUICK, epochs=3)
    data = cifar10.synthetic(plan.images, plan.validation)
    cached, _, bits = training.run_plan(layout, plan, data, HOST, 1, VARIANT)
    assert (cached.outcome, cached.subject) == ("pass", "cached, synthetic")
    assert (bits.outcome, bits.summary) == ("fail", "differs from stock after epoch 1")
