"""The order of the packages, as import-linter checks it in `make check`, and planted faults."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.base.layout import Layout

LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def broken(root: Path) -> str:
    """Return what import-linter prints about the tree ``root``; empty when nothing is wrong."""
    done = subprocess.run(
        [sys.executable, "-c", LINT],
        cwd=root,
        env={"PYTHONPATH": str(root), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
    )
    assert "Contracts: " in done.stdout, done.stderr
    return done.stdout if done.returncode else ""


@pytest.fixture
def tree(layout: Layout, tmp_path: Path) -> Path:
    """A copy of what is checked, with the contracts."""
    for name in ("harness", "models", "patches/python"):
        shutil.copytree(layout.root / name, tmp_path / name)
    shutil.copy(layout.pyproject, tmp_path)
    return tmp_path


def test_packages_import_only_what_is_below_them(layout: Layout) -> None:
    assert broken(layout.root) == ""


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("harness/base/console.py", "from harness.publish import tables", "only packages below it"),
        ("harness/bench/plan.py", "from harness.verify import record", "only packages below it"),
        ("harness/trials/proof.py", "import mxnet", "Only the worker imports mxnet"),
        ("models/alexnet.py", "from harness.base import errors", "know nothing of the harness"),
    ],
)
def test_imports_against_the_order_are_found(
    tree: Path, file: str, line: str, contract: str
) -> None:
    path = tree / file
    path.write_text(f"{path.read_text()}\n{line}\n")
    found = broken(tree)
    assert any(contract in said and "BROKEN" in said for said in found.splitlines())
