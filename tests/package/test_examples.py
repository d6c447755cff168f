"""The examples, alone and under `run`: the same bits, and a cache that was active."""

from __future__ import annotations

import json
import re
import sys
from hashlib import sha256
from pathlib import Path
from typing import Dict

import pytest

from harness.base.layout import Layout, here
from tests.support import commands
from tests.support.commands import clean_environment, replace

EXAMPLES = here().root / "examples"
# Each on a release of its own: together they are all releases.
MODULE_FIT = ("1.5.1.post0", "module_fit", "--epochs=1", "--images=64", "--save=saved")
SSD = ("1.4.1", "gluoncv_ssd", ".", "--epochs=1", "--images=8", "--workers=0")
RESUME = ("1.3.1", "gluon_resume", ".", "--images=64")


def train(built: Layout, host: str, name: str, *words: str, folder: Path, under_run: bool) -> str:
    """Run an example in ``folder`` on one thread; return what it prints."""
    folder.mkdir(exist_ok=True)
    program = Path(name) if Path(name).is_file() else EXAMPLES / f"{name}.py"
    command = [sys.executable, "-W", "ignore", str(program), *words]
    environment = clean_environment(PYTHONPATH=built.stock(host), OMP_NUM_THREADS=1)
    if not under_run:
        done = commands.run(command, cwd=folder, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout
    stats = folder / "stats.json"
    options = ["--chdir", folder, "--stats", stats]
    done = commands.harness("run", *options, "--", *command, env=environment)
    assert done.returncode == 0, done.stderr
    assert "\nopcache: the cache was active" in "\n" + done.stderr
    counters = [process["counters"] for process in json.loads(stats.read_text())["processes"]]
    assert sum(each["totals"]["primitives_avoided"] for each in counters if each["active"]) > 0
    return done.stdout


def bits(folder: Path) -> Dict[str, str]:
    """Return the SHA-256 of each file of parameters."""
    found = {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.params")}
    assert found
    return found


@pytest.mark.parametrize("example", [MODULE_FIT, SSD], ids=["module_fit", "gluoncv_ssd"])
def test_same_bits_with_the_cache(built: Layout, tmp_path: Path, example: tuple) -> None:
    stock, cached = tmp_path / "stock", tmp_path / "cached"
    printed = train(built, *example, folder=stock, under_run=False)
    assert train(built, *example, folder=cached, under_run=True) == printed
    assert bits(cached) == bits(stock)


def test_images_loaded_by_other_processes(built: Layout, tmp_path: Path) -> None:
    """Python gives these processes seeds of their own: bits are not compared."""
    *words, _ = SSD
    printed = train(built, *words, "--workers=2", folder=tmp_path, under_run=True)
    assert re.fullmatch(r"epoch 1: losses \d\.\d+ and \d\.\d+, mAP 0\.\d+\n", printed)


@pytest.fixture(scope="module")
def uninterrupted(built: Layout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two epochs, without the cache."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    train(built, *RESUME, "--epochs=2", folder=folder, under_run=False)
    return folder


def test_resumed_with_the_cache(built: Layout, tmp_path: Path, uninterrupted: Path) -> None:
    train(built, *RESUME, "--epochs=1", folder=tmp_path, under_run=True)
    printed = train(built, *RESUME, "--epochs=2", folder=tmp_path, under_run=True)
    assert [line.split()[0] for line in printed.splitlines()] == ["epoch", "exported"]
    assert bits(tmp_path) == bits(uninterrupted)


def planted(folder: Path, old: str, new: str) -> str:
    """Write gluon_resume.py with a fault into ``folder``; return its path."""
    copy = folder / "faulty.py"
    copy.write_text((EXAMPLES / "gluon_resume.py").read_text(encoding="utf-8"), encoding="utf-8")
    replace(copy, old, new)
    return str(copy)


def test_a_checkpoint_without_the_optimizer_is_seen(
    built: Layout, tmp_path: Path, uninterrupted: Path
) -> None:
    host, _, *words = RESUME
    faulty = planted(tmp_path, 'trainer.load_states(name + ".states")', "pass")
    for epochs in ("--epochs=1", "--epochs=2"):
        train(built, host, faulty, *words, epochs, folder=tmp_path, under_run=False)
    found, expected = bits(tmp_path), bits(uninterrupted)
    name = "checkpoint-0001.params"
    assert found.pop(name) == expected.pop(name)
    assert not set(found.values()) & set(expected.values())


def test_an_export_that_predicts_something_else_is_refused(
    built: Layout, tmp_path: Path, uninterrupted: Path
) -> None:
    host, _, *words = RESUME
    faulty = planted(tmp_path, "expected = net(x)", "expected = net(x + 1)")
    with pytest.raises(AssertionError, match="error: the network in .* predicts something else"):
        train(built, host, faulty, *words, folder=tmp_path, under_run=False)


@pytest.mark.parametrize("example", [MODULE_FIT, SSD, RESUME], ids=lambda each: each[1])
def test_help(built: Layout, tmp_path: Path, example: tuple) -> None:
    host, name, *_ = example
    printed = train(built, host, name, "--help", folder=tmp_path, under_run=False)
    assert printed.startswith(f"usage: {name}.py ") and "--epochs" in printed
