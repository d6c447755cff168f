"""Runs pip, and stores its downloads in the user's wheel cache for builds without network.

The user's pip configuration and environment apply. A wheel enters the cache only whole, and
under its own name. Standard library only: the bootstrap needs it first.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable, List, Sequence

from harness.base import files
from harness.base.errors import HarnessError


def wheel_cache() -> Path:
    """Return the folder of cached wheels (it may not exist yet).

    ``$OPCACHE_CACHE/wheels``, else ``$XDG_CACHE_HOME/opcache/wheels``, else
    ``~/.cache/opcache/wheels``.
    """
    chosen = os.environ.get("OPCACHE_CACHE")
    if chosen:
        return Path(chosen).expanduser().absolute() / "wheels"
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "opcache" / "wheels"


def install(python: Path, wheels: Path, arguments: Sequence[str]) -> str:
    """Install from the folder ``wheels`` alone, into the environment of ``python``.

    Returns "" on success, else pip's last error line.
    """
    command = [*_pip(python), "install", "--quiet", "--no-index", "--find-links", str(wheels)]
    # Installing a source distribution would run its code.
    command += ["--only-binary", ":all:"]
    result = subprocess.run(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if result.returncode == 0:
        return ""
    lines = [line for line in result.stdout.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or [f"pip exited with code {result.returncode}"])[-1]


def download(
    python: Path,
    into: Path,
    arguments: Sequence[str],
    check: Callable[[List[Path]], None] = lambda paths: None,
) -> None:
    """Download wheels with pip into the folder ``into``, replacing files of the same name.

    ``check`` gets the downloaded files first; when it raises, none is kept. Raises HarnessError
    when pip fails; pip's own messages and progress go to the terminal.
    """
    with files.lock(into / ".lock"):
        for leftover in into.glob(".download-*"):  # of processes that were killed
            shutil.rmtree(leftover)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=into) as folder:
            command = [*_pip(python), "download", "--only-binary", ":all:", "--dest", folder]
            # Progress bars belong on a terminal, not in a log.
            quiet = [] if sys.stderr.isatty() else ["--quiet"]
            result = subprocess.run([*command, *quiet, *arguments], stdout=sys.stderr)
            if result.returncode != 0:
                raise HarnessError(
                    f"pip could not download {' '.join(arguments)} (exit {result.returncode}, "
                    f"see above); without network, put the wheels into {into}"
                )
            downloaded = sorted(Path(folder).iterdir())
            check(downloaded)
            for path in downloaded:
                os.replace(path, into / path.name)


def _pip(python: Path) -> List[str]:
    # -I: packages of PYTHONPATH or the user's site folder do not count as installed.
    return [str(python), "-I", "-m", "pip", "--disable-pip-version-check"]
