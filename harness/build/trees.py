"""Makes the PYTHONPATH folders of the stock and patched MXNets, and the patched wheels.

Every product has a stamp with the hashes of its inputs. A product whose stamp matches is left
alone. Any other is made beside its place and moved there whole.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Dict

from harness.base import files, reading
from harness.base.console import say
from harness.base.layout import Layout
from harness.build import patching, wheels
from harness.build.toolchain import Host, Toolchain

_STAMP = ".opcache-stamp.json"


def make_stock(paths: Layout, host: Host, cache: Path) -> None:
    """Unpack the released MXNet ``host`` into its PYTHONPATH folder."""
    tree = paths.stock(host.version)
    inputs = {"sha256": host.sha256, "mkldnn_build_id": host.mkldnn_build_id}
    if _is_current(tree / _STAMP, inputs):
        return
    wheel = wheels.fetch(host, cache, Path(sys.executable))
    say(f"unpacking {wheel.name}")
    with files.folder(tree) as folder:
        wheels.unpack(wheel, folder)
        wheels.check_mkldnn(folder, host)
        _stamp(folder / _STAMP, inputs)


def make_patched(paths: Layout, host: Host, version: str, toolchain: Toolchain) -> None:
    """Patch a copy of the released MXNet ``host`` in its own PYTHONPATH folder."""
    tree = paths.patched(host.version)
    inputs = {
        "stock": reading.sha256_of(paths.stock(host.version) / _STAMP),
        "library": reading.sha256_of(paths.library),
        "package": ", ".join(map(reading.sha256_of, patching.package_files(paths.package))),
        "patching.py": reading.sha256_of(Path(patching.__file__)),
        "version": version,
        "requires": ", ".join(toolchain.requires),
    }
    if _is_current(tree / _STAMP, inputs):
        return
    say(f"patching MXNet {host.version}")
    with files.folder(tree) as folder:
        patching.link_tree(paths.stock(host.version), folder)
        patching.patch_libraries(folder, paths.library)
        patching.add_package(folder, paths.package)
        patching.rewrite_dist_info(folder, host, version, toolchain.requires, paths.package.name)
        _stamp(folder / _STAMP, inputs)


def make_wheel(paths: Layout, host: Host, version: str) -> None:
    """Pack the patched MXNet ``host`` as an installable wheel in dist/."""
    tree = paths.patched(host.version)
    wheel = paths.dist / patching.wheel_name(host, version)
    stamp = paths.build / f"{host.version}-wheel.json"
    inputs = {"tree": reading.sha256_of(tree / _STAMP)}
    if wheel.is_file() and _is_current(stamp, inputs):
        return
    say(f"packing {wheel.name}")
    stamp.unlink(missing_ok=True)
    paths.dist.mkdir(exist_ok=True)
    scratch = paths.build / ".pack"
    shutil.rmtree(scratch, ignore_errors=True)  # of a build that was killed
    # Packed from links, without the caches that runs have left in the tree.
    contents, packed = scratch / "contents", scratch / "packed"
    contents.mkdir(parents=True)
    packed.mkdir()
    patching.link_tree(tree, contents)
    os.replace(patching.pack(contents, packed, wheel.name), wheel)
    shutil.rmtree(scratch)
    _stamp(stamp, inputs)


def _is_current(stamp: Path, inputs: Dict[str, str]) -> bool:
    if not stamp.is_file():
        return False
    return reading.content(stamp, reading.MOST_TEXT_BYTES) == _stamp_text(inputs).encode()


def _stamp(stamp: Path, inputs: Dict[str, str]) -> None:
    files.write_text(stamp, _stamp_text(inputs))


def _stamp_text(inputs: Dict[str, str]) -> str:
    return json.dumps(inputs, indent=1, sort_keys=True) + "\n"
