"""Downloads a released MXNet wheel, checks it, and unpacks it into a PYTHONPATH folder.

Nothing of a wheel is used, and nothing unpacked from it stays, unless it is what the toolchain
file pins. Knows nothing of the cache library.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import List

from harness.base.console import say
from harness.base.errors import HarnessError
from harness.base.reading import sha256_of
from harness.build import pip
from harness.build.toolchain import Host, Wheel
from patches.python.mkldnn_opcache import elf

_HEADER = r"mxnet/include/mkldnn/\w+\.h"


def fetch(host: Wheel, cache: Path, python: Path) -> Path:
    """Return the checked wheel of ``host`` in the folder ``cache``, downloading it if need be.

    ``python`` is the interpreter whose pip downloads. Raises HarnessError when the download fails
    or the file is not the pinned one; a downloaded file that is not never enters the cache.
    """
    cached = cache / host.filename
    if cached.exists():
        _check_sha256(cached, host, "delete it to have it downloaded again")
        return cached
    requirement = f"{host.package}=={host.version}"

    def check(downloaded: List[Path]) -> None:
        names = [path.name for path in downloaded]
        if names != [host.filename]:
            raise HarnessError(
                f"pip download {requirement}: expected {host.filename}, found {', '.join(names)}"
            )
        _check_sha256(downloaded[0], host, "it was not kept; check the index that pip uses")

    say(f"downloading {requirement}")
    pip.download(python, cache, ["--no-deps", requirement], check)
    return cached


def _check_sha256(path: Path, host: Wheel, advice: str) -> None:
    found = sha256_of(path)
    if found != host.sha256:
        raise HarnessError(f"{path}: expected sha256 {host.sha256}, found {found}; {advice}")


def unpack(wheel: Path, folder: Path) -> None:
    """Unpack ``wheel``, whose hash ``fetch`` has checked, into the existing ``folder``."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)


def unpack_headers(wheel: Path, folder: Path) -> None:
    """Unpack MKL-DNN's headers alone, into the existing ``folder``."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if re.fullmatch(_HEADER, name)]
        if not names:
            raise HarnessError(f"{wheel}: expected {_HEADER}, found none")
        for name in names:
            (folder / Path(name).name).write_bytes(archive.read(name))


def check_mkldnn(tree: Path, host: Host) -> None:
    """Check that ``tree`` holds the pinned MKL-DNN; raises HarnessError if it does not."""
    path = tree / "mxnet" / host.library
    if not path.is_file():
        raise HarnessError(f"{host.filename}: expected mxnet/{path.name}, found none")
    found = elf.build_id(str(path))
    if found != host.mkldnn_build_id:
        raise HarnessError(
            f"{path.name} of {host.filename}: expected build-id {host.mkldnn_build_id} "
            f"(MKL-DNN {host.mkldnn}), found {found}"
        )
