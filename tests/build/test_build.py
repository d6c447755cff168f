"""The build on a stand-in release: what is refused, what is resumed, what is left alone."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from harness import __main__ as command_line
from harness.base import layout
from harness.base.errors import HarnessError
from harness.build import command as build
from harness.build import pip
from tests.support.fake_release import (
    BUILD_ID,
    VERSION,
    FakeTree,
    Members,
    compile_release,
    make_tree,
)

ROOT = layout.here().root


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Members:
    return compile_release(tmp_path_factory.mktemp("release"))


@pytest.fixture
def tree(tmp_path: Path, members: Members, monkeypatch: pytest.MonkeyPatch) -> FakeTree:
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # whatever goes wrong, no test downloads
    return make_tree(tmp_path, members)


def test_a_second_build_does_nothing(tree: FakeTree) -> None:
    build.build(tree.layout, tree.cache)
    before = tree.states(".")
    assert [path.name for path in tree.layout.dist.iterdir()] == [
        "mxnet_mkl-1.0+opcache.9.9-py2.py3-none-linux_x86_64.whl"
    ]
    build.build(tree.layout, tree.cache)
    assert tree.states(".") == before


def test_a_changed_source_redoes_what_depends_on_it(tree: FakeTree) -> None:
    build.build(tree.layout, tree.cache)
    stock = tree.states(f"build/{VERSION}-stock")
    patched_before, dist_before = tree.states(f"build/{VERSION}-opcache"), tree.states("dist")
    source = tree.layout.sources / "opcache.cc"
    source.write_text('extern "C" int another() { return 1; }\n')
    later = tree.layout.library.stat().st_mtime + 1
    os.utime(source, (later, later))
    build.build(tree.layout, tree.cache)
    ours = tree.layout.patched(VERSION) / "mxnet" / "libmkldnn_opcache.so"
    assert b"another" in ours.read_bytes()
    assert tree.states(f"build/{VERSION}-opcache") != patched_before
    assert tree.states("dist") != dist_before
    assert tree.states(f"build/{VERSION}-stock") == stock
    with zipfile.ZipFile(next(tree.layout.dist.iterdir())) as wheel:
        assert wheel.read("mxnet/libmkldnn_opcache.so") == ours.read_bytes()


def test_a_changed_package_is_shipped(tree: FakeTree) -> None:
    build.build(tree.layout, tree.cache)
    (tree.layout.package / "__init__.py").write_text("new = True\n")
    build.build(tree.layout, tree.cache)
    with zipfile.ZipFile(next(tree.layout.dist.iterdir())) as wheel:
        assert wheel.read("mkldnn_opcache/__init__.py") == b"new = True\n"
        assert "mkldnn_opcache/py.typed" in wheel.namelist()
        info = "mxnet_mkl-1.0+opcache.9.9.dist-info"
        assert wheel.read(f"{info}/top_level.txt").decode().split() == ["mxnet", "mkldnn_opcache"]


def test_a_missing_product_is_made_again(tree: FakeTree) -> None:
    build.build(tree.layout, tree.cache)
    names = sorted(tree.states("."))
    next(tree.layout.dist.iterdir()).unlink()
    shutil.rmtree(tree.layout.patched(VERSION))
    tree.layout.library.unlink()
    build.build(tree.layout, tree.cache)
    assert sorted(tree.states(".")) == names


def test_the_wheel_says_what_it_is(tree: FakeTree) -> None:
    build.build(tree.layout, tree.cache)
    info = "mxnet_mkl-1.0+opcache.9.9.dist-info"
    with zipfile.ZipFile(next(tree.layout.dist.iterdir())) as wheel:
        metadata = wheel.read(f"{info}/METADATA").decode()
        tags = wheel.read(f"{info}/WHEEL").decode()
        names = wheel.namelist()
    headers, _, description = metadata.partition("\n\n")
    assert "Version: 1.0+opcache.9.9" in headers.splitlines()
    assert [x for x in headers.splitlines() if "Requires" in x] == ["Requires-Dist: numpy<1.24"]
    assert "opcache" in next(x for x in headers.splitlines() if x.startswith("Summary:"))
    assert description == "Version: of the description, which is not a header\n"
    assert "manylinux" not in tags and tags.count("linux_x86_64") == 2
    assert not [name for name in names if ".opcache-" in name or "1.0.dist-info" in name]


def test_caches_of_a_used_tree_stay_out_of_the_wheel(tree: FakeTree) -> None:
    build.build(tree.layout, tree.cache)
    cached = tree.layout.patched(VERSION) / "mxnet" / "__pycache__"
    cached.mkdir()
    (cached / "x.pyc").touch()
    wheel = next(tree.layout.dist.iterdir())
    wheel.unlink()
    build.build(tree.layout, tree.cache)
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if "__pycache__" in name]


def test_a_wrong_hash_names_file_expected_and_found(tree: FakeTree) -> None:
    expected, found = "0" * 64, hashlib.sha256(tree.wheel.read_bytes()).hexdigest()
    tree.pin(expected)
    with pytest.raises(HarnessError) as error:
        build.build(tree.layout, tree.cache)
    assert f"{tree.wheel}: expected sha256 {expected}, found {found}; delete it" in str(error.value)
    assert not tree.layout.stock(VERSION).exists()


def test_a_changed_pin_is_checked_although_the_tree_stands(tree: FakeTree) -> None:
    build.build(tree.layout, tree.cache)
    tree.pin("0" * 64)
    with pytest.raises(HarnessError, match="expected sha256 0000"):
        build.build(tree.layout, tree.cache)


def test_the_command_line_reports_a_wrong_hash_in_one_line(
    tree: FakeTree, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    tree.pin("0" * 64)
    monkeypatch.setattr(layout, "here", lambda: tree.layout)
    monkeypatch.setattr(pip, "wheel_cache", lambda: tree.cache)
    assert command_line.main(["build"]) == 2
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("opcache: error: ")


def test_an_absent_wheel_is_downloaded_and_kept(
    tree: FakeTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index"
    tree.cache.rename(index)
    (tree.cache / ".download-of-a-killed-process").mkdir(parents=True)
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    build.build(tree.layout, tree.cache)
    assert not list(tree.cache.glob(".download-*")) and tree.wheel.is_file()
    assert tree.layout.stock(VERSION).is_dir()


def test_a_downloaded_wheel_with_a_wrong_hash_is_not_kept(
    tree: FakeTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index"
    tree.cache.rename(index)
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    tree.pin("0" * 64)
    with pytest.raises(HarnessError, match="expected sha256 0000.*found .*not kept"):
        build.build(tree.layout, tree.cache)
    assert not list(tree.cache.glob(".download-*")) and not tree.wheel.exists()


def test_a_failed_download_says_what_was_wanted(
    tree: FakeTree, capfd: pytest.CaptureFixture[str]
) -> None:
    tree.wheel.unlink()
    with pytest.raises(HarnessError, match=r"could not download .*mxnet-mkl==1\.0.*\(exit 1"):
        build.build(tree.layout, tree.cache)


def test_another_mkldnn_is_refused(tree: FakeTree) -> None:
    pinned = "f" * 40
    tree.pin(hashlib.sha256(tree.wheel.read_bytes()).hexdigest(), build_id=pinned)
    with pytest.raises(HarnessError, match=f"expected build-id {pinned}.*found {BUILD_ID}"):
        build.build(tree.layout, tree.cache)
    assert not tree.layout.stock(VERSION).exists()


def test_a_libmxnet_without_mkldnn_is_refused(
    tmp_path: Path, members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one that has MKL-DNN linked in: there is no boundary to go between."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    source, linked = tmp_path / "mxnet.cc", tmp_path / "libmxnet.so"
    source.write_text("int mxnet() { return 0; }\n")
    subprocess.run(["g++", "-shared", "-fPIC", "-o", str(linked), str(source)], check=True)
    tree = make_tree(tmp_path, {**members, "mxnet/libmxnet.so": linked.read_bytes()})
    needed = "expected it to need libmkldnn_opcache.so, then libmkldnn.so.0, found"
    with pytest.raises(HarnessError, match=f"libmxnet.so: {needed} libmkldnn_opcache.so"):
        build.build(tree.layout, tree.cache)
    assert not tree.layout.patched(VERSION).exists()


def test_a_library_that_does_not_compile_is_an_error(
    tree: FakeTree, capfd: pytest.CaptureFixture[str]
) -> None:
    (tree.layout.sources / "opcache.cc").write_text("#error planted\n")
    with pytest.raises(HarnessError, match="compiling .* failed"):
        build.build(tree.layout, tree.cache)
    assert "planted" in capfd.readouterr().err
    assert not tree.layout.patched(VERSION).exists()


KILLED_WHILE_UNPACKING = """
import os, signal, sys
from pathlib import Path
from harness.base.layout import Layout
from harness.build import command as build, wheels

def unpack(wheel, folder):
    (folder / "mxnet").mkdir()
    (folder / "mxnet" / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)

wheels.unpack = unpack
build.build(Layout(Path(sys.argv[1])), Path(sys.argv[2]))
"""


def test_an_interrupted_unpacking_is_resumed(tree: FakeTree) -> None:
    command = [sys.executable, "-c", KILLED_WHILE_UNPACKING, str(tree.layout.root), str(tree.cache)]
    killed = subprocess.run(command, cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    assert list(tree.layout.build.rglob("half")), "the process was killed too early"
    assert not tree.layout.stock(VERSION).exists()
    build.build(tree.layout, tree.cache)
    assert (tree.layout.stock(VERSION) / "mxnet" / "libmxnet.so").is_file()
    assert not list(tree.layout.build.rglob("half"))
    assert not list(tree.layout.build.glob(".*partial*"))


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.delenv("OPCACHE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert pip.wheel_cache() == Path("/home/someone/.cache/opcache/wheels")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/xdg")
    assert pip.wheel_cache() == Path("/var/xdg/opcache/wheels")
    monkeypatch.setenv("OPCACHE_CACHE", "/var/chosen")
    assert pip.wheel_cache() == Path("/var/chosen/wheels")
