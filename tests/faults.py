"""Builds the library with a planted fault, for tests of what must catch it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from harness.layout import Layout


class FaultyLayout(Layout):
    """A work tree whose library has a planted fault."""

    @property
    def library(self) -> Path:
        return self.build / "faults" / self.fault / "libmkldnn_opcache.so"

    fault = ""


def faulty(built: Layout, fault: str) -> Layout:
    """Return a work tree like ``built`` whose library was built with that fault."""
    layout = type(f"Faulty{fault}", (FaultyLayout,), {"fault": fault})(built.root)
    out = built.build / "faults"
    command = ["make", "-C", str(built.sources), f"FAULT={fault}", f"OUT={out}"]
    command.append(f"HEADERS={built.headers('1.4.1')}")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    layout.library.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(out / f"libmkldnn_opcache-{fault}.so", layout.library)
    return layout
