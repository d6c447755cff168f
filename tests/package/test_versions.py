"""The package on every Python of this machine, without any other package and without a locale."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import NoteSection
from mkldnn_opcache.__main__ import COMMANDS
from mkldnn_opcache.elf import build_id
from mkldnn_opcache.releases import RELEASES

from harness.base.layout import Layout
from harness.build.toolchain import load_toolchain
from tests.conftest import every_host
from tests.support import interpreters
from tests.support.commands import clean_environment, run
from tests.support.records import bench

# Not a name in any encoding of text.
NAME = b"caf\xe9 \xff"
PLAIN = {"LC_ALL": "C", "PYTHONUTF8": 0, "PYTHONCOERCECLOCALE": 0, "PYTHONDONTWRITEBYTECODE": 1}


def opcache(
    layout: Layout, version: str, *words: object, **options: object
) -> subprocess.CompletedProcess:
    """Run the package on a Python without its site-packages; every warning is an error."""
    command = [interpreters.interpreter(version), "-W", "error", "-S", "-m", "mkldnn_opcache"]
    environment = clean_environment(PYTHONPATH=layout.package.parent, **PLAIN)
    return run([*command, *words], env=environment, **options)


@pytest.mark.parametrize("version", interpreters.VERSIONS)
def test_every_command_on_every_python(built: Layout, tmp_path: Path, version: str) -> None:
    for command in COMMANDS:
        done = opcache(built, version, command.name, "--help")
        assert done.returncode == 0
        assert done.stdout.startswith(f"examples:\n  opcache {command.name}")
    # Bytes that are no text: in the command, in a folder, and in MXNet's path.
    folder = os.path.join(os.fsencode(tmp_path), NAME)
    os.mkdir(folder)
    stats = os.path.join(folder, b"stats.json")
    options = ["--library", built.library, "--stats", os.fsdecode(stats)]
    shell = ["sh", "-c", 'printf "%s" "$1"; kill -15 $$', "sh", os.fsdecode(NAME)]
    done = opcache(built, version, "run", *options, "--", *shell, text=False)
    assert (done.returncode, done.stdout) == (-15, NAME)
    assert done.stderr.count(b"\nopcache: ") == 2
    with open(stats) as file:
        kept = json.load(file)
    assert (kept["signal"], kept["exit_code"], kept["command"][:3]) == (15, None, shell[:3])
    with open(stats, "w") as file:
        json.dump({"schema": 1, **bench.cache_stats("all", 3)}, file)
    done = opcache(built, version, "stats", os.fsdecode(stats))
    assert done.stdout.splitlines()[-1].split() == ["total", "3", "4", "3", "2", "0.000"]
    os.mkdir(os.path.join(folder, b"mxnet"))
    with open(os.path.join(folder, b"mxnet", b"__init__.py"), "wb") as init:
        init.write(b"raise ImportError(__file__)\n")
    words = ["doctor", "--library", built.library, "--no-probe"]
    command = [interpreters.interpreter(version), "-c", DOCTOR, os.fsdecode(folder), *words]
    done = run(command, env=clean_environment(PYTHONPATH=built.package.parent, **PLAIN), text=False)
    assert done.returncode == 1 and done.stderr == b"", done.stderr
    assert b"problem  mxnet    MXNet of an unknown version, " in done.stdout
    done = opcache(built, version, "stats", os.path.join(os.fsdecode(folder), "absent"))
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.endswith("absent: No such file or directory\n")


# The doctor's own interpreter finds MXNet in another folder.
DOCTOR = """
import os, sys
sys.path.insert(1, os.environ["PYTHONPATH"])
os.environ["PYTHONPATH"] = sys.argv[1]
from mkldnn_opcache.__main__ import main
sys.exit(main(sys.argv[2:]))
"""


def test_releases_are_those_that_the_harness_builds(layout: Layout) -> None:
    expected = [
        (host.version, host.package, host.mkldnn, host.mkldnn_build_id)
        for host in load_toolchain(layout.toolchain).hosts
    ]
    assert [tuple(release) for release in RELEASES] == expected


@every_host
def test_build_ids_are_those_that_pyelftools_reads(built: Layout, host: str) -> None:
    for path in (built.stock(host) / "mxnet").glob("*.so*"):
        with path.open("rb") as file:
            sections = [s for s in ELFFile(file).iter_sections() if isinstance(s, NoteSection)]
            notes = [note for section in sections for note in section.iter_notes()]
        expected = [note["n_desc"] for note in notes if note["n_type"] == "NT_GNU_BUILD_ID"]
        assert build_id(str(path)) == (expected[0] if expected else None), path
    assert build_id("/etc/passwd") is build_id("/etc") is build_id("/no/file") is None
