"""The microbench command: its errors, its tables, and runs that must prove what they ran on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from harness.base.errors import HarnessError
from harness.base.layout import CACHE_LIBRARY, Layout
from harness.build import command as build
from harness.build.toolchain import Host, load_toolchain
from harness.microbench import command as microbench
from harness.microbench import record as microbench_record
from harness.microbench import table as microbench_table
from harness.trials import record
from harness.trials.proof import NotProven
from harness.verify.faults import faulty
from tests.support import synthetic

# Nanoseconds of a cycle by variant and operation, the same in every round.
CYCLE_NS = {
    "stock": {"slow": 100_000.0, "quick": 20_000.0},
    "preload:off": {"slow": 101_000.0, "quick": 20_200.0},
    "preload:all": {"slow": 200.0, "quick": 100.0},
}
HITS_PER_SECOND = {1: 5e6, 2: 10e6, 4: 10.5e6, 8: 9e6}


def command(layout: Layout, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", "microbench", *options],
        cwd=layout.root,
        capture_output=True,
        text=True,
        timeout=120,
    )


def summary(value: float) -> microbench_record.Summary:
    return microbench_record.Summary(
        values=[value], median=value, lower_quartile=value, upper_quartile=value, repetitions=1
    )


def timing(ns: float) -> microbench_record.Timing:
    return microbench_record.Timing(ns=summary(ns), iterations=10)


def made_up(
    rounds: int = 6, many: Optional[List[float]] = None
) -> microbench_record.MicrobenchRecord:
    """A record of one host; ``many`` are the hits per second of 8 threads by round."""
    asked = microbench_record.Settings(
        hosts=["1.3.1"],
        variants=list(CYCLE_NS),
        rounds=rounds,
        repetitions=1,
        threads=record.Threads(omp_num_threads=2, kmp_affinity=None, kmp_blocktime=None),
    )
    samples = []
    for round_ in range(rounds):
        hits = {**HITS_PER_SECOND, **({8: many[round_]} if many else {})}
        for index, (variant, cycles) in enumerate(CYCLE_NS.items()):
            samples.append(
                microbench_record.Sample(
                    host="1.3.1",
                    variant=variant,
                    round=round_,
                    started_utc="2000-01-01T00:00:00+00:00",
                    environment={},
                    libraries=[],
                    cycles={kind: timing(ns) for kind, ns in cycles.items()},
                    submit=microbench_record.Submit(
                        plain=timing(200 + 10 * index), rebinding=timing(210 + 15 * index)
                    ),
                    threads=[
                        microbench_record.Throughput(
                            keys="same", threads=n, hits_per_second=summary(per_second)
                        )
                        for n, per_second in hits.items()
                        if variant == "preload:all"
                    ],
                    stats=None,
                )
            )
    return microbench_record.MicrobenchRecord(
        kind=microbench_record.KIND,
        schema_version=microbench_record.SCHEMA_VERSION,
        run_id="microbench-synthetic",
        started_utc="2000-01-01T00:00:00+00:00",
        machine=synthetic.MACHINE,
        versions={},
        settings=asked,
        samples=samples,
    )


GOLDEN = """\
| cycle | MXNet | real ns | off ns | hit ns | real / hit |  95 % interval | n |
|-------|-------|---------|--------|--------|------------|----------------|---|
| slow  | 1.3.1 |  100000 | 101000 |    200 |     500.0x | 500.0 to 500.0 | 6 |
| quick | 1.3.1 |   20000 |  20200 |    100 |     200.0x | 200.0 to 200.0 | 6 |

| submit | scope | plain ns | rebinding ns | rebinding - plain | plain - stock's | rebinding - stock's | n |
|--------|-------|----------|--------------|-------------------|-----------------|---------------------|---|
| 1.3.1  | stock |      200 |          210 |               +10 |               - |                   - | 6 |
| 1.3.1  | off   |      210 |          225 |               +15 |             +10 |                 +15 | 6 |
| 1.3.1  | all   |      220 |          240 |               +20 |             +20 |                 +30 | 6 |

| keys | MXNet | threads | million hits/s | / 2 threads |  95 % interval | n |
|------|-------|---------|----------------|-------------|----------------|---|
| same | 1.3.1 |       1 |           5.00 |      0.500x | 0.500 to 0.500 | 6 |
| same | 1.3.1 |       2 |          10.00 |           - |              - | 6 |
| same | 1.3.1 |       4 |          10.50 |      1.050x | 1.050 to 1.050 | 6 |
| same | 1.3.1 |       8 |           9.00 |      0.900x | 0.900 to 0.900 | 6 |
"""  # noqa: E501


def test_golden_tables() -> None:
    shown = microbench_table.render(made_up())
    assert shown[: len(GOLDEN)] == GOLDEN
    assert shown.splitlines()[-3:] == [
        "target met: real / hit, median over primitive kinds, at least 100x; 1.3.1: 350x",
        "target met: hit, median over primitive kinds, under 1000 ns; 1.3.1: 150 ns",
        "target missed: hits per second, 8 threads / 2 threads, not shown to be under 1.00x; "
        "1.3.1 same: 0.900x",
    ]


@pytest.mark.parametrize(
    ("many", "met"),
    [
        ([10.1e6] * 6, True),
        ([9e6, 9.5e6, 9.9e6, 10.1e6, 10.2e6, 10.3e6], True),
        ([9e6, 9.5e6, 9.6e6, 9.7e6, 9.8e6, 9.9e6], False),
    ],
)
def test_threads_target_allows_for_noise(many: List[float], met: bool) -> None:
    assert microbench_table.targets(made_up(many=many))[2].startswith(
        "target met" if met else "target missed"
    )


def test_directions_of_a_kind_count_once() -> None:
    names = ["lrn_forward", "lrn_backward", "inner_product_backward_data", "sum"]
    assert [microbench_table.kind_of(name) for name in names] == [
        *("lrn", "lrn", "inner_product", "sum")
    ]


def test_round_trip_and_foreign_records(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    record.save(made_up(), path)
    assert microbench_record.load(path) == made_up()
    content = json.loads(path.read_text())
    content["samples"][1]["cycles"]["slow"]["ns"]["repetitions"] = 2
    path.write_text(json.dumps(content))
    with pytest.raises(HarnessError, match="ns: Value error, repetitions=2, values=1, found"):
        microbench_record.load(path)
    record.save(synthetic.bench_record(), path)
    with pytest.raises(HarnessError, match="expected opcache-microbench schema 1, found opcache-b"):
        microbench_record.load(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--hosts", "1.9.9"), "unknown host '1.9.9': expected one of 1.3.1, 1.4.1, 1.5.1.post0"),
        (
            ("--hosts", "1.3.1,1.3.1"),
            "--hosts: expected different words separated by commas: '1.3.1,1.3.1'",
        ),
        (("--repetitions", "0"), "--repetitions: expected a positive integer, found '0'"),
        (("--rounds", "-1"), "--rounds: expected a positive integer, found '-1'"),
        (("--out", "pyproject.toml"), "pyproject.toml exists: choose another --out"),
    ],
)
def test_wrong_options_are_one_line(layout: Layout, options: List[str], message: str) -> None:
    done = command(layout, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"opcache: error: {message}\n"


def test_real_run(built: Layout, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    done = command(built, "--rounds", "1", "--repetitions", "2", "--out", str(path))
    assert done.returncode == 0, done.stderr
    run = microbench_record.load(path)
    assert done.stdout == f"{microbench_table.render(run)}\nrecord: {path}\n"
    toolchain = load_toolchain(built.toolchain)
    assert [(sample.host, sample.variant) for sample in run.samples] == [
        (host.version, variant) for host in toolchain.hosts for variant in CYCLE_NS
    ]
    for sample in run.samples:
        assert set(sample.cycles) == set(run.samples[0].cycles)
        assert len(sample.cycles) == 19
        assert all(len(cycle.ns.values) == 2 for cycle in sample.cycles.values())
        assert (sample.stats is None) == (sample.variant == "stock")
        cached = sample.variant == "preload:all"
        assert [(t.keys, t.threads) for t in sample.threads] == (
            [(keys, n) for keys in ("same", "different") for n in (1, 2, 4, 8)] if cached else []
        )


@pytest.fixture(scope="session")
def program(built: Layout) -> Path:
    """The C++ benchmark, built."""
    build.make_microbench(built, load_toolchain(built.toolchain))
    return built.microbench


def measure(
    program: Path, layout: Layout, variant: str, preload: Optional[Path], **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the program itself on the first host's MKL-DNN."""
    environment["LD_LIBRARY_PATH"] = str(layout.stock("1.3.1") / "mxnet")
    if preload is not None:
        environment["LD_PRELOAD"] = str(preload)
    return subprocess.run(
        [str(program), "v0.14", variant, "1"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("variant", "preloaded", "scope", "message"),
    [
        ("all", False, "all", "variant all: expected the libmkldnn_opcache.so, found none"),
        ("off", False, "off", "variant off: expected the libmkldnn_opcache.so, found none"),
        ("stock", True, "off", "variant stock: expected no libmkldnn_opcache.so, found it"),
        ("all", True, "off", 'scope: expected "all", found "off"'),
        ("off", True, "all", 'scope: expected "off", found "all"'),
    ],
)
def test_wrong_library_is_refused(
    program: Path, built: Layout, variant: str, preloaded: bool, scope: str, message: str
) -> None:
    preload = built.library if preloaded else None
    done = measure(program, built, variant, preload, MKLDNN_OPCACHE=scope)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"microbench: error: {message}\n"


def test_switched_off_by_capacity_is_refused(program: Path, built: Layout) -> None:
    done = measure(program, built, "all", built.library, MKLDNN_OPCACHE_CAPACITY="0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "microbench: error: active: expected true, found false\n"


# Says that it caches, and does nothing.
LIAR = r"""
#include <stdio.h>
size_t mkldnn_opcache_stats_json(char *buffer, size_t size) {
  return snprintf(buffer, size, "{\"mkldnn\": \"v0.14\", \"active\": true, \"scope\": \"all\", "
                  "\"totals\": {\"primitives_avoided\": 0, \"primitives_created\": 0}}");
}
"""


def test_library_without_hits_is_refused(program: Path, built: Layout, tmp_path: Path) -> None:
    source, library = tmp_path / "liar.c", tmp_path / CACHE_LIBRARY
    source.write_text(LIAR)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    done = measure(program, built, "all", library)
    assert (done.returncode, done.stdout) == (1, "")
    start = "microbench: error: convolution_forward: expected "
    assert done.stderr.startswith(start)
    assert done.stderr.endswith(" primitives avoided and 1 created, found 0 and 0\n")


def test_wrong_result_of_rebinding_is_refused(program: Path, built: Layout) -> None:
    done = measure(program, built, "all", faulty(built, "SKIP_REBIND").library)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "microbench: error: ReLU: expected 2, found 1\n"


@pytest.mark.parametrize("arguments", [[], ["v0.1", "all", "1"], ["v0.14", "al", "1"]])
def test_usage(program: Path, built: Layout, arguments: List[str]) -> None:
    environment = {**os.environ, "LD_LIBRARY_PATH": str(built.stock("1.3.1") / "mxnet")}
    done = subprocess.run(
        [str(program), *arguments], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"usage: {program} v0.14|v0.17.4|v0.19 stock|off|all REPETITIONS\n"


def test_other_mkldnn_is_not_proven(layout: Layout) -> None:
    toolchain = load_toolchain(layout.toolchain)
    host: Host = toolchain.host("1.3.1")
    other = toolchain.host("1.4.1").mkldnn_build_id
    libraries: List[Dict[str, Any]] = [{"file": "libmkldnn.so.0", "build_id": host.mkldnn_build_id}]
    microbench.check_mkldnn(host, libraries, "run")
    with pytest.raises(NotProven) as caught:
        microbench.check_mkldnn(host, [{"file": "libmkldnn.so.0", "build_id": other}], "run")
    assert str(caught.value) == (
        f"run: expected libmkldnn.so.0 with build-id {host.mkldnn_build_id}, found {other}"
    )
