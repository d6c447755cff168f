"""The list of planted faults: whole, described, and every patch applies as it stands."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.base.errors import HarnessError
from harness.base.layout import Layout
from harness.build.compiling import make_faulty
from harness.verify.faults import planted
from tests.support.commands import replace

PATCHED = [fault.name for fault in planted() if not fault.name.startswith("DROP-")]


def test_every_fault_has_its_patch_and_a_test(layout: Layout) -> None:
    assert sorted(path.stem for path in layout.faults.glob("*.patch")) == sorted(PATCHED)
    for fault in planted():
        assert fault.caught_by or fault.pytest or fault.verify, fault.name
        for test in fault.pytest:
            assert fault.name in (layout.root / test).read_text(encoding="utf-8")
        for test in fault.caught_by:
            program, case, mkldnn = test.split()
            source = layout.cpp_tests / f"{program}.cc"
            if not source.exists():  # of MKL-DNN 0.x, compiled for 1.0
                source = layout.cpp_tests / f"{program.replace('test1_', 'test_')}.cc"
            text = source.read_text(encoding="utf-8")
            for shared in re.findall(r'#include "(\w+_tests\.h)"', text):
                text += (layout.cpp_tests / shared).read_text(encoding="utf-8")
            assert f"{case}," in text or f"{case})" in text, test
            assert mkldnn in ("fake", "fake1", "every") or layout.stock(mkldnn)


def test_documents_name_faults_of_the_list(layout: Layout) -> None:
    named = set()
    for path in layout.root.glob("docs/*.md"):
        text = path.read_text(encoding="utf-8")
        for faults in re.findall(r"\bfaults? ((?:`[A-Z_]+`(?:, | and )?)+)", text):
            named |= set(re.findall(r"`([A-Z_]+)`", faults))
    assert len(named) > 5
    assert named <= set(PATCHED)


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
    replace(copy.sources / "api0" / "fields.cc", '"forward_hint"', '"hint_of"')
    with pytest.raises(HarnessError, match="failed: make exit"):
        make_faulty(copy, "NO_HINT")
    assert not (copy.build / "faults" / "NO_HINT").exists()
