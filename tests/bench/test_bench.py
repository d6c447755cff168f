"""The bench command: wrong configurations and records, and small real runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Callable

import pytest

from harness.__main__ import main
from harness.base.layout import Layout
from harness.base.toml import load
from harness.bench import record as bench_record
from harness.bench import rows as table
from harness.bench.config import BenchConfig, scopes_by_host
from harness.bench.views import ratios as bench_summary
from harness.trials.jobs import ProfileJob, TrainJob
from patches.python.mkldnn_opcache.variables import CAPACITY
from tests.support.bits import result_of
from tests.support.commands import harness, harness_words, replace
from tests.support.own_builds import OwnPair
from tests.support.processes import wait_until
from tests.support.records import bench

CONFIG = """
models = ["seven-ops"]
rounds_min = 1
rounds_max = 1
seed = 1
warm_up_steps_min = 1
warm_up_steps_max = 5
timed_steps_min = 2
timed_steps_max = 2
learning_rate = 0.01
momentum = 0.9
timeout_s = 300
[scopes]
"1.3.1" = ["stock"]
[[series]]
name = "throughput"
batch_sizes = [1]
"""


def series(job: str, batch_size: int, *more: str) -> str:
    """Return the lines of a configuration for a series that is named like its job."""
    lines = ("[[series]]", f'name = "{job}"', f'job = "{job}"', f"batch_sizes = [{batch_size}]")
    return "\n".join([*lines, *more, ""])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def path(config: Path) -> Path:
    """Where `bench` writes the record."""
    return config.with_name("run.jsonl")


def run(config: Path, *options: str) -> subprocess.CompletedProcess:
    record = config.with_name("run.jsonl")
    return harness("bench", "--config", config, "--out", record, *options)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed = 1", "seed = [", "{path}: not a TOML file: "),
        ("seed = 1", "color = 1", "{path}: seed: Field required"),
        ("rate = 0.01", "rate = nan", "{path}: expected finite numbers, found nan"),
        ("rate = 0.01", "rate = inf", "{path}: expected finite numbers, found inf"),
        ('"throughput"', '"Bad Name"', "{path}: series: 0: name: String should match"),
        (
            "timed_steps_max = 2",
            "timed_steps_max = 1",
            "series throughput: timed_steps_max: expected 2 or more, found 1",
        ),
        (
            "warm_up_steps_max = 5",
            "warm_up_steps_max = 1",
            "series throughput: warm_up_steps_max: expected 2 or more, found 1",
        ),
        (
            *('name = "throughput"', 'name = "throughput"\njob = "alternate"'),
            "series throughput: expected scopes of the cache, which alternate in one process, "
            "found 'stock'",
        ),
        (
            *('["stock"]\n[[series]]', '["off"]\n[[series]]\njob = "alternate"'),
            "series throughput: expected two or more different scopes, found off",
        ),
        (
            *('models = ["seven-ops"]', 'models = ["fcn"]\ntogether = "a b"'),
            "{path}: together: String should match",
        ),
        (
            'name = "throughput"',
            'name = "throughput"\njob = "profile"\nmodels = ["fcn_resnet50_voc"]',
            "model 'fcn_resnet50_voc' is not a classifier",
        ),
        (
            "batch_sizes = [1]",
            'batch_sizes = [1]\n[[series]]\nname = "throughput"\nbatch_sizes = [2]',
            "series: expected different names, found throughput, throughput",
        ),
    ],
)
def test_wrong_configuration(
    config: Path, error_of: Callable[..., str], old: str, new: str, message: str
) -> None:
    replace(config, old, new)
    assert error_of("bench", "--config", config).startswith(message.format(path=config))


CONFIGURATIONS = ("quick", "small", "full", "gluoncv", "maps", "memory", "batch-1", "batch-32")


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_configurations_are_sound(layout: Layout, error_of: Callable[..., str], name: str) -> None:
    # The last thing that is looked at before the first process, after all of the configuration.
    path = layout.root / "configs" / f"bench-{name}.toml"
    error = error_of("bench", "--config", path, "--out", path)
    assert error.startswith((f"{path}: line 1: not JSON", "b"))
    # Otherwise a network that learns or diverges has steps of denormal numbers.
    assert load(path, BenchConfig).learning_rate == 0


def test_foreign_files_are_neither_overwritten_nor_continued(
    config: Path, path: Path, error_of: Callable[..., str], first_host: str
) -> None:
    path.write_text("precious")
    words = ("bench", "--config", config, "--out", path)
    assert error_of(*words) == f"{path}: not a file of JSON lines: no line is finished"
    assert path.read_text() == "precious"
    path.unlink()
    bench_record.create(bench.record(taken=1), path)
    before = path.read_bytes()
    assert error_of(*words).startswith("machine.compiler: recorded=none, asked=")
    assert path.read_bytes() == before


def test_killed_run_goes_on(layout: Layout, config: Path, path: Path, first_host: str) -> None:
    words = harness_words("bench", "--config", config, "--out", path, "--samples", 3)
    process = subprocess.Popen(
        words, cwd=layout.root, stderr=subprocess.DEVNULL, start_new_session=True
    )
    wait_until(
        lambda: process.poll() is not None or (path.exists() and path.read_bytes().count(b"\n") > 1)
    )
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    killed = bench_record.load(path)
    assert 1 <= len(killed.samples) < 3
    with path.open("a") as file:
        file.write('{"series":"throughput","case":{"mod')

    refused = run(config, "--samples", "2")
    assert refused.stderr == (
        "opcache: error: settings.series.0.rounds_max: recorded=3, asked=2; "
        "settings.series.0.rounds_min: recorded=3, asked=2\n"
    )

    done = run(config, "--samples", "3")
    assert done.returncode == 0, done.stderr
    count = len(killed.samples)
    assert f"opcache: continuing {path}, {count} processes in it" in done.stderr
    finished = bench_record.load(path)
    assert finished.finished[:count] == killed.finished
    assert [sample.round for sample in finished.samples] == [0, 1, 2]
    tables = path.with_suffix("")
    printed = f"{table.render(finished)}\n{bench_summary.render(finished)}\n"
    assert done.stdout == f"{printed}record: {path}, tables: {tables}\n"
    assert table.render(finished) in (tables / "bench.md").read_text()


@pytest.mark.parametrize("capacity, missing", [(1024, False), (8, True)])
def test_creations_in_timed_steps_are_reported(
    built: Layout, first_host: str, capacity: int, missing: bool
) -> None:
    """The planted fault is a small capacity: creations then fall into the timed steps."""
    job = TrainJob("seven-ops", 2, 32, warm_up_steps_min=1, warm_up_steps_max=2)
    result = result_of(job, built, first_host, "all", 2, ((CAPACITY, str(capacity)),))
    assert (len(result["warm_up_ns"]), result["still_missing"]) == (2, missing)


def test_large_networks_are_profiled_from_the_second_step(built: Layout, first_host: str) -> None:
    """MXNet's memory profiler stops a step that frees what was there before the profiler ran."""
    steps = {"warm_up_steps_min": 0, "warm_up_steps_max": 1, "timed_steps_max": 1}
    job = ProfileJob("inception-bn", 32, 224, **steps, timed_steps_min=1)
    overrides = (("MXNET_EXEC_BULK_EXEC_TRAIN", "0"),)
    result = result_of(job, built, first_host, "stock", 2, overrides)
    assert result["operators"]["_backward_Convolution"]["calls"] == 69


def test_real_run(built: Layout, config: Path, path: Path) -> None:
    created = series("created", 1, "[series.scopes]", '"1.3.1" = ["backward"]')
    config.write_text(CONFIG + series("profile", 2) + series("memory", 1) + created)
    done = run(config, "--hosts", "1.3.1", "--scopes", "stock,stock-again,backward")
    assert done.returncode == 0, done.stderr
    found = bench_record.load(path)
    variants = ["backward", "stock", "stock-again"]
    memories = [sample for sample in found.memories if sample.series == "memory"]
    for samples in (found.samples, found.profiles, memories):
        assert sorted(sample.variant for sample in samples) == variants
    shared = []
    for sample in [*found.samples, *found.profiles]:
        assert sample.finite
        assert len(sample.step_ns) == 2
        assert sample.elapsed_s * 1e9 > sum(sample.warm_up_ns) + sum(sample.step_ns)
        assert sample.cpus == found.settings.cpus
        assert sample.versions["mxnet"] == "1.3.1"
        assert sample.libraries[0].build_id == "327b74456f70bbd8c01967faac05ca0295cbf4f9"
        assert (sample.stats is None) == (sample.variant != "backward")
        shared.append({k: v for k, v in sample.environment.items() if k != "MKLDNN_OPCACHE"})
        if sample.variant == "backward":
            # Warm: nothing is created any more, so that the cache alone is timed.
            assert sample.still_missing is False
            assert sample.stats is not None
            convolution = sample.stats["operators"]["_backward_Convolution"]
            assert convolution["primitives_created"] == 0
            assert convolution["primitives_avoided"] > 0
            assert convolution["primitives_avoided"] % len(sample.step_ns) == 0
    # All variants of a series have the same settings.
    assert shared[:3] == [shared[0]] * 3
    assert shared[3:] == [{**shared[0], "MXNET_EXEC_BULK_EXEC_TRAIN": "0"}] * 3
    for profile in found.profiles:
        # The network has one of each, and each is called once in each of two steps.
        for name in ("LRN", "_backward_LRN", "BatchNorm", "_backward_BatchNorm"):
            assert profile.operators[name].calls == 2
            assert profile.operators[name].total_ms > 0
    kept = {sample.variant: sample.kept_bytes for sample in memories}
    # Primitives keep the same when they are not executed.
    created_only = [sample for sample in found.memories if sample.series == "created"]
    assert kept == {sample.variant: sample.kept_bytes for sample in created_only}
    assert kept.pop("backward") and kept == {"stock": None, "stock-again": None}
    for sample in (*found.samples, *found.profiles):
        assert sample.stats is None or sample.stats["memory"] is None
    # MXNet removes what is where its trace shall go.
    assert Path(os.devnull).is_char_device()
    tables = path.with_suffix("")
    assert "| _backward_Convolution " in (tables / "operators.md").read_text()
    assert {p.name for p in tables.iterdir()} == {
        *("bench.md", "bench.csv", "memory.csv", "operators.md", "operators.csv"),
        "bigger-machines.md",
    }


def test_alternating_scopes(built: Layout, config: Path, path: Path) -> None:
    scopes = ("[series.scopes]", '"1.4.1" = ["off", "all"]')
    alternate = series("alternate", 1, "block_s = 0", "cycles_min = 1", *scopes)
    config.write_text(CONFIG.replace('["stock"]', '["stock", "off"]') + alternate)
    done = run(config, "--samples", "2", "--scopes", "off,off-again,all")
    assert done.returncode == 0, done.stderr
    found = bench_record.load(path)
    # Fresh processes keep their comparison with stock, whatever scopes alternate.
    assert {sample.variant for sample in found.samples} == {"stock", "off"}
    for round_, sample in enumerate(found.alternates):
        assert (sample.variant, sample.round) == ("off,off-again,all", round_)
        assert len(sample.blocks) == 6 * (1 + sample.blocks[-1].cycle)
        assert sample.stats is not None and sample.stats["scope"] == "all"
        # Nothing of the cache is left in scope off; nothing is created in the other one.
        for block in sample.blocks:
            created = block.primitives_created + block.descriptors_created
            assert (created <= 2 * len(block.step_ns)) == (block.scope == "all")
    orders = [[block.scope for block in sample.blocks[:6]] for sample in found.alternates]
    assert len(orders) == 2 and all(order == order[::-1] for order in orders)
    printed, _, rest = done.stdout.partition("\n\nratio: ")
    assert printed.count("| seven-ops 32 |") == 3 and "1.3.1 off / stock" in rest


def test_two_builds(
    own_pair: OwnPair, config: Path, path: Path, capsys: pytest.CaptureFixture
) -> None:
    fresh = CONFIG.replace('["stock"]', '["stock", "all"]')
    config.write_text(fresh + series("alternate", 1, "block_s = 0", "cycles_min = 1"))
    options = ["--config", str(config), "--scopes", "off,all", "--out", str(path)]
    assert main(["bench", *own_pair.options, *options]) == 0
    found, printed = bench_record.load(path), capsys.readouterr().out
    assert {(each.host, each.variant) for each in found.finished} == {
        (own_pair.name, variant) for variant in (own_pair.against, "all", "off,all")
    }
    assert f"{own_pair.name} all / {own_pair.against}" in printed
    page = path.with_suffix("") / "bench.md"
    assert f"- {own_pair.against}: MXNet 1.3.1, commit " in page.read_text()
    for file in (path, page):
        assert own_pair.has_no_path(file)


def test_lack_of_memory_is_a_row(layout: Layout, config: Path, path: Path, first_host: str) -> None:
    # Room for a small network; VGG's largest layer alone takes 0.4 GiB four times.
    config.write_text("memory_limit_gib = 2.3\n" + CONFIG)
    done = run(config, "--models", "vgg-16,seven-ops", "--samples", "2")
    assert done.returncode == 0, done.stderr
    found = bench_record.load(path)
    assert [(f.case.model, f.reason) for f in found.failures] == [("vgg-16", "memory")]
    assert [s.case.model for s in found.samples] == ["seven-ops", "seven-ops"]
    assert any("vgg-16" in line and "no memory" in line for line in done.stdout.splitlines())
    assert str(layout.root) not in path.read_text()


def test_a_process_that_dies_is_a_row(config: Path, path: Path, first_host: str) -> None:
    config.write_text(CONFIG.replace("timeout_s = 300", "timeout_s = 0.05"))
    done = run(config, "--samples", "3")
    assert done.returncode == 1
    found = bench_record.load(path)
    # Tried again once, then given up.
    assert [(f.round, f.reason) for f in found.failures] == [(0, "died"), (0, "died")]
    assert found.failures[0].detail == (
        "worker (train seven-ops, host 1.3.1, stock) took longer than 0.05 s"
    )
    assert "|  died |" in done.stdout
    assert "1.3.1 stock: round 0: died: worker (train seven-ops" in done.stderr
    # Asked again it has nothing left to try, and still says so.
    again = run(config, "--samples", "3")
    assert (again.returncode, again.stdout) == (1, done.stdout)
    assert json.loads(path.read_text().splitlines()[-1])["type"] == "failure"


def test_scopes_are_by_host_unless_asked_for() -> None:
    configured = {"1.3.1": ("stock", "off"), "1.4.1": ("stock", "all")}
    assert scopes_by_host(configured, None, None) == configured
    assert scopes_by_host(configured, ("1.4.1",), None) == {"1.4.1": ("stock", "all")}
    assert scopes_by_host(configured, ("1.5.1",), None) == {"1.5.1": ("stock", "off")}
    assert scopes_by_host(configured, None, ("stock",)) == dict.fromkeys(configured, ("stock",))
