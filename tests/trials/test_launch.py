"""Workers: the environment they get, the proof they owe, and how they fail."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.trials import environment, launch, proof, variants
from harness.trials.jobs import HashJob, Job, OperatorsJob
from harness.trials.record import Threads, threads
from tests.support.commands import refusal, run
from tests.support.records import bench

TINY = HashJob(model="seven-ops", batch_size=1, image_size=16, steps=2)


def work(
    layout: Layout,
    host: str,
    word: str = "stock",
    job: Job = TINY,
    timeout_s: float = 60,
    **overrides: str,
) -> Dict[str, Any]:
    variant = variants.parse_variant(word)
    return launch.run_worker(job, layout, host, variant, threads(2), timeout_s, overrides)


@pytest.mark.parametrize(
    ("word", "scope", "preload"),
    [
        ("stock", None, False),
        ("off", "off", False),
        ("backward", "backward", False),
        ("convolution+pooling", "convolution,pooling", False),
        ("preload:all", "all", True),
    ],
)
def test_variants(word: str, scope: Optional[str], preload: bool) -> None:
    assert variants.parse_variant(word) == variants.Variant(word, scope, preload)


@pytest.mark.parametrize(
    "word", ["", "bakward", "preload:stock", "all+pooling", "lrn+", "lrn,", "off-maps-1-maps-2"]
)
def test_unknown_variants_are_named(word: str) -> None:
    with pytest.raises(HarnessError, match="unknown scope '.*': expected stock, off, backward"):
        variants.parse_variant(word)


def test_variants_differ_in_the_cache_only() -> None:
    asked = Threads(omp_num_threads=3, kmp_affinity="compact", kmp_blocktime="0")
    overrides = {"MKLDNN_OPCACHE_CAPACITY": "7", "MXNET_ENGINE_TYPE": "NaiveEngine"}
    stock = environment.settings(variants.parse_variant("stock"), asked, overrides)
    cached = environment.settings(variants.parse_variant("backward"), asked, overrides)
    assert stock == {
        "OMP_NUM_THREADS": "3",
        "KMP_AFFINITY": "compact",
        "KMP_BLOCKTIME": "0",
        "MXNET_ENGINE_TYPE": "NaiveEngine",
    }
    cache = {"MKLDNN_OPCACHE": "backward", "MKLDNN_OPCACHE_CAPACITY": "7"}
    assert cached == {**stock, **cache}
    for word in ("stock", "backward"):
        limited = variants.parse_variant(f"{word}-maps-16")
        assert dataclasses.replace(limited, name=word, maps=None) == variants.parse_variant(word)
        found = environment.settings(limited, asked, overrides)
        assert found.pop("MXNET_MKLDNN_CACHE_NUM") == "16"
        assert found == (stock if word == "stock" else cached)


def result(libraries: List[str], stats: Optional[Dict[str, Any]]) -> Dict[str, Any]:
    return {"libraries": [{"file": file, "build_id": None} for file in libraries], "stats": stats}


OURS = "libmkldnn_opcache.so"
REAL, BOTH = ["libmkldnn.so.0"], ["libmkldnn.so.0", OURS]
OFF, BACKWARD = bench.cache_stats("off", 0), bench.cache_stats("backward", 5)
MIXED = "expected scope backward and active True, found scope"


@pytest.mark.parametrize(
    ("word", "libraries", "stats", "message"),
    [
        ("stock", REAL, None, ""),
        ("off", BOTH, OFF, ""),
        ("backward", BOTH, BACKWARD, ""),
        ("lrn+pooling", BOTH, bench.cache_stats("pooling,lrn", 5), ""),
        ("stock", BOTH, OFF, f"expected no {OURS} in a stock process, found {', '.join(BOTH)}"),
        ("backward", REAL, None, f"expected scope backward of {OURS}, found libmkldnn.so.0"),
        ("off", [], None, f"expected scope off of {OURS}, found no MKL-DNN"),
        ("backward", BOTH, OFF, f"{MIXED} off and active False"),
        ("backward", BOTH, bench.cache_stats("all", 5), f"{MIXED} all and active True"),
        ("backward", BOTH, {**BACKWARD, "active": False}, f"{MIXED} backward and active False"),
        (
            *("off", BOTH, {**OFF, "recognised": False}),
            f"expected an MKL-DNN that {OURS} recognises, found build-id 00",
        ),
        ("backward", BOTH, bench.cache_stats("backward", 0), "expected creations avoided, found 0"),
        ("off", BOTH, bench.cache_stats("off", 1), "expected no creations avoided, found 2"),
    ],
)
def test_proof(
    word: str, libraries: List[str], stats: Optional[Dict[str, Any]], message: str
) -> None:
    arguments = (variants.parse_variant(word), result(libraries, stats), True, "worker")
    if message:
        message = f"worker: {message}"
        assert refusal(proof.check_proof, *arguments, kind=proof.NotProven) == message
    else:
        proof.check_proof(*arguments)


def test_each_block_of_an_alternating_process_is_proven() -> None:
    def refused(off: int, backward: int) -> str:
        counted = (("off-again", off), ("backward", backward))
        blocks = [
            {"scope": scope, "primitives_avoided": 0, "descriptors_avoided": avoided}
            for scope, avoided in counted
        ]
        alternated = {**result(BOTH, BACKWARD), "blocks": blocks}
        arguments = (variants.parse_variant("backward"), alternated, False, "worker")
        return refusal(proof.check_proof, *arguments, kind=proof.NotProven)

    # Scopes that did not change: the one of the end throughout, and the one of the start.
    assert refused(1, 1) == "worker, off-again: expected no creations avoided, found 1"
    assert refused(0, 0) == "worker, backward: expected creations avoided, found 0"


def test_hits_may_be_waived() -> None:
    variant = variants.parse_variant("fully_connected")
    stats = bench.cache_stats("fully_connected", 0)
    proof.check_proof(variant, result(BOTH, stats), False, "worker")


def test_stock_of_another_release_is_refused() -> None:
    def proven(version: str) -> None:
        found = {**result(REAL, None), "versions": {"mxnet": version}}
        stock = variants.parse_variant("stock")
        proof.check_proof(stock, found, False, "worker", "1.7.0.post2")

    proven("1.7.0")
    said = refusal(proven, "1.9.1", kind=proof.NotProven)
    assert said == "worker: expected MXNet 1.7.0, found 1.9.1"


@dataclasses.dataclass(frozen=True)
class UnpatchedLayout(Layout):
    """A work tree whose patched builds are stock ones: the fault that the proof is there for."""

    def patched(self, host: str) -> Path:
        return self.stock(host)


def test_stock_instead_of_patched_is_refused(layout: Layout, host: str) -> None:
    unpatched = UnpatchedLayout(layout.root)
    assert refusal(work, unpatched, host, "backward", kind=proof.NotProven) == (
        f"worker (hash seven-ops, host {host}, backward): "
        "expected scope backward of libmkldnn_opcache.so, found libmkldnn.so.0"
    )


def test_preload_instead_of_stock_is_refused(built: Layout) -> None:
    expected = "expected no libmkldnn_opcache.so in a stock process"
    with pytest.raises(proof.NotProven, match=expected):
        work(built, "1.3.1", LD_PRELOAD=str(built.library))


@pytest.mark.parametrize("word", ["off", "backward", "preload:backward"])
def test_patched_and_preloaded_are_proven(built: Layout, word: str) -> None:
    done = work(built, "1.3.1", word)
    assert done["environment"]["MKLDNN_OPCACHE"] == variants.parse_variant(word).scope


@pytest.mark.parametrize(
    ("host", "make"), [("1.3.1", "make build"), ("1.9.1", "make bench-releases")]
)
def test_absent_build_is_named(tmp_path: Path, host: str, make: str) -> None:
    assert refusal(work, Layout(tmp_path), host) == (
        f"build/{host}-stock/mxnet/libmxnet.so not found: run {make} first"
    )


def test_crash_shows_last_lines_and_command(layout: Layout, first_host: str) -> None:
    # SqueezeNet has no pixels left at this size: MXNet raises while it infers shapes.
    job = HashJob(model="squeezenet-1.0", batch_size=1, image_size=64)
    said = refusal(work, layout, first_host, "stock", job, kind=launch.WorkerFailed)
    first, *lines, last = said.splitlines()
    what = f"hash squeezenet-1.0, host {first_host}, stock"
    assert first == f"worker ({what}) ended with exit code 1; its last lines:"
    assert 0 < len(lines) <= 20
    message = lines[-1].partition("] ")[2]  # without MXNet's time, and no line of its stack trace
    assert "Check failed" in message
    # The command really does run it again, to the same end.
    prefix = "run it again with: "
    assert last.startswith(prefix)
    again = run(["bash", "-c", last[len(prefix) :]], cwd=layout.root, env=None)
    assert again.returncode == 1
    assert message in again.stderr


def test_signal_is_named(layout: Layout, first_host: str) -> None:
    # More threads than there is memory for their stacks: the process aborts.
    with pytest.raises(launch.WorkerFailed, match=r"ended with signal \d+ \(SIG[A-Z]+\)"):
        work(layout, first_host, KMP_STACKSIZE="1T")


def test_timeout(layout: Layout, first_host: str) -> None:
    with pytest.raises(launch.WorkerFailed, match=r"took longer than 0\.05 s; its last lines:"):
        work(layout, first_host, timeout_s=0.05)


def test_unknown_words_in_a_job_are_one_line(layout: Layout, first_host: str) -> None:
    job = OperatorsJob(operator="convolutoin")
    said = refusal(work, layout, first_host, "stock", job, kind=launch.WorkerFailed)
    line = said.splitlines()[-2]
    assert line.startswith("  opcache: error: unknown operator 'convolutoin': expected one of")
