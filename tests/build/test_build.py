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
from typing import Callable

import pytest

from harness.base import layout
from harness.base.errors import HarnessError
from harness.build import command as build
from harness.build import pip
from tests.build.conftest import BUILD_ID, VERSION, FakeTree, Members
from tests.support.commands import compile_program, zip_members


def make(tree: FakeTree) -> None:
    build.build(tree.layout, tree.cache)


def shipped(tree: FakeTree) -> zipfile.ZipFile:
    """Open the patched wheel."""
    return zipfile.ZipFile(next(tree.layout.dist.glob("mxnet*")))


def test_a_second_build_does_nothing_and_makes_missing_products(tree: FakeTree) -> None:
    make(tree)
    before = tree.states(".")
    assert sorted(path.name for path in tree.layout.dist.iterdir()) == [
        "mkldnn_opcache-9.9-py2.py3-none-manylinux2014_x86_64.whl",
        "mxnet_mkl-1.0+opcache.9.9-py2.py3-none-linux_x86_64.whl",
    ]
    make(tree)
    assert tree.states(".") == before
    for wheel in tree.layout.dist.iterdir():
        wheel.unlink()
    shutil.rmtree(tree.layout.patched(VERSION))
    tree.layout.library.unlink()
    make(tree)
    assert sorted(tree.states(".")) == sorted(before)


def test_a_changed_source_redoes_what_depends_on_it(tree: FakeTree) -> None:
    make(tree)
    stock = tree.states(f"build/{VERSION}-stock")
    patched_before, dist_before = tree.states(f"build/{VERSION}-opcache"), tree.states("dist")
    source = tree.layout.sources / "opcache.cc"
    source.write_text('extern "C" int another() { return 1; }\n')
    later = tree.layout.library.stat().st_mtime + 1
    os.utime(source, (later, later))
    make(tree)
    ours = tree.layout.patched(VERSION) / "mxnet" / "libmkldnn_opcache.so"
    assert b"another" in ours.read_bytes()
    assert tree.states(f"build/{VERSION}-opcache") != patched_before
    assert tree.states("dist") != dist_before
    assert tree.states(f"build/{VERSION}-stock") == stock
    with shipped(tree) as wheel:
        assert wheel.read("mxnet/libmkldnn_opcache.so") == ours.read_bytes()


def test_the_wheel_describes_itself_and_follows_the_package(tree: FakeTree) -> None:
    make(tree)
    info = "mxnet_mkl-1.0+opcache.9.9.dist-info"
    with shipped(tree) as wheel:
        metadata = wheel.read(f"{info}/METADATA").decode()
        tags = wheel.read(f"{info}/WHEEL").decode()
        names = wheel.namelist()
    headers, _, description = metadata.partition("\n\n")
    assert "Version: 1.0+opcache.9.9" in headers.splitlines()
    assert [x for x in headers.splitlines() if "Requires" in x] == ["Requires-Dist: numpy<1.24"]
    assert "opcache" in next(x for x in headers.splitlines() if x.startswith("Summary:"))
    assert description == "Version: of the description, which is not a header\n"
    assert tags.count("-linux_x86_64\n") == 2 and "manylinux" not in tags
    assert not [name for name in names if ".opcache-" in name or "1.0.dist-info" in name]

    # A changed package is shipped; the caches of a used tree are not.
    (tree.layout.package / "__init__.py").write_text("new = True\n")
    cached = tree.layout.patched(VERSION) / "mxnet" / "__pycache__"
    cached.mkdir()
    (cached / "x.pyc").touch()
    make(tree)
    with shipped(tree) as wheel:
        assert wheel.read("mkldnn_opcache/__init__.py") == b"new = True\n"
        assert "mkldnn_opcache/py.typed" in wheel.namelist()
        assert wheel.read(f"{info}/top_level.txt").decode().split() == ["mxnet", "mkldnn_opcache"]
        assert not [name for name in wheel.namelist() if "__pycache__" in name]


def test_a_wrong_hash_names_file_expected_and_found(
    tree: FakeTree, monkeypatch: pytest.MonkeyPatch, error_of: Callable[..., str]
) -> None:
    expected, found = "0" * 64, hashlib.sha256(tree.wheel.read_bytes()).hexdigest()
    said = f"expected sha256 {expected}, found {found}; "
    monkeypatch.setattr(layout, "here", lambda: tree.layout)
    monkeypatch.setattr(pip, "wheel_cache", lambda: tree.cache)
    tree.pin(expected)
    for command in ("build", "wheel", "dist"):
        assert f"{tree.wheel}: {said}delete it" in error_of(command)
    assert not tree.layout.stock(VERSION).exists()
    # The pin is checked also where the tree stands.
    tree.pin()
    make(tree)
    tree.pin(expected)
    with pytest.raises(HarnessError, match=said):
        make(tree)


def test_an_absent_wheel_is_downloaded_and_cached_unless_its_hash_is_wrong(
    tree: FakeTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index"
    tree.cache.rename(index)
    (tree.cache / ".download-of-a-killed-process").mkdir(parents=True)
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    sound = tree.layout.toolchain.read_text()
    tree.pin("0" * 64)
    with pytest.raises(HarnessError, match="expected sha256 0000.*found .*not kept"):
        make(tree)
    assert not list(tree.cache.glob(".download-*")) and not tree.wheel.exists()
    tree.layout.toolchain.write_text(sound)
    make(tree)
    assert not list(tree.cache.glob(".download-*")) and tree.wheel.is_file()
    assert tree.layout.stock(VERSION).is_dir()


def test_a_failed_download_says_what_was_wanted(
    tree: FakeTree, capfd: pytest.CaptureFixture[str]
) -> None:
    tree.wheel.unlink()
    with pytest.raises(HarnessError, match=r"could not download .*mxnet-mkl==1\.0.*\(exit 1"):
        make(tree)


def test_another_mkldnn_is_refused(tree: FakeTree) -> None:
    pinned = "f" * 40
    tree.pin(build_id=pinned)
    with pytest.raises(HarnessError, match=f"expected build-id {pinned}.*found {BUILD_ID}"):
        make(tree)
    assert not tree.layout.stock(VERSION).exists()


def test_a_libmxnet_without_mkldnn_is_refused(
    tree: FakeTree, members: Members, tmp_path: Path
) -> None:
    """Such as one that has MKL-DNN linked in: there is no boundary to go between."""
    linked = tmp_path / "libmxnet.so"
    compile_program("int mxnet() { return 0; }", linked)
    zip_members(tree.wheel, {**members, "mxnet/libmxnet.so": linked.read_bytes()})
    tree.pin()
    needed = "expected it to need libmkldnn_opcache.so, then libmkldnn.so.0, found"
    with pytest.raises(HarnessError, match=f"libmxnet.so: {needed} libmkldnn_opcache.so"):
        make(tree)
    assert not tree.layout.patched(VERSION).exists()


def test_a_library_that_does_not_compile_is_an_error(
    tree: FakeTree, capfd: pytest.CaptureFixture[str]
) -> None:
    (tree.layout.sources / "opcache.cc").write_text("#error planted\n")
    with pytest.raises(HarnessError, match="compiling .* failed"):
        make(tree)
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
    killed = subprocess.run(command, cwd=layout.here().root)
    assert killed.returncode == -signal.SIGKILL
    assert list(tree.layout.build.rglob("half")), "the process was killed too early"
    assert not tree.layout.stock(VERSION).exists()
    make(tree)
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
