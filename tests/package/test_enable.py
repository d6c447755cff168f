"""enable, disable and status in environments of every Python, and with what they refuse."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Set

import pytest

from harness.base.layout import Layout
from tests.support import interpreters
from tests.support.commands import TRAIN, clean_environment, planted, python, run
from tests.support.interpreters import Environment

OWN = "{}.{}".format(*sys.version_info[:2])
PTH = "mkldnn_opcache_enabled.pth"
LIBRARY, MKLDNN = "mkldnn_opcache/libmkldnn_opcache.so", "mxnet/libmkldnn.so.0"
# Tells what its import finds.
MXNET = """
import collections, io, os
with io.open("/proc/self/maps", errors="replace") as file:
    names = {line.split()[-1] for line in file if "libmkldnn_opcache" in line}
seen = {
    "libraries": sorted(names),
    "scope": os.environ.get("MKLDNN_OPCACHE"),
    "names": hasattr(collections, "Mapping"),
}
"""
NUMPY = "__version__ = '1.16.0'\nclass ndarray: tostring = None\n"
TELL = """
import json, sys
maps = open("/proc/self/maps", "rb").read()
early = "mkldnn_opcache" in sys.modules or b"libmkldnn_opcache" in maps
import mxnet
print(json.dumps(dict(mxnet.seen, early=early)))
"""


def prepared(
    built: Layout, root: Path, version: str = OWN, package: Optional[Path] = None
) -> Environment:
    """Create an environment with the package, the library, and an MXNet that tells what it sees."""
    if version == OWN:
        venv.create(root, symlinks=True)
        environment = Environment(version, root)
    else:
        environment = interpreters.create(version, root)
    target = environment.packages / "mkldnn_opcache"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(package or built.package, target, ignore=ignored)
    shutil.copy(built.library, target)
    mxnet = environment.packages / "mxnet"
    mxnet.mkdir()
    (mxnet / "__init__.py").write_text(MXNET)
    (mxnet / "libinfo.py").write_text('__version__ = "1.3.1"\n')
    os.symlink(built.stock("1.3.1") / MKLDNN, environment.packages / MKLDNN)
    (environment.packages / "numpy.py").write_text(NUMPY)
    return environment


@pytest.fixture
def environment(built: Layout, tmp_path: Path) -> Environment:
    return prepared(built, tmp_path / "environment")


def opcache(environment: Environment, *words: object, **variables: object) -> Any:
    return environment.run("-B", "-m", "mkldnn_opcache", *words, **variables)


def told(environment: Environment, program: str = TELL, **variables: object) -> Dict[str, Any]:
    """Return what MXNet saw; nothing may be printed on stderr."""
    done = environment.run("-B", "-c", program, **variables)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def library(environment: Environment) -> str:
    return str(environment.packages / LIBRARY)


def tree(environment: Environment) -> Set[Path]:
    return {path for path in environment.root.rglob("*") if "__pycache__" not in path.parts}


def check_enable_and_disable(built: Layout, environment: Environment) -> None:
    before = tree(environment)
    assert opcache(environment, "status").returncode == 1
    assert told(environment)["libraries"] == []
    done = opcache(environment, "enable", "--scope", "backward", "--bounded", "--compat")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(None, 1) for line in done.stdout.splitlines()][:5] == [
        ["enabled", str(environment.packages / PTH)],
        ["library", library(environment)],
        ["scope", "backward"],
        ["memory", "512M"],
        ["maps", "1"],
    ]
    assert opcache(environment, "status").stdout == done.stdout
    lacking = environment.version in ("3.10", "3.11", "3.12", "3.13")
    assert ("collections.Mapping" in done.stdout) == lacking
    here = {"libraries": [library(environment)], "scope": "backward", "names": True, "early": False}
    assert told(environment) == here
    # In the processes that it starts too, and what the environment says goes first.
    child = f"import subprocess, sys\nsubprocess.check_call([sys.executable, '-c', '''{TELL}'''])"
    assert told(environment, child) == here
    assert told(environment, MKLDNN_OPCACHE="off") == {**here, "scope": "off"}
    preloaded = told(environment, LD_PRELOAD=built.library)
    assert preloaded == {**here, "libraries": [str(built.library)], "early": True}
    also = opcache(environment, "status", LD_PRELOAD=built.library, MKLDNN_OPCACHE="off").stdout
    assert f"preload   LD_PRELOAD={built.library} is used first\n" in also
    assert also.endswith("variable  MKLDNN_OPCACHE=off\n")
    done = opcache(environment, "disable")
    assert (done.returncode, done.stderr) == (0, "") and tree(environment) == before
    assert told(environment)["libraries"] == []


@pytest.mark.parametrize("version", interpreters.VERSIONS)
def test_enable_and_disable_on_every_python(built: Layout, tmp_path: Path, version: str) -> None:
    check_enable_and_disable(built, prepared(built, tmp_path / "environment", version))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("hook.py", 'if name == "mxnet" and self.found():', "if self.found():"),
        ("hook.py", "if not os.environ.get(name):", "if True:"),
        ("hook.py", "if not library.mapped(LIBRARY):", "if True:"),
        ("hook.py", "compat.install()", "pass"),
        ("enable.py", "    os.unlink(found)", "    pass"),
    ],
)
def test_faults_of_the_package_are_found(
    built: Layout, tmp_path: Path, file: str, old: str, new: str
) -> None:
    package = planted(built.package, tmp_path, file, old, new)
    with pytest.raises(AssertionError):
        check_enable_and_disable(built, prepared(built, tmp_path / "environment", OWN, package))


def test_training_in_an_enabled_environment(
    built: Layout, environment: Environment, first_host: str
) -> None:
    shutil.rmtree(environment.packages / "mxnet")
    (environment.packages / "numpy.py").unlink()
    stock = built.stock(first_host)
    shutil.copytree(
        stock / "mxnet", environment.packages / "mxnet", copy_function=os.link, symlinks=True
    )
    assert opcache(environment, "enable").returncode == 0
    # NumPy, and what else MXNet imports, is the tests' own.
    outer = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    tail = "import mkldnn_opcache\nassert mkldnn_opcache.stats()['totals']['primitives_avoided']"
    done = environment.run("-W", "ignore", "-c", TRAIN + tail, PYTHONPATH=outer)
    alone = run(python(TRAIN), env=clean_environment(OMP_NUM_THREADS=1, PYTHONPATH=stock))
    assert done.returncode == 0, done.stderr
    assert done.stdout == alone.stdout != ""


# Changes to the site-packages of an environment before, or after, ``enable``.
SPOIL: Dict[str, Callable[[Path], object]] = {
    "": lambda site: None,
    "no package": lambda site: shutil.rmtree(site / "mkldnn_opcache"),
    "no library": lambda site: (site / LIBRARY).unlink(),
    "library of another machine": lambda site: (site / LIBRARY).write_bytes(b"\x7fELF"),
    "damaged NumPy": lambda site: (site / "numpy.py").write_text("raise ImportError('damaged')\n"),
    "no MXNet": lambda site: shutil.rmtree(site / "mxnet"),
    "MXNet 1.7": lambda site: (site / "mxnet/libinfo.py").write_text('__version__ = "1.7.0"\n'),
    "another MKL-DNN": lambda site: os.replace(shutil.copy("/bin/true", site), site / MKLDNN),
    "MXNet without MKL-DNN": lambda site: (site / MKLDNN).unlink(),
    "patched": lambda site: shutil.copy(site / LIBRARY, site / "mxnet"),
    "somebody's file": lambda site: (site / PTH).write_text("# mine\n"),
}


@pytest.mark.parametrize(
    ("how", "line"),
    [
        ("no package", "No module named .*mkldnn_opcache.*: MXNet is not cached"),
        ("no library", "no libmkldnn_opcache.so at .*: MXNet is imported without"),
        ("library of another machine", "libmkldnn_opcache.so: file too short: MXNet is imported"),
        ("damaged NumPy", "damaged: MXNet is imported without"),
        ("patched", None),
    ],
)
@pytest.mark.parametrize("version", [OWN, "2.7"])
def test_mxnet_is_imported_whatever_became_of_the_package(
    built: Layout, tmp_path: Path, version: str, how: str, line: Any
) -> None:
    if version == "2.7" and how == "damaged NumPy":
        pytest.skip("Python 2.7 lacks no name")
    environment = prepared(built, tmp_path / "environment", version)
    assert opcache(environment, "enable", "--compat").returncode == 0
    SPOIL[how](environment.packages)
    assert environment.run("-c", "import json").stderr == ""
    full = ["sh", "-c", 'exec "$@" 2>/dev/full', "sh", environment.python, "-c", "import mxnet"]
    assert run(full, cwd=environment.root).returncode == 0
    done = environment.run("-c", TELL)
    assert done.returncode == 0, done.stderr
    cached = [library(environment)] if how == "damaged NumPy" else []
    assert json.loads(done.stdout)["libraries"] == cached
    if line is None:
        assert done.stderr == ""
    else:
        assert done.stderr.count("\n") == 1, done.stderr
        said = done.stderr
        assert said.startswith("opcache: ")
        assert re.search(line, said), said


REFUSED = [
    ("no MXNet", [], "no MXNet in .*; nothing was enabled"),
    ("MXNet 1.7", [], "MXNet 1.7.0: not served: .*; nothing was enabled"),
    ("another MKL-DNN", [], "build-id .* is not one that the cache knows .*; nothing was enabled"),
    ("MXNet without MKL-DNN", [], "this MXNet has no libmkldnn.so.0 or .*; nothing was enabled"),
    ("patched", [], "this MXNet is patched: .* has the cache already; nothing was enabled"),
    ("no library", [], "no libmkldnn_opcache.so at .*: install the wheel mkldnn_opcache, or name"),
    ("somebody's file", [], f"{PTH}: expected a file of opcache enable, found another"),
    ("", ["--scope", "al"], "unknown scope 'al': expected off, backward, all, or a comma list"),
    ("", ["--memory", "1.5G"], "memory: expected bytes such as 1048576"),
    ("", ["--library", "no.so"], "--library no.so: no such file"),
    ("", ["--no"], "unrecognized arguments: --no"),
    ("", ["--", "x"], "unexpected words: x"),
]


@pytest.mark.parametrize(("how", "options", "line"), REFUSED)
def test_refusals_of_enable(
    environment: Environment, how: str, options: List[str], line: str
) -> None:
    SPOIL[how](environment.packages)
    before = tree(environment)
    done = opcache(environment, "enable", *options)
    (said,) = done.stderr.splitlines()
    assert done.returncode == 2 and said.startswith("opcache: error: ")
    assert re.search(line, said), said
    assert tree(environment) == before


@pytest.mark.parametrize("how", ["MXNet 1.7", "patched"])
def test_names_alone_are_enabled_where_the_cache_has_no_use(
    environment: Environment, how: str
) -> None:
    SPOIL[how](environment.packages)
    done = opcache(environment, "enable", "--compat", "--bounded")
    assert done.returncode == 0
    assert done.stderr.startswith("opcache: only --compat is enabled: ")
    seen = told(environment)
    assert seen["libraries"] == [] and seen["names"]
    # Without a cache beside them, MXNet's maps are not limited.
    assert "MXNET_MKLDNN_CACHE_NUM" not in (environment.packages / PTH).read_text()


def test_another_environments_package(built: Layout, environment: Environment) -> None:
    other = prepared(built, environment.root / "other")
    (environment.packages / "mkldnn_opcache").rename(environment.root / "moved")
    done = opcache(environment, "enable", PYTHONPATH=other.packages)
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"opcache: error: mkldnn_opcache is in {other.packages}, which is not a site-packages "
        f"folder of {environment.python} "
    )
    assert not list(environment.root.rglob(PTH))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_site_packages_of_somebody_else(built: Layout, shared: Path) -> None:
    environment = prepared(built, shared / "environment")
    command = [environment.python, "-B", "-m", "mkldnn_opcache", "enable"]
    done = run(["setpriv", "--reuid=65534", "--clear-groups", *command], cwd=shared)
    assert done.returncode == 2
    assert done.stderr.startswith("opcache: error: ") and "Permission denied" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(environment.root.rglob("*.pth*"))


def test_what_a_killed_enable_left_is_removed(environment: Environment) -> None:
    before = tree(environment)
    assert opcache(environment, "enable").returncode == 0
    (environment.packages / f".{PTH}.x1.tmp").write_text("half")
    assert opcache(environment, "enable").returncode == 0
    assert len(tree(environment)) == len(before) + 1
    (environment.packages / f".{PTH}.x2.tmp").write_text("half")
    assert opcache(environment, "disable").returncode == 0
    assert tree(environment) == before
    assert opcache(environment, "disable").stdout == "not enabled\n"


@pytest.mark.parametrize("version", [OWN, "3.6"])
def test_a_locale_without_the_folders_name(built: Layout, tmp_path: Path, version: str) -> None:
    environment = prepared(built, tmp_path / "environmént", version)
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": 0, "PYTHONCOERCECLOCALE": 0}
    for enabled in (ascii_only, {}):
        done = opcache(environment, "enable", **enabled)
        assert (done.returncode, done.stderr) == (0, "")
        assert told(environment)["libraries"] == [library(environment)]
        assert len(told(environment, **ascii_only)["libraries"]) == 1
        done = opcache(environment, "status", **ascii_only)
        assert (done.returncode, done.stderr) == (0, "") and "absent" not in done.stdout


# run --compat, which prepares any Python of the command.
@pytest.mark.parametrize("version", interpreters.VERSIONS)
def test_run_adds_names_in_every_python(built: Layout, tmp_path: Path, version: str) -> None:
    environment = prepared(built, tmp_path / "environment", version)
    shutil.rmtree(environment.packages / "mkldnn_opcache")
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.customized = True\n")
    program = TELL + "assert sys.customized and sys.path.count(sys.argv[1]) == 1"
    command = [sys.executable, "-m", "mkldnn_opcache", "run", "--library", built.library]
    command += ["--compat", "--", environment.python, "-c"]
    # With another sitecustomize, and without, as on most systems.
    for others, words in (([tmp_path], [program, tmp_path]), ([], [TELL])):
        path = os.pathsep.join(map(str, [built.package.parent, *others]))
        done: subprocess.CompletedProcess = run(
            command + words, env=clean_environment(PYTHONPATH=path)
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["names"] and done.stderr.count("\n") == 3
