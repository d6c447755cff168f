"""The build command: from pinned wheels and C++ sources to patched MXNets and their wheels.

Products that are up to date are left alone: a build that was killed is resumed by the next.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.base import toml
from harness.base.layout import Layout
from harness.build import pip, trees, wheel, work_tree
from harness.build.toolchain import load_toolchain

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
    with work_tree.locked() as paths:
        build(paths, pip.wheel_cache())
    return 0


def build(paths: Layout, cache: Path) -> None:
    """Build the work tree ``paths`` with the wheels in the folder ``cache``.

    Missing wheels are downloaded into it. Raises HarnessError; finished products stay.
    """
    toolchain = load_toolchain(paths.toolchain)
    version = toml.project_version(paths.pyproject)
    wheel.make_library(paths, toolchain, cache)
    for host in toolchain.hosts:
        trees.make_stock(paths, host, cache)
    for host in toolchain.hosts:
        trees.make_patched(paths, host, version, toolchain)
        trees.make_wheel(paths, host, version)
    wheel.make_wheel(paths)
