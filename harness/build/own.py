"""Identifies an MXNet that somebody built: a folder with mxnet/ inside, for PYTHONPATH.

A process imports it and reports what it loaded; nothing is concluded from names of files. Imports
no mxnet itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

from harness.base import layout, process, reading
from harness.base.errors import HarnessError
from patches.python.mkldnn_opcache import elf
from patches.python.mkldnn_opcache.releases import LIBRARIES, MKLDNNS, release_of
from patches.python.mkldnn_opcache.variables import ASSUME, STATS

_TIMEOUT_S = 120
_LIBRARIES = tuple(f"{name}." for name in LIBRARIES)
_EITHER = " or ".join(reversed(LIBRARIES))
_PLACES = {
    "inside": "the cache is inside libmxnet.so (source patch)",
    "needed": "the cache is in a library that libmxnet.so needs (patched wheel)",
    "preload": "the cache has to be preloaded",
}
_RECOGNISED = {
    "build-id": "recognised by its build-id",
    "headers": "recognised by the headers that libmxnet.so was built with",
    "assumed": f"taken for it as {ASSUME} says",
    "same": "recognised as the same file as that of --mxnet",
}


@dataclasses.dataclass(frozen=True)
class OwnBuild:
    """An MXNet that somebody built; paths are for use, never for a record.

    ``recognised`` tells how its MKL-DNN was: build-id, headers, assumed, or same, which is the file
    of the build that it is compared with. ``cache`` tells where the cache is: inside libmxnet.so,
    needed by it, or preload for nowhere. ``package_sha256`` is the digest of mxnet's Python files.
    ``environment`` has what a process needs to load it.
    ``cache_sha256`` is that of the library with the cache, where libmxnet.so needs one.
    """

    folder: Path  # contains mxnet/
    version: str
    commit: Optional[str]
    mkldnn: str
    recognised: str
    cache: str
    libmxnet: Path
    libmkldnn: Path
    libmxnet_sha256: str
    libmkldnn_sha256: str
    package_sha256: str
    environment: Mapping[str, str]
    cache_sha256: Optional[str] = None

    @property
    def name(self) -> str:
        """The name in records: the version and the hash of libmxnet.so."""
        return f"own-{self.version}-{self.libmxnet_sha256[:8]}"

    @property
    def known(self) -> Tuple[str, str]:
        """The sha256 of its libmkldnn and the release, by which another build's is recognised."""
        return self.libmkldnn_sha256, self.mkldnn

    def line(self) -> str:
        """Return the one line that says what this build is."""
        commit = f" (commit {self.commit[:12]})" if self.commit else ""
        return (
            f"{self.name}: MXNet {self.version}{commit}, MKL-DNN {self.mkldnn} "
            f"{_RECOGNISED[self.recognised]}; {_PLACES[self.cache]}"
        )


def identify(folder: Path, known: Optional[Tuple[str, str]] = None) -> OwnBuild:
    """Return what the MXNet in ``folder`` is; HarnessError when the cache cannot serve it.

    ``known`` is the sha256 of a libmkldnn that was recognised before, and its release.
    """
    folder = folder.absolute()
    _check_folder(folder)
    environment = _environment()
    facts, reported = _facts(folder, environment)
    if Path(facts["package"]).parent.resolve() != (folder / "mxnet").resolve():
        raise HarnessError(
            f"{folder}: expected its own mxnet to be imported, found {facts['package']}"
        )
    libmxnet, libmkldnn = _libraries(folder, facts["libraries"])
    _check_convolution(folder, libmkldnn, facts)
    if facts["cache"] is None and reported:
        raise HarnessError(
            f"{folder}: libmxnet.so has a cache inside, but hides the functions mkldnn_opcache_*, "
            "which prove that it works: link it without a version script"
        )
    cache = [path for path in map(Path, facts["libraries"]) if path.name == layout.CACHE_LIBRARY]
    mkldnn_sha256 = reading.sha256_of(libmkldnn)
    same = known[1] if known is not None and known[0] == mkldnn_sha256 else None
    mkldnn, recognised = _release(folder, libmkldnn, facts["stats"], environment.get(ASSUME), same)
    if recognised != "assumed":
        environment.pop(ASSUME, None)
    return OwnBuild(
        folder=folder,
        version=facts["version"],
        commit=commit_of(folder),
        mkldnn=mkldnn,
        recognised=recognised,
        cache=facts["cache"] or "preload",
        libmxnet=libmxnet,
        libmkldnn=libmkldnn,
        libmxnet_sha256=reading.sha256_of(libmxnet),
        libmkldnn_sha256=mkldnn_sha256,
        package_sha256=package_digest(folder / "mxnet"),
        environment=environment,
        cache_sha256=reading.sha256_of(cache[0]) if cache else None,
    )


def _check_folder(folder: Path) -> None:
    if _has_mxnet(folder):
        return
    near = folder.parent if folder.name == "mxnet" else folder / "python"
    rest = f"; try {near}" if _has_mxnet(near) else ", found none"
    raise HarnessError(f"{folder}: expected a folder with mxnet/__init__.py{rest}")


def _has_mxnet(folder: Path) -> bool:
    return (folder / "mxnet" / "__init__.py").is_file()


def _environment() -> Dict[str, str]:
    """Return what a process gets of the user's environment to load an own build."""
    kept = ("LD_LIBRARY_PATH", ASSUME)
    found = {name: os.environ[name] for name in kept if os.environ.get(name)}
    if ASSUME in found and found[ASSUME] not in MKLDNNS:
        raise HarnessError(
            f"{ASSUME}: expected one of {', '.join(MKLDNNS)}, found '{found[ASSUME]}'"
        )
    return found


def _facts(folder: Path, environment: Mapping[str, str]) -> Tuple[Dict[str, Any], bool]:
    """Return what harness.worker.identify wrote, and whether any cache wrote its report."""
    with tempfile.TemporaryDirectory(prefix="opcache-") as name:
        out, report = Path(name, "facts.json"), Path(name, "report.json")
        own = {
            "LC_ALL": "C.UTF-8",
            "PYTHONNOUSERSITE": "1",
            "PYTHONPATH": str(folder),
            STATS: str(report),
        }
        command = [sys.executable, "-W", "ignore", "-m", "harness.worker.identify", str(out)]
        done = process.run(command, {**environment, **own}, _TIMEOUT_S, layout.here().root)
        if not out.is_file():
            raise HarnessError(f"{folder}: import mxnet {done.failure}")
        failure = done.failure if done.reason else ""
        return {**reading.json_file(out), "failure": failure}, report.is_file()


def _libraries(folder: Path, mapped: Sequence[str]) -> Tuple[Path, Path]:
    """Return the files of libmxnet.so and of its MKL-DNN that were loaded."""
    paths = [Path(path) for path in mapped]
    libmxnet = [path for path in paths if path.name.startswith("libmxnet.so")]
    libmkldnn = [path for path in paths if f"{path.name}.".startswith(_LIBRARIES)]
    newer = [path.name for path in paths if re.match(r"lib(mkldnn|dnnl)\.so\.", path.name)]
    if newer and not libmkldnn:
        raise HarnessError(
            f"{folder}: expected {_EITHER} (MKL-DNN 0.14 to 1.0, MXNet 1.3 to 1.6), "
            f"found {', '.join(newer)}"
        )
    if not libmkldnn:
        raise HarnessError(
            f"{folder}: this MXNet loads no {_EITHER}: it was built without MKL-DNN or with a "
            "static one, so there is nothing to cache"
        )
    for found in (libmxnet, libmkldnn):
        if len(found) != 1:
            names = ", ".join(map(str, found)) or "none"
            raise HarnessError(
                f"{folder}: expected one libmxnet.so and one {_EITHER}, found {names}"
            )
    return libmxnet[0], libmkldnn[0]


def _check_convolution(folder: Path, libmkldnn: Path, facts: Mapping[str, Any]) -> None:
    wrong = facts["failure"] or facts["wrong"]
    if wrong:
        raise HarnessError(
            f"{folder}: a first convolution {wrong}; {libmkldnn.name} must be the one that "
            "libmxnet.so was built with"
        )


def _release(
    folder: Path,
    libmkldnn: Path,
    stats: Optional[Mapping[str, Any]],
    assumed: Optional[str],
    same: Optional[str],
) -> Tuple[str, str]:
    """Return the release of MKL-DNN, and how it was recognised; ``same`` is of the same file."""
    build_id = elf.build_id(str(libmkldnn))
    release = release_of(build_id)
    if stats is None or stats["recognised"]:
        if release is not None:
            return release.mkldnn, "build-id"
        if assumed is not None:
            return assumed, "assumed"
        if stats is not None:
            return stats["mkldnn"], "headers"
        if same is not None:
            return same, "same"
    raise HarnessError(
        f"{folder}: {libmkldnn.name} with build-id {build_id} is not one that the cache knows "
        f"({', '.join(MKLDNNS)}); if it was built from one of these sources, set {ASSUME} to it"
    )


def commit_of(folder: Path) -> Optional[str]:
    """Return the commit of MXNet: as the package tells, or of the source tree around it."""
    told, tree = folder / "mxnet" / "COMMIT_HASH", folder.resolve().parent
    text = ""
    if told.is_file():
        text = reading.text(told)
    elif (tree / ".git").exists() and (tree / "include" / "mxnet").is_dir():
        with contextlib.suppress(FileNotFoundError):
            command = ["git", "-C", str(tree), "rev-parse", "HEAD"]
            text = subprocess.run(command, capture_output=True, text=True).stdout
    return text.strip() if re.fullmatch(r"[0-9a-f]{40}\s*", text) else None


def package_digest(package: Path) -> str:
    """Return what changes with the name or content of any Python file in the folder.

    Left out are the signatures of operators that python/setup.py writes where it was run.
    """
    found = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package)
        if not re.fullmatch(r"(ndarray|symbol)/gen_\w+\.py", name.as_posix()):
            found.update(f"{name} {reading.sha256_of(path)}\n".encode())
    return found.hexdigest()
