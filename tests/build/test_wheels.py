"""The patched wheels and trees of the real MXNet releases, as `make build` leaves them."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import List, Tuple

import pytest
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from packaging.requirements import Requirement

from harness.base import layout, toml
from harness.build import toolchain, trees
from tests.support.commands import clean_environment, python, run

PATHS = layout.here()
TOOLCHAIN = toolchain.load_toolchain(PATHS.toolchain)
VERSION = toml.project_version(PATHS.pyproject)
OURS = "libmkldnn_opcache.so"

pytestmark = pytest.mark.skipif(not PATHS.dist.is_dir(), reason="run `make build` first")
hosts = pytest.mark.parametrize("host", TOOLCHAIN.hosts, ids=lambda host: host.version)


def wheel_of(host: toolchain.Host) -> Path:
    return trees.wheel_of(PATHS, host, VERSION)


def dynamic(path: Path) -> Tuple[List[str], List[str]]:
    """Return the needed libraries and the run-time search paths of an ELF file."""
    with path.open("rb") as file:
        sections = ELFFile(file).iter_sections()
        tags = [tag for s in sections if isinstance(s, DynamicSection) for tag in s.iter_tags()]
        needed = [tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"]
        paths = [tag.runpath for tag in tags if tag.entry.d_tag == "DT_RUNPATH"]
        paths += [tag.rpath for tag in tags if tag.entry.d_tag == "DT_RPATH"]
    return needed, paths


def distribution(wheel: Path) -> importlib.metadata.Distribution:
    (found,) = importlib.metadata.distributions(path=[str(wheel)])
    return found


@hosts
def test_every_file_of_the_wheel_is_in_its_record(host: toolchain.Host) -> None:
    wheel = wheel_of(host)
    files = distribution(wheel).files or []
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert len(set(names)) == len(names)
        assert sorted(map(str, files)) == sorted(names)
        for file in files:
            if file.name == "RECORD":
                assert file.hash is None and file.size is None
                continue
            content = archive.read(str(file))
            sha256 = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            assert (file.hash.mode, file.hash.value) == ("sha256", sha256.decode()), file
            assert file.size == len(content), file


@hosts
def test_metadata_names_the_patched_version_and_what_the_tests_run_on(host: toolchain.Host) -> None:
    found = distribution(wheel_of(host))
    assert found.metadata["Name"] == host.package
    assert found.metadata.get_all("Version") == [f"{host.version}+opcache.{VERSION}"]
    requirements = [Requirement(text) for text in found.requires or []]
    assert {requirement.name for requirement in requirements} == {"numpy", "requests", "graphviz"}
    for requirement in requirements:
        assert importlib.metadata.version(requirement.name) in requirement.specifier


@hosts
def test_libmxnet_needs_our_library_before_the_real_one(host: toolchain.Host) -> None:
    patched, stock = PATHS.patched(host.version) / "mxnet", PATHS.stock(host.version) / "mxnet"
    stock_needed, _ = dynamic(stock / "libmxnet.so")
    assert host.library in stock_needed and OURS not in stock_needed
    needed, _ = dynamic(patched / "libmxnet.so")
    assert needed == [OURS, *stock_needed]
    ours_needed, search = dynamic(patched / OURS)
    assert host.library in ours_needed and search == ["$ORIGIN"]
    assert (patched / host.library).samefile(stock / host.library)


def test_the_library_for_preloading_needs_no_mkldnn() -> None:
    needed, search = dynamic(PATHS.library)
    assert not [name for name in needed if "mkldnn" in name] and search == []


@hosts
def test_an_installed_wheel_brings_the_library_by_itself(
    host: toolchain.Host, tmp_path: Path
) -> None:
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", str(target), str(wheel_of(host))], check=True)
    program = (
        "import mxnet; assert mxnet.nd.ones((2, 3)).sum().asscalar() == 6; "
        "import mkldnn_opcache; assert mkldnn_opcache.active(); "
        "print(mxnet.__version__); print(open('/proc/self/maps').read())"
    )
    result = run(python(program), cwd=tmp_path, env=clean_environment(PYTHONPATH=target))
    assert result.returncode == 0, result.stderr
    version, _, maps = result.stdout.partition("\n")
    assert version == host.version.split(".post")[0]
    for name in (OURS, host.library, "libmxnet.so"):
        assert f"{target}/mxnet/{name}" in maps
