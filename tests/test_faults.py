"""The list of planted faults: whole, described, and every patch applies as it stands."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.build import command as build
from harness.build import toolchain
from harness.verify.faults import planted

PATCHED = [fault.name for fault in planted() if not fault.name.startswith("DROP-")]


def test_every_fault_has_its_patch_and_a_test(layout: Layout) -> None:
    assert sorted(path.stem for path in layout.faults.glob("*.patch")) == sorted(PATCHED)
    for fault in planted():
        assert fault.caught_by or fault.pytest or fault.verify, fault.name
        for test in fault.pytest:
            assert fault.name in (layout.root / test).read_text(encoding="utf-8")
        for test in fault.caught_by:
            program, case, mkldnn = test.split()
            source = (layout.cpp_tests / f"{program}.cc").read_text(encoding="utf-8")
            assert f"{case}," in source or f"{case})" in source, test
            assert mkldnn in ("fake", "every") or layout.stock(mkldnn)


def test_the_document_describes_every_fault(layout: Layout) -> None:
    text = (layout.root / "patches" / "README.md").read_text(encoding="utf-8")
    table = text.split("## Planted faults")[1]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    listed = [f"| `{fault.name}` | {fault.wrong} |" for fault in planted()]
    assert rows[:-1] == [row for row in listed if not row.startswith("| `DROP-")]
    assert rows[-1].startswith("| `DROP-FIELD` |")


@pytest.mark.parametrize("name", PATCHED)
def test_patch_applies_without_fuzz(layout: Layout, name: str, tmp_path: Path) -> None:
    patch = (layout.faults / f"{name}.patch").read_text(encoding="utf-8")
    assert not patch.startswith("---")  # it opens with why
    sources = shutil.copytree(layout.sources, tmp_path / "opcache")
    command = ["patch", "-s", "-p1", "-F0", "-d", str(sources)]
    result = subprocess.run(command, input=patch, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_a_patch_that_does_not_apply_fails(layout: Layout, tmp_path: Path) -> None:
    copy = Layout(tmp_path)
    shutil.copytree(layout.faults, copy.faults)
    shutil.copytree(layout.sources, copy.sources)
    path = copy.sources / "api0" / "fields.cc"
    text = path.read_text(encoding="utf-8")
    assert text.count('v.section("forward_hint");') == 1
    path.write_text(text.replace('"forward_hint"', '"hint_of"'), encoding="utf-8")
    with pytest.raises(HarnessError, match="failed: make exit"):
        build.make_faulty(copy, toolchain.load_toolchain(layout.toolchain), "NO_HINT")
    assert not (copy.build / "faults" / "NO_HINT").exists()
