"""The build command: from pinned wheels and C++ sources to patched MXNets and their wheels.

Every product has a stamp with the hashes of all it was made from. A product whose stamp matches
is left alone; any other is made anew beside its place and moved there whole, so that a build which
was killed is resumed by the next.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict

from harness import prerequisites
from harness.base import files, layout, reading, toml
from harness.base.console import say
from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.base.process import own_environment
from harness.build import patching, pip, wheels
from harness.build import toolchain as config
from harness.build.toolchain import Host, Toolchain

_STAMP = ".opcache-stamp.json"


EXAMPLES = """examples:
  python -m harness build
  PYTHONPATH=build/1.4.1-opcache python train.py
  pip install dist/mxnet_mkl-1.4.1+opcache.*.whl
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The build takes no options: configs/toolchain.toml says what is built."""


def main(args: argparse.Namespace) -> int:
    """Build everything that is missing or out of date; return 0."""
    del args
    for problem in prerequisites.problems():
        raise HarnessError(problem)
    paths = layout.here()
    with files.lock(paths.lock):
        build(paths, pip.wheel_cache())
    return 0


def build(paths: Layout, cache: Path) -> None:
    """Build the work tree ``paths`` with the wheels in the folder ``cache``.

    What the cache lacks is downloaded into it. Raises HarnessError; what was finished stays.
    """
    toolchain = config.load_toolchain(paths.toolchain)
    version = toml.project_version(paths.pyproject)
    for host in toolchain.hosts:
        make_stock(paths, host, cache)
    make_library(paths, toolchain)
    for host in toolchain.hosts:
        make_patched(paths, host, version, toolchain)
        make_wheel(paths, host, version)


def make_stock(paths: Layout, host: Host, cache: Path) -> None:
    """Unpack the released MXNet ``host`` into its PYTHONPATH folder."""
    tree = paths.stock(host.version)
    inputs = {"sha256": host.sha256, "mkldnn_build_id": host.mkldnn_build_id}
    if _is_current(tree / _STAMP, inputs):
        return
    wheel = wheels.fetch(host, cache, Path(sys.executable))
    say(f"unpacking {wheel.name}")
    with files.folder(tree) as folder:
        wheels.unpack(wheel, folder)
        wheels.check_mkldnn(folder, host)
        _stamp(folder / _STAMP, inputs)


def make_library(paths: Layout, toolchain: Toolchain) -> None:
    """Compile the library."""
    _compile(paths.sources, paths.library, HEADERS=paths.headers(toolchain.headers))


def make_faulty(paths: Layout, toolchain: Toolchain, fault: str) -> Path:
    """Compile the library with a planted fault (tests/faults/faults.toml) and return it."""
    library = paths.build / "faults" / fault / paths.library.name
    variables = {
        "FAULT": fault,
        "HEADERS": paths.headers(toolchain.headers),
        "COMMON": paths.library.parent,
        "OUT": library.parent.parent,
    }
    words = [f"{name}={value}" for name, value in variables.items()]
    _make(paths.faults, library, *words)
    return library


def make_cpp_test(paths: Layout, toolchain: Toolchain, name: str) -> Path:
    """Compile one of the C++ tests and return it; it finds its libraries by LD_LIBRARY_PATH."""
    program = paths.build / "tests-cpp" / name
    headers = paths.headers(toolchain.headers)
    _make(paths.cpp_tests, program, str(program), f"HEADERS={headers}", f"BUILD={paths.build}")
    return program


def make_microbench(paths: Layout, toolchain: Toolchain) -> None:
    """Compile the micro-benchmark, for all hosts."""
    mxnet = paths.stock(toolchain.headers) / "mxnet"
    _compile(paths.microbench_sources, paths.microbench, MXNET=mxnet)


def make_kill_at(paths: Layout) -> Path:
    """Compile what kills a process in the middle of writing, and return it."""
    _compile(paths.kill_at_sources, paths.kill_at)
    return paths.kill_at


def _compile(sources: Path, product: Path, **variables: object) -> None:
    """Compile ``product`` by the Makefile in ``sources``."""
    words = [f"{name}={value}" for name, value in variables.items()]
    _make(sources, product, *words, f"OUT={product.parent}")


def _make(sources: Path, product: Path, *words: str) -> None:
    """Run the Makefile in ``sources``, which knows what is out of date."""
    command = ["make", "--silent", f"-j{os.cpu_count() or 1}", "-C", str(sources), *words]
    result = subprocess.run(command, env=own_environment(), stdout=2)  # to stderr
    if result.returncode != 0:
        raise HarnessError(f"compiling {sources} failed: make exit {result.returncode}")
    if not product.is_file():
        raise HarnessError(f"compiling {sources}: expected {product}, found none")


def make_patched(paths: Layout, host: Host, version: str, toolchain: Toolchain) -> None:
    """Make the PYTHONPATH folder of the patched MXNet ``host``."""
    tree = paths.patched(host.version)
    inputs = {
        "stock": reading.sha256_of(paths.stock(host.version) / _STAMP),
        "library": reading.sha256_of(paths.library),
        "package": ", ".join(map(reading.sha256_of, patching.package_files(paths.package))),
        "patching.py": reading.sha256_of(Path(patching.__file__)),
        "version": version,
        "requires": ", ".join(toolchain.requires),
    }
    if _is_current(tree / _STAMP, inputs):
        return
    say(f"patching MXNet {host.version}")
    with files.folder(tree) as folder:
        patching.link_tree(paths.stock(host.version), folder)
        patching.patch_libraries(folder, paths.library)
        patching.add_package(folder, paths.package)
        patching.rewrite_dist_info(folder, host, version, toolchain.requires, paths.package.name)
        _stamp(folder / _STAMP, inputs)


def make_wheel(paths: Layout, host: Host, version: str) -> None:
    """Pack the patched MXNet ``host`` as an installable wheel in dist/."""
    tree = paths.patched(host.version)
    wheel = paths.dist / patching.wheel_name(host, version)
    stamp = paths.build / f"{host.version}-wheel.json"
    inputs = {"tree": reading.sha256_of(tree / _STAMP)}
    if wheel.is_file() and _is_current(stamp, inputs):
        return
    say(f"packing {wheel.name}")
    stamp.unlink(missing_ok=True)
    paths.dist.mkdir(exist_ok=True)
    scratch = paths.build / ".pack"
    shutil.rmtree(scratch, ignore_errors=True)  # of a build that was killed
    # Packed from links, without the caches that running the tree leaves in it.
    contents, packed = scratch / "contents", scratch / "packed"
    contents.mkdir(parents=True)
    packed.mkdir()
    patching.link_tree(tree, contents)
    os.replace(patching.pack(contents, packed, wheel.name), wheel)
    shutil.rmtree(scratch)
    _stamp(stamp, inputs)


def _is_current(stamp: Path, inputs: Dict[str, str]) -> bool:
    if not stamp.is_file():
        return False
    return reading.content(stamp, reading.MOST_TEXT_BYTES) == _stamp_text(inputs).encode()


def _stamp(stamp: Path, inputs: Dict[str, str]) -> None:
    files.write_text(stamp, _stamp_text(inputs))


def _stamp_text(inputs: Dict[str, str]) -> str:
    return json.dumps(inputs, indent=1, sort_keys=True) + "\n"
