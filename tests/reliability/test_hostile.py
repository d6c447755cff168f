"""The stage of hostile surroundings: what it says of a library that does not behave, and what it
cannot try by itself: programs with more rights than their user, and packages that run programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, Dict, List

import pytest

from harness.base.layout import Layout
from harness.build import pip
from harness.reliability import hostile, hostile_programs
from harness.reliability.context import Context
from harness.reliability.hostile import CASES, Surroundings, judge
from harness.reliability.hostile_programs import Outcome
from tests.conftest import HOSTS
from tests.support.commands import compile_program, run


def context(layout: Layout, scratch: Path, quick: bool = True) -> Context:
    return Context(layout, quick=quick, seed=1, hosts=("1.3.1",), scratch=scratch)


def test_quick_runs_meet_every_host() -> None:
    assert {host for case in CASES for host in case.quick_hosts} == set(HOSTS)
    assert len({case.name for case in CASES}) == len(CASES)


def test_variables_and_programs(built: Layout, tmp_path: Path) -> None:
    found = hostile_programs.variables(context(built, tmp_path))
    found += hostile_programs.programs(context(built, tmp_path))
    assert [each for each in found if each.outcome != "pass"] == []


# Each does one thing that a library must not do.
STRANGERS = {
    "two lines": 'write(2, "opcache: a\\nopcache: b\\n", 22);',
    "half a line": 'write(2, "\\033[2Jopcache: a", 15);',
    "stdout": 'write(1, "opcache: a\\n", 11);',
    "crash": "__builtin_trap();",
    "silence": "",
}


@pytest.mark.parametrize("what", STRANGERS)
def test_noticeable_libraries_fail(built: Layout, what: str, tmp_path: Path) -> None:
    start = f"__attribute__((constructor)) static void start() {{ {STRANGERS[what]} }}\n"
    compile_program(f"#include <unistd.h>\n{start}", tmp_path / "a.so")
    stranger = type("Stranger", (Layout,), {"library": tmp_path / "a.so"})(built.root)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    values = hostile_programs.variables(context(stranger, scratch))
    programs = hostile_programs.programs(context(stranger, scratch))
    assert "fail" in {each.outcome for each in values}
    assert {each.outcome for each in programs} == {"pass" if what == "silence" else "fail"}


def result(**changes: Any) -> Dict[str, Any]:
    totals = {"primitives_avoided": 3}
    stats = {"active": True, "totals": totals}
    return {"hashes": {"a": "1"}, "finite": True, "stats": stats, **changes}


STOCK = Outcome(0, b"", ["MXNet says this"], {**result(), "stats": None})
GOOD = Outcome(0, b"", ["MXNet says this"], result())
FAILED = Outcome(1, b"", ["OSError: no room"])
CRASHED = Outcome(-11, b"", ["[bt] libc.so.6(+0x3c050) [0x7f0f]"])
INACTIVE = {"active": False, "totals": {"primitives_avoided": 0}}


@pytest.mark.parametrize(
    "stock, cached, problem",
    [
        (STOCK, GOOD, ""),
        (FAILED, FAILED, ""),
        (CRASHED, CRASHED._replace(said=["[bt] libc.so.6(+0x3c050) [0x7f57]"]), ""),
        (CRASHED, CRASHED._replace(said=["[bt] libmxnet.so(+0x1) [0x7f57]"]), "failed with"),
        (STOCK, GOOD._replace(result=result(hashes={"a": "2"})), "1 arrays differ"),
        (STOCK, GOOD._replace(result=result(hashes={})), "1 arrays differ"),
        (STOCK, GOOD._replace(result=result(finite=False)), "not finite"),
        (STOCK, GOOD._replace(result=result(stats=None)), "the library was not loaded"),
        (STOCK, GOOD._replace(result=result(stats=INACTIVE)), "active: expected True"),
        (STOCK, GOOD._replace(said=["opcache: a word"]), "said"),
        (STOCK, GOOD._replace(code=-13), "ended with"),
        (STOCK, FAILED, "ended with"),
        (FAILED, GOOD, "ended with"),
        (FAILED, FAILED._replace(said=["OSError: of ours"]), "failed with"),
    ],
)
def test_differences_from_stock_fail(stock: Outcome, cached: Outcome, problem: str) -> None:
    found = judge(Surroundings("x"), "1.3.1", stock, cached)
    assert (found.outcome, problem in found.summary) == ("fail" if problem else "pass", True)


@pytest.mark.parametrize(
    "lines, outcome",
    [
        ([], "fail"),
        (["opcache: a 1"], "fail"),
        (["opcache: a 1", "opcache: b"], "pass"),
        (["opcache: b", "opcache: a 2"], "pass"),
        (["opcache: a 1", "opcache: a 2"], "fail"),
        (["opcache: a 1", "opcache: b", "opcache: b"], "fail"),
        (["opcache: a 1", "b"], "fail"),
    ],
)
def test_every_line_is_expected_once(lines: List[str], outcome: str) -> None:
    cached = GOOD._replace(said=lines)
    assert judge(Surroundings("x", lines=("a .", "b")), "1.3.1", STOCK, cached).outcome == outcome


def test_a_training_in_hostile_surroundings(built: Layout, tmp_path: Path) -> None:
    case = next(each for each in CASES if each.name == "statistics to a FIFO")
    found = hostile._train_case(context(built, tmp_path), case, "1.3.1")
    assert (found.outcome, found.figures) == ("pass", {"lines": 1}), found.details


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a program root's rights")
def test_a_set_user_id_program_takes_nothing_from_its_user(built: Layout, shared: Path) -> None:
    library = shared / "libmkldnn_opcache.so"
    shutil.copyfile(built.library, library)
    program = shared / "program"
    source = "#include <sys/auxv.h>\nint main() { return getauxval(AT_SECURE) ? 7 : 0; }\n"
    compile_program(source, program, "-Wl,--no-as-needed", f"-Wl,-rpath,{shared}", library)
    secret = shared / "secret"
    secret.mkdir(mode=0o700)
    environment = {"MKLDNN_OPCACHE": "nonsense", "MKLDNN_OPCACHE_STATS": str(secret / "stats")}

    def as_nobody() -> subprocess.CompletedProcess[str]:
        command = ["setpriv", "--reuid=65534", "--clear-groups", program]
        return run(command, env={**environment, "PATH": os.environ["PATH"]})

    plain = as_nobody()
    assert plain.returncode == 0 and plain.stderr.count("\n") == 2  # the word, and no permission
    program.chmod(0o4755)
    raised = as_nobody()
    if raised.returncode == 0:
        pytest.skip(f"{shared} is mounted without set-user-ID")
    assert (raised.returncode, raised.stderr) == (7, "")
    assert list(secret.iterdir()) == []


def test_no_program_of_a_package_is_run(tmp_path: Path) -> None:
    """Neither when it is installed, nor when it is downloaded."""
    wheels, marker = tmp_path / "wheels", tmp_path / "was run"
    wheels.mkdir()
    package = tmp_path / "evil-1.0"
    package.mkdir()
    (package / "setup.py").write_text(
        f"open({str(marker)!r}, 'w').close()\n"
        "from setuptools import setup\nsetup(name='evil', version='1.0')\n"
    )
    with tarfile.open(wheels / "evil-1.0.tar.gz", "w:gz") as archive:
        archive.add(package, "evil-1.0")
    arguments = ["--target", str(tmp_path / "site"), "evil"]
    assert pip.install(Path(sys.executable), wheels, arguments)
    assert not marker.exists()
    # As pip would do it by itself.
    command = [sys.executable, "-m", "pip", "install", "--no-index", "--find-links", str(wheels)]
    subprocess.run([*command, *arguments], capture_output=True)
    assert marker.exists(), "the package is not one whose program pip runs"
