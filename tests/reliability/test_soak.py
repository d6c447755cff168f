"""The soak: its shapes, its judgement, its figure, and libraries with faults that it catches."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Dict

import pytest

from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.publish.plots import soak as plot
from harness.publish.plots.source import Missing, Source
from harness.reliability import soak
from harness.reliability.record import Finding
from harness.reliability.shapes import shapes
from harness.trials.jobs import SoakJob
from harness.trials.record import save
from harness.verify.faults import VARIANT, faulty
from tests.support.bits import run_job
from tests.support.figures import outside
from tests.support.records.reliability import (
    LEVEL_MIB,
    PLAN,
    RISING_MIB,
    curve,
    soak_record,
    soaked,
)

HOST = "1.4.1"
SHORT = dataclasses.replace(soak.QUICK, shapes=220, settled=100, every=5)


def by_subject(found: Any) -> Dict[str, Finding]:
    return {each.subject: each for each in found}


def test_shapes_are_distinct_and_vary_in_everything() -> None:
    found = shapes(1, 10_000)
    assert len(set(found)) == 10_000
    assert all(len(set(sizes)) > 3 for sizes in zip(*found))
    assert shapes(1, 10_000) == found
    assert shapes(2, 100) != found[:100]
    with pytest.raises(HarnessError, match="shapes: expected 1 to 10368, found 10369"):
        shapes(1, 10_369)


def test_growth_of_memory() -> None:
    sound = soak.judge_memory(PLAN, curve("all", soak.BOUNDED), soaked())
    assert (sound.outcome, sound.summary) == ("pass", "+1.5 % from 2 to 6 shapes")
    assert sound.figures["resident_mib"] == list(LEVEL_MIB)
    grown = soak.judge_memory(PLAN, curve("all", soak.BOUNDED), soaked(RISING_MIB))
    assert grown.outcome == "fail"
    assert grown.summary == "+120.0 % from 2 to 6 shapes, expected at most 5 %"
    # What stock grows by is not the cache's.
    as_stock = soak.judge_memory(PLAN, curve("all", soak.BOUNDED), soaked(RISING_MIB), 116.0)
    assert as_stock.outcome == "pass"
    above = soak.judge_memory(PLAN, curve("all", soak.BOUNDED), soaked(RISING_MIB), 114.0)
    assert above.summary == "+120.0 % from 2 to 6 shapes, expected at most 119 %"
    # A peak between is growth too.
    assert soak.growth_percent(soaked((9, 10, 12, 10, 10, 10))["samples"], 2) == pytest.approx(20)
    assert soak.growth_percent(soaked((9, 10))["samples"], 2) is None
    # The memory of stock is recorded and not judged.
    found = soak.judge_memory(PLAN, curve("stock", soak.RELEASED), soaked(RISING_MIB, False))
    assert (found.outcome, found.subject) == ("pass", "memory, stock, as released")
    assert found.summary == "+120.0 % from 2 to 6 shapes (not judged)"
    short = soak.judge_memory(PLAN, curve("stock", soak.RELEASED), soaked(RISING_MIB[:3], False))
    assert "stopped: memory of the machine ran short" in short.summary


@pytest.mark.parametrize(
    ("counter", "value", "message"),
    (
        ("idle_primitives", 101, "101 idle primitives, expected at most 100"),
        ("idle_bytes", 1001, "1,001 bytes idle, expected at most 1,000"),
    ),
)
def test_a_bound_that_is_exceeded_once_is_noticed(counter: str, value: int, message: str) -> None:
    broken = soaked()
    broken["samples"][3][counter] = value
    found = soak.judge_memory(PLAN, curve("all", soak.BOUNDED), broken)
    assert (found.outcome, found.summary) == ("fail", message)


def test_runs_that_prove_nothing_fail() -> None:
    idle = soaked()
    idle["stats"]["totals"]["evictions"] = 0
    assert soak.judge_memory(PLAN, curve("all", soak.BOUNDED), idle).outcome == "fail"
    idle["stats"]["totals"]["primitives_avoided"] = 0
    assert soak.judge_bits(soak.BOUNDED, PLAN.shapes, HOST, 1, soaked(), idle).outcome == "fail"
    unfinite, alike = {**soaked(), "finite": False}, {**soaked(), "digests": ["0"] * 6}
    assert (
        "not finite"
        in soak.judge_bits(soak.BOUNDED, PLAN.shapes, HOST, 1, unfinite, unfinite).summary
    )
    assert (
        "equal digests" in soak.judge_bits(soak.BOUNDED, PLAN.shapes, HOST, 1, alike, alike).summary
    )
    shorter = {**soaked(), "digests": soaked()["digests"][:5]}
    assert soak.judge_bits(soak.BOUNDED, PLAN.shapes, HOST, 1, shorter, shorter).outcome == "fail"


def test_a_wrong_digest_is_told_with_its_shape() -> None:
    assert (
        soak.judge_bits(soak.BOUNDED, PLAN.shapes, HOST, 1, soaked(), soaked()).summary
        == "equal in 6 shapes"
    )
    wrong = soaked()
    wrong["digests"][2] = "0" * 15 + "9"
    found = soak.judge_bits(soak.BOUNDED, PLAN.shapes, HOST, 1, soaked(), wrong)
    assert (found.outcome, found.summary) == ("fail", "1 of 6 shapes differ from stock")
    assert found.details[1] == "differs: " + "x".join(map(str, shapes(1, 6)[2]))
    message = "worker (soak networks, host 1.4.1, all) ended with SIGSEGV\n  last line"
    for found in (
        soak.judge_memory(PLAN, curve("all", soak.BOUNDED), message),
        soak.judge_bits(soak.BOUNDED, PLAN.shapes, HOST, 1, soaked(), message),
    ):
        assert (found.outcome, found.summary) == ("fail", message.splitlines()[0])


def test_the_figure_shows_the_record(tmp_path: Path) -> None:
    path = tmp_path / "raw" / plot.RECORD
    save(soak_record(), path)
    (drawn,) = plot.draw(Source(tmp_path, None, 0.5))
    assert drawn.name == "soak-1.4.1"
    assert "stock, as released has 440 MiB after 6 shapes" in drawn.alt
    (axes,) = drawn.figure.axes
    lines = {line.get_gid(): list(line.get_ydata()) for line in axes.lines}
    assert lines == {
        "cached, bounded": list(LEVEL_MIB),
        "stock, as released": list(RISING_MIB),
    }
    assert axes.get_ylim()[0] == 0
    assert outside(drawn.figure) == []


def test_a_missing_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="no record reliability.json .*: make reliability"):
        plot.draw(Source(tmp_path, None, 0.5))
    record = soak_record().model_copy(update={"findings": []})
    save(record, tmp_path / "raw" / plot.RECORD)
    with pytest.raises(Missing, match="no soak in reliability.json"):
        plot.draw(Source(tmp_path, None, 0.5))


def test_another_host_is_skipped_with_a_word(built: Layout, tmp_path: Path) -> None:
    context = soak.Context(built, True, 1, ("1.5.1.post0",), tmp_path)
    (found,) = soak.run(context)
    assert (found.outcome, found.summary) == ("skip", "runs on 1.4.1 only")


def test_short_memory_of_the_machine_ends_it(built: Layout) -> None:
    job = SoakJob(shapes=9, sample_every=2, stop_below_bytes=2**60)
    found = run_job(job, built, HOST, "stock")
    assert [each["shapes"] for each in found["samples"]] == [2]
    assert len(found["digests"]) == 2


def test_a_sound_library_passes(built: Layout) -> None:
    found = soak.run_plan(built, SHORT, [HOST], 1)
    assert [(each.outcome, each.details) for each in found] == [("pass", [])] * 3
    bits = by_subject(found)["bits"]
    assert bits.summary == "equal in 220 shapes"


def test_a_leak_is_caught(built: Layout) -> None:
    layout = faulty(built, "LEAK_PRIMITIVE")
    found = by_subject(soak.run_plan(layout, SHORT, [HOST], 1, VARIANT))
    memory = found["memory, cached, bounded"]
    assert memory.outcome == "fail"
    assert "from 100 to 220 shapes, expected at most 1" in memory.summary
    assert found["bits"].outcome == "pass"


def test_limited_maps_keep_memory_bounded(built: Layout) -> None:
    plan = dataclasses.replace(SHORT, shapes=0, limited_hosts=(HOST,), limited=160, settled=80)
    found = soak.run_plan(built, plan, [HOST], 1)
    assert [(each.outcome, each.details) for each in found] == [("pass", [])] * 3
    assert by_subject(found)["bits, limited maps"].summary == "equal in 160 shapes"
    # A limit that is no limit.
    curve = soak.Curve(HOST, "all-maps-100000", soak.LIMITED, plan.limited)
    found = soak.judge_memory(plan, curve, soak.result_of(built, plan, curve, 1))
    assert found.outcome == "fail" and "from 80 to 160 shapes, expected at most" in found.summary


def test_a_dropped_key_field_is_caught(built: Layout) -> None:
    layout = faulty(built, "DROP-op.alg_kind")
    plan = dataclasses.replace(SHORT, shapes=20, settled=10)
    found = by_subject(soak.run_plan(layout, plan, [HOST], 1, VARIANT))
    assert found["bits"].outcome == "fail"
    assert "of 20 shapes differ from stock" in found["bits"].summary
