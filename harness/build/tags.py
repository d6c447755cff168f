"""Asks auditwheel which Linux systems the libraries of a wheel run on; nothing else decides it."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import Sequence

from auditwheel.policy import WheelPolicies
from auditwheel.wheel_abi import analyze_wheel_abi

from harness.base.errors import HarnessError

# What MXNet's users have: pip from 19.3 on knows the name, glibc is 2.17 or newer.
OLDEST = "manylinux2014_x86_64"


def of_wheel(wheel: Path) -> str:
    """Return the platform tag that the libraries in ``wheel`` have earned, under its older name.

    Such as ``manylinux2014_x86_64``; ``linux_x86_64`` when no manylinux fits.
    """
    found = analyze_wheel_abi(WheelPolicies(), str(wheel), frozenset()).overall_tag
    return next(iter(_policy(found)["aliases"]), found)


def of_libraries(libraries: Sequence[Path], root: Path) -> str:
    """Return the platform tag of a wheel that has ``libraries`` where they lie in ``root``."""
    names = [path.relative_to(root).as_posix() for path in libraries]
    with tempfile.TemporaryDirectory() as folder:
        wheel = Path(folder) / "libraries-0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, path in zip(names, libraries):
                archive.write(path, name)
            archive.writestr("x.dist-info/RECORD", "".join(f"{name},,\n" for name in names))
        return of_wheel(wheel)


def check(library: Path) -> None:
    """Raise HarnessError unless ``library`` runs on all systems of the tag ``OLDEST``."""
    platform = of_libraries([library], library.parent)
    if _policy(platform)["priority"] < _policy(OLDEST)["priority"]:
        raise HarnessError(f"{library}: expected {OLDEST} or older, found {platform}")


def _policy(tag: str) -> dict:
    policies = WheelPolicies().policies
    return next(p for p in policies if tag == p["name"] or tag in p["aliases"])
