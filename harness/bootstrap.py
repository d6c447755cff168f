"""Creates ``.venv`` with the pinned dependencies, from cached wheels if they suffice.

Runs under the user's Python, after ``harness.prerequisites``, so with the standard library
only. An environment whose stamp does not match is created again: it may be half installed.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Sequence

from harness.base import files, layout
from harness.base.console import say
from harness.base.errors import HarnessError
from harness.build import pip

REQUIREMENTS = ("requirements.txt", "requirements-nodeps.txt")


def make_environment(
    root: Path, cache: Path, name: str = ".venv", requirements: Sequence[str] = REQUIREMENTS
) -> bool:
    """Bring the environment ``root/name`` up to date; return False if it already is.

    ``requirements`` are files of ``root``: the first one is complete, further ones are installed
    without dependencies. ``cache`` is the folder of cached wheels; what it lacks is downloaded into
    it. Raises HarnessError when the environment cannot be made.
    """
    folder = root / name
    python = folder / "bin" / "python"
    stamp = folder / ".opcache-stamp.json"
    wanted = _inputs(root, requirements)
    if stamp.is_file() and stamp.read_bytes() == wanted.encode() and python.exists():
        return False
    say(f"making {name} with Python {platform.python_version()}")
    # --clear, because pip can neither finish nor undo an installation that was killed.
    made = subprocess.run([_interpreter(), "-I", "-m", "venv", "--clear", str(folder)])
    if made.returncode != 0:
        raise HarnessError(f"{sys.executable} -m venv failed with exit code {made.returncode}")
    # Compiled wheels differ between Python versions.
    wheels = cache / "cp{}{}".format(*sys.version_info)
    if not wheels.is_dir() or _install(python, wheels, root, requirements):
        say("downloading dependencies: the cached wheels do not suffice")
        for arguments in _arguments(root, requirements):
            pip.download(python, wheels, arguments)
        problem = _install(python, wheels, root, requirements)
        if problem:
            raise HarnessError(f"pip install from {wheels} failed: {problem}")
    files.write_text(stamp, wanted)
    return True


def _interpreter() -> str:
    # Inside a virtual environment, most likely .venv itself, sys.executable is a link that --clear
    # would remove, or make point at itself.
    inside = sys.prefix != sys.base_prefix
    return os.path.realpath(sys.executable) if inside else sys.executable


def _inputs(root: Path, requirements: Sequence[str]) -> str:
    # With the path: scripts in an environment name the folder that they were installed in.
    inputs = {"path": str(root), "python": platform.python_version()}
    for name in requirements:
        inputs[name] = hashlib.sha256((root / name).read_bytes()).hexdigest()
    return json.dumps(inputs, indent=1, sort_keys=True)


def _arguments(root: Path, requirements: Sequence[str]) -> list[list[str]]:
    complete, *others = (["--require-hashes", "-r", str(root / name)] for name in requirements)
    return [complete, *(["--no-deps", *each] for each in others)]


def _install(python: Path, wheels: Path, root: Path, requirements: Sequence[str]) -> str:
    arguments = _arguments(root, requirements)
    problems = (pip.install(python, wheels, each) for each in arguments)
    return next(filter(None, problems), "")


def main() -> int:
    """Create the project's environment; return 0, or 1 with one line on stderr."""
    try:
        paths = layout.here()
        with files.lock(paths.lock):
            make_environment(paths.root, pip.wheel_cache())
    except (HarnessError, OSError) as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
