"""The build on a stand-in release: what is refused, what is resumed, what is left alone.

The stand-in has what the build touches: a libmxnet.so that needs a libmkldnn.so.0 with a build-id,
a header, and the metadata of a wheel.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Callable, Dict, List, Optional, Union

import pytest

from harness.base import layout
from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.build import command as build
from harness.build import pip
from tests.support.commands import compile_program, zip_members

BUILD_ID = "0123456789abcdef0123456789abcdef01234567"
VERSION = "1.0"
WHEEL = f"mxnet_mkl-{VERSION}-py2.py3-none-manylinux1_x86_64.whl"

METADATA = """Metadata-Version: 2.1
Name: mxnet-mkl
Version: 1.0
Summary: A stand-in.
Requires-Dist: numpy (<1.15.0,>=1.8.2)

Version: of the description, which is not a header
"""
WHEEL_METADATA = """Wheel-Version: 1.0
Generator: none
Root-Is-Purelib: true
Tag: py2-none-manylinux1_x86_64
Tag: py3-none-manylinux1_x86_64
"""
MAKEFILE = """$(OUT)/libmkldnn_opcache.so: opcache.cc $(HEADERS)/mkldnn.h
\t@mkdir -p $(OUT)
\tg++ -shared -fPIC -I$(HEADERS) -Wl,-soname,libmkldnn_opcache.so -o $@ opcache.cc
"""
TOOLCHAIN = """headers = "1.0"
requires = ["numpy<1.24"]
[[hosts]]
version = "{version}"
package = "mxnet-mkl"
filename = "{filename}"
sha256 = "{sha256}"
mkldnn = "v0.0"
mkldnn_build_id = "{build_id}"
"""

Members = Dict[str, Union[str, bytes]]


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Members:
    """The members of the stand-in's wheel, by name."""
    folder = tmp_path_factory.mktemp("release")
    real, mxnet = folder / "libmkldnn.so.0", folder / "libmxnet.so"
    link = [f"-Wl,-soname,{real.name}", f"-Wl,--build-id=0x{BUILD_ID}"]
    compile_program('extern "C" int mkldnn() { return 0; }', real, *link)
    needing = 'extern "C" int mkldnn(); int mxnet() { return mkldnn(); }'
    compile_program(needing, mxnet, str(real))
    info = f"mxnet_mkl-{VERSION}.dist-info"
    return {
        "mxnet/__init__.py": "",
        "mxnet/libmkldnn.so.0": real.read_bytes(),
        "mxnet/libmxnet.so": mxnet.read_bytes(),
        "mxnet/include/mkldnn/mkldnn.h": "",
        f"{info}/METADATA": METADATA,
        f"{info}/WHEEL": WHEEL_METADATA,
        f"{info}/top_level.txt": "mxnet\n",
        f"{info}/RECORD": f"{info}/RECORD,,\n",
    }


@dataclasses.dataclass(frozen=True)
class FakeTree:
    """A work tree that can be built, and the wheel cache it is built from."""

    layout: Layout
    cache: Path

    @property
    def wheel(self) -> Path:
        """The released wheel in the cache."""
        return self.cache / WHEEL

    def pin(self, sha256: Optional[str] = None, build_id: str = BUILD_ID) -> None:
        """Write the toolchain file with this sha256, by default the wheel's."""
        sha256 = sha256 or hashlib.sha256(self.wheel.read_bytes()).hexdigest()
        text = TOOLCHAIN.format(version=VERSION, filename=WHEEL, sha256=sha256, build_id=build_id)
        self.layout.toolchain.write_text(text)

    def states(self, folder: str) -> Dict[str, List[int]]:
        """Return the identity and time of change of every file under ``folder``, by path."""
        return {
            str(path): [path.stat().st_ino, path.stat().st_mtime_ns]
            for path in sorted((self.layout.root / folder).rglob("*"))
        }


@pytest.fixture
def tree(tmp_path: Path, members: Members, monkeypatch: pytest.MonkeyPatch) -> FakeTree:
    """A work tree with its wheel in the cache."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # whatever goes wrong, no test downloads
    tree = FakeTree(Layout(tmp_path / "work"), tmp_path / "cache")
    for folder in (tree.layout.toolchain.parent, tree.layout.sources, tree.layout.package):
        folder.mkdir(parents=True)
    zip_members(tree.wheel, members)
    tree.pin()
    tree.layout.pyproject.write_text('[project]\nversion = "9.9"\n')
    for name in ("__init__.py", "py.typed"):
        (tree.layout.package / name).write_text("")
    (tree.layout.sources / "Makefile").write_text(MAKEFILE)
    (tree.layout.sources / "opcache.cc").write_text('extern "C" int opcache() { return 0; }\n')
    return tree


def make(tree: FakeTree) -> None:
    build.build(tree.layout, tree.cache)


def shipped(tree: FakeTree) -> zipfile.ZipFile:
    """Open the patched wheel."""
    return zipfile.ZipFile(next(tree.layout.dist.iterdir()))


def test_a_second_build_does_nothing_and_makes_missing_products(tree: FakeTree) -> None:
    make(tree)
    before = tree.states(".")
    assert [path.name for path in tree.layout.dist.iterdir()] == [
        "mxnet_mkl-1.0+opcache.9.9-py2.py3-none-linux_x86_64.whl"
    ]
    make(tree)
    assert tree.states(".") == before
    next(tree.layout.dist.iterdir()).unlink()
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
    assert "manylinux" not in tags and tags.count("linux_x86_64") == 2
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
    assert f"{tree.wheel}: {said}delete it" in error_of("build")
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
