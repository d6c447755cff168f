"""A stand-in for MXNet's source tree with the patch applied, and for the libmxnet.so built from it.

What stands in for MXNet's own code is a test program of tests/cpp, which calls MKL-DNN. Files are
compiled with the flags of MXNet's Makefile; the library is linked and loaded as MXNet's is.
"""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, Iterable, List

from harness.base.layout import Layout
from harness.build import source_patch, toolchain
from harness.build.elf import build_id
from tests.support.commands import clean_environment

Result = subprocess.CompletedProcess

# Those of MXNet 1.3.1 to 1.5.1, without the folders of its dependencies. -Werror is its DEV=1.
COMPILE = """g++ -std=c++11 -c -DMSHADOW_FORCE_STREAM -Wall -Wsign-compare -Werror -O3 -DNDEBUG=1
    -fPIC -funroll-loops -Wno-unused-variable -Wno-unused-parameter -Wno-unknown-pragmas
    -Wno-unused-local-typedefs -msse3 -mf16c -fopenmp""".split()
USE_MKLDNN = ("-DMXNET_USE_MKLDNN=1", "-DUSE_MKL=1")
# MKL-DNN's own dependencies lie beside it and are found at run time.
LINK = ("g++", "-shared", "-fPIC", "-pthread", "-Wl,--allow-shlib-undefined")
# MXNet's releases are linked with a version script that hides all but MXNet's own interface.
HIDING = "{ global: main; local: *; };\n"
# libmxnet.so 1.4.1 has 3232 bytes of thread-locals.
THREAD_LOCALS = "thread_local char room[4096];\nchar *use() { return room; }\n"


def run(command: Iterable[object], **options: Any) -> Result[str]:
    """Run a command to its end and return what it printed."""
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, timeout=300, **options)


def checked(command: Iterable[object], **options: Any) -> str:
    """Run a command that has to succeed; return its standard output."""
    result = run(command, **options)
    assert result.returncode == 0, f"{result.args}\n{result.stdout}{result.stderr}"
    return result.stdout


def write_tree(files: Dict[str, str], root: Path) -> Path:
    """Write the files that a patch adds below ``root``; return the folder they are in."""
    folder = root / source_patch.FOLDER
    folder.mkdir(parents=True)
    for name, content in files.items():
        (root / name).write_text(content, encoding="utf-8")
    return folder


def compile_file(source: Path, folder: Path, *flags: object) -> Result[str]:
    """Compile one file of the tree to an object in ``folder``."""
    return run([*COMPILE, *flags, source, "-o", folder / f"{source.stem}.o"])


def compile_tree(tree: Path, folder: Path, *flags: object) -> List[Path]:
    """Compile all of ``tree`` as MXNet's Makefile does; return the objects, in ``folder``."""
    folder.mkdir(parents=True)
    sources = sorted(tree.glob("*.cc"))
    assert sources
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda source: compile_file(source, folder, *flags), sources))
    for result in results:
        assert result.returncode == 0 and result.stderr == "", result.stderr
    return [folder / f"{source.stem}.o" for source in sources]


def cpp_objects(layout: Layout, *names: str) -> List[Path]:
    """Return the objects of tests/cpp with these names, made by its Makefile."""
    objects = [layout.build / "tests-cpp" / f"{name}.o" for name in names]
    headers = layout.headers(toolchain.load_toolchain(layout.toolchain).headers)
    variables = [f"HEADERS={headers}", f"BUILD={layout.build}"]
    checked(["make", "-s", "-C", layout.root / "tests" / "cpp", *objects, *variables])
    return objects


class StandIns:
    """Stand-ins for libmxnet.so: ``tree`` compiled once per headers, linked once per host."""

    def __init__(self, layout: Layout, tree: Path, folder: Path) -> None:
        self.layout, self.tree, self.folder = layout, tree, folder
        self.toolchain = toolchain.load_toolchain(layout.toolchain)
        self.version_script = folder / "hiding.map"
        self.version_script.write_text(HIDING)
        thread_locals, self.loader = folder / "thread_locals.cc", folder / "load_program"
        thread_locals.write_text(THREAD_LOCALS)
        checked([*COMPILE, thread_locals], cwd=folder)
        program = ("test_real", "check")
        self.others = [folder / "thread_locals.o", *cpp_objects(layout, *program)]
        checked(["g++", "-o", self.loader, *cpp_objects(layout, "load_program"), "-ldl"])

    def headers(self, host: str) -> Path:
        """The MKL-DNN headers that the host ships, else those that the library is built with."""
        own = self.layout.headers(host)
        return own if (own / "mkldnn.h").is_file() else self.layout.headers(self.toolchain.headers)

    def objects(self, headers: Path) -> List[Path]:
        """The patch's own objects, compiled as MXNet does with USE_MKLDNN=1."""
        folder = self.folder / "objects" / headers.relative_to("/")
        if folder.is_dir():
            return sorted(folder.glob("*.o"))
        return compile_tree(self.tree, folder, *USE_MKLDNN, f"-I{self.tree}", f"-I{headers}")

    def changed(self, tree: Path, names: Iterable[str], headers: Path, folder: Path) -> List[Path]:
        """``objects``, but for those files that another tree or other headers change."""
        for name in names:
            result = compile_file(tree / name, folder, *USE_MKLDNN, f"-I{tree}", f"-I{headers}")
            assert result.returncode == 0, result.stderr
        usual = self.objects(self.layout.headers(self.toolchain.headers))
        return [folder / x.name if (folder / x.name).is_file() else x for x in usual]

    def mxnet(self, host: str) -> Path:
        """The folder of the host's libmkldnn.so.0 and what that needs."""
        return self.layout.stock(host) / "mxnet"

    def link(self, host: str, objects: Iterable[Path], library: Path, hidden: bool) -> Path:
        """Link ``objects`` with a test program and the host's MKL-DNN."""
        library.parent.mkdir(parents=True, exist_ok=True)
        hiding = [f"-Wl,--version-script={self.version_script}", "-Wl,--gc-sections"]
        inputs = [*objects, *self.others, self.mxnet(host) / "libmkldnn.so.0"]
        checked([*LINK, "-o", library, *inputs, *(hiding if hidden else [])])
        return library

    def library(self, host: str, hidden: bool = False) -> Path:
        """The stand-in for the libmxnet.so of the host."""
        path = self.folder / host / ("hidden" if hidden else "exported") / "libmxnet.so"
        return (
            path
            if path.is_file()
            else self.link(host, self.objects(self.headers(host)), path, hidden)
        )

    def environment(self, host: str, *before: Path, **more: str) -> Dict[str, str]:
        """An environment in which the host's MKL-DNN is found, or another one ``before``."""
        folders = os.pathsep.join(str(folder) for folder in (*before, self.mxnet(host)))
        return clean_environment(OMP_NUM_THREADS=2, LD_LIBRARY_PATH=folders, **more)

    def run(
        self, library: Path, host: str, *words: str, unknown: bool = False, **more: str
    ) -> Result[str]:
        """Load a stand-in and run the program in it, on a MKL-DNN of unknown build if so asked."""
        before = [self._unknown_mkldnn(host)] if unknown else []
        variables = self.environment(host, *before, LOAD_PROGRAM=str(library), **more)
        return run([self.loader, *words], env=variables)

    def _unknown_mkldnn(self, host: str) -> Path:
        """A folder with the host's libmkldnn.so.0 under an unknown build-id."""
        real = self.mxnet(host) / "libmkldnn.so.0"
        copy = self.folder / host / "unknown" / real.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        known, content = bytes.fromhex(build_id(real) or ""), real.read_bytes()
        assert content.count(known) == 1
        copy.write_bytes(content.replace(known, bytes(len(known))))
        assert build_id(copy) == "0" * 40
        return copy.parent
