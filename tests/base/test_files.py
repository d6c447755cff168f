"""What is written atomically is whole or absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pytest import MonkeyPatch

from harness.base import files


def fail(*arguments: object) -> None:
    raise OSError("planted")


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_failed_write_keeps_old_file(tmp_path: Path, monkeypatch: MonkeyPatch, step: str) -> None:
    path = tmp_path / "folder" / "result.json"
    files.write_text(path, "old")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="planted"):
        files.write_text(path, "new")
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_write_replaces_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    files.write_text(path, "old and longer")
    files.write_text(path, "n\u00e9w")
    assert path.read_bytes() == b"n\xc3\xa9w"


def test_a_folder_takes_its_place_only_when_the_block_succeeds(tmp_path: Path) -> None:
    path = tmp_path / "tree"
    with files.folder(path) as folder:
        (folder / "first").touch()
        assert not path.exists()
    with pytest.raises(OSError, match="planted"), files.folder(path) as folder:
        (folder / "second").touch()
        fail()
    assert [p.name for p in path.iterdir()] == ["first"]
    with files.folder(path) as folder:
        (folder / "third").touch()
    assert [p.name for p in path.iterdir()] == ["third"]
    assert list(tmp_path.iterdir()) == [path]
