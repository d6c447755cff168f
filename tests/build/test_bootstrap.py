"""The checks before any download, and .venv made from cached wheels."""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import pytest

from harness import bootstrap, prerequisites
from harness.base import layout
from harness.base.errors import HarnessError
from tests.support.commands import run, zip_members

ROOT = layout.here().root


@pytest.mark.parametrize(
    "target, missing",
    [("wheel", "make"), ("wheel", "python3"), ("test", "g++"), ("verify", "patch")],
)
def test_a_missing_program_stops_make_before_it_makes_anything(
    tmp_path: Path, target: str, missing: str
) -> None:
    path, work = tmp_path / "path", tmp_path / "work"
    path.mkdir()
    for name in {"sh", "make", "g++", "patch", "python3"} - {missing}:
        found = sys.executable if name == "python3" else shutil.which(name)
        # Not a link: an interpreter that is called through one does not find its environment.
        (path / name).write_text(f'#!/bin/sh\nexec "{found}" "$@"\n')
        (path / name).chmod(0o755)
    shutil.copytree(ROOT / "harness", work / "harness")
    for name in ("Makefile", *bootstrap.REQUIREMENTS):
        shutil.copy(ROOT / name, work)
    outer = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "PYTHON")
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    result = run([shutil.which("make"), target], cwd=work, env={**environment, "PATH": str(path)})
    assert result.returncode != 0
    start = "opcache: error: "
    (error,) = [line for line in result.stderr.splitlines() if line.startswith(start)]
    assert error.startswith(f"{start}{missing} is needed, not found on PATH")
    assert not (work / ".venv").exists()


def test_a_build_needs_no_compiler_of_the_system() -> None:
    for target in ("wheel", "build", "dist"):
        said = run(["make", "-n", target], cwd=ROOT).stdout
        assert re.search(r"-m harness\.prerequisites *\n", said), said


@pytest.mark.parametrize(
    "version, accepted",
    [((2, 7, 18), False), ((3, 7, 16), False), ((3, 8, 0), True), ((3, 9, 18), True)]
    + [((3, 10, 1), True), ((3, 11, 9), True), ((3, 12, 0), False), ((4, 0, 0), False)],
)
def test_python_versions(monkeypatch: pytest.MonkeyPatch, version: tuple, accepted: bool) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    found = prerequisites.problems()
    if accepted:
        assert found == []
    else:
        (problem,) = found
        assert f"Python 3.8 to 3.11 is needed, found {version[0]}.{version[1]}" in problem


def test_another_platform_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    (problem,) = prerequisites.problems()
    assert problem == f"Linux x86-64 is needed, found {sys.platform} aarch64"


def test_a_missing_standard_module_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    (problem,) = prerequisites.problems()
    assert problem.startswith("Python module ensurepip is needed, not found in ")


_MODERN = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.AsyncFunctionDef, ast.Nonlocal)


def modern_nodes(path: Path) -> List[ast.AST]:
    """Return the syntax of a file that Python 2.7 does not have."""
    return [
        node
        for node in ast.walk(ast.parse(path.read_text(), feature_version=(3, 4)))
        if isinstance(node, _MODERN)
        or (isinstance(node, ast.FunctionDef) and node.returns)
        or (isinstance(node, ast.arg) and node.annotation)
    ]


JUDGES = [ROOT / "harness" / name for name in ("__init__.py", "prerequisites.py")]
PACKAGE = sorted((ROOT / "patches" / "python" / "mkldnn_opcache").glob("*.py"))


@pytest.mark.parametrize("path", [*JUDGES, *PACKAGE], ids=lambda path: path.name)
def test_old_interpreters_can_parse_what_judges_them(path: Path) -> None:
    assert PACKAGE and modern_nodes(path) == []
    if path in JUDGES:
        imports = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Import)]
        modules = {alias.name for node in imports for alias in node.names}
        assert modules <= {"os", "platform", "sys"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose only dependency is a wheel in the cache; the network is out of reach."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    (tmp_path / "requirements-nodeps.txt").write_text("")
    zip_members(cached_wheel(tmp_path), tiny_wheel())
    digest = hashlib.sha256(cached_wheel(tmp_path).read_bytes()).hexdigest()
    (tmp_path / "requirements.txt").write_text(f"opcache-tiny==1.0 --hash=sha256:{digest}\n")
    return tmp_path


def cached_wheel(project: Path) -> Path:
    version = "cp{}{}".format(*sys.version_info)
    return project / "cache" / version / "opcache_tiny-1.0-py3-none-any.whl"


def tiny_wheel() -> Dict[str, str]:
    info = "opcache_tiny-1.0.dist-info"
    members = {
        "opcache_tiny.py": "",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: opcache-tiny\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{info}/RECORD"
    return {**members, record: "".join(f"{name},,\n" for name in (*members, record))}


def has_tiny(project: Path) -> bool:
    python = project / ".venv" / "bin" / "python"
    return subprocess.run([str(python), "-c", "import opcache_tiny"]).returncode == 0


def test_the_environment_is_made_offline_once_and_again_when_requirements_change(
    project: Path,
) -> None:
    assert bootstrap.make_environment(project, project / "cache")
    assert has_tiny(project)
    assert not bootstrap.make_environment(project, project / "cache")
    (project / "requirements.txt").write_text("")
    assert bootstrap.make_environment(project, project / "cache")
    assert not has_tiny(project), "what is no longer required must be gone"


def test_a_corrupt_cached_dependency_is_an_error_and_leaves_no_stamp(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wheel = cached_wheel(project)
    whole = wheel.read_bytes()
    wheel.write_bytes(whole[:-50])
    with pytest.raises(HarnessError, match="could not download"):
        bootstrap.make_environment(project, project / "cache")
    assert not (project / ".venv" / ".opcache-stamp.json").exists()
    assert "the cached wheels do not suffice" in capfd.readouterr().err
    wheel.write_bytes(whole)
    assert bootstrap.make_environment(project, project / "cache"), "it must be resumed"
    assert has_tiny(project)


@pytest.mark.parametrize("what", ["of another hash", "without a hash"])
def test_only_dependencies_of_a_pinned_hash_are_installed(project: Path, what: str) -> None:
    if what == "of another hash":
        zip_members(cached_wheel(project), {**tiny_wheel(), "opcache_tiny.py": "stolen = True\n"})
    else:
        (project / "requirements.txt").write_text("opcache-tiny==1.0\n")
    with pytest.raises(HarnessError, match="could not download"):
        bootstrap.make_environment(project, project / "cache")
    assert not has_tiny(project)


def test_an_environment_can_be_remade_from_inside_itself(project: Path) -> None:
    assert bootstrap.make_environment(project, project / "cache")
    requirements = project / "requirements.txt"
    requirements.write_text("# changed\n" + requirements.read_text())
    program = (
        "import sys; from pathlib import Path; from harness import bootstrap; "
        "bootstrap.make_environment(Path(sys.argv[1]), Path(sys.argv[1], 'cache'))"
    )
    python = project / ".venv" / "bin" / "python"
    subprocess.run([str(python), "-c", program, str(project)], cwd=ROOT, check=True)
    assert has_tiny(project)
