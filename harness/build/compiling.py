"""Compiles the library, its faulty builds and the C++ programs, by the Makefiles beside them.

One make at a time: processes and threads that want the same product wait for each other.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from harness.base import files
from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.base.process import own_environment
from harness.build.toolchain import Toolchain

_RELEASE = {"RELEASE": 1, "ZIG": f"{sys.executable} -m ziglang"}


def make_library(paths: Layout) -> None:
    """Compile the library that is handed out, by the zig of this environment."""
    if importlib.util.find_spec("ziglang") is None:
        raise HarnessError(f"{sys.executable} has no module 'ziglang': run `make venv`")
    _compile(paths, paths.sources, paths.library, HEADERS=paths.mkldnn_headers, **_RELEASE)


def make_faulty(paths: Layout, fault: str) -> Path:
    """Compile the library with a planted fault (tests/faults/faults.toml) and return it."""
    library = paths.build / "faults" / fault / paths.library.name
    variables = {
        "FAULT": fault,
        "HEADERS": paths.mkldnn_headers,
        "COMMON": paths.library.parent,
        "OUT": library.parent.parent,
        **_RELEASE,
    }
    words = [f"{name}={value}" for name, value in variables.items()]
    _make(paths, paths.faults, library, *words)
    return library


def make_cpp_test(paths: Layout, toolchain: Toolchain, name: str) -> Path:
    """Compile one of the C++ tests and return it; it finds its libraries by LD_LIBRARY_PATH."""
    program = paths.build / "tests-cpp" / name
    headers = paths.headers(toolchain.headers)
    words = (str(program), f"HEADERS={headers}", f"BUILD={paths.build}")
    _make(paths, paths.cpp_tests, program, *words)
    return program


def make_microbench(paths: Layout, toolchain: Toolchain) -> None:
    """Compile the micro-benchmark, for all MXNet releases."""
    mxnet = paths.stock(toolchain.headers) / "mxnet"
    _compile(paths, paths.tools / "microbench", paths.microbench, MXNET=mxnet)


def make_kill_at(paths: Layout) -> Path:
    """Compile and return the library that kills a process in the middle of writing."""
    _compile(paths, paths.tools / "kill_at", paths.kill_at)
    return paths.kill_at


def make_no_execution(paths: Layout) -> Path:
    """Compile and return the library that keeps MXNet from executing primitives."""
    _compile(paths, paths.tools / "no_execution", paths.no_execution)
    return paths.no_execution


def _compile(paths: Layout, sources: Path, product: Path, **variables: object) -> None:
    """Compile ``product`` by the Makefile in ``sources``."""
    words = [f"{name}={value}" for name, value in variables.items()]
    _make(paths, sources, product, *words, f"OUT={product.parent}")


def _make(paths: Layout, sources: Path, product: Path, *words: str) -> None:
    """Run the Makefile in ``sources``, which knows what is out of date."""
    command = ["make", "--silent", f"-j{os.cpu_count() or 1}", "-C", str(sources), *words]
    with files.lock(paths.build / ".make", aloud=False):
        result = subprocess.run(command, env=own_environment(), stdout=2)  # to stderr
    if result.returncode != 0:
        raise HarnessError(f"compiling {sources} failed: make exit {result.returncode}")
    if not product.is_file():
        raise HarnessError(f"compiling {sources}: expected {product}, found none")
