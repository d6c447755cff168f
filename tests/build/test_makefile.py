"""The Makefile: its help, the options that it passes on, the variables that it refuses."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import subprocess
from pathlib import Path
from typing import Dict

import pytest

from harness.__main__ import COMMANDS
from harness.base.layout import here

ROOT = here().root
TEXT = (ROOT / "Makefile").read_text()
(_LIST,) = re.findall(r"^REPLACED := ((?:.*\\\n)*.*)", TEXT, re.MULTILINE)
REPLACED: Dict[str, str] = dict(pair.split("=") for pair in _LIST.replace("\\\n", " ").split())


def make(*words: str) -> subprocess.CompletedProcess:
    """Run make without what the make that runs the tests was given."""
    outer = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "ARGS", "QUICK", *REPLACED}
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    return subprocess.run(
        ["make", *words], cwd=ROOT, env=environment, capture_output=True, text=True
    )


def test_help_fits_a_screen_and_lists_every_target() -> None:
    lines = make("help").stdout.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    listed = {line.split()[1] for line in lines if line.startswith("make ")}
    (phony,) = re.findall(r"^\.PHONY: (.*)", TEXT, re.MULTILINE)
    (commands,) = re.findall(r"^COMMANDS := (.*)", TEXT, re.MULTILINE)
    assert listed == {*phony.split(), *commands.split()} - {"all", "$(COMMANDS)"}


def test_every_option_that_replaced_a_variable_exists() -> None:
    parser = argparse.ArgumentParser(conflict_handler="resolve")
    modules = [f"harness.{module}" for _, module, _ in COMMANDS if module is not None]
    for name in (*modules, "mkldnn_opcache.doctor"):
        importlib.import_module(name).add_arguments(parser)
    assert {*filter(None, REPLACED.values())} <= {*parser._option_string_actions}


def test_options_are_passed_on() -> None:
    done = make("-n", "verify", "QUICK=1", "ARGS=--models 'a b' --out x.json")
    assert "-m harness verify --quick --models 'a b' --out x.json\n" in done.stdout
    assert "-m harness bench  --out x\n" in make("-n", "bench", "QUICK=1", "ARGS=--out x").stdout
    assert " --dist loadgroup -k name\n" in make("-n", "test", "ARGS=-k name").stdout


@pytest.mark.parametrize(("variable", "option"), REPLACED.items())
def test_a_variable_that_is_no_longer_read_is_refused(variable: str, option: str) -> None:
    done = make("-n", "bench", "QUICK=1", f"{variable}=two words")
    assert done.returncode == 2 and done.stdout == ""
    options = f"{option} two words".strip()
    assert f"{variable} is no longer read: make bench QUICK=1 ARGS='{options}'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_all_refused_variables_are_named_at_once() -> None:
    said = make("-n", "bench", "OUT=a", "MODELS=b", "ARGS=--series c").stderr
    assert "MODELS OUT are no longer read: " in said
    assert "make bench ARGS='--series c --models b --out a'." in said
    assert make("-n", "bench", "PYTHON=python3").returncode == 0


def test_documents_name_no_variable_that_is_refused() -> None:
    old = re.compile(rf"make [a-z-]+ (?:[A-Z_]+=\S+ )*(?:{'|'.join(REPLACED)})=")
    assert old.search("make verify QUICK=1 OUT=a.json")
    for pattern in ("*.md", "docs/*.md", "results/*.md", "configs/*.toml", ".ci/run"):
        for path in ROOT.glob(pattern):
            assert not old.search(path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize(
    ("old", "wrong"),
    [("", ""), ("github.ref_type", "github.reftype"), ("needs: check", "needs: chek")],
)
def test_a_wrong_workflow_is_found(tmp_path: Path, old: str, wrong: str) -> None:
    (command,) = re.findall(r"^\t(\S+/actionlint .*) \.github/workflows/\*\.yml$", TEXT, re.M)
    (workflow,) = (ROOT / ".github" / "workflows").iterdir()
    text = workflow.read_text()
    assert old in text
    (tmp_path / "ci.yml").write_text(text.replace(old, wrong, 1))
    done = subprocess.run([*command.split(), tmp_path / "ci.yml"], cwd=ROOT, capture_output=True)
    assert (done.returncode != 0) == bool(old), done.stdout
