"""An MXNet that somebody built as a host: its variants, what proves them, and pairs refused."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any, Dict, Optional

import pytest

from harness.base.errors import HarnessError
from harness.base.layout import CACHE_LIBRARY, Layout
from harness.base.toml import load
from harness.bench import command as bench_command
from harness.bench.config import BenchConfig
from harness.build.own import OwnBuild
from harness.trials import environment, own, proof
from harness.trials.variants import (
    OwnLayout,
    baseline,
    baseline_of,
    build_folder,
    library_versions,
    mxnet_version,
    own_versions,
    parse_variant,
    without_paths,
)
from harness.verify import command as verify_command
from harness.verify import plan
from harness.verify.context import Task, command_for
from patches.python.mkldnn_opcache.variables import ASSUME
from tests.support.commands import refusal
from tests.support.records import bench

INSIDE = OwnBuild(
    folder=Path("/home/me/mxnet/python"),
    version="1.3.0",
    commit="c" * 40,
    mkldnn="v0.14",
    recognised="headers",
    cache="inside",
    libmxnet=Path("/home/me/mxnet/lib/libmxnet.so"),
    libmkldnn=Path("/home/me/mxnet/lib/libmkldnn.so.0"),
    libmxnet_sha256="a" * 64,
    libmkldnn_sha256="b" * 64,
    package_sha256="d" * 64,
    environment={},
)
PLAIN = dataclasses.replace(
    INSIDE,
    folder=Path("/home/me/before/python"),
    recognised="assumed",
    cache="preload",
    libmxnet_sha256="e" * 64,
    environment={"LD_LIBRARY_PATH": "/home/me/lib", ASSUME: "v0.14"},
)
ROOT = Path("/work")


def test_names_are_told_from_scopes() -> None:
    assert (INSIDE.name, PLAIN.name) == ("own-1.3.0-aaaaaaaa", "own-1.3.0-eeeeeeee")
    assert parse_variant(PLAIN.name).scope is None
    assert mxnet_version(PLAIN.name) == "1.3.0" and mxnet_version("1.5.1.post0") == "1.5.1"
    assert baseline_of(["off", PLAIN.name, "all"]) == PLAIN.name
    assert baseline_of(["all", "stock"]) == "stock" and baseline_of(["off", "all"]) is None


@pytest.mark.parametrize(
    ("build", "against", "first", "preloaded"),
    [
        (INSIDE, None, "off", False),
        (INSIDE, PLAIN, PLAIN.name, False),
        (dataclasses.replace(INSIDE, cache="needed"), None, "off", False),
        (PLAIN, None, "stock", True),
    ],
)
def test_variants(
    built: Layout, build: OwnBuild, against: Optional[OwnBuild], first: str, preloaded: bool
) -> None:
    layout = OwnLayout(built.root, build, against)
    assert baseline(layout) == first
    assert own.variants_of(layout, ["stock", "off", "all", "stock-again"]) == [
        first,
        *(["off"] if first != "off" else []),
        "all",
    ]
    assert build_folder(layout, build.name, parse_variant(first)) == (against or build).folder
    cached = environment.whole_environment(layout, build.name, parse_variant("all"), {})
    assert cached["PYTHONPATH"] == str(build.folder)
    assert ("LD_PRELOAD" in cached) == preloaded and (ASSUME in cached) == preloaded
    plain = environment.whole_environment(layout, build.name, parse_variant(first), {})
    assert "LD_PRELOAD" not in plain and ASSUME not in plain
    assert refusal(build_folder, layout, build.name, parse_variant("preload:all")) == (
        f"{build.name}: expected {first} or a scope of the cache, found 'preload:all' of "
        f"{build.name}"
    )
    with pytest.raises(HarnessError, match="found 'all' of 1.3.1"):
        build_folder(layout, "1.3.1", parse_variant("all"))


def test_records_name_builds_by_what_they_are(built: Layout) -> None:
    layout = OwnLayout(built.root, INSIDE, PLAIN)
    found = {
        **library_versions(layout, INSIDE.name, parse_variant("all")),
        **library_versions(layout, INSIDE.name, parse_variant(PLAIN.name)),
    }
    what = f"MXNet 1.3.0, commit {'c' * 40}, MKL-DNN v0.14"
    assert found == {
        INSIDE.name: f"{what} (headers), cache inside libmxnet.so",
        f"{INSIDE.name} libmxnet.so": "a" * 64,
        f"{INSIDE.name} libmkldnn.so.0": "b" * 64,
        f"{INSIDE.name} Python files": "d" * 64,
        PLAIN.name: f"{what} (assumed), no cache",
        f"{PLAIN.name} libmxnet.so": "e" * 64,
        f"{PLAIN.name} libmkldnn.so.0": "b" * 64,
        f"{PLAIN.name} Python files": "d" * 64,
    }
    needed = dataclasses.replace(INSIDE, cache="needed", cache_sha256="f" * 64)
    assert own_versions(needed)[f"{INSIDE.name} {CACHE_LIBRARY}"] == "f" * 64
    preloading = OwnLayout(built.root, PLAIN)
    names = library_versions(preloading, PLAIN.name, parse_variant("all"))
    assert f"preloaded {CACHE_LIBRARY}" in names
    assert layout.raw == built.root / "results" / "own"


@pytest.mark.parametrize(
    ("said", "recorded"),
    [
        (f"{INSIDE.libmxnet} of {INSIDE.folder}.", "DIR/libmxnet.so of DIR."),
        (f"{PLAIN.folder}/mxnet and {ROOT}/build", "AGAINST/mxnet and build"),
        ("/home/me/mxnet/src/engine.cc:7", "DIR/../src/engine.cc:7"),
        ("/home/me/mxnet/python-before/mxnet", "DIR/../python-before/mxnet"),
        ("LD_LIBRARY_PATH=/home/me/lib:/opt/blas/", "LD_LIBRARY_PATH=LIBRARIES:LIBRARIES/"),
        ("/home/me/libexec lib", "/home/me/libexec lib"),
    ],
)
def test_records_have_no_path(said: str, recorded: str) -> None:
    build = dataclasses.replace(INSIDE, environment={"LD_LIBRARY_PATH": "/home/me/lib:/opt/blas/:"})
    assert without_paths(OwnLayout(ROOT, build, PLAIN), said) == recorded


def test_a_failure_is_repeated_with_both_builds() -> None:
    task = Task("shadow", "seven-ops", INSIDE.name)
    for against, words in ((None, "--mxnet DIR"), (PLAIN, "--mxnet DIR --against AGAINST")):
        found = command_for(OwnLayout(ROOT, INSIDE, against), task)
        assert found.endswith(f"verify --stages shadow {words} --models seven-ops")


BOTH = ["libmkldnn.so.0", CACHE_LIBRARY]


@pytest.mark.parametrize(
    ("cache", "libraries", "version", "message"),
    [
        ("inside", BOTH[:1], "1.3.0", ""),
        ("needed", BOTH, "1.3.0", ""),
        ("inside", BOTH, "1.3.0", "expected scope all of the cache inside libmxnet.so, found lib"),
        ("needed", BOTH[:1], "1.3.0", f"expected scope all of {CACHE_LIBRARY}, found libmkldnn"),
        ("inside", BOTH[:1], "1.3.1", "expected MXNet 1.3.0, found 1.3.1"),
    ],
)
def test_proof(cache: str, libraries: list, version: str, message: str) -> None:
    result: Dict[str, Any] = {
        "libraries": [{"file": file, "build_id": None} for file in libraries],
        "stats": bench.cache_stats("all", 5),
        "versions": {"mxnet": version},
    }
    build = dataclasses.replace(INSIDE, cache=cache)
    arguments = (parse_variant("all"), result, True, "worker", build.name, build)
    if not message:
        proof.check_proof(*arguments)
        return
    said = refusal(proof.check_proof, *arguments, kind=proof.NotProven)
    assert said.startswith(f"worker: {message}")


def test_a_baseline_with_a_cache_is_not_proven() -> None:
    stats = bench.cache_stats("all", 5)
    result = {"libraries": [], "stats": stats, "versions": {"mxnet": "1.3.0"}}
    arguments = (parse_variant(PLAIN.name), result, True, "worker", PLAIN.name, PLAIN)
    said = refusal(proof.check_proof, *arguments, kind=proof.NotProven)
    assert said == f"worker: expected no {CACHE_LIBRARY} in a stock process, found no MKL-DNN"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"libmxnet_sha256": "a" * 64}, f"another build than --mxnet, found {INSIDE.name}"),
        ({"version": "1.3.1"}, "MXNet 1.3.0 as --mxnet has, found 1.3.1"),
        ({"mkldnn": "v0.17.4"}, "MKL-DNN v0.14 as --mxnet has, found v0.17.4"),
        ({"package_sha256": "f" * 64}, "Python files dddddddd as --mxnet has, found ffffffff"),
        ({"cache": "needed"}, f"a build without the cache, found {PLAIN.name} with it"),
    ],
)
def test_wrong_pairs(changes: Dict[str, str], message: str) -> None:
    own.check_pair(INSIDE, PLAIN)
    other = dataclasses.replace(PLAIN, **changes)
    assert refusal(own.check_pair, INSIDE, other) == f"--against: expected {message}"


def test_published_records_are_out_of_reach(built: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own.own, "identify", lambda folder: INSIDE)
    args = argparse.Namespace(mxnet=INSIDE.folder, out=built.raw / "verify.json")
    assert refusal(own.layout_of, args) == (
        f"--out {args.out}: expected a folder beside the records of releases"
    )


@pytest.mark.parametrize("asked", [{"faults": "NO_HINT"}, {"stages": "bitwise,faults"}])
def test_faults_are_for_releases(built: Layout, asked: Dict[str, str]) -> None:
    config = load(built.root / "configs" / "verify-quick.toml", plan.VerifyConfig)
    options = {"faults": None, "stages": None, "mxnet_tests": None, **asked}
    said = refusal(verify_command._of_own, OwnLayout(built.root, INSIDE), config, options)
    assert said.startswith("faults: expected releases, found --mxnet: ")


def test_the_quick_networks_run_on_one_host(built: Layout) -> None:
    config = load(built.root / "configs" / "verify-quick.toml", plan.VerifyConfig)
    assert any(each.hosts for each in config.networks)
    options = {"faults": None, "stages": None, "mxnet_tests": None}
    found, _ = verify_command._of_own(OwnLayout(built.root, INSIDE), config, options)
    assert not any(each.hosts for each in found.networks)


@pytest.mark.parametrize(
    ("against", "name", "scopes"),
    [
        (None, "bench-quick", {"throughput": ("off", "backward", "all")}),
        (
            *(PLAIN, "bench-quick"),
            {"throughput": ("off", "backward", "all"), "detour": (PLAIN.name, "off")},
        ),
        (
            *(PLAIN, "bench-against"),
            dict.fromkeys(
                ("mobilenet", "resnet-18", "resnet-50"), (PLAIN.name, "off", "backward", "all")
            ),
        ),
    ],
)
def test_series(
    built: Layout, against: Optional[OwnBuild], name: str, scopes: Dict[str, Any]
) -> None:
    path = built.root / "configs" / f"{name}.toml"
    layout = OwnLayout(built.root, INSIDE, against)
    config = bench_command._of_own(layout, load(path, BenchConfig), path)
    assert {each.name: each.scopes for each in config.series} == {
        series: {INSIDE.name: words} for series, words in scopes.items()
    }


# Scopes that alternate lack the other build, and fresh processes lack a build without the cache.
@pytest.mark.parametrize(("name", "against"), [("bench-small", PLAIN), ("bench-against", None)])
def test_a_comparison_needs_fresh_processes(
    built: Layout, name: str, against: Optional[OwnBuild]
) -> None:
    path = built.root / "configs" / f"{name}.toml"
    layout = OwnLayout(built.root, INSIDE, against)
    assert refusal(bench_command._of_own, layout, load(path, BenchConfig), path) == (
        f"{path}: expected a series that this build can be compared in, found none"
    )
