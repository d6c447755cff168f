"""The wheel command: our own wheel, with the library, the Python package and its command.

It goes beside any released MXNet. docs/using.md tells how; configs/toolchain.toml pins the headers.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from harness.base import toml
from harness.base.console import say, shown
from harness.base.layout import Layout
from harness.base.reading import sha256_of
from harness.build import compiling, packing, patching, pip, stamps, tags, trees, work_tree
from harness.build.toolchain import Toolchain, load_toolchain

EXAMPLES = """example:
  python -m harness wheel && pip install dist/mkldnn_opcache-*.whl
"""

_NAME, _FILE_NAME = "mkldnn-opcache", "mkldnn_opcache"
_METADATA = """\
Metadata-Version: 2.1
Name: {name}
Version: {version}
Summary: {summary}
License: Apache-2.0
License-File: LICENSE
Keywords: mxnet,mkl-dnn,cache
Classifier: License :: OSI Approved :: Apache Software License
Classifier: Operating System :: POSIX :: Linux
Requires-Python: >=2.7, !=3.0.*, !=3.1.*, !=3.2.*, !=3.3.*, !=3.4.*
Description-Content-Type: text/markdown

{description}"""
_WHEEL = """\
Wheel-Version: 1.0
Generator: opcache ({version})
Root-Is-Purelib: false
Tag: py2-none-{platform}
Tag: py3-none-{platform}
"""
_ENTRY_POINTS = """\
[console_scripts]
opcache = mkldnn_opcache.__main__:main
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command takes no options."""


def main(args: argparse.Namespace) -> int:
    """Write our own wheel into dist/; return 0."""
    del args
    with work_tree.locked() as paths:
        toolchain = load_toolchain(paths.toolchain)
        make_library(paths, toolchain, pip.wheel_cache())
        wheel = make_wheel(paths)
    say(f"wrote {shown(wheel, paths.root)}")
    return 0


def make_library(paths: Layout, toolchain: Toolchain, cache: Path) -> None:
    """Compile the library with the pinned headers, out of the wheel in the folder ``cache``."""
    trees.make_headers(paths, toolchain.host(toolchain.headers), cache)
    compiling.make_library(paths)


def make_wheel(paths: Layout) -> Path:
    """Pack the library and the Python package in dist/; return the wheel.

    Raises HarnessError when the library does not run wherever manylinux2014 does.
    """
    version = toml.project_version(paths.pyproject)
    wheel = paths.dist / f"{_FILE_NAME}-{version}-py2.py3-none-{tags.OLDEST}.whl"
    sources = (paths.library, paths.readme, paths.license, paths.pyproject, Path(__file__))
    inputs = {path.name: sha256_of(path) for path in sources}
    inputs["package"] = patching.package_digest(paths.package)
    stamp = paths.build / "wheel.json"
    if wheel.is_file() and stamps.current(stamp, inputs):
        return wheel
    tags.check(paths.library)
    say(f"packing {wheel.name}")
    stamp.unlink(missing_ok=True)
    packing.pack(wheel, paths.build / ".pack", lambda folder: _fill(folder, paths, version))
    stamps.write(stamp, inputs)
    return wheel


def _fill(folder: Path, paths: Layout, version: str) -> None:
    patching.add_package(folder, paths.package)
    library = folder / paths.package.name / paths.library.name
    shutil.copyfile(paths.library, library)
    library.chmod(0o755)
    info = folder / f"{_FILE_NAME}-{version}.dist-info"
    info.mkdir()
    fields = {
        "name": _NAME,
        "version": version,
        "summary": toml.read_toml(paths.pyproject)["project"]["description"],
        "description": paths.readme.read_text(encoding="utf-8"),
        "platform": tags.OLDEST,
    }
    for name, text in (("METADATA", _METADATA), ("WHEEL", _WHEEL)):
        (info / name).write_text(text.format(**fields), encoding="utf-8")
    (info / "entry_points.txt").write_text(_ENTRY_POINTS, encoding="utf-8")
    (info / "top_level.txt").write_text(f"{paths.package.name}\n", encoding="utf-8")
    shutil.copyfile(paths.license, info / "LICENSE")
