"""The dist command: all that a release hands out, in dist/.

Our own wheel, the patched MXNets, the source patch, a bill of materials and SHA256SUMS. The same
sources give the same bytes. Files of other versions are removed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import List

from harness.base import files, toml
from harness.base.console import say, shown
from harness.base.layout import Layout
from harness.base.reading import sha256_of
from harness.build import command, pip, sbom, source_patch, trees, wheel, work_tree
from harness.build.toolchain import load_toolchain

EXAMPLES = """example:
  python -m harness dist && (cd dist && sha256sum -c SHA256SUMS)
"""
_SUMS = "SHA256SUMS"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command takes no options."""


def main(args: argparse.Namespace) -> int:
    """Write the files of a release; return 0."""
    del args
    with work_tree.locked() as paths:
        make(paths, pip.wheel_cache())
    say(f"wrote {shown(paths.dist, paths.root)}: `sha256sum -c {_SUMS}` checks it there")
    return 0


def make(paths: Layout, cache: Path) -> List[Path]:
    """Write all files of a release and remove those of others; return them."""
    toolchain = load_toolchain(paths.toolchain)
    version = toml.project_version(paths.pyproject)
    command.build(paths, cache)
    released = [wheel.make_wheel(paths)]
    released += [trees.wheel_of(paths, host, version) for host in toolchain.hosts]
    released.append(source_patch.write(paths))
    bill = paths.dist / f"opcache-{version}.cdx.json"
    files.write_text(bill, sbom.render(released, version, toolchain))
    released.append(bill)
    sums = "".join(f"{sha256_of(path)}  {path.name}\n" for path in sorted(released))
    files.write_text(paths.dist / _SUMS, sums)
    released.append(paths.dist / _SUMS)
    kits = set(paths.dist.glob("opcache-bench-kit-*"))  # of make bench-kit, no part of a release
    for other in set(paths.dist.glob("*opcache*")) - set(released) - kits:
        say(f"removing {shown(other, paths.root)}: not of opcache {version}")
        other.unlink()
    return released
