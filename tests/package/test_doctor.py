"""The doctor with real interpreters and MXNets, and what it makes of facts that are not at hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy
import pytest
import scipy.stats
from mkldnn_opcache import Error, doctor, doctor_rules, probe, run
from mkldnn_opcache.doctor_rules import Finding
from mkldnn_opcache.probe import ProbeSample
from pytest import MonkeyPatch

from harness.base import statistics
from harness.base.layout import Layout, here
from harness.build.toolchain import load_toolchain
from tests.conftest import every_host
from tests.support import own_builds
from tests.support.commands import clean_environment, harness, refusal
from tests.support.records import bench

TOOLCHAIN = load_toolchain(here().toolchain)


def examine(path: Path, *options: object, **variables: object) -> subprocess.CompletedProcess:
    """Run the doctor on this interpreter with ``path`` before its own packages."""
    environment = clean_environment(PYTHONPATH=path, **variables)
    return harness("doctor", "--python", sys.executable, *options, env=environment)


def line_of(output: str, subject: str) -> str:
    """Return the first line about a subject, with single blanks."""
    lines = [" ".join(line.split()) for line in output.splitlines()]
    return next(line for line in lines if line.split()[1] == subject)


# Real MXNets.


@every_host
def test_stock_mxnet(built: Layout, host: str, tmp_path: Path) -> None:
    stock, file = built.stock(host), tmp_path / "doctor.json"
    done = examine(stock, "--no-probe", "--json", file, OMP_NUM_THREADS=1)
    assert done.returncode == 0, done.stdout + done.stderr
    expected = TOOLCHAIN.host(host)
    assert line_of(done.stdout, "python").startswith("ok python Python 3.")
    assert line_of(done.stdout, "mxnet").startswith(
        f"ok mxnet MXNet {host.split('.post')[0]}, {stock}/mxnet, NumPy"
    )
    assert line_of(done.stdout, "mkl-dnn") == (
        f"ok mkl-dnn {expected.mkldnn}, as released with MXNet {host} ({expected.mkldnn_build_id})"
    )
    assert line_of(done.stdout, "cache") == (
        "warning cache not in this MXNet; opcache run -- COMMAND runs a command with it, opcache "
        "enable adds it"
    )
    assert "OMP_NUM_THREADS=1; OpenMP threads: 1, " in line_of(done.stdout, "threads")
    kept = json.loads(file.read_text())
    assert (kept["kind"], kept["schema_version"]) == ("opcache-doctor", 1)
    printed = [line.split()[:2] for line in done.stdout.splitlines()[:-1]]
    assert printed == [[found["status"], found["subject"]] for found in kept["findings"]]
    assert kept["imported"]["omp_max_threads"] == 1 and kept["probe"] == []


def test_patched_or_preloaded_mxnet(built: Layout, first_host: str) -> None:
    done = examine(built.patched(first_host), "--no-probe")
    assert done.returncode == 0
    assert line_of(done.stdout, "cache") == "ok cache in this MXNet (patched)"
    done = examine(built.stock(first_host), "--no-probe", LD_PRELOAD=built.library)
    assert line_of(done.stdout, "cache") == f"ok cache preloaded: {built.library}"


def test_cache_inside_libmxnet(built: Layout) -> None:
    """Without a library to preload, and with an MKL-DNN that only the headers tell."""
    own = own_builds.make(built, "1.4.1", "headers")
    words = ("doctor", "--mxnet", own, "--no-probe", "--library", "/no/lib.so")
    done = harness(*words, env=clean_environment())
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.startswith("opcache: own-1.4.1-") and done.stderr.count("\n") == 1
    assert line_of(done.stdout, "cache") == "ok cache inside libmxnet.so (source patch)"
    assert line_of(done.stdout, "mkl-dnn") == (
        f"ok mkl-dnn v0.17.4, as the headers say that libmxnet.so was built with ({'0' * 40})"
    )
    environment = clean_environment(PYTHONPATH=own, OMP_NUM_THREADS=1)
    off, on = probe.run(sys.executable, environment, budget_s=0, timeout_s=90)
    assert on.counters["active"] and not off.counters["active"]


def probed(layout: Layout, host: str) -> Dict[str, str]:
    """Return the environment of a probe: the library preloaded under a stock MXNet."""
    outer = clean_environment(PYTHONPATH=layout.stock(host), OMP_NUM_THREADS=1)
    return run.preloaded(str(layout.library), outer, {})


def test_probe(built: Layout, first_host: str) -> None:
    environment = probed(built, first_host)
    off, on = probe.run(sys.executable, environment, budget_s=0, timeout_s=90)
    assert (off.scope, on.scope) == probe.SCOPES
    assert not off.counters["active"] and off.counters["totals"]["primitives_avoided"] == 0
    assert 0 < probe.creating(off) < 1
    assert on.counters["active"] and on.counters["totals"]["primitives_created"] == 0
    creation, ratio = probe.findings([off, on])
    assert creation.text.startswith("without the cache creation takes ")
    assert ratio.status == "warning" and "pairs: 1): too few to tell" in ratio.text


def test_probe_that_fails_is_one_line(built: Layout, first_host: str) -> None:
    environment = {**probed(built, first_host), "MXNET_ENGINE_TYPE": "None"}
    said = refusal(probe.run, sys.executable, environment, kind=Error)
    assert "\n" not in said and "a process ended with" in said


# Made-up packages, which are really imported.


def package(folder: Path, init: str = "", version: str = "1.3.1") -> Path:
    (folder / "mxnet").mkdir()
    (folder / "mxnet" / "__init__.py").write_text(f'__version__ = "{version}"\n{init}')
    (folder / "mxnet" / "libinfo.py").write_text(f'"""No import."""\n__version__ = "{version}"\n')
    (folder / f"mxnet-{version}.dist-info").mkdir()
    return folder


def test_no_mxnet(tmp_path: Path) -> None:
    (tmp_path / "mxnet").mkdir()  # a folder of that name is no package
    done = examine(tmp_path)
    assert done.returncode == 1
    assert line_of(done.stdout, "mxnet").startswith(
        "problem mxnet none in this interpreter: pip install mxnet-mkl==1.3.1"
    )


def test_mxnet_without_or_with_a_damaged_mkldnn(tmp_path: Path) -> None:
    done = examine(package(tmp_path))
    assert done.returncode == 1 and " cache " not in done.stdout.replace("to cache", "")
    assert line_of(done.stdout, "mkl-dnn") == (
        "problem mkl-dnn this MXNet has no libmkldnn.so.0 or libmkldnn.so.1 (mxnet-1.3.1): the "
        "package with MKL-DNN is mxnet-mkl, and there is nothing to cache without"
    )
    (tmp_path / "mxnet" / "__init__.py").write_text("raise OSError('file too short')")
    (tmp_path / "mxnet" / "libmkldnn.so.0").touch()
    done = examine(tmp_path)
    assert done.returncode == 1
    assert line_of(done.stdout, "mkl-dnn").startswith("problem mkl-dnn build-id None is not one")


@pytest.mark.parametrize("version", ["1.7.0", "1.9.1", "2.0.0b1", "1.10"])
def test_newer_mxnet_is_not_served(tmp_path: Path, version: str) -> None:
    done = examine(package(tmp_path, version=version))
    assert done.returncode == 1
    assert line_of(done.stdout, "mkl-dnn").startswith("problem mkl-dnn not served: from 1.7 on")
    assert "probe" not in done.stdout


@pytest.mark.parametrize(
    ("init", "text"),
    [
        (
            "raise AttributeError(\"module 'numpy' has no attribute 'bool'.\\nAnd more.\")",
            "module 'numpy' has no attribute 'bool'.; opcache run --compat and",
        ),
        ("import no_such_module", "No module named 'no_such_module'; install it into this"),
        ("import os; os.abort()", "ended with signal 6 (SIGABRT)"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        # The harness imports its own pydantic and numpy, not the damaged ones beside this MXNet.
        ("", "ImportError: of another Python"),
    ],
)
def test_mxnet_that_cannot_be_imported(tmp_path: Path, init: str, text: str) -> None:
    for name in () if init else ("pydantic.py", "numpy.py"):
        (tmp_path / name).write_text("raise ImportError('of another Python')\n")
    done = examine(package(tmp_path, init))
    assert done.returncode == 1
    line = line_of(done.stdout, "mxnet")
    assert line.startswith(f"problem mxnet MXNet 1.3.1, {tmp_path}/mxnet, cannot be imported: ")
    assert text in line


def test_record_that_cannot_be_written(tmp_path: Path) -> None:
    done = examine(package(tmp_path, "", "1.7.0"), "--json", "/dev/null/x")
    assert done.returncode == 2
    assert done.stderr == "opcache: error: --json /dev/null/x: Not a directory\n"


# Facts that this machine does not have.


def statuses(found: List[Finding]) -> List[str]:
    return [f"{finding.status}: {finding.text}" for finding in found]


@pytest.mark.parametrize(
    ("python", "bits", "status"),
    [("2.7.18", 64, "ok"), ("2.6.9", 64, "problem"), ("3.4.10", 64, "problem")]
    + [("3.5.2", 64, "ok"), ("3.11.0rc1", 64, "ok"), ("3.8.0", 32, "problem")],
)
def test_interpreters(python: str, bits: int, status: str) -> None:
    look = {"python": python, "executable": "/python", "bits": bits}
    assert doctor_rules.interpreter(look).status == status


LOOK = {"mxnet": {"folder": "/m", "version": "1.4.1", "packages": [], "libraries": []}}
LOADED = {"version": "1.4.1", "libraries": ["/m/libmkldnn.so.0"], "numpy": "1.19.5"}


@pytest.mark.parametrize(
    ("assumed", "status", "text"),
    [
        ({}, "problem", "build-id 00 is not one that the cache knows (v0.14 of MXNet 1.3.1, "),
        ({"MKLDNN_OPCACHE_ASSUME": "v0.17.4"}, "ok", "taken for v0.17.4, as MKLDNN_OPCACHE_ASSUME"),
        ({"MKLDNN_OPCACHE_ASSUME": "0.17.4"}, "problem", "build-id 00 is not one"),
    ],
)
def test_own_mkldnn(assumed: Dict[str, str], status: str, text: str) -> None:
    found = doctor_rules.mkldnn(LOOK, LOADED, "00", assumed)
    assert found.status == status and found.text.startswith(text)


def test_absent_library_is_a_problem() -> None:
    assert statuses([doctor_rules.cache(LOOK, LOADED, "/no/lib.so")]) == [
        "problem: no library at /no/lib.so: install the wheel mkldnn_opcache"
    ]


@pytest.mark.parametrize(
    ("flags", "status", "text"),
    [
        ("sse4_1 avx avx2 avx512f avx512bw avx512dq avx512vl", "ok", "AVX-512 and AVX2"),
        ("sse4_1 avx avx2 avx512f", "ok", "AVX2, no AVX-512"),
        ("sse4_1 avx", "warning", "MKL-DNN is fast from AVX2 on, this processor has avx"),
        ("", "warning", "MKL-DNN is fast from AVX2 on, this processor has none of its kinds"),
    ],
)
def test_cpu(flags: str, status: str, text: str) -> None:
    assert statuses([doctor_rules.cpu(flags.split())]) == [f"{status}: {text}"]


HALF = "physical cores: 4 (unset, MXNet takes half of the logical CPUs)"
TRY_4 = "try OMP_NUM_THREADS=4"


@pytest.mark.parametrize(
    ("asked", "found", "first"),
    [
        ("4", 4, "ok: OMP_NUM_THREADS=4; OpenMP threads: 4, physical cores: 4"),
        (None, 2, f"warning: OMP_NUM_THREADS is not set; OpenMP threads: 2, {HALF}; {TRY_4}"),
        ("8", 8, f"warning: OMP_NUM_THREADS=8; OpenMP threads: 8, physical cores: 4; {TRY_4}"),
        ("many", 4, "problem: OMP_NUM_THREADS=many: expected a number"),
        ("4,2", 4, "ok: OMP_NUM_THREADS=4,2; OpenMP threads: 4, physical cores: 4"),
        (None, 0, "ok: OMP_NUM_THREADS is not set; physical cores: 4"),
    ],
)
def test_threads(asked: Optional[str], found: int, first: str) -> None:
    environment = {"OMP_NUM_THREADS": asked} if asked else {}
    lines = statuses(doctor_rules.threads({"omp_max_threads": found}, environment, 4))
    assert lines == [first, "ok: KMP_AFFINITY is not set", "ok: KMP_BLOCKTIME is not set"]


@pytest.mark.parametrize(
    ("value", "found", "status"), [("0", 2, "warning"), ("0", 1, "ok"), ("200", 2, "ok")]
)
def test_threads_that_sleep_at_once_are_slow(value: str, found: int, status: str) -> None:
    environment = {"KMP_BLOCKTIME": value}
    line = statuses(doctor_rules.threads({"omp_max_threads": found}, environment, found))[-1]
    assert line.startswith(f"{status}: KMP_BLOCKTIME={value}")


def test_two_speeds_of_sgd_are_named_on_amd() -> None:
    setting = "MALLOC_ARENA_MAX=1 MALLOC_MMAP_MAX_=0"
    assert doctor_rules.allocator("GenuineIntel", {}) == []
    assert statuses(doctor_rules.allocator("AuthenticAMD", {})) == [
        f"ok: on this AMD processor SGD may be slow in some processes; {setting} prevents it"
    ]
    found = doctor_rules.allocator("AuthenticAMD", {"MALLOC_MMAP_MAX_": "0"})
    assert statuses(found) == ["ok: MALLOC_MMAP_MAX_=0"]


@pytest.mark.parametrize(
    ("environment", "status", "part"),
    [
        ({}, "ok", "MXNET_ENGINE_TYPE is not set"),
        ({"MXNET_ENGINE_TYPE": "NaiveEngine"}, "warning", "for debugging"),
        ({"MXNET_ENGINE_TYPE": "Naive"}, "problem", "found 'Naive'"),
        ({"MXNET_CPU_WORKER_NTHREADS": "2"}, "ok", "MXNET_ENGINE_TYPE"),
        ({"MXNET_CPU_WORKER_NTHREADS": "3"}, "warning", "more than the 4 physical cores carry"),
        ({"MXNET_CPU_WORKER_NTHREADS": "0"}, "problem", "expected a number from 1 on, found '0'"),
        ({"MXNET_MKLDNN_ENABLED": "0"}, "problem", "keeps MXNet from using MKL-DNN"),
    ],
)
def test_engine(environment: Dict[str, str], status: str, part: str) -> None:
    found = doctor_rules.engine(environment, omp_threads=2, cores=4)
    assert doctor_rules.worst(found) == found[-1].status == status
    assert part in found[-1].text


@pytest.mark.parametrize(
    ("version", "value", "status", "part"),
    [
        ("1.3.1", None, "ok", "reads no MXNET_MKLDNN_CACHE_NUM; where shapes vary, memory grows"),
        ("1.4.1", None, "ok", "where shapes vary, opcache run --bounded -- COMMAND keeps memory"),
        ("1.6.0", "-1", "ok", "MXNET_MKLDNN_CACHE_NUM=-1: MXNet keeps the primitives of every"),
        ("1.4.1", "16", "ok", "MXNET_MKLDNN_CACHE_NUM=16 limits each of MXNet's maps"),
        ("1.4.1", "-2", "problem", "MXNET_MKLDNN_CACHE_NUM=-2: expected -1 or a number from 0 on"),
    ],
)
def test_maps(version: str, value: Optional[str], status: str, part: str) -> None:
    environment = {"MXNET_MKLDNN_CACHE_NUM": value} if value else {}
    found = doctor_rules.maps(LOOK, {"version": version}, environment)
    assert found.status == status and part in found.text


@pytest.mark.parametrize(
    ("value", "warned"), [("1", True), ("2", True), ("0", False), ("", False), ("false", False)]
)
@pytest.mark.parametrize("name", ["MKLDNN_VERBOSE", "MXNET_MKLDNN_DEBUG"])
def test_debugging_left_on(name: str, value: str, warned: bool) -> None:
    found = doctor_rules.debugging({name: value})
    assert [finding.status for finding in found] == (["warning"] if warned else [])


@pytest.mark.parametrize(
    ("environment", "status", "part"),
    [
        ({}, "ok", "none set: scope all, capacity 4096, memory 1G as estimated"),
        ({"MKLDNN_OPCACHE": "convolution,reorder"}, "ok", "MKLDNN_OPCACHE=convolution,reorder"),
        ({"MKLDNN_OPCACHE": "off"}, "warning", "MKLDNN_OPCACHE=off turns the cache off"),
        ({"MKLDNN_OPCACHE_CAPACITY": "0"}, "warning", "turns the cache off"),
        ({"MKLDNN_OPCACHE": "convolutoin"}, "problem", "unknown scope 'convolutoin'"),
        ({"MKLDNN_OPCACHE_CAPACITY": "-1"}, "problem", "found '-1'"),
        ({"MKLDNN_OPCACHE_MEMORY": "512M"}, "ok", "MKLDNN_OPCACHE_MEMORY=512M"),
        ({"MKLDNN_OPCACHE_MEMORY": "0"}, "warning", "turns the cache off"),
        ({"MKLDNN_OPCACHE_MEMORY": "0x10"}, "problem", "found '0x10'"),
        ({"MKLDNN_OPCACHE_MEMORY": "2097153G"}, "problem", "found '2097153G'"),
        ({"MKLDNN_OPCACHE_MEMORY_ESTIMATE": "0"}, "ok", "MKLDNN_OPCACHE_MEMORY_ESTIMATE=0"),
        ({"MKLDNN_OPCACHE_MEMORY_ESTIMATE": "x"}, "problem", "found 'x'"),
        ({"MKLDNN_OPCACHE_TRIAL": "0"}, "ok", "MKLDNN_OPCACHE_TRIAL=0"),
        ({"MKLDNN_OPCACHE_TRIAL": "64K"}, "problem", "from 0 to 1073741824, found '64K'"),
        ({"MKLDNN_OPCACHE_SHADOW": "2"}, "problem", "expected a share from 0 to 1, found '2'"),
        ({"MKLDNN_OPCACHE_SHADOW": "0.5"}, "ok", "MKLDNN_OPCACHE_SHADOW=0.5"),
        ({"MKLDNN_OPCACHE_STATS": "/dev/null/x"}, "problem", "/dev/null is not a folder"),
        ({"MKLDNN_OPCACHE_ASSUME": "v9"}, "problem", "found 'v9'"),
        ({"MKLDNN_OPCACHE_CAPACTIY": "1"}, "warning", "MKLDNN_OPCACHE_CAPACTIY is not one of"),
        ({"MKLDNN_OPCACHE_STATS": "stderr"}, "ok", "MKLDNN_OPCACHE_STATS=stderr"),
    ],
)
def test_options(environment: Dict[str, str], status: str, part: str) -> None:
    (found,) = doctor_rules.options(environment)
    assert found.status == status and part in found.text


def sample(scope: str, round_: int, step_ms: int, **fields: Any) -> ProbeSample:
    counters = bench.cache_stats(scope, 0 if scope == "off" else 9, create_ns=10_000_000)
    step_ns, counters = [step_ms * 1_000_000], {**counters, **fields}
    return ProbeSample(scope=scope, round=round_, step_ns=step_ns, counters=counters)


def samples(all_ms: List[int]) -> List[ProbeSample]:
    off = [sample("off", n, 50) for n in range(len(all_ms))]
    return off + [sample("all", n, step_ms) for n, step_ms in enumerate(all_ms)]


@pytest.mark.parametrize(
    ("all_ms", "status", "text"),
    [
        ([25, 25, 20] * 2, "ok", "2.00 times as fast (2.00 to 2.50, pairs: 6); larger images"),
        ([50, 48, 52] * 2, "warning", "pairs: 6): no gain was shown"),
        ([25], "warning", "2.00 times as fast (spread unknown, pairs: 1): too few to tell"),
        ([25] * 5, "warning", "2.00 times as fast (2.00 to 2.00, pairs: 5): too few to tell"),
    ],
)
def test_findings_of_the_probe(all_ms: List[int], status: str, text: str) -> None:
    creation, ratio = probe.findings(samples(all_ms))
    # 10 ms creating and 5 ms destroying in 50 ms.
    assert "creation takes 30% of a step (" in creation.text
    assert ratio.status == status and text in ratio.text


def test_interval_of_a_median() -> None:
    """As wide as it must be, and no narrower than the harness's own of the same values."""
    for number in range(1, 60):
        values = list(numpy.random.default_rng(number).lognormal(size=number))
        assert probe.median(values) == pytest.approx(statistics.median(values))
        found, ordered = probe.median_interval(values), sorted(values)
        if found is None:
            assert number < statistics.ENOUGH_PAIRS
            continue
        below = ordered.index(found[0]) + 1  # the interval begins at this order statistic
        assert found == (ordered[below - 1], ordered[-below])
        outside = [2 * scipy.stats.binom.cdf(k, number, 0.5) for k in (below - 1, below)]
        assert outside[0] <= 1 - statistics.CONFIDENCE < outside[1]
        bootstrap = statistics.median_interval(values)
        assert bootstrap is not None
        assert ordered[max(below - 3, 0)] <= bootstrap[0] <= ordered[below + 1]


def test_a_probe_without_the_cache_says_nothing_of_speed() -> None:
    idle = [sample("off", 0, 50), sample("all", 0, 25, active=False)]
    assert statuses(probe.findings(idle)) == [
        "warning: the cache was not active in the probe's processes"
    ]


def test_probe_that_takes_too_long_is_one_line(tmp_path: Path) -> None:
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 30\n")
    slow.chmod(0o755)
    with pytest.raises(Error, match=r"a process took longer than 0\.1 s"):
        probe.run(str(slow), {}, timeout_s=0.1)


def test_rounds_stay_within_the_budget(monkeypatch: MonkeyPatch) -> None:
    now = [0.0]

    def taken(python: str, environment: Dict[str, str], timeout_s: float) -> Dict[str, Any]:
        now[0] += 4.0
        return {"step_ns": [1], "counters": {}}

    monkeypatch.setattr(probe, "_sample", taken)
    found = probe.run("python", {}, budget_s=30, clock=lambda: now[0])
    assert now[0] == 24 and [s.scope for s in found] == ["off", "all", "all", "off", "off", "all"]


def test_a_terminal_gets_columns() -> None:
    found = [doctor_rules.problem("mxnet", "a text [with brackets] that is " + "long " * 20)]
    shown = doctor.lines(found, width=60)
    assert "\x1b[1;31mproblem\x1b[0m" in shown[0] and "[with brackets]" in shown[0]
    assert len(shown) > 1 and all(line.startswith(" " * 16) for line in shown[1:])
