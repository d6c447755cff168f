"""The patch for MXNet's source tree: what it adds, that it compiles there, and that it caches.

A test program of tests/cpp, which calls MKL-DNN, stands in for MXNet's own code. Files are compiled
with the flags of MXNet's Makefile; the library is linked and loaded as MXNet's is.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, Dict, Iterable, List, Optional

import pytest

from harness.base import toml
from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.build import compiling, source_patch, toolchain
from tests.conftest import HOSTS, HOSTS_OF_0, every_host
from tests.support import own_builds
from tests.support.commands import clean_environment, replace, run

# All tests of the program in a stand-in, and one of them in the very process. They compare the bits
# with those of MKL-DNN alone, and the counters with what they did.
ALL_PASSED = re.compile(r"^\S+: [1-9]\d* passed, 0 failed$", re.MULTILINE)
ONE = ("--here", "eltwise_relu")

CLOSE_AFTER_USE = """
import _ctypes, ctypes, sys
library = ctypes.CDLL(sys.argv[1])
words = [word.encode() for word in sys.argv[1:]]
assert library.main(len(words), (ctypes.c_char_p * (len(words) + 1))(*words)) == 0
_ctypes.dlclose(library._handle)
print("stays" if sys.argv[1] in open("/proc/self/maps").read() else "gone")
"""

# Those of MXNet 1.3.1 to 1.6.0, without the folders of its dependencies. -Werror is its DEV=1.
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


def checked(command: Iterable[object], **options: Any) -> str:
    """Run a command that has to succeed; return its standard output."""
    result = run(command, timeout=300, **options)
    assert result.returncode == 0, f"{result.args}\n{result.stdout}{result.stderr}"
    return result.stdout


def compile_file(source: Path, folder: Path, *flags: object) -> CompletedProcess:
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
    pins = toolchain.load_toolchain(layout.toolchain)
    return [compiling.make_cpp_test(layout, pins, f"{name}.o") for name in names]


class StandIns:
    """Stand-ins for libmxnet.so: ``tree`` compiled once per headers, linked once per host.

    ``own`` is the host whose headers the library is compiled with.
    """

    def __init__(self, layout: Layout, tree: Path, folder: Path) -> None:
        self.layout, self.tree, self.folder = layout, tree, folder
        self.toolchain = toolchain.load_toolchain(layout.toolchain)
        self.own = self.toolchain.headers
        self.version_script = folder / "hiding.map"
        self.version_script.write_text(HIDING)
        thread_locals, self.loader = folder / "thread_locals.cc", folder / "load_program"
        thread_locals.write_text(THREAD_LOCALS)
        checked([*COMPILE, thread_locals], cwd=folder)
        self.others = [folder / "thread_locals.o", *cpp_objects(layout, "check")]
        checked(["g++", "-o", self.loader, *cpp_objects(layout, "load_program"), "-ldl"])

    def headers(self, host: str) -> Path:
        """The MKL-DNN headers that the host ships, else those that the library is built with.

        No host ships those of MKL-DNN 1.0: tests/cpp has what they declare.
        """
        if host not in HOSTS_OF_0:
            return self.layout.cpp_tests / "mkldnn1"
        shipped = self.layout.headers(host)
        return shipped if (shipped / "mkldnn.h").is_file() else self.layout.headers(self.own)

    def objects(self, headers: Path) -> List[Path]:
        """The patch's own objects, compiled as MXNet does with USE_MKLDNN=1."""
        folder = self.folder / "objects" / headers.relative_to("/")
        if folder.is_dir():
            return sorted(folder.glob("*.o"))
        return compile_tree(self.tree, folder, *USE_MKLDNN, f"-I{self.tree}", f"-I{headers}")

    def changed(
        self,
        name: str,
        folder: Path,
        tree: Optional[Path] = None,
        headers: Optional[Path] = None,
        host: Optional[str] = None,
    ) -> List[Path]:
        """The host's ``objects``, but for the file that another tree or other headers change."""
        tree, own = tree or self.tree, self.headers(host or self.own)
        includes = (f"-I{tree}", f"-I{headers or own}")
        result = compile_file(tree / f"opcache_{name}.cc", folder, *USE_MKLDNN, *includes)
        assert result.returncode == 0, result.stderr
        return [folder / x.name if (folder / x.name).is_file() else x for x in self.objects(own)]

    def mxnet(self, host: str) -> Path:
        """The folder of the host's MKL-DNN and what that needs."""
        return self.layout.stock(host) / "mxnet"

    def mkldnn(self, host: str) -> Path:
        """The MKL-DNN that the host's libmxnet.so needs."""
        return self.mxnet(host) / f"libmkldnn.so.{0 if host in HOSTS_OF_0 else 1}"

    def program(self, host: str) -> List[Path]:
        """The objects of the test program, which calls MKL-DNN by the host's interface."""
        real = "test_real" if host in HOSTS_OF_0 else "api1/test_real"
        return [*self.others, *cpp_objects(self.layout, real)]

    def link(self, host: str, objects: Iterable[Path], library: Path, hidden: bool) -> Path:
        """Link ``objects`` with a test program and the host's MKL-DNN."""
        library.parent.mkdir(parents=True, exist_ok=True)
        hiding = [f"-Wl,--version-script={self.version_script}", "-Wl,--gc-sections"]
        inputs = [*objects, *self.program(host), self.mkldnn(host)]
        checked([*LINK, "-o", library, *inputs, *(hiding if hidden else [])])
        return library

    def relinked(self, objects: Iterable[Path], folder: Path, hidden: bool = False) -> Path:
        """The stand-in of the own host with other objects, in ``folder``."""
        return self.link(self.own, objects, folder / "libmxnet.so", hidden)

    def library(self, host: str, hidden: bool = False) -> Path:
        """The stand-in for the libmxnet.so of the host."""
        path = self.folder / host / ("hidden" if hidden else "exported") / "libmxnet.so"
        if not path.is_file():
            self.link(host, self.objects(self.headers(host)), path, hidden)
        return path

    def environment(self, host: str, *before: Path, **more: str) -> Dict[str, str]:
        """An environment in which the host's MKL-DNN is found, or another one ``before``."""
        folders = os.pathsep.join(str(folder) for folder in (*before, self.mxnet(host)))
        return clean_environment(OMP_NUM_THREADS=2, LD_LIBRARY_PATH=folders, **more)

    def run(
        self, library: Path, host: str, *words: str, unknown: bool = False, **more: str
    ) -> CompletedProcess:
        """Load a stand-in and run the program in it, on a MKL-DNN of unknown build if so asked."""
        before = [self._unknown_mkldnn(host)] if unknown else []
        variables = self.environment(host, *before, LOAD_PROGRAM=str(library), **more)
        return run([self.loader, *words], env=variables)

    def _unknown_mkldnn(self, host: str) -> Path:
        """A folder with the host's MKL-DNN under an unknown build-id."""
        real = self.mkldnn(host)
        copy = self.folder / host / "unknown" / real.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        own_builds.set_unknown_build_id(real, copy)
        return copy.parent


@pytest.fixture(scope="module")
def files(layout: Layout) -> Dict[str, str]:
    return source_patch.all_files(layout, "1.2.3")


@pytest.fixture(scope="module")
def patch(files: Dict[str, str]) -> str:
    return source_patch.render(files, "1.2.3")


@pytest.fixture(scope="module")
def tree(patch: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the patch fills, in a repository of MXNet's shape."""
    root = tmp_path_factory.mktemp("tree")
    folder = root / source_patch.FOLDER
    folder.mkdir(parents=True)
    (root / "the.patch").write_text(patch, encoding="utf-8")
    checked(["git", "init", "--quiet", root])
    checked(["git", "apply", "--whitespace=error", "the.patch"], cwd=root)
    return folder


@pytest.fixture(scope="module")
def stand_ins(
    layout: Layout, tree: Path, first_host: str, tmp_path_factory: pytest.TempPathFactory
) -> StandIns:
    return StandIns(layout, tree, tmp_path_factory.mktemp("stand-ins"))


@pytest.fixture
def headers(stand_ins: StandIns, tmp_path: Path) -> Path:
    """A copy of the own host's headers, to be changed."""
    return Path(shutil.copytree(stand_ins.headers(stand_ins.own), tmp_path / "headers"))


def test_the_command_writes_the_same_patch_every_time(layout: Layout) -> None:
    version = toml.project_version(layout.pyproject)
    expected = source_patch.render(source_patch.all_files(layout, version), version)
    for _ in range(2):
        checked([sys.executable, "-m", "harness", "source-patch"], cwd=layout.root)
        assert source_patch.patch_path(layout, version).read_text(encoding="utf-8") == expected


def test_the_patch_only_adds_files_of_its_own(
    patch: str, tree: Path, files: Dict[str, str]
) -> None:
    assert {line for line in patch.splitlines() if line.startswith("-")} == {"--- /dev/null"}
    root = tree.parents[3]
    for name, content in files.items():
        # MXNet's own files there are all named mkldnn_*.
        sources = source_patch.FOLDER + r"/(opcache\w*\.(cc|h)|CPPLINT\.cfg)"
        assert re.fullmatch(rf"{sources}|python/mkldnn_opcache/\w+\.py", name)
        assert (root / name).read_text(encoding="utf-8") == content
        assert content.count("Licensed to the Apache Software Foundation") == 1
        assert max(map(len, content.splitlines())) <= 100


@every_host
@pytest.mark.parametrize("hidden", [False, True], ids=["exported", "hidden"])
@pytest.mark.parametrize("preloaded", [False, True], ids=["alone", "preloaded-too"])
def test_programs_run_the_same_with_fewer_creations(
    stand_ins: StandIns, built: Layout, host: str, hidden: bool, preloaded: bool
) -> None:
    more = {"LD_PRELOAD": str(built.library)} if preloaded else {}
    result = stand_ins.run(stand_ins.library(host, hidden), host, **more)
    assert result.returncode == 0 and ALL_PASSED.search(result.stdout), result.stdout


def test_headers_tell_the_release_of_anybodys_build(stand_ins: StandIns) -> None:
    # MXNet 1.3.1 ships no headers. MKL-DNN 1.0 itself is asked.
    for host in HOSTS[1:]:
        result = stand_ins.run(stand_ins.library(host), host, unknown=True)
        assert result.returncode == 0 and ALL_PASSED.search(result.stdout), result.stdout


def test_unknown_headers_pass_through_unless_told(
    stand_ins: StandIns, headers: Path, tmp_path: Path
) -> None:
    replace(headers / "mkldnn_types.h", "mkldnn_format_last,", "one_more, mkldnn_format_last,")
    objects = stand_ins.changed("api0_real", tmp_path, headers=headers)
    program = (stand_ins.relinked(objects, tmp_path), stand_ins.own, *ONE)

    passed = stand_ins.run(*program, unknown=True, MKLDNN_OPCACHE_STATS="stderr")
    assert passed.returncode == 1  # it expects hits
    assert passed.stderr.count("is not one this library knows") == 1
    assert '"recognised": false' in passed.stderr and "differs in" not in passed.stderr

    release = stand_ins.toolchain.host(stand_ins.own).mkldnn
    told = stand_ins.run(*program, unknown=True, MKLDNN_OPCACHE_ASSUME=release)
    assert told.returncode == 0, told.stderr


def test_headers_without_the_fields_that_some_releases_lack(
    stand_ins: StandIns, headers: Path, tmp_path: Path
) -> None:
    """v0.14 has no diff_desc in the descriptor of softmax, v0.19 no negative_slope."""
    types = headers / "mkldnn_types.h"
    softmax = r"mkldnn_memory_desc_t diff_desc;(?=[^;]*;\n\} mkldnn_softmax_desc_t;)"
    text, count = re.subn(softmax, "", types.read_text())
    assert count == 1
    types.write_text(re.sub(r"float negative_slope;(?=\n\} mkldnn_eltwise_desc_t;)", "", text))
    stand_ins.changed("api0_fields", tmp_path, headers=headers)


def test_headers_of_another_interface_leave_the_first_one_out(
    stand_ins: StandIns, headers: Path, tmp_path: Path
) -> None:
    """MXNet 1.6 has MKL-DNN 1.0, where functions of the same names take other arguments."""
    symbols = ["nm", "--defined-only", "--format=just-symbols", "--demangle"]
    objects = stand_ins.objects(stand_ins.headers("1.6.0"))
    defined = {path.stem: checked([*symbols, path]) for path in objects}
    first = {name for name in defined if name.startswith("opcache_api0_")}
    assert first == {name for name, found in defined.items() if found == ""}
    assert "opcache::api0_library()" in defined["opcache_library"]
    # MXNet 1.7.
    types = headers / "mkldnn_types.h"
    types.write_text("#define mkldnn_primitive dnnl_primitive\n" + types.read_text())
    with pytest.raises(AssertionError, match='#error "expected MKL-DNN 0.14 to 0.19 or 1.0'):
        stand_ins.changed("library", tmp_path, headers=headers)


def test_without_mkldnn_there_is_nothing(tree: Path, tmp_path: Path) -> None:
    for name, flags in (("undefined", []), ("zero", ["-DMXNET_USE_MKLDNN=0"])):
        objects = compile_tree(tree, tmp_path / name, *flags)
        library = tmp_path / name / "libmxnet.so"
        checked([*LINK, "-o", library, *objects])
        assert "opcache" not in checked(["nm", "--format=just-symbols", library])


def test_a_static_mkldnn_is_refused_by_the_linker(stand_ins: StandIns, tmp_path: Path) -> None:
    """The counting fake of tests/cpp stands in for a libmkldnn.a."""
    sources = (stand_ins.layout.root / "tests" / "cpp").glob("fake_*.cc")
    fake = cpp_objects(stand_ins.layout, *(path.stem for path in sources))
    archive = tmp_path / "libmkldnn.a"
    checked(["ar", "rcs", archive, *fake])
    objects = stand_ins.objects(stand_ins.headers(stand_ins.own))
    inputs = [*objects, *stand_ins.program(stand_ins.own), archive]
    result = run([*LINK, "-o", tmp_path / "libmxnet.so", *inputs])
    assert result.returncode != 0
    assert "multiple definition of `mkldnn_primitive_create'" in result.stderr


def close_after_use(stand_ins: StandIns, library: Path) -> str:
    command = [sys.executable, "-c", CLOSE_AFTER_USE, library, *ONE]
    return checked(command, env=stand_ins.environment(stand_ins.own)).strip()


def test_a_closed_library_stays(stand_ins: StandIns) -> None:
    # Hidden: a symbol that is one for the whole process would keep it loaded anyway.
    library = stand_ins.library(stand_ins.own, hidden=True)
    assert close_after_use(stand_ins, library) == "stays"


def test_no_sources_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"expected C\+\+ sources, found none"):
        source_patch.added_files(tmp_path, "1.2.3")


# Planted faults.


def planted(layout: Layout, folder: Path, name: str, old: str, new: str) -> Path:
    """Return the patched tree that comes of the library's sources with one change."""
    sources = folder / "opcache"
    shutil.copytree(layout.sources, sources)
    replace(sources / name, old, new)
    tree = folder / source_patch.FOLDER
    tree.mkdir(parents=True)
    for path, content in source_patch.added_files(sources, "1.2.3").items():
        (folder / path).write_text(content, encoding="utf-8")
    return tree


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('#include "report/stats.h"', '#include  "report/stats.h"', "stats.h: No such file"),
        (
            "\n}  // namespace opcache",
            "auto [a, b, c, d] = Population();\n}",
            "structured bindings only",
        ),
        ("\n}  // namespace opcache", "bool f(int a) { return a < 1u; }\n}", "signedness"),
    ],
    ids=["include", "C++17", "warning"],
)
def test_planted_faults_do_not_compile(
    stand_ins: StandIns, tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    tree = planted(stand_ins.layout, tmp_path, "report/stats.cc", old, new)
    with pytest.raises(AssertionError, match=complaint):
        stand_ins.changed("report_stats", tmp_path, tree)


def test_planted_include_of_another_folder(layout: Layout, tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r'op\.cc: #include "\.\./op\.h": expected a file of'):
        planted(
            layout, tmp_path, "settings/op.cc", '#include "settings/op.h"', '#include "../op.h"'
        )


def test_planted_thread_local_in_the_static_block(stand_ins: StandIns, tmp_path: Path) -> None:
    model = '#define OPCACHE_TLS_MODEL __attribute__((tls_model("initial-exec")))\n#else'
    none = "#define OPCACHE_TLS_MODEL\n#else"
    tree = planted(stand_ins.layout, tmp_path, "in_tree.h", none, model)
    objects = stand_ins.changed("cache_thread_cache", tmp_path, tree)
    result = stand_ins.run(stand_ins.relinked(objects, tmp_path), stand_ins.own, *ONE)
    assert result.returncode == 2
    assert "cannot allocate memory in static TLS block" in result.stderr


def test_planted_function_that_is_not_there(stand_ins: StandIns, tmp_path: Path) -> None:
    """Without a definition of ours the program would call MKL-DNN's own, and notices."""
    name = "opcache_interpose.o"
    objects = stand_ins.objects(stand_ins.headers(stand_ins.own))
    inputs = [tmp_path / name if path.name == name else path for path in objects]
    rename = "--redefine-sym=mkldnn_primitive_create=another_name"
    checked(["objcopy", rename, objects[0].with_name(name), tmp_path / name])
    result = stand_ins.run(stand_ins.relinked(inputs, tmp_path), stand_ins.own, *ONE)
    assert result.returncode == 2
    assert result.stderr == "primitive_create: the library does not stand before it\n"


def test_planted_library_that_goes_when_closed(stand_ins: StandIns, tmp_path: Path) -> None:
    used, unused = "if (kInTree) stay_loaded();", "if (!kInTree) stay_loaded();"
    tree = planted(stand_ins.layout, tmp_path, "api0/real.cc", used, unused)
    objects = stand_ins.changed("api0_real", tmp_path, tree)
    library = stand_ins.relinked(objects, tmp_path, hidden=True)
    assert close_after_use(stand_ins, library) == "gone"


def test_planted_release_that_is_not_asked_for(stand_ins: StandIns, tmp_path: Path) -> None:
    asked, other = "strcmp(version, release.version) == 0", "strcmp(version, release.version) > 0"
    tree = planted(stand_ins.layout, tmp_path, "api1/real.cc", asked, other)
    host = "1.6.0"
    objects = stand_ins.changed("api1_real", tmp_path, tree, host=host)
    library = stand_ins.link(host, objects, tmp_path / "libmxnet.so", hidden=False)
    result = stand_ins.run(library, host, *ONE, unknown=True)
    assert result.returncode == 1 and "is not one this library knows" in result.stderr
