"""The library under programs that it was not made for: it must not be noticed, except in words."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import List

import pytest
from mkldnn_opcache import variables

from harness.base.layout import Layout
from tests.conftest import every_host
from tests.support.commands import CONVOLVE, clean_environment, compile_program, python, run

# Seven arguments, as in MKL-DNN 1.0; the library's own function of this name takes five.
OTHER = """
#include <cstdio>
extern "C" int mkldnn_sum_primitive_desc_create(
    long a, long b, long c, long d, long e, long f, long g) {
  return std::printf("%ld %ld %ld %ld %ld %ld %ld\\n", a, b, c, d, e, f, g);
}
"""
CALLS = """
extern "C" int mkldnn_sum_primitive_desc_create(long, long, long, long, long, long, long);
extern "C" int call() {
  // Twice: the first call decides where both go.
  return mkldnn_sum_primitive_desc_create(1, 2, 3, 4, 5, 6, 7) +
         mkldnn_sum_primitive_desc_create(10, 20, 30, 40, 50, 60, 70);
}
"""
LINKED = 'extern "C" int call(); int main() { return call(); }\n'
# As Python loads libmxnet.so.
LOADED = """
#include <dlfcn.h>
int main(int, char **argv) {
  void *library = dlopen(argv[1], RTLD_LOCAL | RTLD_NOW);
  return reinterpret_cast<int (*)()>(dlsym(library, "call"))();
}
"""


def compiled(folder: Path, name: str, source: str, *options: object) -> Path:
    compile_program(source, folder / name, *options, f"-Wl,-rpath,{folder}")
    return folder / name


def preloaded(library: Path, command: List[str], **settings: object) -> subprocess.CompletedProcess:
    return run(command, env=clean_environment(LD_PRELOAD=library, **settings))


# libmkldnn.so.0 stands for a release that lacks functions of 0.14.
@pytest.mark.parametrize("file", ["libmkldnn.so.1", "libmkldnn.so.0", "libwhatever.so"])
@pytest.mark.parametrize("linked", [True, False])
def test_other_mkldnn_gets_calls(built: Layout, tmp_path: Path, file: str, linked: bool) -> None:
    other = compiled(tmp_path, file, OTHER, f"-Wl,-soname,{file}")
    caller = compiled(tmp_path, "libcalls.so", CALLS, str(other))
    options = [str(caller)] if linked else ["-ldl"]
    program = compiled(tmp_path, "program", LINKED if linked else LOADED, *options)
    done = preloaded(built.library, [str(program), str(caller)])
    assert done.stdout == "1 2 3 4 5 6 7\n10 20 30 40 50 60 70\n"
    assert done.returncode == len(done.stdout)
    *_, line = done.stderr.splitlines()
    assert line == (
        f"opcache: MKL-DNN is in {other} here, not in a libmkldnn.so.0 or libmkldnn.so.1 of "
        "MXNet 1.3 to 1.6; not caching"
    )


def test_asking_before_mxnet_is_loaded_settles_nothing(built: Layout, first_host: str) -> None:
    asking = (
        "import ctypes, os; library = ctypes.CDLL(os.environ['LD_PRELOAD']); "
        "library.mkldnn_opcache_stats_json(None, ctypes.c_size_t(0))"
    )
    settings = {"PYTHONPATH": built.stock(first_host), "MKLDNN_OPCACHE_STATS": "stderr"}
    done = preloaded(built.library, python(asking + CONVOLVE), **settings)
    assert done.returncode == 0, done.stderr
    assert '"active": true' in done.stderr and "opcache:" not in done.stderr


def test_the_harness_knows_the_librarys_variables_and_words(built: Layout) -> None:
    found = set(re.findall(rb"MKLDNN_OPCACHE[A-Z_]*", built.library.read_bytes()))
    assert {name.decode() for name in found} == set(variables.ALL)
    words = ",".join(variables.LIST_WORDS)
    assert preloaded(built.library, ["true"], MKLDNN_OPCACHE=words).stderr == ""
    refused = preloaded(built.library, ["true"], MKLDNN_OPCACHE="everything").stderr
    allowed = refused.partition("(allowed: ")[2].partition(" to include")[0]
    expected = {*variables.SCOPES, *variables.LIST_WORDS}
    assert set(re.findall(r"\w+", allowed)) - set("or a comma list of and".split()) == expected


def test_the_library_is_the_same_in_every_folder(built: Layout) -> None:
    """Records name it by its hash, and a run that goes on in another clone compares it."""
    assert str(built.root).encode() not in built.library.read_bytes()


def test_tools_leave_no_statistics(built: Layout, tmp_path: Path) -> None:
    pattern = f"{tmp_path}/%p.json"
    done = preloaded(built.library, ["sh", "-c", "true; /bin/true"], MKLDNN_OPCACHE_STATS=pattern)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


@every_host
def test_a_patched_mxnet_takes_the_preloaded_library_for_its_own(built: Layout, host: str) -> None:
    program = (
        "import mxnet; assert mxnet.nd.ones((2, 3)).sum().asscalar() == 6; "
        "print(open('/proc/self/maps').read())"
    )
    done = preloaded(built.library, python(program), PYTHONPATH=built.patched(host))
    assert done.returncode == 0, done.stderr
    assert str(built.library) in done.stdout and f"{host}-opcache/mxnet/libmxnet" in done.stdout
    assert f"{host}-opcache/mxnet/libmkldnn_opcache" not in done.stdout
