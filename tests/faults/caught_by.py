"""Print which C++ test must catch which planted fault, a line each: FAULT/PROGRAM/CASE/MKLDNN."""

from __future__ import annotations

from pathlib import Path

import tomli

LIST = Path(__file__).resolve().with_name("faults.toml")

for fault in tomli.loads(LIST.read_text(encoding="utf-8"))["fault"]:
    for test in fault.get("caught_by", []):
        print(fault["name"], *test.split(), sep="/")
