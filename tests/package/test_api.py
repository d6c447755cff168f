"""The Python package mkldnn_opcache, on real MXNets: patched, preloaded, and loaded by the program.

What is switched while MXNet trains must change the counters and no bit.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, List, Tuple

import mkldnn_opcache
import pytest
from mkldnn_opcache.library import mapped

from harness.base import toml
from harness.base.layout import Layout, here
from harness.trials.jobs import HashJob
from tests.support import api_session, interpreters, own_builds
from tests.support.bits import differences, result_of
from tests.support.commands import clean_environment, python, run


@lru_cache(maxsize=None)
def session(layout: Layout, host: str, way: str, name: str) -> Any:
    """Return what a session of tests/support/api_session.py saw on a host."""
    folders = [layout.patched(host)]
    variables, arguments = {}, [name]
    if way != "patched":
        inside = way == "inside"
        mxnet = own_builds.make(layout, host, way) if inside else layout.stock(host)
        folders = [mxnet, layout.package.parent]
    if way == "preload":
        variables["LD_PRELOAD"] = layout.library
    if way == "load":
        arguments.append(str(layout.library))
    command = [sys.executable, "-W", "ignore", "-m", "tests.support.api_session", *arguments]
    result = run_on(folders, command, **variables)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def run_on(
    folders: List[Path], command: List[Any], **variables: object
) -> subprocess.CompletedProcess:
    """Run a command that finds its packages in ``folders``."""
    path = os.pathsep.join(map(str, folders))
    environment = clean_environment(OMP_NUM_THREADS=1, PYTHONPATH=path, **variables)
    return run(command, cwd=here().root, env=environment, timeout=200)


def created(seen: Dict[str, int]) -> Tuple[int, int]:
    return seen["primitives_created"], seen["descriptors_created"]


@pytest.mark.parametrize("way", ("patched", "preload"))
def test_counters_follow_the_controls(built: Layout, host: str, way: str) -> None:
    check_controls(built, host, way)


def test_counters_follow_the_controls_of_a_cache_inside_libmxnet(
    built: Layout, first_host: str
) -> None:
    check_controls(built, first_host, "inside")


def check_controls(built: Layout, host: str, way: str) -> None:
    seen = session(built, host, way, "controls")
    assert seen["active"] and seen["reset"] == 0
    assert seen["version"] == toml.project_version(built.pyproject)
    for on in ("on", "enabled", "filled", "capacity_100", "all"):
        assert seen[on]["primitives_avoided"] > 0, on
        # A step may meet a primitive that is not idle yet.
        assert created(seen[on]) <= (1, 0), on
    for off in ("disabled", "capacity_0", "off"):
        assert seen[off]["primitives_avoided"] == 0, off
        assert min(created(seen[off])) > 0, off
    assert not seen["disabled"]["active"] and seen["enabled"]["active"]
    assert not seen["capacity_0"]["active"] and seen["capacity_100"]["capacity"] == 100
    bounded = seen["memory"]
    assert bounded["measured"] and bounded["bound_bytes"] == 2**20
    assert 0 < bounded["idle_bytes"] + bounded["descriptor_bytes"] <= 2**20
    assert seen["off"]["scope"] == "off" and seen["all"]["scope"] == "all"
    assert min(created(seen["cleared"])) > 0 and seen["cleared"]["evictions"] == 0
    assert seen["capacity_0"]["evictions"] > 0 and seen["left"]["idle_primitives"] == 0


def test_blocks_nest_overlap_and_end(built: Layout, host: str) -> None:
    seen = session(built, host, "patched", "controls")
    nested, exception, decorated = [False, False, True], [True], [False, False, True]
    assert seen["blocks"] == [*nested, *exception, *decorated]
    assert seen["overlap"] == [False, True]
    # A block holds for the calls in it.
    times = api_session.BURST // 2  # in steps of `train`
    inside, outside = seen["burst_inside"], seen["burst_outside"]
    primitives = times * seen["disabled"]["primitives_created"]
    assert (inside["primitives_created"], inside["primitives_avoided"]) == (primitives, 0)
    # No call waits for them before the block: one may not be idle yet when the next is needed.
    assert created(outside) <= (2, 0)
    assert outside["primitives_created"] + outside["primitives_avoided"] == primitives


@pytest.mark.parametrize("api", ("module", "hybrid"))
def test_changes_while_training_change_no_bit(built: Layout, host: str, api: str) -> None:
    """On a library that the program loaded itself: that it works is proven here too."""
    result = session(built, host, "load", "changes")[api]
    job = HashJob(*api_session.NETWORK, steps=api_session.STEPS, api=api)
    stock = result_of(job, built, host, "stock", 1)
    assert stock["finite"]
    assert differences(stock, result) == []
    totals = result["stats"]["totals"]
    assert totals["primitives_avoided"] > 0 and totals["evictions"] > 0
    assert result["stats"]["active"] and result["stats"]["scope"] == "all"


@pytest.mark.parametrize("api", ("module", "gluon"))
def test_every_epoch_has_its_line(built: Layout, host: str, api: str) -> None:
    pattern = re.compile(
        r"INFO Epoch\[(\d)\] opcache: (\d+) creations avoided \((\d+\.\d) ms not spent\), "
        r"(\d+) made, 0 evicted"
    )
    first, second = (
        [float(number) for number in pattern.fullmatch(line).groups()]  # type: ignore[union-attr]
        for line in session(built, host, "patched", "epochs")[api]
    )
    assert (first[0], second[0]) == (0, 1)
    assert min(first[1], second[1]) > 0 and second[2] > 0
    # By then everything is there; Gluon's first epoch runs on what Module's left.
    assert second[3] == 0 and (first[3] > 0 or api == "gluon")


def test_the_documented_example_prints_what_is_documented(built: Layout) -> None:
    text = (built.root / "docs" / "api.md").read_text(encoding="utf-8")
    program, documented = re.findall(r"```(?:python)?\n(.*?)```", text, re.DOTALL)
    result = run_on([built.patched("1.3.1")], python(program))
    lines = [x for x in result.stderr.splitlines() if "malloc" not in x]  # MXNet's own
    # A primitive more or less that is not idle yet, and the times, differ from run to run.
    found, expected = (
        re.sub(r"[\d.]+", "N", each) for each in ("\n".join([*lines, result.stdout]), documented)
    )
    assert found == expected


def test_nothing_works_without_the_library(tmp_path: Path) -> None:
    for call in (
        mkldnn_opcache.stats,
        mkldnn_opcache.clear,
        mkldnn_opcache.active,
        mkldnn_opcache.callback.EpochLogger,
        lambda: mkldnn_opcache.set_scope("all"),
        mkldnn_opcache.disabled().__enter__,
    ):
        with pytest.raises(mkldnn_opcache.NotLoaded, match="import mxnet.*LD_PRELOAD.*load()"):
            call()
    with pytest.raises(mkldnn_opcache.Error, match=f"no libmkldnn_opcache.so at {tmp_path}/x.so"):
        mkldnn_opcache.load(tmp_path / "x.so")
    with pytest.raises(mkldnn_opcache.Error, match="no libmkldnn_opcache.so at .*/patches/python"):
        mkldnn_opcache.load()


def test_a_rebuilt_library_is_the_same(tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    maps.write_bytes(
        b"7f0-7f1 r-xp 00000000 fe:00 1 /\xff b/libmkldnn_opcache.so (deleted)\n"
        b"7f1-7f2 r--p 00001000 fe:00 1 /\xff b/libmkldnn_opcache.so (deleted)\n"
        b"7f2-7f3 rw-p 00000000 00:00 0 [heap]\n7f3-7f4 rw-p 00000000 00:00 0\n"
        b"7f4-7f5 r-xp 00000000 fe:00 2 /a/libmkldnn.so.0\n"
    )
    assert mapped("libmkldnn_opcache.so", str(maps)) == [
        os.fsdecode(b"/\xff b/libmkldnn_opcache.so")
    ]


TWO_COPIES = """
import ctypes, sys, mkldnn_opcache as cache
first, second = sys.argv[1:]
assert "mxnet" not in sys.modules
cache.load(first)
for call in (lambda: cache.load(second), lambda: ctypes.CDLL(second) and cache.stats()):
    try:
        call()
    except cache.Error as error:
        print(error)
"""
LOADED_TOO_LATE = """
import mxnet, mkldnn_opcache as cache
try:
    cache.load()
except cache.Error as error:
    print(error)
"""
INSIDE = """
import sys, mxnet, mkldnn_opcache as cache
cache.load()
assert cache.active() and cache.stats()["mkldnn"] and cache.scope()
try:
    cache.load(sys.argv[1])
except cache.Error as error:
    print(error)
"""
HIDDEN = """
import mxnet, mkldnn_opcache as cache
try:
    cache.stats()
except cache.NotLoaded as error:
    print(error)
"""
WORDS = """
import sys, mkldnn_opcache as cache
cache.load(sys.argv[1])
for scope in cache.SCOPES + cache.OPERATORS + (",".join(cache.OPERATORS),):
    cache.set_scope(scope)
    assert cache.scope() == scope
long = ("x" * 300, "\\udcff", ",".join(["lrn"] * 99))
for call, values in (
    (cache.set_scope, ("relu", "lrn, sum", "", "off,lrn", "all\\0") + long),
    (cache.set_capacity, (-1, 2**30 + 1, 2**64, 2**100)),
    (cache.set_memory, (-1, 2**50 + 1, 2**64 - 1, 2**100)),
):
    for wrong in values:
        try:
            call(wrong)
        except ValueError as error:
            print(error)
assert cache.memory() is None and cache.stats()["memory"] is None
for size in (0, 1, 2**50):
    cache.set_memory(size)
    assert cache.memory() == size and cache.stats()["memory"]["bound_bytes"] == size
    assert cache.stats()["active"] is False
cache.set_memory(None)
assert cache.memory() is None
@cache.disabled(wait=False)
def answer(number):
    return number
assert answer(5) == 5 and answer.__name__ == "answer"
assert cache.capacity() == 4096 and cache.scope() == ",".join(cache.OPERATORS)
"""


def output_of(program: str, folders: List[Path], *arguments: Path) -> List[str]:
    result = run_on(folders, python(program, *arguments))
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout.splitlines()


def test_two_copies_are_refused(built: Layout, tmp_path: Path) -> None:
    copy = tmp_path / built.library.name
    shutil.copy2(built.library, copy)
    refused, twice = output_of(TWO_COPIES, [built.package.parent], built.library, copy)
    assert refused == f"expected to load {copy}, found {built.library} loaded already"
    assert twice.startswith("expected one libmkldnn_opcache.so in this process, found ")
    assert str(copy) in twice and str(built.library) in twice


def test_load_after_mxnet_is_refused(built: Layout, first_host: str) -> None:
    folders = [built.stock(first_host), built.package.parent]
    assert output_of(LOADED_TOO_LATE, folders) == [
        "libmxnet.so is loaded already: call load() before import mxnet"
    ]


def test_a_cache_inside_libmxnet_is_found_if_it_is_exported(built: Layout, first_host: str) -> None:
    for kind, program, line in (
        ("inside", INSIDE, "libmxnet.so is loaded already: call load() before import mxnet"),
        ("hidden", HIDDEN, "no cache is loaded in this process: import mxnet first if it is "),
    ):
        folders = [own_builds.make(built, first_host, kind), built.package.parent]
        (said,) = output_of(program, folders, built.library)
        assert said.startswith(line)


@pytest.mark.parametrize("version", interpreters.VERSIONS)
def test_wrong_words_and_numbers_are_named(built: Layout, version: str) -> None:
    command = [interpreters.interpreter(version), "-B", "-W", "error", "-c", WORDS, built.library]
    result = run_on([built.package.parent], command)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    words = [re.search("found (.*)$", line) for line in lines]
    found = [match and match.group(1) for match in words]
    assert found[:4] == ["'relu'", "' sum'", "''", "'off'"]
    assert found[4] == "a null character"
    assert found[5] == repr("x" * 255)  # cut
    # Python 2 has no such character in its texts of bytes.
    assert found[6] == repr("\\udcff" if version == "2.7" else "\udcff")
    assert lines[7] == "scope: expected at most 255 characters, found 395"
    assert found[8:12] == [str(number) for number in (-1, 2**30 + 1, 2**64, 2**100)]
    assert all("capacity: expected 0 to 1073741824" in line for line in lines[8:12])
    assert found[12:] == [str(number) for number in (-1, 2**50 + 1, 2**64 - 1, 2**100)]
    assert all("memory: expected 0 to 1125899906842624 bytes" in line for line in lines[12:])
