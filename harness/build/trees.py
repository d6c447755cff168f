"""Makes the PYTHONPATH folders of the stock and patched MXNets, and the patched wheels.

A product whose stamp matches is left alone. Any other is made beside its place and moved there
whole.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

from harness.base import files, reading
from harness.base.console import say
from harness.base.layout import Layout
from harness.build import packing, patching, stamps, tags, wheels
from harness.build.toolchain import Host, Toolchain, Wheel

_PLATFORM = ".opcache-platform"


def make_stock(paths: Layout, host: Wheel, cache: Path) -> None:
    """Unpack the released MXNet ``host`` into its PYTHONPATH folder."""
    tree = paths.stock(host.version)
    inputs = {"sha256": host.sha256}
    if isinstance(host, Host):
        inputs["mkldnn_build_id"] = host.mkldnn_build_id
    if stamps.current(tree / stamps.NAME, inputs):
        return
    wheel = wheels.fetch(host, cache, Path(sys.executable))
    say(f"unpacking {wheel.name}")
    with files.folder(tree) as folder:
        wheels.unpack(wheel, folder)
        if isinstance(host, Host):
            wheels.check_mkldnn(folder, host)
        stamps.write(folder / stamps.NAME, inputs)


def make_headers(paths: Layout, host: Host, cache: Path) -> None:
    """Unpack the MKL-DNN headers of the released MXNet ``host``, nothing else of it."""
    inputs = {"sha256": host.sha256}
    if stamps.current(paths.mkldnn_headers / stamps.NAME, inputs):
        return
    wheel = wheels.fetch(host, cache, Path(sys.executable))
    with files.folder(paths.mkldnn_headers) as folder:
        wheels.unpack_headers(wheel, folder)
        stamps.write(folder / stamps.NAME, inputs)


def make_patched(paths: Layout, host: Host, version: str, toolchain: Toolchain) -> None:
    """Patch a copy of the released MXNet ``host`` in its own PYTHONPATH folder."""
    tree = paths.patched(host.version)
    inputs = {
        "stock": reading.sha256_of(paths.stock(host.version) / stamps.NAME),
        "library": reading.sha256_of(paths.library),
        "package": patching.package_digest(paths.package),
        "patching.py": reading.sha256_of(Path(patching.__file__)),
        "version": version,
        "requires": ", ".join(toolchain.requires),
    }
    if stamps.current(tree / stamps.NAME, inputs):
        return
    say(f"patching MXNet {host.version}")
    with files.folder(tree) as folder:
        patching.link_tree(paths.stock(host.version), folder)
        patching.patch_libraries(folder, paths.library, host.library)
        patching.add_package(folder, paths.package)
        platform = tags.of_libraries(sorted(folder.rglob("*.so*")), folder)
        patching.rewrite_dist_info(
            folder, host, version, toolchain.requires, paths.package.name, platform
        )
        files.write_text(folder / _PLATFORM, platform)
        stamps.write(folder / stamps.NAME, inputs)


def make_wheel(paths: Layout, host: Host, version: str) -> None:
    """Pack the patched MXNet ``host`` as an installable wheel in dist/."""
    tree = paths.patched(host.version)
    wheel = wheel_of(paths, host, version)
    stamp = paths.build / f"{host.version}-wheel.json"
    inputs = {"tree": reading.sha256_of(tree / stamps.NAME)}
    if wheel.is_file() and stamps.current(stamp, inputs):
        return
    say(f"packing {wheel.name}")
    stamp.unlink(missing_ok=True)
    # Packed from links, without the caches that runs have left in the tree.
    fill = functools.partial(patching.link_tree, tree)
    packing.pack(wheel, paths.build / ".pack", fill)
    stamps.write(stamp, inputs)


def wheel_of(paths: Layout, host: Host, version: str) -> Path:
    """Return the path of the wheel of the patched MXNet ``host``, whose tree is there."""
    platform = (paths.patched(host.version) / _PLATFORM).read_text(encoding="ascii")
    return paths.dist / patching.wheel_name(host, version, platform)
