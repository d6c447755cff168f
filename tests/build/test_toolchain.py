"""A fault in a TOML file is one line with the file, the place and the value."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base import layout
from harness.base.errors import HarnessError
from harness.build import toolchain as config
from tests.support.commands import refusal

GOOD = layout.here().toolchain.read_text()


@pytest.mark.parametrize(
    "old, new, message",
    [
        ('sha256 = "d6ef', 'sha256 = "D6ef', r"hosts: 0: sha256: .*found 'D6ef"),
        ('filename = "mxnet', 'filename = "../mxnet', r"hosts: 0: filename: .*found '\.\./mxnet"),
        ('version = "1.3.1"', 'version = "1.4.1"', "named twice: 1.4.1, 1.4.1"),
        ('headers = "1.4.1"', 'headers = "1.2"', r"expected one of 1.3.1, .*1.6.0: '1.2'"),
        ('headers = "1.4.1"', 'header = "1.4.1"', "headers: Field required"),
        ("[[hosts]]", "surprise = 1\n[[hosts]]", "surprise: Extra inputs .* found 1"),
        ("[[hosts]]", "[[hosts", "not a TOML file"),
    ],
)
def test_faults(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "toolchain.toml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(HarnessError, match=message) as error:
        config.load_toolchain(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_an_unknown_host_is_named() -> None:
    toolchain = config.load_toolchain(layout.here().toolchain)
    assert toolchain.host("1.4.1").mkldnn == "v0.17.4"
    said = refusal(toolchain.host, "1.2")
    assert said.startswith("unknown host '1.2': expected one of 1.3.1, 1.4.1")
