"""Makes the PYTHONPATH folders of the stock and patched MXNets, and the patched wheels.

Every product has a stamp with the hashes of its inputs. A product whose stamp matches is left
alone. Any other is made beside its place and moved there whole.
"""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path
from typing import Dict

from harness.base import files, reading
from harness.base.console import say
from harness.base.layout import Layout
from harness.build import packing, patching, tags, wheels
from harness.build.toolchain import Host, Toolchain

_STAMP = ".opcache-stamp.json"
_PLATFORM = ".opcache-platform"


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


def make_headers(paths: Layout, host: Host, cache: Path) -> None:
    """Unpack the MKL-DNN headers of the released MXNet ``host``, nothing else of it."""
    inputs = {"sha256": host.sha256}
    if _is_current(paths.mkldnn_headers / _STAMP, inputs):
        return
    wheel = wheels.fetch(host, cache, Path(sys.executable))
    with files.folder(paths.mkldnn_headers) as folder:
        wheels.unpack_headers(wheel, folder)
        _stamp(folder / _STAMP, inputs)


def make_patched(paths: Layout, host: Host, version: str, toolchain: Toolchain) -> None:
    """Patch a copy of the released MXNet ``host`` in its own PYTHONPATH folder."""
    tree = paths.patched(host.version)
    inputs = {
        "stock": reading.sha256_of(paths.stock(host.version) / _STAMP),
        "library": reading.sha256_of(paths.library),
        "package": package_digest(paths),
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
        platform = tags.of_libraries(sorted(folder.rglob("*.so*")), folder)
        patching.rewrite_dist_info(
            folder, host, version, toolchain.requires, paths.package.name, platform
        )
        files.write_text(folder / _PLATFORM, platform)
        _stamp(folder / _STAMP, inputs)


def make_wheel(paths: Layout, host: Host, version: str) -> None:
    """Pack the patched MXNet ``host`` as an installable wheel in dist/."""
    tree = paths.patched(host.version)
    platform = (tree / _PLATFORM).read_text(encoding="ascii")
    wheel = paths.dist / patching.wheel_name(host, version, platform)
    stamp = paths.build / f"{host.version}-wheel.json"
    inputs = {"tree": reading.sha256_of(tree / _STAMP)}
    if wheel.is_file() and _is_current(stamp, inputs):
        return
    say(f"packing {wheel.name}")
    stamp.unlink(missing_ok=True)
    # Packed from links, without the caches that runs have left in the tree.
    fill = functools.partial(patching.link_tree, tree)
    packing.pack(wheel, paths.build / ".pack", fill)
    _stamp(stamp, inputs)


def package_digest(paths: Layout) -> str:
    """Return what changes with the name and content of any file of the Python package."""
    files = patching.package_files(paths.package)
    return ", ".join(f"{path.name} {reading.sha256_of(path)}" for path in files)


def _is_current(stamp: Path, inputs: Dict[str, str]) -> bool:
    if not stamp.is_file():
        return False
    return reading.content(stamp, reading.MOST_TEXT_BYTES) == _stamp_text(inputs).encode()


def _stamp(stamp: Path, inputs: Dict[str, str]) -> None:
    files.write_text(stamp, _stamp_text(inputs))


def _stamp_text(inputs: Dict[str, str]) -> str:
    return json.dumps(inputs, indent=1, sort_keys=True) + "\n"
