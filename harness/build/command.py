"""The build command: from pinned wheels and C++ sources to patched MXNets and their wheels.

Products that are up to date are left alone: a build that was killed is resumed by the next.
"""

from __future__ import annotations

import argparse
import os
import subprocess
from pathlib import Path

from harness import prerequisites
from harness.base import files, layout, toml
from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.base.process import own_environment
from harness.build import pip, trees
from harness.build.toolchain import Toolchain, load_toolchain

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

    Missing wheels are downloaded into it. Raises HarnessError; finished products stay.
    """
    toolchain = load_toolchain(paths.toolchain)
    version = toml.project_version(paths.pyproject)
    for host in toolchain.hosts:
        trees.make_stock(paths, host, cache)
    make_library(paths, toolchain)
    for host in toolchain.hosts:
        trees.make_patched(paths, host, version, toolchain)
        trees.make_wheel(paths, host, version)


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
    """Compile the micro-benchmark, for all MXNet releases."""
    mxnet = paths.stock(toolchain.headers) / "mxnet"
    _compile(paths.tools / "microbench", paths.microbench, MXNET=mxnet)


def make_kill_at(paths: Layout) -> Path:
    """Compile and return the library that kills a process in the middle of writing."""
    _compile(paths.tools / "kill_at", paths.kill_at)
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
