"""A stand-in release that the build can patch, and a work tree that builds from it.

The stand-in has what the build touches: a libmxnet.so that needs a libmkldnn.so.0 with a build-id,
a header, and the metadata of a wheel.
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Dict, List, Optional, Union

import pytest

from harness.base.layout import Layout
from tests.support.commands import compile_program, zip_members

BUILD_ID = "0123456789abcdef0123456789abcdef01234567"
VERSION = "1.0"
WHEEL = f"mxnet_mkl-{VERSION}-py2.py3-none-manylinux1_x86_64.whl"

METADATA = """Metadata-Version: 2.1
Name: mxnet-mkl
Version: 1.0
Summary: A stand-in.
Requires-Dist: numpy (<1.15.0,>=1.8.2)

Version: of the description, which is not a header
"""
WHEEL_METADATA = """Wheel-Version: 1.0
Generator: none
Root-Is-Purelib: true
Tag: py2-none-manylinux1_x86_64
Tag: py3-none-manylinux1_x86_64
"""
MAKEFILE = """$(OUT)/libmkldnn_opcache.so: opcache.cc $(HEADERS)/mkldnn.h
\t@mkdir -p $(OUT)
\tg++ -shared -fPIC -I$(HEADERS) -Wl,-soname,libmkldnn_opcache.so -o $@ opcache.cc
"""
TOOLCHAIN = """headers = "1.0"
requires = ["numpy<1.24"]
[[hosts]]
version = "{version}"
package = "mxnet-mkl"
filename = "{filename}"
sha256 = "{sha256}"
mkldnn = "v0.0"
mkldnn_build_id = "{build_id}"
"""

Members = Dict[str, Union[str, bytes]]


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Members:
    """The members of the stand-in's wheel, by name."""
    folder = tmp_path_factory.mktemp("release")
    real, mxnet = folder / "libmkldnn.so.0", folder / "libmxnet.so"
    link = [f"-Wl,-soname,{real.name}", f"-Wl,--build-id=0x{BUILD_ID}"]
    compile_program('extern "C" int mkldnn() { return 0; }', real, *link)
    needing = 'extern "C" int mkldnn(); int mxnet() { return mkldnn(); }'
    compile_program(needing, mxnet, str(real))
    info = f"mxnet_mkl-{VERSION}.dist-info"
    return {
        "mxnet/__init__.py": "",
        "mxnet/libmkldnn.so.0": real.read_bytes(),
        "mxnet/libmxnet.so": mxnet.read_bytes(),
        "mxnet/include/mkldnn/mkldnn.h": "",
        f"{info}/METADATA": METADATA,
        f"{info}/WHEEL": WHEEL_METADATA,
        f"{info}/top_level.txt": "mxnet\n",
        f"{info}/RECORD": f"{info}/RECORD,,\n",
    }


@dataclasses.dataclass(frozen=True)
class FakeTree:
    """A work tree that can be built, and the wheel cache it is built from."""

    layout: Layout
    cache: Path

    @property
    def wheel(self) -> Path:
        """The released wheel in the cache."""
        return self.cache / WHEEL

    def pin(self, sha256: Optional[str] = None, build_id: str = BUILD_ID) -> None:
        """Write the toolchain file with this sha256, by default the wheel's."""
        sha256 = sha256 or hashlib.sha256(self.wheel.read_bytes()).hexdigest()
        text = TOOLCHAIN.format(version=VERSION, filename=WHEEL, sha256=sha256, build_id=build_id)
        self.layout.toolchain.write_text(text)

    def states(self, folder: str) -> Dict[str, List[int]]:
        """Return the identity and time of change of every file under ``folder``, by path."""
        return {
            str(path): [path.stat().st_ino, path.stat().st_mtime_ns]
            for path in sorted((self.layout.root / folder).rglob("*"))
        }


@pytest.fixture
def tree(tmp_path: Path, members: Members, monkeypatch: pytest.MonkeyPatch) -> FakeTree:
    """A work tree with its wheel in the cache."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # whatever goes wrong, no test downloads
    tree = FakeTree(Layout(tmp_path / "work"), tmp_path / "cache")
    for folder in (tree.layout.toolchain.parent, tree.layout.sources, tree.layout.package):
        folder.mkdir(parents=True)
    zip_members(tree.wheel, members)
    tree.pin()
    tree.layout.pyproject.write_text('[project]\nversion = "9.9"\ndescription = "A stand-in"\n')
    tree.layout.readme.write_text("# A stand-in\n")
    tree.layout.license.write_text("All rights reserved\n")
    for name in ("__init__.py", "py.typed"):
        (tree.layout.package / name).write_text("")
    (tree.layout.sources / "Makefile").write_text(MAKEFILE)
    (tree.layout.sources / "opcache.cc").write_text('extern "C" int opcache() { return 0; }\n')
    return tree
