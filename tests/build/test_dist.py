"""What is handed out: every wheel runs where its name says, and two builds give the same bytes."""

from __future__ import annotations

import fnmatch
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Dict, Iterator, List

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from packaging.specifiers import SpecifierSet

from harness.base import layout as layouts
from harness.base.errors import HarnessError
from harness.base.layout import CACHE_LIBRARY, Layout
from harness.build import compiling, dist, tags
from harness.build import wheel as own
from tests.build.conftest import FakeTree
from tests.support.commands import CONVOLVE, clean_environment, compile_program, python, run

PATHS = layouts.here()
OURS = sorted(PATHS.dist.glob("mkldnn_opcache-*.whl"))
WHEELS = sorted(PATHS.dist.glob("*.whl"))
of_each_wheel = pytest.mark.parametrize("wheel", WHEELS, ids=lambda path: path.name)
NEWEST_GLIBC = (2, 17)

pytestmark = pytest.mark.skipif(not OURS, reason="run `make build` first")


def abi_faults(library: Path, exports: Path) -> List[str]:
    """Return what a library needs or exports that ours must not, a line each."""
    (pattern,) = re.findall(r"global:\s+(\S+);", exports.read_text())
    found = []
    with library.open("rb") as file:
        elf = ELFFile(file)
        symbols = list(elf.get_section_by_name(".dynsym").iter_symbols())[1:]
        needed = [s for s in elf.iter_sections() if isinstance(s, GNUVerNeedSection)]
        versions = [a.name for s in needed for _, entries in s.iter_versions() for a in entries]
        index = elf.get_section_by_name(".gnu.version")
        unversioned = [
            symbol.name
            for number, symbol in enumerate(symbols, 1)
            if symbol["st_shndx"] == "SHN_UNDEF"
            and (index is None or index.get_symbol(number)["ndx"] in ("VER_NDX_GLOBAL", 1))
        ]
    for version in sorted(set(versions)):
        numbers = re.fullmatch(r"GLIBC_([\d.]+)", version)
        if not numbers or tuple(map(int, numbers[1].split("."))) > NEWEST_GLIBC:
            found.append(f"needs {version}")
    found += [f"needs {name} of any library" for name in unversioned]
    exported = [s.name for s in symbols if s["st_shndx"] != "SHN_UNDEF"]
    found += [f"exports {name}" for name in exported if not fnmatch.fnmatch(name, pattern)]
    return found


@pytest.fixture(params=WHEELS, ids=lambda path: path.name)
def shipped(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """The library that a wheel brings."""
    with zipfile.ZipFile(request.param) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(CACHE_LIBRARY)]
        yield Path(archive.extract(name, tmp_path))


@of_each_wheel
def test_a_wheel_is_tagged_as_auditwheel_says(wheel: Path) -> None:
    platform = wheel.stem.split("-")[-1]
    assert platform == tags.of_wheel(wheel)
    with zipfile.ZipFile(wheel) as archive:
        (info,) = [name for name in archive.namelist() if name.endswith(".dist-info/WHEEL")]
        lines = archive.read(info).decode().splitlines()
    assert [x for x in lines if x.startswith("Tag: ")] == [
        f"Tag: {version}-none-{platform}" for version in ("py2", "py3")
    ]


def test_the_library_needs_an_old_glibc_alone(shipped: Path) -> None:
    assert abi_faults(shipped, PATHS.sources / "exports.map") == []


def test_every_wheel_has_the_same_library(shipped: Path) -> None:
    """In a patched MXNet it also names the library that it needs, which moves its tables."""

    def code(path: Path) -> List[bytes]:
        with path.open("rb") as file:
            elf = ELFFile(file)
            return [elf.get_section_by_name(name).data() for name in (".text", ".rodata")]

    assert code(shipped) == code(PATHS.library)


def test_the_exports_are_those_that_the_sources_name() -> None:
    with PATHS.library.open("rb") as file:
        symbols = list(ELFFile(file).get_section_by_name(".dynsym").iter_symbols())[1:]
    exported = {s.name for s in symbols if s["st_shndx"] != "SHN_UNDEF"}
    door = (PATHS.sources / "interpose.cc").read_text()
    named = {f"mkldnn_{name}" for name in re.findall(r"^OPCACHE_EXPORT\w*\((\w+)\)", door, re.M)}
    named |= set(re.findall(r"\b(mkldnn_opcache_\w+)\(", (PATHS.sources / "opcache.h").read_text()))
    assert exported == named


@pytest.fixture(scope="module")
def of_this_machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that the compiler of this machine made, with what only its own systems have."""
    path = tmp_path_factory.mktemp("planted") / CACHE_LIBRARY
    source = """
        #include <pthread.h>
        #include <string>
        pthread_key_t key;
        std::string text;
        std::string planted() { pthread_key_create(&key, nullptr); return text + "x"; }
    """
    compile_program(source, path, "-pthread")
    return path


def test_a_library_of_this_machine_is_found_out(of_this_machine: Path) -> None:
    found = abi_faults(of_this_machine, PATHS.sources / "exports.map")
    assert any(line.startswith("needs GLIBCXX_") for line in found)
    assert any(line.startswith("exports _Z") for line in found)
    if os.confstr("CS_GNU_LIBC_VERSION") >= "glibc 2.34":
        assert "needs GLIBC_2.34" in found


def test_a_library_of_this_machine_is_not_packed(tree: FakeTree, of_this_machine: Path) -> None:
    tree.layout.library.parent.mkdir(parents=True)
    shutil.copy(of_this_machine, tree.layout.library)
    with pytest.raises(HarnessError, match="expected manylinux2014_x86_64 or older, found "):
        own.make_wheel(tree.layout)
    assert not tree.layout.dist.exists()


def digests(folder: Path) -> Dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_two_builds_in_two_folders_are_the_same_bytes(
    tree: FakeTree,
    tmp_path: Path,
) -> None:
    other = Layout(tmp_path / "elsewhere" / "deeper")
    shutil.copytree(tree.layout.root, other.root)
    (tree.layout.package / "data.pth").write_text("import data\n")
    (other.package / "data.pth").write_text("import data\n")
    os.utime(other.package / "data.pth", (1, 1))
    (other.package / "__pycache__").mkdir()
    (other.package / "__pycache__" / "x.pyc").touch()
    stale = other.dist / "mkldnn_opcache-0.0.1-py2.py3-none-manylinux2014_x86_64.whl"
    stale.parent.mkdir()
    stale.touch()

    dist.make(tree.layout, tree.cache)
    old = os.umask(0o077)
    try:
        dist.make(other, tree.cache)
    finally:
        os.umask(old)
    assert digests(other.dist) == digests(tree.layout.dist)

    folder = tree.layout.dist
    sums = run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder)
    assert sums.returncode == 0 and sums.stdout.count(": OK") == len(list(folder.iterdir())) - 1
    bill = json.loads((folder / "opcache-9.9.cdx.json").read_text())
    names = {part["name"] for part in bill["components"]}
    assert {path.name for path in folder.glob("*.whl")} < names
    (patched,) = [part for part in bill["components"] if part["name"].startswith("mxnet_mkl")]
    inside = {part["name"]: part for part in patched["components"]}
    assert set(inside) == {f"mxnet/{x}" for x in ("libmkldnn.so.0", "libmxnet.so", CACHE_LIBRARY)}
    assert all(part["hashes"] and part["licenses"] for part in inside.values())


def test_a_library_of_unknown_license_is_not_handed_out(
    tree: FakeTree,
    of_this_machine: Path,
) -> None:
    with zipfile.ZipFile(tree.wheel, "a") as archive:
        archive.write(of_this_machine, "mxnet/libunknown.so")
    tree.pin()
    with pytest.raises(HarnessError, match=r"mxnet/libunknown.so: expected a license"):
        dist.make(tree.layout, tree.cache)


def test_a_missing_compiler_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(HarnessError, match="has no module 'ziglang': run `make venv`"):
        compiling.make_library(PATHS)


def test_our_wheel_is_for_every_python_that_mxnet_has(tmp_path: Path, first_host: str) -> None:
    (wheel,) = OURS
    (found,) = importlib.metadata.distributions(path=[str(wheel)])
    assert found.metadata["Name"] == "mkldnn-opcache" and not found.requires
    assert [(point.name, point.value) for point in found.entry_points] == [
        ("opcache", "mkldnn_opcache.__main__:main")
    ]
    supported = found.metadata["Requires-Python"]
    accepted = [f"{x}.{y}" for x, y in [(2, 6), (2, 7), *((3, y) for y in range(3, 15))]]
    assert [v for v in accepted if v in SpecifierSet(supported)] == ["2.7", *accepted[4:]]
    with zipfile.ZipFile(wheel) as archive:
        packed = {n for n in archive.namelist() if n.startswith("mkldnn_opcache/")}
    assert packed >= {f"mkldnn_opcache/{p.name}" for p in PATHS.package.glob("*.py")}
    assert not [name for name in packed if "__pycache__" in name]

    # Preloaded from where it was installed, it works under a released MXNet.
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target"]
    subprocess.run([*install, str(target), str(wheel)], check=True)
    program = CONVOLVE + "import mkldnn_opcache; assert mkldnn_opcache.active()"
    variables = {
        "PYTHONPATH": f"{target}{os.pathsep}{PATHS.stock(first_host)}",
        "LD_PRELOAD": target / "mkldnn_opcache" / CACHE_LIBRARY,
    }
    result = run(python(program), cwd=tmp_path, env=clean_environment(**variables))
    assert result.returncode == 0, result.stderr
