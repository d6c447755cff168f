"""Our wheel under every Python of this machine: the bits of its stock MXNet, and an active cache.

``pytest --all-pythons`` runs every Python with every release, else a few pairs stand for all.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, List, Set

import pytest

from harness.base.layout import here
from tests.conftest import HOSTS
from tests.support import interpreters
from tests.support.interpreters import Environment

TRAINING = Path(interpreters.__file__).with_name("small_training.py")
# Where a release needs --compat for its import, test_tour.py trains it.
PAIRS = [
    (version, release)
    for version in interpreters.VERSIONS
    for release in HOSTS
    if release != "1.6.0" or version not in interpreters.NEED_COMPAT
]
SOME = [("2.7", "1.3.1"), ("3.6", "1.4.1"), ("3.11", "1.6.0"), ("3.13", "1.3.1")]


def trained(environment: Environment, *words: object, **variables: object) -> Dict[str, Any]:
    """Train by a command that ends in ``words``; return what the training saw, and its stderr."""
    done = environment.run(*words, TRAINING, **variables)
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout.splitlines()[-1]), "stderr": done.stderr}


@lru_cache(maxsize=None)
def stock(environment: Environment) -> Dict[str, Any]:
    return trained(environment, "-W", "ignore")


def cached(environment: Environment, way: str) -> Dict[str, Any]:
    """Train with the cache; return what the training saw, with the counters of its process."""
    file = environment.root / f"{way}.json"
    compat = ["--compat"] if environment.version in interpreters.NEED_COMPAT else []
    opcache, python = ("-m", "mkldnn_opcache"), environment.python
    if way == "run":
        options = [*compat, "--stats", file, "--", python, "-W", "ignore"]
        seen = trained(environment, *opcache, "run", *options)
        (process,) = json.loads(file.read_text())["processes"]
        return {**seen, "counters": process["counters"]}
    variables = {"MKLDNN_OPCACHE_STATS": file}
    if way == "enable":
        done = environment.run(*opcache, "enable", *compat)
        assert done.returncode == 0, done.stderr
    else:
        library = environment.packages / "mkldnn_opcache" / here().library.name
        variables["LD_PRELOAD"] = library
    try:
        seen = trained(environment, "-W", "ignore", **variables)
    finally:
        if way == "enable":
            assert environment.run(*opcache, "disable").returncode == 0
    return {**seen, "counters": json.loads(file.read_text())}


def faults(stock: Dict[str, Any], seen: Dict[str, Any]) -> List[str]:
    """Return how a training with the cache differs from what it must be; ``stock`` had none."""
    counters = seen["counters"]
    found = [name for name in ("hash", "mxnet", "numpy", "python") if seen[name] != stock[name]]
    if stock["library"] or not seen["library"]:
        found.append("library")
    if not counters["active"] or counters["totals"]["primitives_avoided"] == 0:
        found.append("cache")
    return found


def listed(environment: Environment) -> Set[str]:
    paths = environment.packages.rglob("*")
    return {str(path) for path in paths if "__pycache__" not in str(path) and path.suffix != ".pyc"}


@pytest.mark.parametrize("way", ("preload", "run", "enable"))
def test_bits_are_those_of_stock(root: Path, python: str, release: str, way: str) -> None:
    environment = interpreters.installed(root, python, release)
    before = listed(environment)
    reference = stock(environment)
    seen = cached(environment, way)
    assert faults(reference, seen) == [], seen
    assert ("the cache was active" in seen["stderr"]) == (way == "run")
    assert listed(environment) == before


def test_doctor_finds_no_problem(root: Path, python: str, release: str) -> None:
    # The training takes long, and its program is most likely to fail on the oldest Python.
    options = [] if python == interpreters.VERSIONS[0] else ["--no-probe"]
    environment = interpreters.installed(root, python, release)
    done = environment.run("-m", "mkldnn_opcache", "doctor", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Python {python}." in done.stdout and "MXNet 1." in done.stdout
    assert ("times as fast" in done.stdout) == (options == []), done.stdout


@pytest.mark.parametrize("fault", ["hash", "library", "cache"])
def test_a_wrong_result_is_noticed(fault: str) -> None:
    counters = {"active": fault != "cache", "totals": {"primitives_avoided": 5}}
    stock = {"hash": "a", "mxnet": "1", "numpy": "1", "python": [3, 6], "library": False}
    seen = {**stock, "library": fault != "library", "counters": counters}
    if fault == "hash":
        seen["hash"] = "b"
    assert faults(stock, seen) == [fault]


def test_pip_installs_the_wheel_beside_a_release(tmp_path: Path) -> None:
    """The literal ``pip install mxnet-mkl==1.3.1 OUR.whl``, with the packages that it asks for."""
    (wheel,) = here().dist.glob("mkldnn_opcache-*.whl")
    wheels, requirement = tmp_path / "wheels", "mxnet-mkl==1.3.1"
    wheels.mkdir()
    environment = interpreters.create("3.6", tmp_path / "environment", pip_inside=True)
    interpreters.collect("3.6", [requirement], wheels)
    words = ["install", "--no-index", "--find-links", wheels, requirement, wheel]
    done = environment.run("-m", "pip", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    command = [environment.root / "bin" / "opcache", "run", "--", environment.python, TRAINING]
    done = interpreters.run(command, cwd=tmp_path, timeout=300)
    assert done.returncode == 0 and "the cache was active" in done.stderr, done.stderr
