"""Finds the Pythons of this machine, and creates environments for them without network.

Wheels come from the wheel cache; the first use downloads those that it lacks. NumPy is unpacked
once per Python into build/interpreters, and environments get hard links to it.
"""

from __future__ import annotations

import dataclasses
import glob
import os
import subprocess
import sys
import tempfile
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Dict, List, Sequence

import pytest

from harness.base import files
from harness.base.layout import here
from harness.build import patching, pip
from tests.support.commands import clean_environment, run

# The NumPy of each Python: the last one with every name that MXNet uses, else the newest.
NUMPY = {
    "2.7": "numpy==1.16.6",
    "3.5": "numpy==1.18.5",
    "3.6": "numpy==1.19.5",
    "3.7": "numpy==1.21.6",
    **dict.fromkeys(("3.8", "3.9", "3.10", "3.11"), "numpy==1.23.5"),
    **dict.fromkeys(("3.12", "3.13"), "numpy"),
}
VERSIONS = tuple(NUMPY)
# Served by --compat: their NumPy lacks names.
NEED_COMPAT = ("3.12", "3.13")
OWN = "{}.{}".format(*sys.version_info[:2])
# Folders where distributions and version managers put executables.
_FOLDERS = (
    *("/usr/bin", "/usr/local/bin", "/opt/python/*/bin", "/opt/*/bin", "~/.local/bin"),
    *("~/.pyenv/versions/*/bin", "~/.asdf/installs/python/*/bin"),
    *("~/.local/share/mise/installs/python/*/bin", "~/.local/share/uv/python/*/bin"),
    *("~/*conda*/bin", "~/*conda*/envs/*/bin", "~/miniforge*/bin", "~/miniforge*/envs/*/bin"),
)
_VIRTUALENV = "virtualenv==20.21.1"  # the last series that creates environments of Python 2.7
_MANYLINUX = ("1", "2010", "2014", "_2_17", "_2_27", "_2_28")


@lru_cache(maxsize=None)
def found() -> Dict[str, Path]:
    """Return an executable of each CPython of ``VERSIONS`` on this machine."""
    folders = os.environ.get("PATH", "").split(os.pathsep)
    for pattern in _FOLDERS:
        folders += sorted(glob.glob(os.path.expanduser(pattern)))
    executables = {}
    for version in VERSIONS:
        for folder in folders:
            candidate = Path(folder, f"python{version}")
            # A shim of a version manager is executable even when its Python is not selected.
            if os.access(candidate, os.X_OK) and _is_python(candidate, version):
                executables[version] = candidate
                break
    return executables


def _is_python(candidate: Path, version: str) -> bool:
    program = (
        "import platform, sys; print(platform.python_implementation()); print(sys.version_info[:2])"
    )
    expected = ["CPython", "({}, {})".format(*version.split("."))]
    try:
        result = run([candidate, "-c", program], timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0 and result.stdout.splitlines() == expected


def interpreter(version: str) -> Path:
    """Return the executable of a Python, or skip the test by its name."""
    if version not in found():
        pytest.skip(f"no Python {version} on PATH or in the folders of version managers")
    return found()[version]


def site(version: str, *requirements: str) -> Path:
    """Return a folder for PYTHONPATH with packages for the Python ``version``, unpacked once.

    Without ``requirements`` it has the Python's NumPy.
    """
    requirements = requirements or (NUMPY[version],)
    folder = here().build / "interpreters" / f"{_tag(version)}-{'-'.join(requirements)}"
    with files.lock(folder.with_name(f".{folder.name}.lock")):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory() as wheels, files.folder(folder) as into:
                collect(version, requirements, Path(wheels))
                for wheel in Path(wheels).iterdir():
                    with zipfile.ZipFile(wheel) as archive:
                        archive.extractall(into)
    return folder


def collect(version: str, requirements: Sequence[str], into: Path) -> None:
    """Copy the wheels of ``requirements``, and of all that they need, from the cache.

    Downloads those that the cache lacks.
    """
    cache = pip.wheel_cache()
    cached = cache / "interpreters" / _tag(version)
    cached.mkdir(parents=True, exist_ok=True)
    wanted = ["--find-links", str(cache), *_target(version), *requirements]
    command = [sys.executable, "-I", "-m", "pip", "download", "--quiet", "--only-binary", ":all:"]
    command += ["--no-index", "--find-links", cached, "--dest", into, *wanted]
    if run(command).returncode != 0:
        pip.download(Path(sys.executable), cached, wanted)
        result = run(command)
        assert result.returncode == 0, result.stderr


def _tag(version: str) -> str:
    return "cp" + version.replace(".", "")


def _target(version: str) -> List[str]:
    """Return the options with which pip selects the wheels of another Python."""
    major, minor = map(int, version.split("."))
    abi = _tag(version) + ("mu" if major == 2 else "m" if minor < 8 else "")
    options = ["--python-version", version, "--implementation", "cp", "--abi", abi]
    for kind in _MANYLINUX:
        options += ["--platform", f"manylinux{kind}_x86_64"]
    return [*options, "--abi", "abi3", "--abi", "none"]


@dataclasses.dataclass(frozen=True)
class Environment:
    """A virtual environment of one Python."""

    version: str
    root: Path

    @property
    def python(self) -> Path:
        return self.root / "bin" / "python"

    @property
    def packages(self) -> Path:
        return self.root / "lib" / f"python{self.version}" / "site-packages"

    def link(self, folder: Path) -> None:
        """Add the packages of ``folder``, as hard links where the file system allows."""
        patching.link_tree(folder, self.packages)

    def unpack(self, wheel: Path) -> None:
        """Add the packages of a wheel that has no other files."""
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(self.packages)

    def run(
        self, *words: object, timeout: float = 300, **variables: object
    ) -> subprocess.CompletedProcess:
        """Run this environment's Python with ``words`` in its folder."""
        environment = clean_environment(OMP_NUM_THREADS=1, **variables)
        environment.pop("PYTHONPATH", None) if "PYTHONPATH" not in variables else None
        return run([self.python, *words], cwd=self.root, env=environment, timeout=timeout)


def create(version: str, root: Path, pip_inside: bool = False) -> Environment:
    """Create an empty environment in ``root``; skip the test if this Python is absent."""
    base = interpreter(version)
    words = ["-q", "--no-download", "--no-periodic-update", "--no-setuptools", "--no-wheel"]
    words += [] if pip_inside else ["--no-pip"]
    command = [sys.executable, "-m", "virtualenv", *words, "-p", base, root]
    tool = site(OWN, _VIRTUALENV)
    result = run(command, env=clean_environment(PYTHONPATH=tool))
    assert result.returncode == 0, result.stdout + result.stderr
    return Environment(version, root)


@lru_cache(maxsize=None)
def installed(root: Path, version: str, release: str) -> Environment:
    """Return an environment below ``root`` with NumPy, a stock MXNet and our wheel."""
    wheels = sorted(here().dist.glob("mkldnn_opcache-*.whl"))
    if not wheels:
        pytest.skip("dist/ has no wheel: run make build")
    environment = create(version, root / f"{version}-{release}")
    environment.link(site(version))
    built = here().stock(release)
    environment.link(built if built.is_dir() else site(OWN, "--no-deps", f"mxnet-mkl=={release}"))
    environment.unpack(wheels[-1])
    if release == "1.6.0" and version not in NEED_COMPAT:
        (environment.packages / "requests.py").touch()  # imported by it, used by downloads alone
    return environment
