"""The microbench command: its tables, and runs that must prove what they ran on."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from harness.__main__ import main
from harness.base.layout import CACHE_LIBRARY, Layout
from harness.build import compiling
from harness.build.toolchain import Host, load_toolchain
from harness.microbench import command as microbench
from harness.microbench import table as microbench_table
from harness.microbench.record import load
from harness.trials.proof import NotProven
from harness.trials.record import save
from harness.verify.faults import faulty
from tests.support.commands import compile_program, harness, refusal, run
from tests.support.own_builds import OwnPair
from tests.support.records import bench
from tests.support.records.microbench import CYCLE_NS, record

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
    shown = microbench_table.render(record())
    assert shown[: len(GOLDEN)] == GOLDEN
    assert shown.splitlines()[-3:] == [
        "target met: real / hit, median over primitive kinds, at least 100x; 1.3.1: 350x",
        "target met: hit, median over primitive kinds, under 1000 ns; 1.3.1: 150 ns",
        "target missed: hits per second, 8 threads / 2 threads, not shown to be under 1.00x; "
        "1.3.1 same: 0.900x",
    ]
    # The directions of a kind count once.
    names = ["lrn_forward", "lrn_backward", "inner_product_backward_data", "sum"]
    assert [microbench_table.kind_of(name) for name in names] == [
        *("lrn", "lrn", "inner_product", "sum")
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
    assert microbench_table.targets(record(many=many))[2].startswith(
        "target met" if met else "target missed"
    )


def test_round_trip_and_foreign_records(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    save(record(), path)
    assert load(path) == record()
    content = json.loads(path.read_text())
    content["samples"][1]["cycles"]["slow"]["ns"]["repetitions"] = 2
    path.write_text(json.dumps(content))
    assert "ns: Value error, repetitions=2, values=1, found" in refusal(load, path)
    save(bench.record(), path)
    assert "expected opcache-microbench schema 1, found opcache-b" in refusal(load, path)


def test_real_run(built: Layout, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    done = harness("microbench", "--rounds", 1, "--repetitions", 2, "--out", path)
    assert done.returncode == 0, done.stderr
    found = load(path)
    assert done.stdout == f"{microbench_table.render(found)}\nrecord: {path}\n"
    toolchain = load_toolchain(built.toolchain)
    assert [(sample.host, sample.variant) for sample in found.samples] == [
        (host.version, variant)
        for host in toolchain.hosts
        for variant in CYCLE_NS
        if host.interface == 0
    ]
    for sample in found.samples:
        assert set(sample.cycles) == set(found.samples[0].cycles)
        assert len(sample.cycles) == 19
        assert all(len(cycle.ns.values) == 2 for cycle in sample.cycles.values())
        assert (sample.stats is None) == (sample.variant == "stock")
        cached = sample.variant == "preload:all"
        assert [(t.keys, t.threads) for t in sample.threads] == (
            [(keys, n) for keys in ("same", "different") for n in (1, 2, 4, 8)] if cached else []
        )


def test_the_mkldnn_of_a_build(own_pair: OwnPair, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    once = "microbench --rounds 1 --repetitions 1".split()
    assert main([*once, *own_pair.options[:2], "--out", str(path)]) == 0
    found = load(path)
    assert {sample.host for sample in found.samples} == {own_pair.name}
    assert f"{own_pair.name} libmkldnn.so.0" in found.versions
    assert str(own_pair.folders[0].parent) not in path.read_text()


@pytest.fixture(scope="session")
def program(built: Layout) -> Path:
    """The C++ benchmark, built."""
    compiling.make_microbench(built, load_toolchain(built.toolchain))
    return built.microbench


def measure(
    program: Path, layout: Layout, variant: str, preload: Optional[Path], **environment: str
) -> str:
    """Run the program itself on the first host's MKL-DNN, which must fail; return its error."""
    environment["LD_LIBRARY_PATH"] = str(layout.stock("1.3.1") / "mxnet")
    if preload is not None:
        environment["LD_PRELOAD"] = str(preload)
    done = run([program, "v0.14", variant, "1"], env=environment)
    assert (done.returncode, done.stdout) == (1, "")
    start = "microbench: error: "
    assert done.stderr.startswith(start)
    return done.stderr[len(start) :]


MISSING = "expected the libmkldnn_opcache.so, found none"


@pytest.mark.parametrize(
    ("variant", "preloaded", "variables", "message"),
    [
        ("all", False, {"MKLDNN_OPCACHE": "all"}, f"variant all: {MISSING}"),
        ("off", False, {"MKLDNN_OPCACHE": "off"}, f"variant off: {MISSING}"),
        (
            "stock",
            True,
            {"MKLDNN_OPCACHE": "off"},
            "variant stock: expected no libmkldnn_opcache.so, found it",
        ),
        ("all", True, {"MKLDNN_OPCACHE": "off"}, 'scope: expected "all", found "off"'),
        ("off", True, {"MKLDNN_OPCACHE": "all"}, 'scope: expected "off", found "all"'),
        ("all", True, {"MKLDNN_OPCACHE_CAPACITY": "0"}, "active: expected true, found false"),
    ],
)
def test_wrong_library_is_refused(
    program: Path,
    built: Layout,
    variant: str,
    preloaded: bool,
    variables: Dict[str, str],
    message: str,
) -> None:
    preload = built.library if preloaded else None
    assert measure(program, built, variant, preload, **variables) == f"{message}\n"


# Says that it caches, and does nothing.
LIAR = r"""
#include <stdio.h>
extern "C" size_t mkldnn_opcache_stats_json(char *buffer, size_t size) {
  return snprintf(buffer, size, "{\"mkldnn\": \"v0.14\", \"active\": true, \"scope\": \"all\", "
                  "\"totals\": {\"primitives_avoided\": 0, \"primitives_created\": 0}}");
}
"""


def test_library_without_hits_is_refused(program: Path, built: Layout, tmp_path: Path) -> None:
    compile_program(LIAR, tmp_path / CACHE_LIBRARY)
    error = measure(program, built, "all", tmp_path / CACHE_LIBRARY)
    assert error.startswith("convolution_forward: expected ")
    assert error.endswith(" primitives avoided and 1 created, found 0 and 0\n")


def test_wrong_result_of_rebinding_is_refused(program: Path, built: Layout) -> None:
    library = faulty(built, "SKIP_REBIND").library
    assert measure(program, built, "all", library) == "ReLU: expected 2, found 1\n"


@pytest.mark.parametrize("arguments", [[], ["v0.1", "all", "1"], ["v0.14", "al", "1"]])
def test_usage(program: Path, built: Layout, arguments: List[str]) -> None:
    environment = {**os.environ, "LD_LIBRARY_PATH": str(built.stock("1.3.1") / "mxnet")}
    done = run([program, *arguments], env=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"usage: {program} v0.14|v0.17.4|v0.19 stock|off|all REPETITIONS\n"


def test_other_mkldnn_is_not_proven(layout: Layout) -> None:
    toolchain = load_toolchain(layout.toolchain)
    host: Host = toolchain.host("1.3.1")
    other = toolchain.host("1.4.1").mkldnn_build_id
    libraries: List[Dict[str, Any]] = [{"file": "libmkldnn.so.0", "build_id": host.mkldnn_build_id}]
    microbench.check_mkldnn(host, libraries, "run")
    wrong = [{"file": "libmkldnn.so.0", "build_id": other}]
    assert refusal(microbench.check_mkldnn, host, wrong, "run", kind=NotProven) == (
        f"run: expected libmkldnn.so.0 with build-id {host.mkldnn_build_id}, found {other}"
    )
